"""Edge nodes and their devices, from message to decision: births, deaths, rebirths, gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from ingest.decide import Decider, Decision, decide, replay_quarantined
from ingest.frames import Delivery
from ingest.instant import MILLISECOND, SECOND
from ingest.observation import DeviceStates, decode_record
from ingest.payload.decoded import Reason
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.rebirth import Rebirths, waiting_for
from ingest.registry import Registry
from ingest.settings import DeviceSettings, IngestSettings
from tests.support.sparkplug import by_alias, double, payload

NOW = 1_795_600_000_000_000_000
SETTINGS = IngestSettings(devices=DeviceSettings(gateways=frozenset({"hub"})))
BD_SEQ = {"name": "bdSeq", "datatype": 8, "long_value": 3}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry.db", SETTINGS.devices, lambda: NOW)
    made.add_patient(patient="p")
    for device in ("G/N/D", "G/N/E"):
        made.bind(device, "p")
    yield made
    made.close()


def sent(topic: str, *metrics: object, seq: int | None = 1, at: int = NOW) -> Delivery:
    message = payload(*metrics, seq=seq, timestamp=at // MILLISECOND)  # type: ignore[arg-type]
    return Delivery(f"spBv1.0/{topic}", message, at, 1, 1)


def born(device: str = "D", alias: int = 1, at: int = NOW) -> Delivery:
    return sent(f"G/DBIRTH/N/{device}", double("heart_rate", 72, alias=alias), at=at)


def values(decisions: Sequence[Decision]) -> list[tuple[str, float]]:
    return [(o.signal, o.value) for each in decisions for o in each.observations]


def reasons(decisions: Sequence[Decision]) -> list[Reason]:
    return [r.reason for each in decisions for r in each.rejections]


def test_data_behind_its_birth_in_the_same_group_is_understood(registry: Registry) -> None:
    data = sent("G/DDATA/N/D", by_alias(1, 73), seq=2)
    decisions = decide([born(), data], registry, SETTINGS)
    assert values(decisions) == [("heart_rate", 72), ("heart_rate", 73)]
    assert reasons(decide([sent("G/DDATA/N/E", by_alias(1, 73))], registry, SETTINGS)) == [
        Reason.ALIAS_UNKNOWN
    ]


def test_a_birth_is_on_disk_when_it_is_decided_and_forgotten_if_that_fails(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise apsw.FullError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(registry.births, "commit", full)
        with pytest.raises(apsw.FullError):
            decide([born()], registry, SETTINGS)
    data = sent("G/DDATA/N/D", by_alias(1, 73))
    assert reasons(decide([data], registry, SETTINGS)) == [Reason.ALIAS_UNKNOWN]

    decide([born()], registry, SETTINGS)
    other = Registry(tmp_path / "registry.db", SETTINGS.devices, lambda: NOW)
    assert values(decide([data], other, SETTINGS)) == [("heart_rate", 73)]
    other.close()


def test_a_late_message_is_read_by_the_birth_that_held_when_it_came(registry: Registry) -> None:
    swapped = sent("G/DBIRTH/N/D", double("spo2", 97, alias=1), at=NOW + 10 * SECOND)
    decide([born(), swapped], registry, SETTINGS)

    old = sent("G/DDATA/N/D", by_alias(1, 73), at=NOW + 5 * SECOND)
    new = sent("G/DDATA/N/D", by_alias(1, 96), at=NOW + 15 * SECOND)

    assert values(decide([new, old], registry, SETTINGS)) == [("spo2", 96), ("heart_rate", 73)]


def test_what_waited_for_a_birth_is_used_when_it_comes(registry: Registry, tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.db", SETTINGS.quarantine)
    data = sent("G/DDATA/N/D", by_alias(1, 73), double("spo2", 97))
    (decision,) = decide([data], registry, SETTINGS)
    kept = RefusedMessage(data.topic, data.payload, NOW, "G/N/D", decision.rejections)
    quarantine.put([kept], NOW)
    birth = born(at=NOW + SECOND)

    other = born("E", at=NOW + SECOND)
    assert waiting_for([(other, d) for d in decide([other], registry, SETTINGS)], quarantine) == []
    waiting = waiting_for([(birth, d) for d in decide([birth], registry, SETTINGS)], quarantine)
    assert len(waiting) == 1

    journal = MemoryJournal()
    done = replay_quarantined(quarantine, registry, journal, SETTINGS, waiting)  # type: ignore[arg-type]
    assert (done.count("used"), done.observations, quarantine.summary()) == (1, 2, {})
    quarantine.close()


def test_the_death_of_an_edge_node_makes_it_and_its_devices_offline(registry: Registry) -> None:
    decider = Decider(registry, SETTINGS, 4)
    node = sent("G/NBIRTH/N", BD_SEQ, seq=0)
    late = sent("G/NDEATH/N", BD_SEQ | {"long_value": 2}, seq=None)
    death = sent("G/NDEATH/N", BD_SEQ, seq=None, at=NOW + SECOND)

    def told(*messages: Delivery) -> list[tuple[str, bool | None]]:
        records = [decode_record(record) for _, record in decider.decide(messages).records]
        states = [s for each in records if isinstance(each, DeviceStates) for s in each.states]
        return [(s.device, s.online) for s in states]

    assert told(node, born(), born("E")) == [("G/N/D", True), ("G/N/E", True)]
    assert told(late) == []
    assert sorted(told(death)) == [("G/N/D", False), ("G/N/E", False)]
    data = sent("G/DDATA/N/D", by_alias(1, 73), at=NOW + 2 * SECOND)
    assert reasons(decide([data], registry, SETTINGS)) == [Reason.ALIAS_UNKNOWN]


def test_an_edge_node_is_asked_once_in_a_while(registry: Registry) -> None:
    asked: list[str] = []
    rebirths = Rebirths(lambda topic, _: asked.append(topic))

    def hear(at: int, *metrics: object) -> int:
        message = sent("G/DDATA/N/D", *metrics, at=at)
        return rebirths.ask([(message, d) for d in decide([message], registry, SETTINGS)])

    assert hear(NOW, double("spo2", 97)) == 1  # by name: used, and its unit asked for
    assert hear(NOW + SECOND, by_alias(1, 73)) == 0
    assert hear(NOW + 11 * SECOND, by_alias(1, 73)) == 1
    decide([born(at=NOW + 12 * SECOND)], registry, SETTINGS)
    assert hear(NOW + 60 * SECOND, by_alias(1, 73)) == 0
    assert asked == ["spBv1.0/G/NCMD/N"] * 2


def test_missing_sequence_numbers_are_counted_for_the_edge_node_as_a_whole(
    registry: Registry,
) -> None:
    rebirths = Rebirths(lambda *_: None)

    def hear(*topics_and_numbers: tuple[str, int]) -> int:
        messages = [sent(topic, double("spo2", 97), seq=seq) for topic, seq in topics_and_numbers]
        decisions = decide(messages, registry, SETTINGS)
        return rebirths.missing(list(zip(messages, decisions, strict=True)))

    assert hear(("G/NBIRTH/N", 0), ("G/DBIRTH/N/D", 1), ("G/DBIRTH/N/E", 2)) == 0
    assert hear(("G/DDATA/N/D", 3), ("G/DDATA/N/E", 6), ("G/DDATA/N/E", 6)) == 2
    assert hear(("G/DDATA/N/D", 4), ("G/DDATA/N/D", 7)) == 0
    assert hear(("G/NBIRTH/N", 0), ("G/DDATA/N/D", 1)) == 0


@pytest.mark.parametrize(
    "topic",
    ["G/NCMD/N", "G/DCMD/N/D", "STATE/host"],
)
def test_what_hosts_say_is_not_read(registry: Registry, topic: str) -> None:
    (decision,) = decide([Delivery(f"spBv1.0/{topic}", b"\xff", NOW, 1, 1)], registry, SETTINGS)
    assert (decision.reading.telemetry, decision.rejections) == (False, [])


def test_other_topics_below_spbv_are_unknown_and_a_gateways_name_is_no_group(
    registry: Registry,
) -> None:
    wrong = ["G/NBIRTH/N/D", "G/DDATA/N", "G/XDATA/N", "/NDATA/N", "G/NDATA/N#", "STATE/"]
    messages = [Delivery(f"spBv1.0/{topic}", b"", NOW, 1, 1) for topic in wrong]
    assert set(reasons(decide(messages, registry, SETTINGS))) == {Reason.TOPIC_UNKNOWN}
    hub = sent("hub/NDATA/ring", double("spo2", 97))
    assert reasons(decide([hub], registry, SETTINGS)) == [Reason.IDENTITY_MISMATCH]


class MemoryJournal:
    """Keeps what is appended."""

    partitions = 4

    def __init__(self) -> None:
        self.records: list[tuple[int, bytes]] = []

    def append(self, _topic: str, records: list[tuple[int, bytes]]) -> None:
        self.records += records
