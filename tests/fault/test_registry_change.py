"""Fault: devices change patients while they send. Budget: 0 lost, 0 double, 0 to the wrong one.

What is stamped near a change is in quarantine, not guessed.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

import pytest

from ingest.instant import MINUTE, SECOND, format_instant
from tests.fault.conftest import Account
from tests.support.commands import eventually, succeeded, twin
from tests.support.contents import embedded_content
from tests.support.fleets import write_registry
from tests.support.publisher import publish_all, reading
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.fault, pytest.mark.slow]

DEVICES, READINGS = 3, 80


def test_every_reading_is_its_patients_or_waits_in_quarantine(
    mosquitto_server: MosquittoServer, tmp_path: Path, account: Account
) -> None:
    names = [f"watch-{n}" for n in range(DEVICES)]
    registry = write_registry(tmp_path / "devices.csv", {name: f"before-{name}" for name in names})
    end = time.time_ns() // SECOND * SECOND
    change = end - 40 * MINUTE
    messages = [
        reading(name, end - (READINGS - n) * MINUTE, {"heart_rate": 60 + n})
        for n in range(READINGS)
        for name in names
    ]
    tables = {"mqtt": {"port": mosquitto_server.port}, "devices": {"file": str(registry)}}
    with TwinRun(tmp_path, tables) as run:
        run.wait_until_connected()
        # One half while they are bound, the other afterwards: both have stamps of both sides.
        halves = [
            [message for n, message in enumerate(messages) if n // DEVICES % 2 == side]
            for side in (0, 1)
        ]
        sending = Thread(target=publish_all, args=(mosquitto_server.port, halves[0], 40.0))
        sending.start()
        for name in names:
            succeeded(twin("patients", "add", "--id", f"after-{name}", "-c", run.config))
            at = format_instant(change)
            bound = twin("devices", "bind", name, f"after-{name}", "--from", at, "-c", run.config)
            succeeded(bound)
        sending.join()
        publish_all(mosquitto_server.port, halves[1])
        eventually(lambda: counted(run) == len(messages), "stored or in quarantine")
        quarantined = run.get("/api/v1/quarantine")["by_reason"]
        assert run.stop() == 0
    held = embedded_content(run.store).observations
    assert set(quarantined) <= {"binding_ambiguous"}
    assert len(held) + sum(quarantined.values()) == len(messages)
    wrong = [key for key in held if key[0] == f"after-{key[2]}" and key[3] < change - 10 * MINUTE]
    assert wrong == []
    after = [key for key in held if key[0].startswith("after-")]
    assert after
    account(runs=DEVICES)


def counted(run: TwinRun) -> int:
    """Readings that are in the store or in quarantine."""
    held = sum(ledger["stored"] for ledger in run.ledgers().values())
    return int(held + run.get("/api/v1/quarantine")["total"])
