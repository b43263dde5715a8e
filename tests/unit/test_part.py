"""Parts of the state beside the bank: who is told what, and what a snapshot keeps of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pytest
from msgspec import structs

from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, DeviceState, DeviceStates, Record, Tick, batch_of
from tests.support.twin_journals import placed
from tests.support.twins import T0, observation
from twin.estimate import Outcome, Output
from twin.part import Moment, Said, Seen
from twin.snapshot import SnapshotUnreadable, capture, restore
from twin.step import OTHER_REQUEST, TwinState, new_state, step

PARTITIONS = 4


@dataclass
class Tally:
    """Counts what it is told, by partition; says an outcome at every tick."""

    of_patient: dict[int, int] = field(default_factory=dict)
    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    heard: list[Said] = field(default_factory=list)
    name: str = "tally"

    @property
    def kinds(self) -> Collection[str]:
        return ("count",)

    def observe(self, seen: Seen) -> Said:
        self.counts[0, "observed"] += len(seen.value)
        return ()

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        self.heard.append(heard)
        due = np.flatnonzero(moment.partitions).tolist()
        self.counts.update((p, "ticks") for p in due)
        return [(p, Outcome(self.name, True, "tick", tick.at)) for p in due]

    def hear(self, said: DeviceStates, moment: Moment) -> Said:
        self.counts.update((p, "heard") for p in np.flatnonzero(moment.partitions).tolist())
        return ()

    def obey(self, command: Command, moment: Moment) -> tuple[str, Said]:
        if command.body.get("by") != 1:
            return "by: expected 1", ()
        due = np.flatnonzero(moment.partitions).tolist()
        self.counts.update((p, "obeyed") for p in due)
        return "", [(p, Outcome("said", True, "", command.issued_at)) for p in due]

    def capture(self, partition: int) -> bytes:
        kept = {what: n for (p, what), n in self.counts.items() if p == partition}
        return ";".join(f"{what}={n}" for what, n in kept.items()).encode()

    def restore(self, partition: int, content: bytes | memoryview) -> None:
        text = str(content, "utf-8")
        if text.startswith("?"):
            raise ValueError("a question mark")
        for line in filter(None, text.split(";")):
            what, n = line.split("=")
            self.counts[partition, what] = int(n)

    def forget(self, partition: int) -> None:
        self.counts = Counter({k: n for k, n in self.counts.items() if k[0] != partition})


def state_with(*parts: Tally) -> TwinState:
    return new_state(PARTITIONS, parts=parts)


def at(patient: str) -> int:
    return partition_of(patient, PARTITIONS)


def count(id_: str, by: int = 1) -> Command:
    return Command(id_, "count", "nurse", T0, {"by": by})


def told(state: TwinState, *records: tuple[int, Record], first: int = 1) -> list[Output]:
    outputs = step(state, placed(records, first))[1]
    return [one for part in outputs.values() for one in part]


def test_a_part_sees_every_observation_that_the_bank_took_and_every_tick_that_counts() -> None:
    part = Tally()
    state = state_with(part)
    partition = partition_of("p1", PARTITIONS)
    tick = Tick(T0, True)
    told(state, (partition, batch_of([observation(0, 70.0), observation(1, 71.0)])),
         (ALL_PARTITIONS, tick), (ALL_PARTITIONS, tick))  # fmt: skip
    assert part.counts[0, "observed"] == 2
    assert [part.counts[p, "ticks"] for p in range(PARTITIONS)] == [1] * PARTITIONS


def test_a_part_hears_what_devices_said_of_themselves() -> None:
    part = Tally()
    told(state_with(part), (3, DeviceStates((DeviceState("watch", "p1", T0, T0, battery=0.1),))))
    assert part.counts == {(3, "heard"): 1}


def test_a_later_part_hears_what_an_earlier_one_said_at_the_tick() -> None:
    first, second = Tally(name="first"), Tally(name="second")
    told(state_with(first, second), (2, Tick(T0, True)))
    assert first.heard == [()]
    assert second.heard == [((2, Outcome("first", True, "tick", T0)),)]


def test_a_command_reaches_the_part_that_knows_its_kind_once_and_its_refusal_is_remembered() -> (
    None
):
    part = Tally()
    records = [(ALL_PARTITIONS, count(i, by)) for i, by in (("a", 1), ("a", 1), ("b", 2), ("b", 1))]
    said = told(state_with(part), *records)
    answers = [o for o in said if isinstance(o, Outcome) and o.id in ("a", "b")]
    assert [(o.id, o.done, o.reason) for o in answers] == [
        ("a", True, ""),
        ("a", True, "already done"),
        ("b", False, "by: expected 1"),
        ("b", False, "by: expected 1"),
    ]
    assert [part.counts[p, "obeyed"] for p in range(PARTITIONS)] == [1] * PARTITIONS


def test_an_id_that_stood_for_a_request_about_one_patient_acts_for_nobody_else() -> None:
    part = Tally()
    state = state_with(part)
    patients = [f"p{n}" for n in range(20)]
    one, other = patients[0], next(p for p in patients if at(p) != at(patients[0]))
    first, second, third = (
        structs.replace(count("a"), patient=patient, request=f"of {patient}")
        for patient in (one, other, None)
    )
    said = told(state, (at(one), first), (at(other), second), (ALL_PARTITIONS, third))
    assert [(o.done, o.reason) for o in said if isinstance(o, Outcome) and o.id == "a"] == [
        (True, ""),
        (False, OTHER_REQUEST),
        (False, OTHER_REQUEST),
    ]
    assert [p for p in range(PARTITIONS) if part.counts[p, "obeyed"]] == [at(one)]


def test_an_id_that_stood_for_another_request_is_refused_and_does_not_act() -> None:
    part, again = Tally(), Tally()
    state, other = state_with(part), state_with(again)
    first, second = (structs.replace(count("a"), request=each) for each in ("one", "two"))
    told(state, (ALL_PARTITIONS, first))
    for partition in range(PARTITIONS):  # a snapshot keeps for what the id stood
        restore(other, "s", capture(state, partition).encode())
    for twin in (state, other):
        said = told(twin, *((ALL_PARTITIONS, each) for each in (second, first)), first=2)
        assert [(o.done, o.reason) for o in said if isinstance(o, Outcome) and o.id == "a"] == [
            (False, OTHER_REQUEST),
            (True, "already done"),
        ]
    assert [part.counts[p, "obeyed"] for p in range(PARTITIONS)] == [1] * PARTITIONS


def test_a_command_acts_on_a_partition_whose_snapshot_is_older_than_it() -> None:
    """The others' snapshots remember its id; this one must obey it all the same."""
    state = state_with(Tally())
    told(state, (ALL_PARTITIONS, Tick(T0, True)))
    old = capture(state, 0)
    told(state, (ALL_PARTITIONS, count("a")), first=2)
    part = Tally()
    again = state_with(part)
    for one in [old, *(capture(state, p) for p in range(1, PARTITIONS))]:
        restore(again, one.name, one.encode())
    told(again, (ALL_PARTITIONS, count("a")), first=2)
    assert [part.counts[p, "obeyed"] for p in range(PARTITIONS)] == [1] * PARTITIONS


