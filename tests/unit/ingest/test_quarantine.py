"""The quarantine: one message once, with its reasons, bounded, counted for ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import DAY, SECOND
from ingest.payload.decoded import Reason, Rejection
from ingest.quarantine import KEPT_OF_LARGER, KEPT_WHOLE, Quarantine, RefusedMessage
from ingest.settings import QuarantineSettings

NOW = 1_795_000_000 * SECOND
TOPIC = "twin/v1/watch-7/telemetry"
NO_NUMBER = Rejection(
    Reason.VALUE_NOT_A_NUMBER, "values.spo2", "a finite number", '"97"', "spo2", 1
)
UNKNOWN = Rejection(Reason.DEVICE_UNKNOWN, "topic", "a registered device", "watch-7", samples=3)


@pytest.fixture
def quarantine(tmp_path: Path) -> Iterator[Quarantine]:
    settings = QuarantineSettings(max_bytes=10_000, max_age_ns=7 * DAY)
    quarantine = Quarantine(tmp_path / "quarantine.db", settings)
    yield quarantine
    quarantine.close()


def refused(
    payload: bytes,
    *rejections: Rejection,
    at: int = NOW,
    topic: str = TOPIC,
    device: str = "watch-7",
) -> RefusedMessage:
    return RefusedMessage(topic, payload, at, device, rejections or (NO_NUMBER,))


def test_a_message_is_listed_with_each_of_its_reasons(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"{}", NO_NUMBER, UNKNOWN)], NOW)
    first, second = quarantine.items(10)
    assert (first.reason, first.path, first.expected, first.got) == (
        "value_not_a_number",
        "values.spo2",
        "a finite number",
        '"97"',
    )
    assert (first.device, first.received_at, first.size, first.count) == ("watch-7", NOW, 2, 1)
    assert second.reason == "device_unknown"
    assert first.id == second.id
    assert quarantine.items(10, reason="device_unknown") == [second]
    assert quarantine.items(10, device="other") == []
    assert quarantine.items_of(first.id) == [first, second]


def test_the_same_message_again_raises_its_count_only(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"{}"), refused(b"{}", at=NOW + SECOND), refused(b"x")], NOW)
    newest, other = quarantine.items(10)
    assert (newest.count, newest.received_at) == (2, NOW + SECOND)
    assert other.count == 1
    assert quarantine.find(newest.id)[0].received_at == NOW
    assert quarantine.by_device() == {"watch-7": {"value_not_a_number": 3}}


def test_a_topic_and_a_payload_do_not_run_into_each_other(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"ab", topic="t"), refused(b"b", topic="ta")], NOW)
    assert len(quarantine.messages()) == 2


def test_refused_samples_are_counted_by_device_and_reason(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"1", NO_NUMBER, UNKNOWN), refused(b"2", NO_NUMBER, device="")], NOW)
    assert quarantine.by_device() == {
        "watch-7": {"value_not_a_number": 1, "device_unknown": 3},
        "": {"value_not_a_number": 1},
    }
    assert quarantine.summary() == {"value_not_a_number": 2, "device_unknown": 3}


def test_over_its_size_the_oldest_go_and_stay_counted(quarantine: Quarantine) -> None:
    for i in range(5):
        quarantine.put([refused(bytes([i]) * 3000, at=NOW + i)], NOW + i)
    kept = [quarantine.find(each)[0].payload[0] for each in quarantine.messages()]
    assert kept == [2, 3, 4]
    assert quarantine.expired() == 2
    assert quarantine.fill() == (3 * (3000 + 332), 10_000)  # 332: topic, reason and so on
    assert quarantine.summary() == {"value_not_a_number": 5}


def test_the_reasons_count_for_its_size_too(tmp_path: Path) -> None:
    many = [
        Rejection(Reason.VALUE_NOT_A_NUMBER, f"values.spo2[{n}]", "a finite number", '"97"')
        for n in range(100)
    ]
    allowed = 1 << 20
    settings = QuarantineSettings(max_bytes=allowed, max_age_ns=7 * DAY)
    quarantine = Quarantine(tmp_path / "quarantine.db", settings)
    quarantine.put([refused(f"{n}".encode(), *many, at=NOW + n) for n in range(300)], NOW + 300)
    assert allowed / 2 < quarantine.fill()[0] <= allowed
    assert quarantine.expired() > 100
    assert quarantine.summary() == {"value_not_a_number": 300 * 100}
    for message in quarantine.messages():
        quarantine.replace(message, [UNKNOWN])
        assert quarantine.remove(message)
    assert quarantine.fill()[0] == 0
    quarantine.close()


def test_over_their_age_they_go(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"old"), refused(b"new", at=NOW + DAY)], NOW)
    quarantine.expire(NOW + 7 * DAY)
    assert quarantine.expired() == 0
    quarantine.expire(NOW + 7 * DAY + 1)
    assert [quarantine.find(each)[0].payload for each in quarantine.messages()] == [b"new"]
    assert quarantine.expired() == 1


def test_a_very_large_payload_is_kept_by_its_beginning(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.db", QuarantineSettings())
    quarantine.put([refused(b"a" * KEPT_WHOLE), refused(b"a" * (KEPT_WHOLE + 1))], NOW)
    stored = [quarantine.find(each)[0] for each in quarantine.messages()]
    by_size = sorted(stored, key=lambda message: message.size)
    assert [(m.size, len(m.payload), m.whole) for m in by_size] == [
        (KEPT_WHOLE, KEPT_WHOLE, True),
        (KEPT_WHOLE + 1, KEPT_OF_LARGER, False),
    ]
    quarantine.close()


def test_a_message_of_a_thousand_faults_is_listed_briefly_and_counted_fully(
    tmp_path: Path,
) -> None:
    settings = QuarantineSettings(max_bytes=20_000, max_age_ns=7 * DAY)
    quarantine = Quarantine(tmp_path / "quarantine.db", settings)
    quarantine.put([refused(b"{}", *[NO_NUMBER] * 1000)], NOW)
    assert len(quarantine.items(2000)) == 101
    assert quarantine.summary() == {"value_not_a_number": 1000}
    quarantine.close()


def test_what_is_removed_is_no_longer_refused(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"{}")], NOW)
    (message,) = quarantine.messages()
    assert quarantine.remove(message)
    assert not quarantine.remove(message)
    assert (quarantine.items(10), quarantine.summary(), quarantine.fill()[0]) == ([], {}, 0)


def test_a_message_is_found_by_the_beginning_of_its_id(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"{}")], NOW)
    (message,) = quarantine.messages()
    assert quarantine.find(message[:6])[0].id == message
    assert quarantine.find(message.upper())[0].topic == TOPIC
    assert quarantine.find("%") == []
    assert quarantine.find("") == []


def test_another_reason_replaces_the_first(quarantine: Quarantine) -> None:
    quarantine.put([refused(b"{}", UNKNOWN)], NOW)
    quarantine.replace(quarantine.messages()[0], [NO_NUMBER])
    assert quarantine.summary() == {"value_not_a_number": 1}


def test_it_is_there_after_it_is_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        quarantine = Quarantine(tmp_path / "q.db", QuarantineSettings())
        quarantine.put([refused(b"{}")], NOW)
        quarantine.close()
    quarantine = Quarantine(tmp_path / "q.db", QuarantineSettings())
    assert quarantine.items(1)[0].count == 2
    quarantine.close()


def test_a_message_that_may_not_be_kept_is_only_counted(tmp_path: Path) -> None:
    with_secret = RefusedMessage(TOPIC, b"secret", NOW, "watch-7", [UNKNOWN], kept=False)
    quarantine = Quarantine(tmp_path / "q.db", QuarantineSettings())
    quarantine.put([with_secret, with_secret], NOW)
    assert quarantine.items(10) == []
    assert quarantine.by_device() == {"watch-7": {"device_unknown": 6}}
    assert quarantine.totals() == {"expired": 0, "erased": 0, "unkept": 2}
    quarantine.close()
    assert not any(b"secret" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_device_is_erased_for_an_interval_and_its_sums_stay(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.db", QuarantineSettings())
    payloads = [b"first-secret", b"second-secret", b"third-kept"]
    for n, payload in enumerate(payloads):
        quarantine.put([refused(payload, at=NOW + n * DAY)], NOW)
    quarantine.put([refused(b"other-kept", topic="twin/v1/o/telemetry", device="o")], NOW)
    before = quarantine.by_device()
    assert quarantine.erase("watch-7", None, NOW + 2 * DAY) == 2
    assert quarantine.erase("watch-7", None, NOW + 2 * DAY) == 0
    assert {each.device for each in quarantine.items(10)} == {"watch-7", "o"}
    assert quarantine.by_device() == before
    assert quarantine.totals()["erased"] == 2
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"secret" not in files
    assert files.count(b"third-kept") == 1
    quarantine.close()


def test_what_nobody_registered_is_kept_for_a_shorter_time(tmp_path: Path) -> None:
    settings = QuarantineSettings(max_age_ns=30 * DAY, max_age_unbound_ns=7 * DAY)
    quarantine = Quarantine(tmp_path / "q.db", settings)
    quarantine.put([refused(b"1", UNKNOWN), refused(b"2", NO_NUMBER)], NOW)
    quarantine.expire(NOW + 6 * DAY)
    assert len(quarantine.items(10)) == 2
    quarantine.expire(NOW + 8 * DAY)
    assert [each.reason for each in quarantine.items(10)] == ["value_not_a_number"]
    assert quarantine.by_device() == {"watch-7": {"device_unknown": 3, "value_not_a_number": 1}}
    assert quarantine.totals()["expired"] == 1
    quarantine.close()
