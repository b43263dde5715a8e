"""Every format, published by one command, is on the page; what waits for a birth is used by it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from ingest.payload.sparkplug_wire import Payload
from tests.support.commands import TWIN, eventually
from tests.support.ingest_line import publish
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer
from tests.support.sparkplug import by_alias, double, payload

pytestmark = [pytest.mark.integration]

ROOT = Path(__file__).parents[2]
MAPPING = """
[[mapping]]
name = "acme"
topic = "acme/{device}/data"
time = { path = "ts", unit = "ms" }
fields = [{ signal = "heart_rate", path = "vitals.hr" }]
"""


@dataclass(frozen=True, slots=True)
class Running:
    broker: MosquittoServer
    run: TwinRun
    seen: Seen

    def rates(self) -> list[float]:
        """Latest heart rates on the page."""
        found = self.run.get("/api/v1/patients")["patients"]
        rates = [each["estimates"].get("heart_rate") for each in found]
        return [round(each["mean"]) for each in rates if each is not None]

    def publish(self, topic: str, message: bytes | str) -> None:
        publish(self.broker.port, topic, message)


@dataclass(slots=True)
class Seen:
    """Commands that edge nodes were sent."""

    commands: list[tuple[str, bytes]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    def take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.commands.append((message.topic, bytes(message.payload)))
        self.came.set()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("formats")
    mapping = folder / "acme.toml"
    mapping.write_text(MAPPING, "utf-8")
    with ExitStack() as stack:
        broker = stack.enter_context(MosquittoServer())
        tables: dict[str, dict[str, Any]] = {
            "mqtt": {"port": broker.port, "filters": ["twin/v1/#", "spBv1.0/#"]},
            "devices": {"unknown": "register"},
            "ingest": {"mapping_files": [str(mapping), str(ROOT / "deploy/mappings")]},
        }
        run = stack.enter_context(TwinRun(folder / "run", tables))
        run.wait_until_connected()
        seen = Seen()
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = seen.take
        subscribed = threading.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect(broker.host, broker.port)
        client.subscribe("spBv1.0/+/NCMD/#", 1)
        client.loop_start()
        stack.callback(client.loop_stop)
        stack.callback(client.disconnect)
        assert subscribed.wait(60)
        yield Running(broker, run, seen)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def birth(rate: float, seq: int = 1) -> bytes:
    return payload(double("vitals/heart_rate", rate, alias=1), seq=seq, timestamp=now_ms())


def documented_commands() -> list[str]:
    """The commands of docs/devices.md that publish, one for each format."""
    document = (ROOT / "docs" / "devices.md").read_text("utf-8")
    section = document.partition("## From nothing")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.S)
    return [block for block in blocks if "mosquitto_pub" in block]


def test_each_documented_command_puts_a_device_on_the_page(running: Running) -> None:
    commands = documented_commands()
    assert len(commands) == 7
    for command in commands:
        here = command.replace("mosquitto_pub", f"mosquitto_pub -p {running.broker.port}")
        here = here.replace(".venv/bin/python", sys.executable)
        subprocess.run(["bash", "-ec", here], cwd=ROOT, check=True, timeout=90)

    expected = set(range(61, 68))
    eventually(lambda: expected <= set(running.rates()), "all rates on the page")
    assert {"watch-1", "ward/gateway/watch-6", "watch-7"} <= set(running.run.ledgers())


def test_a_name_with_spaces_is_a_device_of_sparkplug(running: Running) -> None:
    running.publish("spBv1.0/Ward 3/DBIRTH/Gateway/Watch 1", birth(81))

    eventually(lambda: "Ward 3/Gateway/Watch 1" in running.run.ledgers(), "known")
    eventually(lambda: 81 in running.rates(), "on the page")


def test_data_before_its_birth_asks_for_it_and_is_used_once_it_came(running: Running) -> None:
    running.seen.came.clear()
    running.publish("spBv1.0/G/DDATA/N/D", payload(by_alias(1, 71), timestamp=now_ms(), seq=9))
    assert running.seen.came.wait(60)
    topic, request = running.seen.commands[-1]
    assert topic == "spBv1.0/G/NCMD/N"
    (metric,) = Payload.FromString(request).metrics
    assert (metric.name, metric.boolean_value) == (b"Node Control/Rebirth", True)

    eventually(lambda: reasons(running).get("alias_unknown") == 1, "in quarantine")
    running.publish("spBv1.0/G/DBIRTH/N/D", birth(72))

    eventually(lambda: "alias_unknown" not in reasons(running), "used by itself")
    ledger = eventually_ledger(running, "G/N/D", 2)
    assert (ledger["journalled"], ledger["refused"]) == (2, {})


def test_what_a_mended_mapping_can_read_is_used_by_a_replay(running: Running) -> None:
    running.publish("acme/watch-9/data", json.dumps({"when": now_ms(), "vitals": {"hr": 88}}))
    eventually(lambda: reasons(running).get("time_missing") == 1, "in quarantine")
    mended = running.run.folder.parent / "acme.toml"
    mended.write_text(MAPPING.replace('"ts"', '"when"'), "utf-8")

    command = [*TWIN_REPLAY, "-c", str(running.run.config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)

    assert json.loads(done.stdout)["used"] == 1
    eventually(lambda: 88 in running.rates(), "on the page")


TWIN_REPLAY = (*TWIN, "quarantine", "replay")


def reasons(running: Running) -> dict[str, int]:
    by_reason: dict[str, int] = running.run.get("/api/v1/quarantine")["by_reason"]
    return by_reason


def eventually_ledger(running: Running, device: str, received: int) -> Any:
    def holds() -> bool:
        ledger = running.run.ledgers().get(device, {})
        return ledger.get("journalled", 0) >= received

    eventually(holds, "journalled")
    return running.run.ledgers()[device]
