"""No transition is lost: snapshots while alarms are pending, active, taken, latched and paused."""

from __future__ import annotations

import random

import pytest

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, Record, Tick
from tests.support.twin_journals import PARTITIONS, batches, placed
from tests.support.twins import T0, observation
from twin.estimate import Output, encode_output
from twin.judgement import Alarm, AlarmState, Judgements
from twin.offline import ON
from twin.snapshot import capture, restore
from twin.step import Placed, TwinState, new_state, step

PATIENTS = ("p0", "p1", "p2", "p3", "p4")


def ward(seconds: int = 150) -> list[tuple[int, Record]]:
    """Heart rates that rise and fall at different times; quality that is sometimes bad."""
    rng = random.Random(5)
    on = Command("on", "alarm_settings", "test", T0, ON)
    records: list[tuple[int, Record]] = [(ALL_PARTITIONS, on)]
    for second in range(seconds):
        sent = []
        for n, patient in enumerate(PATIENTS):
            high = 20 + 8 * n <= second < 60 + 15 * n
            value = (170.0 if n % 2 else 140.0) if high else 72.0
            sent.append(observation(second, value + rng.choice((-1, 0, 1)), patient, f"w{n}"))
        records += batches(sent)
        records.append((ALL_PARTITIONS, Tick(T0 + second * SECOND + SECOND // 2, True)))
    return records


def alarms_in(outputs: list[Output]) -> list[Alarm]:
    return [row for one in outputs if isinstance(one, Judgements) for row in one.alarms]


def with_people(records: list[tuple[int, Record]]) -> list[Placed]:
    """Somebody takes the first alarms and pauses another: the ids come from a first run."""
    rows = alarms_in(
        [o for part in step(new_state(PARTITIONS), placed(records))[1].values() for o in part]
    )
    raised = [row for row in rows if row.state == AlarmState.ACTIVE and row.event.value == "raised"]
    acts = [("acknowledge", {}), ("pause", {"minutes": 2, "reason": "care"}), ("note", {})]
    told = []
    for row, (kind, body) in zip(raised, acts, strict=False):
        reason = {"reason": "seen"} if kind == "note" else {}
        at = row.at + 2 * SECOND
        named = Command(
            f"{kind}", kind, "A. Blanc", at, {"alarm": row.id} | body | reason, row.patient
        )
        told.append((at, (partition_of(row.patient, PARTITIONS), named)))
    merged: list[tuple[int, Record]] = []
    for entry in records:
        record = entry[1]
        if isinstance(record, Tick):
            merged += [one for at, one in told if record.at - SECOND < at <= record.at]
        merged.append(entry)
    return placed(merged)


RECORDS = with_people(ward())


def said(state: TwinState, records: list[Placed]) -> dict[tuple[int, int], list[bytes]]:
    """(position, partition) → what it said then."""
    found = {}
    for record in records:
        for partition, outputs in step(state, [record])[1].items():
            found[record.position, partition] = [encode_output(one) for one in outputs]
    return found


WHOLE = said(new_state(PARTITIONS), RECORDS)


def test_the_ward_of_these_tests_has_every_state() -> None:
    outputs = [o for part in step(new_state(PARTITIONS), RECORDS)[1].values() for o in part]
    rows = alarms_in(outputs)
    assert {row.state for row in rows} == set(AlarmState)
    assert {"paused", "acknowledged", "note"} <= {row.event.value for row in rows}


@pytest.mark.parametrize("cut", range(30, len(RECORDS), 61))
def test_a_state_restored_in_the_middle_of_an_alarm_goes_on_bit_for_bit(cut: int) -> None:
    before = new_state(PARTITIONS)
    step(before, RECORDS[:cut])
    after = new_state(PARTITIONS)
    for partition in random.Random(cut).sample(range(PARTITIONS), PARTITIONS):
        captured = capture(before, partition)
        restore(after, captured.name, captured.encode())
    assert said(after, RECORDS[cut:]) == {key: o for key, o in WHOLE.items() if key[0] > cut}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_alarms_do_not_depend_on_where_batches_were_cut(size: int) -> None:
    state, rows = new_state(PARTITIONS), []
    for start in range(0, len(RECORDS), size):
        outputs = step(state, RECORDS[start : start + size])[1]
        rows += [row for part in outputs.values() for row in alarms_in(list(part))]
    whole = step(new_state(PARTITIONS), RECORDS)[1]
    expected = [row for part in whole.values() for row in alarms_in(list(part))]
    key = lambda row: (row.patient, row.at, row.rule, row.event.value)  # noqa: E731
    assert sorted(map(str, sorted(rows, key=key))) == sorted(map(str, sorted(expected, key=key)))
