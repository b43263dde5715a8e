"""When a PUBACK leaves: after the commit, in order, and never for another message than its own."""

import json
import time
from pathlib import Path
from typing import Literal

import pytest

from ingest.journal.sqlite import SqliteJournal
from ingest.settings import DeviceSettings, IngestSettings, MqttSettings
from tests.support.fake_broker import FakeBroker
from tests.support.ingest_line import HeldJournal, IngestLine, eventually, publish
from tests.support.servers import MosquittoServer
from tests.support.stopwatch import Stopwatch

pytestmark = pytest.mark.integration
TOPIC = "twin/v1/watch-7/telemetry"
Reader = Literal["bulk", "stock"]
both_readers = pytest.mark.parametrize("reader", ["bulk", "stock"])


def message(value: float, samples: int = 1) -> bytes:
    now = time.time_ns() // 1_000_000
    times = [now - i for i in range(samples)]
    return json.dumps({"times": times, "values": {"heart_rate": [value] * samples}}).encode()


@both_readers
def test_acknowledgements_leave_in_the_order_of_receipt(tmp_path: Path, reader: Reader) -> None:
    with FakeBroker() as broker, IngestLine(broker.port, tmp_path, "3.1.1", reader=reader) as line:
        assert broker.subscribed.wait(60)
        order = [5, 3, 9, 1, 7, *range(100, 300), 2]
        for i, mid in enumerate(order):
            # Good and bad ones take different ways to the disk.
            payload = b"garbage" if i % 3 == 0 else message(60 + i % 100)
            broker.publish(mid, TOPIC, payload)
        assert broker.wait_for_pubacks(len(order)) == order
        assert line.service.counters.received == len(order)


@both_readers
def test_it_is_not_called_connected_before_the_broker_has_taken_its_subscription(
    tmp_path: Path, reader: Reader
) -> None:
    with FakeBroker() as broker:
        broker.holds_subscriptions = True
        with IngestLine(broker.port, tmp_path, "3.1.1", reader=reader) as line:
            eventually(lambda: line.service.subscriber.connected, "connected")
            assert not line.service.subscriber.subscribed
            broker.grant()
            line.wait_until_connected()
            broker.drop()
            eventually(lambda: not line.service.subscriber.subscribed, "said to be away")


@both_readers
def test_a_puback_leaves_only_after_the_observation_is_in_the_journal(
    tmp_path: Path, reader: Reader
) -> None:
    journal = HeldJournal(tmp_path)
    with (
        FakeBroker() as broker,
        IngestLine(broker.port, tmp_path, "3.1.1", journal, reader=reader) as line,
    ):
        seen_at_puback: list[int] = []
        broker.on_puback = lambda mid: seen_at_puback.append(len(line.observations()))
        assert broker.subscribed.wait(60)
        broker.publish(1, TOPIC, message(72))
        eventually(lambda: journal.waiting == 1, "at the journal")
        assert broker.wait_for_pubacks(1, timeout=0.3) == []
        journal.permits.release()
        assert broker.wait_for_pubacks(1) == [1]
        assert seen_at_puback == [1]


def test_a_puback_for_a_refused_message_leaves_only_after_its_quarantine_record(
    tmp_path: Path,
) -> None:
    with FakeBroker() as broker, IngestLine(broker.port, tmp_path, "3.1.1") as line:
        seen_at_puback: list[int] = []
        broker.on_puback = lambda mid: seen_at_puback.append(len(line.quarantine.messages()))
        assert broker.subscribed.wait(60)
        broker.publish(1, TOPIC, b"garbage")
        assert broker.wait_for_pubacks(1) == [1]
        assert seen_at_puback == [1]


@both_readers
def test_a_stale_acknowledgement_never_confirms_a_new_message(
    tmp_path: Path, reader: Reader
) -> None:
    journal = HeldJournal(tmp_path)
    with (
        FakeBroker() as broker,
        IngestLine(broker.port, tmp_path, "3.1.1", journal, reader=reader) as line,
    ):
        assert broker.subscribed.wait(60)
        broker.publish(1, TOPIC, message(72))
        eventually(lambda: journal.waiting == 1, "at the journal")
        broker.drop()
        assert broker.subscribed.wait(60)
        eventually(lambda: line.service.subscriber.connected, "connected again")
        broker.publish(1, TOPIC, message(99))  # the same number, another message
        journal.permits.release()  # the old one is durable now; its token is stale
        eventually(lambda: journal.waiting == 2, "the new one at the journal")
        assert broker.wait_for_pubacks(1, timeout=0.3) == []
        journal.permits.release()
        assert broker.wait_for_pubacks(1) == [1]
        assert [o.value for o in line.observations()] == [72, 99]


def test_a_full_journal_stops_acknowledgements_and_keeps_the_connection(tmp_path: Path) -> None:
    bound = 256 * 1024
    journal = SqliteJournal(
        tmp_path, max_bytes={"observations": bound, "estimates": 1 << 20}, reserve_bytes=1 << 20
    )
    with FakeBroker() as broker, IngestLine(broker.port, tmp_path, "3.1.1", journal) as line:
        assert broker.subscribed.wait(60)
        # The bound is judged before an append: the one that crosses it is still in.
        broker.publish(1, TOPIC, message(72, samples=10_000))
        assert broker.wait_for_pubacks(1) == [1]
        eventually(lambda: line.service.fault == "JournalFull", "full")
        broker.publish(2, TOPIC, message(73))
        eventually(lambda: line.service.counters.stalls > 1, "stalled")
        assert broker.acknowledged == [[1]]
        assert line.service.subscriber.connected
        journal.trim("observations", journal.end("observations"))
        assert broker.wait_for_pubacks(2) == [1, 2]
        assert [o.value for o in line.observations()] == [73]
        eventually(lambda: line.service.fault == "", "well again")


