"""Ingest with real brokers: what is published is in the journal, or in quarantine by its reason."""

import json
import threading
import time
from pathlib import Path
from typing import Literal

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.decide import replay_quarantined
from ingest.instant import MINUTE, SECOND, format_instant
from ingest.observation import Command, Tick
from ingest.payload.decoded import Reason
from ingest.settings import DeviceSettings, IngestSettings
from ingest.tail import TailEvent, follow
from tests.support.ingest_line import IngestLine, eventually, publish
from tests.support.processes import free_port
from tests.support.servers import MosquittoServer, NatsServer
from tests.support.stopwatch import Stopwatch

pytestmark = pytest.mark.integration
Protocol = Literal["5", "3.1.1"]
TOPIC = "twin/v1/watch-7/telemetry"


def message(value: float = 72, ago_s: float = 0, **fields: object) -> str:
    at = format_instant(time.time_ns() - int(ago_s * SECOND))
    return json.dumps({"time": at, "values": {"heart_rate": value}} | fields)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_a_device_publishes_is_journalled(
    mosquitto_server: MosquittoServer, tmp_path: Path, protocol: Protocol
) -> None:
    with IngestLine(mosquitto_server.port, tmp_path, protocol) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, TOPIC, message(72, sequence=1))
        publish(mosquitto_server.port, TOPIC, message(73, sequence=2), qos=0)
        publish(mosquitto_server.port, TOPIC, message(74, sequence=3), qos=2)
        eventually(lambda: line.service.counters.journalled == 3, "journalled")
        found = line.observations()
        assert [(o.value, o.device_sequence) for o in found] == [(72, 1), (73, 2), (74, 3)]
        assert {o.device for o in found} == {"watch-7"}
        assert [{o.patient for o in found}] == [set(line.registry.labels())]
        assert abs(found[0].received_at - time.time_ns()) < MINUTE


def test_nats_carries_it_too(nats_server: NatsServer, tmp_path: Path) -> None:
    with IngestLine(nats_server.port, tmp_path, "3.1.1") as line:
        line.wait_until_connected()
        publish(nats_server.port, TOPIC, message(72))
        eventually(lambda: line.service.counters.journalled == 1, "journalled")
        assert line.observations()[0].value == 72


def test_ticks_and_the_registrys_commands_are_journalled(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    with IngestLine(mosquitto_server.port, tmp_path) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, TOPIC, message())
        eventually(lambda: not line.registry.take_outbox(), "handed over")
        ticked, watch = line.service.counters.ticks, Stopwatch()
        eventually(lambda: line.service.counters.ticks >= ticked + 2, "ticking")
        waited = round(watch.hindered * SECOND)
        records = line.records()
        ticks = [record for record in records if isinstance(record, Tick)]
        assert ticks[-1].broker_connected
        assert 0.9 * SECOND < ticks[-1].at - ticks[-2].at < 3 * SECOND + waited
        (binding,) = [record for record in records if isinstance(record, Command)]
        assert (binding.kind, binding.body["device"]) == ("binding", "watch-7")


def test_it_starts_with_the_broker_down_and_comes_back_by_itself(tmp_path: Path) -> None:
    port = free_port()
    with IngestLine(port, tmp_path) as line:
        eventually(lambda: line.service.counters.ticks >= 1, "ticking")
        assert not line.service.subscriber.connected
        with MosquittoServer(port=port) as broker:
            line.wait_until_connected()
            publish(port, TOPIC, message(72))
            broker.restart()
            line.wait_until_connected()
            publish(port, TOPIC, message(73))
            eventually(lambda: line.service.counters.journalled == 2, "journalled")
        eventually(lambda: not line.service.subscriber.connected, "disconnected")
        assert line.service.alive


