"""What may not be kept is nowhere: in no store, no quarantine, no log, and on no topic."""

import json
import logging
import os
import struct
import time
from pathlib import Path
from threading import Event

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from ingest.consent import Basis
from ingest.observation import Command
from ingest.registry_devices import consent, withdraw
from ingest.settings import DeviceSettings, IngestSettings
from tests.support.ingest_line import IngestLine, eventually, publish
from tests.support.servers import MosquittoServer

pytestmark = pytest.mark.integration

SECRET = 61.8129431  # whatever holds it keeps it: as text, or as eight bytes
OFF_RANGE = 618129431.5
GPS = "48.1173, -1.6778"
SECRETS = (
    *(str(SECRET).encode(), str(OFF_RANGE).encode(), GPS.encode()),
    *(struct.pack(order, value) for value in (SECRET, OFF_RANGE) for order in ("<d", ">d")),
)


def test_data_without_a_basis_leave_a_count_and_no_trace(
    mosquitto_server: MosquittoServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    devices = DeviceSettings(require_basis=True)
    settings = IngestSettings(devices=devices, publish_refusals=True)
    told: list[bytes] = []
    with IngestLine(mosquitto_server.port, tmp_path, settings=settings) as line:
        line.wait_until_connected()
        for patient in ("without", "limited", "withdrawn"):
            line.registry.add_patient(patient=patient)
            line.registry.bind(f"watch-{patient}", patient)
        consent(line.registry, Basis("limited", "consent", frozenset({"heart_rate"})))
        consent(line.registry, Basis("withdrawn", "consent"))
        withdraw(line.registry, "withdrawn")
        (tmp_path / "tail.lease").touch()  # somebody follows what arrives
        os.utime(tmp_path / "tail.lease")
        device = Client(CallbackAPIVersion.VERSION2)
        device.on_message = lambda _c, _u, message: told.append(_text(message))
        subscribed = Event()
        device.on_subscribe = lambda *_: subscribed.set()
        device.connect("127.0.0.1", mosquitto_server.port)
        device.loop_start()
        device.subscribe("twin/v1/+/refused")
        assert subscribed.wait(60)
        eventually(lambda: line.service._tail.watched, "watched")

        def publish(who: str, values: dict[str, object], **more: object) -> None:
            said = {"time": time.time_ns() // 1_000_000, "values": values, **more}
            device.publish(f"twin/v1/watch-{who}/telemetry", json.dumps(said), qos=1)

        for who in ("without", "withdrawn"):
            publish(who, {"heart_rate": SECRET}, contact=True)
            publish(who, {"heart_rate": OFF_RANGE})
            publish(who, {"heart_rate": 70}, units={"heart_rate": str(SECRET)})
            device.publish(f"twin/v1/watch-{who}/telemetry", f"{{{SECRET}", qos=1)
        publish("limited", {"heart_rate": 64.25, "spo2": SECRET}, gps=GPS)
        publish("limited", {"heart_rate": 64.5, "body_temperature": OFF_RANGE})
        publish("limited", {"heart_rate": OFF_RANGE}, gps=GPS)
        eventually(lambda: line.service.counters.received == 11, "received")
        eventually(lambda: len(told) >= 11, "published")
        observations = line.observations()
        refused = {d: dict(r) for d, r in line.quarantine.by_device().items()}
        assert line.quarantine.items(100) == []
        assert line.quarantine.totals()["unkept"] == 11
        device.disconnect()
        device.loop_stop()

    assert [(o.device, o.value) for o in observations] == [
        ("watch-limited", 64.25),
        ("watch-limited", 64.5),
    ]
    by_reason = {"no_basis": 1, "value_out_of_range": 1, "unit_unknown": 1, "undecodable": 1}
    assert refused == {
        "watch-without": by_reason,
        "watch-withdrawn": by_reason,
        "watch-limited": {"not_allowed": 1, "value_out_of_range": 2},
    }
    kept = {f"{p.name}": p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert {"registry.db", "quarantine.db", "observations.db", "tail.db"} <= kept.keys()
    allowed = struct.pack("<d", 64.25)
    assert any(allowed in content for content in kept.values())  # so it would be found
    said = {"log": caplog.text.encode(), "refused topic": b"".join(told)}
    for name, content in (kept | said).items():
        for secret in SECRETS:
            assert secret not in content, f"{secret!r} is in {name}"


def test_consents_of_the_registry_file_hold_from_the_start_and_are_journalled(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(
        '[[consents]]\npatient = "limited"\nbasis = "consent"\nsignals = ["heart_rate"]\n'
        '[[consents]]\npatient = "withdrawn"\nbasis = "care"\n'
        '[[consents]]\npatient = "withdrawn"\nwithdrawn = 2026-01-01T00:00:00Z\n'
        + "".join(
            f'[[devices]]\ndevice = "watch-{each}"\npatient = "{each}"\n'
            for each in ("limited", "withdrawn", "without")
        )
    )
    settings = IngestSettings(devices=DeviceSettings(require_basis=True, file=file))
    with IngestLine(mosquitto_server.port, tmp_path, settings=settings) as line:
        line.wait_until_connected()
        said = {"time": time.time_ns() // 1_000_000, "values": {"heart_rate": 61, "spo2": 97}}
        for who in ("limited", "withdrawn", "without"):
            topic = f"twin/v1/watch-{who}/telemetry"
            publish(mosquitto_server.port, topic, json.dumps(said))
        eventually(lambda: line.service.counters.received == 3, "received")
        eventually(lambda: len(line.quarantine.by_device()) == 3, "counted")
        refused = {d: dict(r) for d, r in line.quarantine.by_device().items()}
        eventually(lambda: len(_consents(line)) == 2, "journalled")
        consents = _consents(line)
        observations = line.observations()
        assert line.quarantine.items(10) == []
    assert [(each.device, each.signal) for each in observations] == [
        ("watch-limited", "heart_rate")
    ]
    assert refused == {
        "watch-limited": {"not_allowed": 1},
        "watch-withdrawn": {"no_basis": 2},
        "watch-without": {"no_basis": 2},
    }
    assert set(consents) == {"limited", "withdrawn"}
    assert consents["limited"].actor == "file"
    assert consents["limited"].body["bases"][0]["signals"] == ["heart_rate"]


def _consents(line: IngestLine) -> dict[str | None, Command]:
    """The journal's commands on consents, by patient."""
    commands = [each for each in line.records() if isinstance(each, Command)]
    return {each.patient: each for each in commands if each.kind == "consent"}


def _text(message: MQTTMessage) -> bytes:
    return bytes(message.payload)