@both_readers
def test_stopping_writes_and_acknowledges_what_was_received(tmp_path: Path, reader: Reader) -> None:
    with FakeBroker() as broker:
        with IngestLine(broker.port, tmp_path, "3.1.1", reader=reader) as line:
            assert broker.subscribed.wait(60)
            for mid in range(1, 501):
                broker.publish(mid, TOPIC, message(60 + mid % 100))
            eventually(lambda: line.service.subscriber.received == 500, "received")
            watch = Stopwatch()
        assert watch.unhindered < 5
        assert broker.wait_for_pubacks(500) == list(range(1, 501))


def test_stopping_while_nothing_can_be_written_acknowledges_nothing(tmp_path: Path) -> None:
    journal = SqliteJournal(
        tmp_path, max_bytes={"observations": 1, "estimates": 1}, reserve_bytes=1 << 20
    )
    with FakeBroker() as broker:
        with IngestLine(broker.port, tmp_path, "3.1.1", journal) as line:
            assert broker.subscribed.wait(60)
            broker.publish(1, TOPIC, message(72))
            eventually(lambda: line.service.fault == "JournalFull", "full")
            watch = Stopwatch()
        assert watch.unhindered < 5
        assert broker.wait_for_pubacks(1, timeout=0.2) == []


def settings(**mqtt: int) -> IngestSettings:
    return IngestSettings(mqtt=MqttSettings(**mqtt), devices=DeviceSettings(unknown="register"))


def test_no_more_is_under_way_than_the_receive_maximum(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    journal = HeldJournal(tmp_path)
    narrow = settings(receive_maximum=3)
    with IngestLine(mosquitto_server.port, tmp_path, "5", journal, narrow) as line:
        line.wait_until_connected()
        for i in range(5):
            publish(mosquitto_server.port, TOPIC, message(70 + i))
        eventually(lambda: line.service.subscriber.received == 3, "received up to the maximum")
        journal.permits.release(10)
        eventually(lambda: line.service.counters.journalled == 5, "journalled")
        assert line.service.subscriber.received == 5


@both_readers
def test_a_full_hand_over_queue_leaves_the_rest_for_another_connection(
    tmp_path: Path, reader: Reader
) -> None:
    journal = HeldJournal(tmp_path)
    narrow = settings(queue_messages=4, keepalive_s=2)  # half of it is waited for room
    with (
        FakeBroker() as broker,
        IngestLine(broker.port, tmp_path, "3.1.1", journal, narrow, reader=reader) as line,
    ):
        assert broker.subscribed.wait(60)
        broker.publish(1, TOPIC, message(61))
        eventually(lambda: journal.waiting == 1, "at the journal")
        for mid in range(2, 11):
            broker.publish(mid, TOPIC, message(60 + mid))
        eventually(lambda: line.service.subscriber.received == 10, "received")
        eventually(lambda: line.service.subscriber.left == 5, "left")  # it is counted after
        broker.subscribed.clear()
        journal.permits.release(20)
        assert broker.subscribed.wait(60)  # on a second connection
        confirmed = broker.wait_for_pubacks(1, connection=0)
        assert confirmed == list(range(1, len(confirmed) + 1))
        eventually(lambda: line.service.subscriber.connected, "connected again")
        rest = list(range(len(confirmed) + 1, 11))
        for count, mid in enumerate(rest, 1):
            broker.publish(mid, TOPIC, message(60 + mid))
            assert broker.wait_for_pubacks(count) == rest[:count]
        assert {o.value for o in line.observations()} == {60.0 + mid for mid in range(1, 11)}


def test_bytes_that_are_no_mqtt_bring_another_connection_and_are_counted(tmp_path: Path) -> None:
    with FakeBroker() as broker, IngestLine(broker.port, tmp_path, "3.1.1") as line:
        assert broker.subscribed.wait(60)
        broker.publish(1, TOPIC, message(72))
        assert broker.wait_for_pubacks(1) == [1]
        broker.subscribed.clear()
        broker.send(b"\x32\x0f" + b"\xff" * 15)  # a topic that ends behind its packet
        assert broker.subscribed.wait(60)
        assert line.service.subscriber.malformed == 1
        eventually(lambda: line.service.subscriber.connected, "connected again")
        broker.publish(1, TOPIC, message(73))
        assert broker.wait_for_pubacks(1) == [1]
        assert [o.value for o in line.observations()] == [72, 73]


def test_a_message_of_many_megabytes_is_refused_and_its_neighbours_get_through(
    tmp_path: Path,
) -> None:
    with FakeBroker() as broker, IngestLine(broker.port, tmp_path, "3.1.1") as line:
        assert broker.subscribed.wait(60)
        broker.publish(1, TOPIC, message(72))
        broker.publish(2, TOPIC, b"x" * 20_000_000)  # cut at 16 MB as it comes
        broker.publish(3, TOPIC, message(73))
        assert broker.wait_for_pubacks(3) == [1, 2, 3]
        assert [o.value for o in line.observations()] == [72, 73]
        assert line.quarantine.summary() == {"payload_too_large": 1}