def test_what_came_while_ingest_was_away_is_there_when_it_is_back(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    with IngestLine(mosquitto_server.port, tmp_path) as line:
        line.wait_until_connected()
    publish(mosquitto_server.port, TOPIC, message(72))
    with IngestLine(mosquitto_server.port, tmp_path) as line:
        eventually(lambda: line.service.counters.journalled == 1, "journalled")


@pytest.mark.slow
def test_a_broker_restarted_in_a_flood_loses_nothing_that_it_acknowledged(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    count = 4_000
    acknowledged = threading.Semaphore(0)
    device = paho.Client(CallbackAPIVersion.VERSION2, "flood", clean_session=False)
    device.on_publish = lambda *_: acknowledged.release()
    device.reconnect_delay_set(1, 1)
    device.max_inflight_messages_set(200)
    begin = time.time_ns() // 1_000_000
    with IngestLine(mosquitto_server.port, tmp_path) as line:
        line.wait_until_connected()
        device.connect(mosquitto_server.host, mosquitto_server.port)
        device.loop_start()
        for i in range(count):
            payload = json.dumps({"time": begin - i, "values": {"heart_rate": 60 + i % 100}})
            device.publish(TOPIC, payload, qos=1)
            if i in (count // 3, 2 * count // 3):
                mosquitto_server.restart()
        for _ in range(count):
            assert acknowledged.acquire(timeout=120)
        device.disconnect()
        device.loop_stop()

        def journalled() -> dict[int, float]:
            return {o.device_stamp // 1_000_000: o.value for o in line.observations()}

        eventually(lambda: len(journalled()) == count, "all journalled")
        assert journalled() == {begin - i: 60 + i % 100 for i in range(count)}
        assert line.service.counters.refused == {}


BAD = {
    "bytes": (TOPIC, b"\x80\x81", Reason.UNDECODABLE, ""),
    "signal": (TOPIC, '{"time":NOW,"values":{"pulse":72}}', Reason.SIGNAL_UNKNOWN, "values.pulse"),
    "unit": (
        TOPIC,
        '{"time":NOW,"values":{"heart_rate":72},"units":{"heart_rate":"bpm"}}',
        Reason.UNIT_UNKNOWN,
        "units.heart_rate",
    ),
    "range": (TOPIC, '{"time":NOW,"values":{"spo2":9}}', Reason.VALUE_OUT_OF_RANGE, "values.spo2"),
    "no time": (TOPIC, '{"values":{"spo2":97}}', Reason.TIME_MISSING, "time"),
    "absurd time": (
        TOPIC,
        '{"time":"teatime","values":{"spo2":97}}',
        Reason.TIME_UNREADABLE,
        "time",
    ),
    "future": (TOPIC, '{"time":FUTURE,"values":{"spo2":97}}', Reason.FUTURE, "time"),
    "ancient": (TOPIC, '{"time":1,"values":{"spo2":97}}', Reason.ANCIENT, "time"),
    "a megabyte": (TOPIC, b"x" * 1_048_576, Reason.PAYLOAD_TOO_LARGE, ""),
    "strange topic": ("twin/v1/wätch 7 $!/telemetry", "{}", Reason.TOPIC_UNKNOWN, "topic"),
    "unknown device": (
        "twin/v1/nobody/telemetry",
        '{"time":NOW,"values":{"spo2":97}}',
        Reason.DEVICE_UNKNOWN,
        "topic",
    ),
}


def test_each_kind_of_bad_input_is_quarantined_with_its_own_reason_and_acknowledged(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    now = time.time_ns() // 1_000_000
    with IngestLine(mosquitto_server.port, tmp_path, settings=IngestSettings()) as line:
        line.registry.bind("watch-7", line.registry.add_patient())
        line.wait_until_connected()
        for topic, payload, _, _ in BAD.values():
            if isinstance(payload, str):
                payload = payload.replace("NOW", str(now)).replace("FUTURE", str(now + 900_000))
            publish(mosquitto_server.port, topic, payload)
        publish(mosquitto_server.port, TOPIC, message(72))
        eventually(lambda: line.service.counters.journalled == 1, "the good one journalled")
        items = line.quarantine.items(100)
        assert {(i.reason, i.path) for i in items} == {(r, p) for _, _, r, p in BAD.values()}
        assert all(item.expected for item in items)
        assert line.quarantine.summary() == {r: 1 for _, _, r, _ in BAD.values()}
        assert line.service.counters.refused == line.quarantine.summary()
    # Acknowledged: the broker has nothing left for the session.
    with IngestLine(mosquitto_server.port, tmp_path, settings=IngestSettings()) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, TOPIC, message(73))
        eventually(lambda: line.service.counters.journalled == 1, "the next one journalled")
        assert line.service.counters.received == 1


def test_a_bad_sample_in_a_batch_does_not_take_its_neighbours_with_it(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    now = time.time_ns() // 1_000_000
    batch = {
        "times": [now - 3000, now - 2000, now - 1000],
        "values": {"heart_rate": [70, 999, 72], "spo2": [97, None, "x"]},
    }
    with IngestLine(mosquitto_server.port, tmp_path) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, TOPIC, json.dumps(batch))
        eventually(lambda: line.service.counters.journalled == 3, "journalled")
        assert sorted(o.value for o in line.observations()) == [70, 72, 97]
        assert {(i.reason, i.path) for i in line.quarantine.items(10)} == {
            ("value_out_of_range", "values.heart_rate[1]"),
            ("value_not_a_number", "values.spo2[2]"),
        }


def test_what_was_quarantined_is_used_after_its_cause_is_mended(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    with IngestLine(mosquitto_server.port, tmp_path, settings=IngestSettings()) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, TOPIC, message(72))
        publish(mosquitto_server.port, TOPIC, "garbage")
        eventually(lambda: line.quarantine.summary().get("device_unknown") == 1, "quarantined")
        eventually(lambda: len(line.quarantine.messages()) == 2, "quarantined")
        (item,) = line.quarantine.items(1, reason="device_unknown")
        line.registry.bind("watch-7", line.registry.add_patient("Bed 7"))
        done = replay_quarantined(line.quarantine, line.registry, line.journal, line.settings)
        assert (done.count("used"), done.count("refused"), done.observations) == (1, 1, 1)
        (observation,) = line.observations()
        assert (observation.value, observation.received_at) == (72, item.received_at)
        assert line.quarantine.summary() == {"undecodable": 1}


def test_only_so_many_devices_become_patients_by_themselves(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    devices = DeviceSettings(unknown="register", register_at_most=2)
    settings = IngestSettings(devices=devices)
    with IngestLine(mosquitto_server.port, tmp_path, settings=settings) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, "twin/v1/a/telemetry", message(9_999))
        for device in ("b", "c", "d"):
            publish(mosquitto_server.port, f"twin/v1/{device}/telemetry", message())
        eventually(lambda: line.service.counters.received == 4, "received")
        assert len(line.registry.labels()) == 2
        assert line.quarantine.by_device() == {
            "a": {"value_out_of_range": 1},
            "d": {"demo_full": 1},
        }


def test_refusals_are_published_for_the_devices_engineer_and_shown_to_who_tails(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    heard: list[tuple[str, dict[str, str]]] = []
    engineer = paho.Client(CallbackAPIVersion.VERSION2, "engineer")
    engineer.on_message = lambda _c, _u, m: heard.append((m.topic, json.loads(m.payload)))
    subscribed = threading.Event()
    engineer.on_subscribe = lambda *_: subscribed.set()
    engineer.connect(mosquitto_server.host, mosquitto_server.port)
    engineer.subscribe("twin/v1/+/refused")
    engineer.loop_start()
    assert subscribed.wait(60)
    settings = IngestSettings(publish_refusals=True, devices=DeviceSettings(unknown="register"))
    with IngestLine(mosquitto_server.port, tmp_path, settings=settings) as line:
        line.wait_until_connected()
        events: list[TailEvent] = []
        tail = follow(tmp_path, "watch-7")
        watching = threading.Thread(
            target=lambda: events.extend(next(tail) for _ in range(2)), daemon=True
        )
        watching.start()
        eventually(lambda: line.service._tail.watched, "watched")
        publish(mosquitto_server.port, "twin/v1/other/telemetry", message())
        publish(mosquitto_server.port, TOPIC, message(values={"heart_rate": 72, "spo2": 5}))
        watching.join(60)
        assert [(e.accepted, e.reason, e.path, e.got) for e in events] == [
            (0, "value_out_of_range", "values.spo2", "5.0 %"),
            (1, "", "", ""),
        ]
        told = {"reason": "value_out_of_range", "path": "values.spo2", "expected": "30 to 100 %"}
        eventually(lambda: bool(heard), "published")
        assert heard == [("twin/v1/watch-7/refused", told)]
        tail.close()
    engineer.disconnect()
    engineer.loop_stop()


def test_nothing_of_a_payload_or_an_identity_is_logged(
    mosquitto_server: MosquittoServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(0), IngestLine(mosquitto_server.port, tmp_path) as line:
        line.wait_until_connected()
        publish(mosquitto_server.port, TOPIC, message(72))
        publish(mosquitto_server.port, TOPIC, "a secret payload")
        for form in ("senml", "senml-cbor", "ieee1752", "fhir"):
            publish(
                mosquitto_server.port, f"twin/v1/watch-7/{form}", '[{"n":"secret","v":"secret"}]'
            )
        eventually(lambda: line.service.counters.received == 6, "received")
        patient = next(iter(line.registry.labels()))
    for word in ("watch-7", "secret", "heart_rate", patient):
        assert word not in caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_retained_message_that_is_refused_is_one_in_quarantine_however_often_it_comes(
    mosquitto_server: MosquittoServer, tmp_path: Path, protocol: Protocol
) -> None:
    """A broker sends what it retains at each subscription, hence at each start."""
    topic = f"twin/v1/retained-{protocol}/telemetry"
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", mosquitto_server.port)
    client.loop_start()
    for payload in (message(700), message(71)):
        at = topic if "700" in payload else topic.replace("retained", "good")
        client.publish(at, payload, qos=1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    for times in (1, 2, 3):
        with IngestLine(mosquitto_server.port, tmp_path, protocol) as line:
            line.wait_until_connected()
            eventually(lambda: line.service.counters.received >= 2, "received again")
            (item,) = (i for i in line.quarantine.items(10) if i.device == f"retained-{protocol}")
            assert (item.reason, item.count) == ("value_out_of_range", times)
            assert line.quarantine.by_device()[item.device] == {"value_out_of_range": times}
            # The good one is journalled again, and a duplicate to the twin by its identity.
            again = [o for o in line.observations() if o.device == f"good-{protocol}"]
            assert len({o.device_stamp for o in again}) == 1
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", mosquitto_server.port)
    client.loop_start()
    for at in (topic, topic.replace("retained", "good")):
        client.publish(at, b"", qos=1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
