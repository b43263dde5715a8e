"""No transition is lost: snapshots while alarms are pending, active, taken, latched and paused."""

from __future__ import annotations

import random

import pytest

from tests.support.alarmed import alarms_in, ward, with_people
from tests.support.twin_journals import PARTITIONS, placed
from twin.estimate import encode_output
from twin.judgement import AlarmState
from twin.snapshot import capture, restore
from twin.step import Placed, TwinState, new_state, step

RECORDS = placed(with_people(ward()))


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
