"""What devices say of themselves is journalled when said and new, not with each message."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.decide import Decider
from ingest.device_state import AGAIN_NS, StateTeller
from ingest.frames import Delivery
from ingest.instant import MILLISECOND, MINUTE, SECOND
from ingest.journal.protocol import partition_of
from ingest.observation import DeviceState, DeviceStates, decode_record
from ingest.registry import Registry
from ingest.settings import IngestSettings

NOW = 1_795_600_000_000_000_000
PARTITIONS = 4


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry.db", IngestSettings().devices, lambda: NOW)
    for patient in ("a", "b"):
        made.add_patient(patient=patient)
        made.bind(f"watch-{patient}", patient)
    yield made
    made.close()


def telemetry(device: str, at: int = NOW, **more: object) -> Delivery:
    said = {"time": at // MILLISECOND, "values": {"heart_rate": 72}} | more
    return Delivery(f"twin/v1/{device}/telemetry", json.dumps(said).encode(), at, 1, 1)


def status(device: str, payload: bytes, at: int = NOW) -> Delivery:
    return Delivery(f"twin/v1/{device}/status", payload, at, 1, 1)


def told(decider: Decider, *messages: Delivery) -> list[DeviceState]:
    found: list[DeviceState] = []
    for partition, record in decider.decide(messages).records:
        decoded = decode_record(record)
        if isinstance(decoded, DeviceStates):
            assert all(partition_of(s.patient, PARTITIONS) == partition for s in decoded.states)
            found += decoded.states
    return found


@pytest.fixture
def decider(registry: Registry) -> Decider:
    return Decider(registry, IngestSettings(), PARTITIONS)


@pytest.mark.parametrize("more", [{}, {"quality": {"heart_rate": 0.9}}])  # short way, long way
def test_battery_and_contact_are_told_with_stamp_and_receipt(
    decider: Decider, more: dict[str, object]
) -> None:
    (state,) = told(decider, telemetry("watch-a", battery=0.834, contact=False, **more))
    assert state == DeviceState("watch-a", "a", NOW, NOW, 0.83, False, None)


def test_a_message_that_says_nothing_of_the_device_tells_nothing(decider: Decider) -> None:
    assert told(decider, telemetry("watch-a"), telemetry("watch-a", sequence=3)) == []


def test_a_status_is_told_as_online_or_offline_and_a_cleared_one_not(decider: Decider) -> None:
    states = told(
        decider,
        status("watch-a", b"online"),
        status("watch-a", b""),
        status("watch-a", b"offline", NOW + SECOND),
        status("watch-b", b"offline"),
    )
    assert [(s.device, s.online, s.at) for s in states] == [
        ("watch-a", True, NOW),
        ("watch-a", False, NOW + SECOND),
        ("watch-b", False, NOW),
    ]


def test_a_device_of_nobody_tells_nothing(decider: Decider) -> None:
    assert told(decider, telemetry("stranger", battery=0.5), status("stranger", b"offline")) == []


def test_an_unchanged_state_is_told_once_and_again_after_five_minutes(decider: Decider) -> None:
    group = [telemetry("watch-a", NOW + n * SECOND, battery=0.5) for n in range(20)]
    assert len(told(decider, *group)) == 1
    assert told(decider, telemetry("watch-a", NOW + 4 * MINUTE, battery=0.501)) == []
    assert len(told(decider, telemetry("watch-a", NOW + AGAIN_NS, battery=0.5))) == 1


def test_each_field_keeps_its_last_word() -> None:
    teller = StateTeller()

    def passes(at: int, **said: object) -> bool:
        teller.say(0, DeviceState("d", "p", at, at, **said))  # type: ignore[arg-type]
        return bool(teller.take())

    assert passes(NOW, battery=0.5)
    assert passes(NOW, contact=True)
    assert not passes(NOW, battery=0.5, contact=True)
    assert passes(NOW, online=False)
    assert passes(NOW, contact=False)
    assert not passes(NOW, battery=0.5)


def test_what_is_said_on_the_long_way_between_two_equal_words_is_heard_and_taken_back(
    decider: Decider,
) -> None:
    worn = telemetry("watch-a", contact=True)
    off = telemetry("watch-a", contact=False, quality={"heart_rate": 0.9})
    states = told(decider, worn, worn, off, worn, worn, off)
    assert [state.contact for state in states] == [True, False, True, False]


def test_a_device_that_is_refused_whole_is_told_now_and_then_and_each_for_itself(
    decider: Decider,
) -> None:
    bad = {"values": {"heart_rate": 700}}
    group = [telemetry("watch-a", NOW + n * SECOND, **bad) for n in range(25)]
    states = told(decider, *group, telemetry("watch-b", **bad))
    of = [(state.device, (state.at - NOW) // SECOND) for state in states]
    assert sorted(of) == [("watch-a", 0), ("watch-a", 10), ("watch-a", 20), ("watch-b", 0)]
    assert all(state.refused and not state.stamps_refused for state in states)
    (ahead,) = told(decider, telemetry("watch-a", NOW + MINUTE, time=(NOW + 60 * MINUTE) // 10**6))
    assert ahead.refused
    assert ahead.stamps_refused