def test_a_snapshot_holds_its_partitions_share_of_every_part() -> None:
    state = state_with(Tally())
    told(state, (1, Tick(T0, True)), (2, Tick(T0, True)))
    captured = capture(state, 1)
    told(state, (1, Tick(T0 + 10**9, True)), first=3)
    part = Tally()
    restore(state_with(part), captured.name, captured.encode())
    assert part.counts == {(1, "ticks"): 1}


def test_a_snapshot_of_other_parts_or_of_another_layout_of_one_is_refused() -> None:
    more = capture(state_with(Tally()), 0)
    with pytest.raises(SnapshotUnreadable, match=r"of .*'tally'.*this twin is"):
        restore(new_state(PARTITIONS), more.name, more.encode())

    class Puzzled(Tally):
        def capture(self, partition: int) -> bytes:
            return b"?"

    puzzled = capture(state_with(Puzzled()), 0)
    with pytest.raises(SnapshotUnreadable, match="another layout of tally: a question mark"):
        restore(state_with(Tally()), puzzled.name, puzzled.encode())


def test_a_part_that_is_newer_than_the_snapshot_begins_without_memory() -> None:
    before = state_with(Tally())
    told(before, (0, Tick(T0, True)))
    plain = capture(new_state(PARTITIONS), 0)
    restore(before, plain.name, plain.encode())
    tally = next(part for part in before.parts if isinstance(part, Tally))
    assert not tally.counts


def test_a_forgotten_partition_is_forgotten_by_every_part() -> None:
    part = Tally()
    state = state_with(part)
    told(state, (ALL_PARTITIONS, Tick(T0, True)))
    state.forget(2)
    assert sorted(p for p, _ in part.counts) == [0, 1, 3]
