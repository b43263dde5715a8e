"""Every format, published by one command, is on the page; what waits for a birth is used by it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from ingest.payload.sparkplug_wire import Payload
from tests.support.ingest_line import publish
from tests.support.line import TWIN, TwinRun, eventually
from tests.support.servers import MosquittoServer
from tests.support.sparkplug import by_alias, double, payload

pytestmark = [pytest.mark.integration]

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
            "ingest": {"mapping_files": [str(mapping)]},
        }
        run = stack.enter_context(TwinRun(folder / "run", tables))
        run.wait_until_connected()
        seen = Seen()
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = seen.take
        client.connect(broker.host, broker.port)
        client.subscribe("spBv1.0/+/NCMD/#", 1)
        client.loop_start()
        stack.callback(client.loop_stop)
        stack.callback(client.disconnect)
        yield Running(broker, run, seen)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def native(rate: float) -> str:
    return json.dumps({"time": now_ms(), "values": {"heart_rate": rate}})


def senml(rate: float) -> list[dict[str, object]]:
    return [{"n": "heart_rate", "v": rate, "u": "/min", "t": now_ms() / 1000}]


def ieee1752(rate: float) -> str:
    frame = {"date_time": f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"}
    body = {"heart_rate": {"value": rate, "unit": "beats/min"}, "effective_time_frame": frame}
    header = {
        "id": "243c773b-8936-407e-9c23-270d0ea49cc4",
        "creation_date_time": frame["date_time"],
        "schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"},
    }
    return json.dumps({"header": header, "body": body})


def fhir(rate: float) -> str:
    return json.dumps(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "effectiveDateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "valueQuantity": {
                "value": rate,
                "unit": "beats/minute",
                "system": "http://unitsofmeasure.org",
                "code": "/min",
            },
        }
    )


def birth(rate: float, seq: int = 1) -> bytes:
    return payload(double("vitals/heart_rate", rate, alias=1), seq=seq, timestamp=now_ms())


def test_each_format_is_on_the_page_by_one_message(running: Running) -> None:
    sent: list[tuple[str, bytes | str]] = [
        ("twin/v1/watch-1/telemetry", native(61)),
        ("twin/v1/watch-2/senml", json.dumps(senml(62))),
        ("twin/v1/watch-3/senml-cbor", cbor2.dumps([{0: "heart_rate", 2: 63, 6: now_ms() / 1000}])),
        ("spBv1.0/Ward 3/DBIRTH/Gateway/Watch", birth(64)),
        ("acme/watch-5/data", json.dumps({"ts": now_ms(), "vitals": {"hr": 65}})),
        ("twin/v1/watch-6/ieee1752", ieee1752(66)),
        ("twin/v1/watch-7/fhir", fhir(67)),
    ]
    for topic, message in sent:
        running.publish(topic, message)

    eventually(
        lambda: {61, 62, 63, 64, 65, 66, 67} <= set(running.rates()), "all rates on the page"
    )
    assert {"Ward 3/Gateway/Watch", "watch-5"} <= set(running.run.ledgers())


def test_data_before_its_birth_asks_for_it_and_is_used_once_it_came(running: Running) -> None:
    running.seen.came.clear()
    running.publish("spBv1.0/G/DDATA/N/D", payload(by_alias(1, 71), timestamp=now_ms(), seq=9))
    assert running.seen.came.wait(10)
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
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

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
