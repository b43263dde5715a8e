"""Devices whose firmware writes its times wrongly: refused with what to declare, used once that is
declared, of a running service and from the message on that follows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ingest.instant import HOUR, SECOND, format_instant
from tests.support.commands import eventually, succeeded, twin, twin_json
from tests.support.contents import embedded_content
from tests.support.ingest_line import publish
from tests.support.runs import Tables, TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration]

#: As it was bought, and as it is known after its first messages.
BEFORE = '[[models]]\nname = "clock-1"\n[[models]]\nname = "strap-1"\n'
AFTER = """
[[models]]
name = "clock-1"
stamp_unit = "s"

[[models]]
name = "strap-1"
stamp_zone = "+09:00"
"""
DEVICES = """
[[devices]]
device = "seconds"
model = "clock-1"
patient = "p-1"

[[devices]]
device = "wall"
model = "strap-1"
patient = "p-2"
"""


def test_what_was_refused_for_its_stamp_is_used_once_the_model_declares_it(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(BEFORE + DEVICES, "utf-8")
    tables: Tables = {"mqtt": {"port": mosquitto_server.port}, "devices": {"file": str(file)}}
    with TwinRun(tmp_path / "run", tables) as run:
        run.wait_until_connected()
        now = time.time_ns() // SECOND * SECOND

        def say(at: int, rate: int) -> None:
            """Both devices measure the same."""
            values = {"heart_rate": rate}
            for device, said in (
                ("seconds", at // SECOND),
                ("wall", format_instant(at + 9 * HOUR)),
            ):
                message = json.dumps({"time": said, "values": values})
                publish(mosquitto_server.port, f"twin/v1/{device}/telemetry", message)

        say(now - 20 * SECOND, 70)
        eventually(lambda: run.get("/api/v1/quarantine")["total"] == 2, "refused")
        items = {each["device"]: each for each in run.get("/api/v1/quarantine")["items"]}
        assert items["seconds"]["reason"] == "ancient"
        assert items["seconds"]["got"].endswith("(looks like seconds)")
        assert 'stamp_unit = "s" of the device\'s model' in items["seconds"]["expected"]
        assert items["wall"]["reason"] == "future"
        assert items["wall"]["got"].endswith("(9 h ahead: zone?)")
        assert "stamp_zone of its model" in items["wall"]["expected"]

        file.write_text(AFTER, "utf-8")
        succeeded(twin("devices", "models", "--read", file, "-c", run.config))
        assert twin_json("quarantine", "replay", "-c", run.config)["used"] == 2
        say(now - 10 * SECOND, 71)
        eventually(
            lambda: [run.ledgers()[d]["stored"] for d in ("seconds", "wall")] == [2, 2], "stored"
        )
        measured = sorted(embedded_content(run.store).observations.items())
    assert [value for _, value in measured] == [70, 71, 70, 71]
    for (*_, at), value in measured:
        assert at == now - {70: 20, 71: 10}[int(value)] * SECOND
