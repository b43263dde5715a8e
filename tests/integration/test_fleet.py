"""The fleet against real brokers."""

import threading
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from ingest.fleet.message import Message
from ingest.fleet.publish import BrokerUnreachable, Counts, Publisher
from ingest.fleet.run import FleetThread, Target, play_recording, publish_all, run_fleet
from ingest.fleet.settings import Connection, Faults, FleetSettings
from ingest.fleet.simulation import messages
from ingest.instant import SECOND
from ingest.payload.native import decode
from ingest.recording import read_recording
from tests.support.servers import MosquittoServer, NatsServer, Server
from tests.support.stopwatch import Stopwatch
from tests.support.subscriber import Subscriber

pytestmark = pytest.mark.integration
ONCE = Faults(duplicated=0)


def scaled(speed: float) -> Callable[[], int]:
    begun = time.time_ns()
    return lambda: begun + round((time.time_ns() - begun) * speed)


def stop_after(acknowledged: int, stop: threading.Event) -> Callable[[Counts], None]:
    return lambda counts: stop.set() if counts.acknowledged >= acknowledged else None


def publish_1200(server: Server, connection: Connection, record: Path) -> Counts:
    settings = FleetSettings(patients=4, speed=200, faults=ONCE, connection=connection)
    stop = threading.Event()
    now = scaled(settings.speed)
    return run_fleet(
        settings,
        server.host,
        server.port,
        now,
        stop,
        record=record,
        watch=stop_after(1_200, stop),
    )


def check_1200(server: Server, connection: Connection, folder: Path) -> None:
    with Subscriber(server.port) as subscriber:
        counts = publish_1200(server, connection, folder / "sent.csv")
        assert counts.acknowledged == counts.published >= 1_200
        found = subscriber.wait_for(counts.published)
    assert len(found) == counts.published
    recording = read_recording(folder / "sent.csv")
    wire = {
        (topic.split("/")[2], s.signal, s.stamp)
        for topic, payload in found
        for s in decode(payload).samples
    }
    rows = zip(recording.device, recording.signal, recording.measured_at.tolist(), strict=True)
    assert set(rows) == wire
    assert recording.refused == {}


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_all_that_mosquitto_acknowledged_arrives_and_is_in_the_record(
    mosquitto_server: MosquittoServer, tmp_path: Path, protocol: Literal["3.1.1", "5"]
) -> None:
    check_1200(mosquitto_server, Connection(protocol=protocol, connections=3), tmp_path)


def test_all_that_nats_acknowledged_arrives_and_is_in_the_record(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    check_1200(nats_server, Connection(), tmp_path)


def numbered(count: int) -> list[Message]:
    return [
        Message("watch-1", i * SECOND // 1_000, (i,), {"heart_rate": (60.0 + i % 9,)}, sequence=i)
        for i in range(count)
    ]


def test_broker_that_is_restarted_in_the_middle_loses_nothing_acknowledged(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    stream = numbered(4_000)
    record = tmp_path / "sent.csv"
    stop = threading.Event()
    result: list[Counts] = []
    target = Target(mosquitto_server.host, mosquitto_server.port, record=record)
    run = threading.Thread(
        target=lambda: result.append(publish_all(iter(stream), FleetSettings(), target, stop))
    )
    with Subscriber(mosquitto_server.port) as subscriber:
        run.start()
        subscriber.wait_for(1_000)
        mosquitto_server.restart()
        run.join(300)
        found = subscriber.wait_for(4_000)
    assert result[0].published == result[0].acknowledged == 4_000
    assert result[0].reconnects >= 1
    assert len(found) == 4_000
    sent = [decode(payload).sequence for _, payload in subscriber.received]
    firsts = list(dict.fromkeys(sent))
    assert firsts == sorted(firsts), "what was not acknowledged goes out again before what is new"
    assert len(read_recording(record)) == 4_000


def test_fleet_starts_before_its_broker(tmp_path: Path) -> None:
    server = MosquittoServer()
    try:
        fleet = FleetThread(
            FleetSettings(patients=1, faults=ONCE), server.host, server.port, time.time_ns
        )
        fleet.start()
        time.sleep(0.5)
        assert fleet.alive
        assert fleet.counts.published == 0
        server.start()
        deadline = time.monotonic() + 90
        while fleet.counts.acknowledged < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        counts = fleet.stop()
    finally:
        server.close()
    assert fleet.failure is None
    assert not fleet.alive
    assert counts.acknowledged == counts.published >= 3


def test_refused_connection_ends_the_fleet_with_the_reason() -> None:
    with MosquittoServer(settings={"allow_anonymous": "false"}) as server:
        publisher = Publisher(Connection(), server.host, server.port)
        publisher.start()
        with pytest.raises(BrokerUnreachable, match=r"[Nn]ot auth"):
            publisher.publish("w", "twin/v1/w/telemetry", b"{}", lambda: None, threading.Event())
        publisher.close()


def test_recording_is_played_with_its_distances_and_its_latest_stamp_in_the_past(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    path = tmp_path / "bed.csv"
    lines = ["Time [s], HR, SpO2"] + [
        f"{i},{60 + i % 7},{97 if i % 5 else 'NaN'}" for i in range(60)
    ]
    path.write_text("\n".join(lines))
    recording = read_recording(path, {"HR": "heart_rate", "SpO2": "spo2"}, "Time [s]")
    with Subscriber(mosquitto_server.port) as subscriber:
        target = Target(mosquitto_server.host, mosquitto_server.port, record=tmp_path / "sent.csv")
        watch = Stopwatch()
        counts = play_recording(
            recording, FleetSettings(patients=0, speed=30), target, threading.Event()
        )
        waited = round(watch.hindered * SECOND)
        found = subscriber.wait_for(60)
    ended = time.time_ns()
    assert counts.acknowledged == 60
    sent = read_recording(tmp_path / "sent.csv")
    assert sent.value.tolist() == recording.value.tolist()
    assert np.diff(sent.measured_at).tolist() == np.diff(recording.measured_at).tolist()
    assert np.all(sent.measured_at <= sent.received_at)
    assert 0 <= sent.received_at[-1] - sent.measured_at[-1] < SECOND + waited
    assert sent.measured_at[-1] <= ended
    samples = [s for _, payload in found for s in decode(payload).samples]
    assert len(samples) == len(recording)


def test_simulated_minute_is_the_same_over_any_broker(
    mosquitto_server: MosquittoServer, nats_server: NatsServer
) -> None:
    settings = FleetSettings(patients=2, speed=200, faults=ONCE)
    stream = list(takewhile(lambda m: m.at < 60 * SECOND, messages(settings)))
    arrived = []
    for server in (mosquitto_server, nats_server):
        target = Target(server.host, server.port, now=scaled(settings.speed))
        with Subscriber(server.port) as subscriber:
            publish_all(iter(stream), settings, target, threading.Event())
            subscriber.wait_for(len(stream))
        arrived.append(
            [
                (topic, sample.signal, sample.value)
                for topic, payload in dict.fromkeys(subscriber.received)  # NATS may send one again
                for sample in decode(payload).samples
            ]
        )
    assert arrived[0] == arrived[1]
    assert {topic for topic, _, _ in arrived[0]} == {m.topic for m in stream if m.values}
