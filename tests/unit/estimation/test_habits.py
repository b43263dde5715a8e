"""What is usual at an hour, from measurements through the step and a snapshot to what is told."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.instant import DAY, HOUR, SECOND
from ingest.journal.protocol import ALL_PARTITIONS
from ingest.observation import Tick, batch_of
from tests.support.twins import T0, Sample, fed, model_of, observation
from tests.unit.estimation.test_usual import RETURNING, days, rhythm
from twin.estimation.bank import Bank
from twin.estimation.habits import habits_of
from twin.estimation.usual import ROOM, TERMS, usual_at
from twin.judgement import Judgements
from twin.personal import Change, Habit
from twin.snapshot import capture, restore
from twin.step import Placed, TwinState, new_state, step


def bank_after(samples: list[Sample]) -> Bank:
    bank = Bank(model_of(**RETURNING))
    fed(bank, samples)
    return bank


def test_hours_that_were_never_measured_are_not_known() -> None:
    (habit,) = habits_of(bank_after(days(14, night=False)), 0)
    known = [habit.at(T0 // DAY * DAY + hour * HOUR + HOUR // 2) is not None for hour in range(24)]
    assert all(known[9:19])
    assert not any(known[hour] for hour in (0, 1, 2, 3))


def test_the_middle_half_is_around_what_the_kernel_has_learnt() -> None:
    bank = bank_after(days(10))
    (habit,) = habits_of(bank, 0)
    assert habit.signal == "heart_rate"
    a, (slot,) = bank.slots.of, bank.known()
    for hour in range(24):
        t = T0 + hour * HOUR
        ends = habit.at(t)
        assert ends is not None
        mean, _ = usual_at(a["usual"], a["usual_root"], slot, t, 18.0, np.empty((ROOM, TERMS)))
        assert sum(ends) / 2 == pytest.approx(mean, abs=1e-3)
        assert ends[1] - ends[0] == pytest.approx(2 * 0.6745 * habit.std, rel=1e-3)
        assert ends[0] < rhythm(t) + 4 < ends[1] + 8


def test_before_two_days_nothing_is_a_habit() -> None:
    assert habits_of(bank_after(days(1.5)), 0) == ()


def told(state: TwinState, samples: list[Sample], position: int) -> list[Change]:
    """What is said while these are measured, with a tick each hour."""
    said: list[Change] = []
    for sample in samples:
        records = [batch_of([observation(sample.at, sample.value)])]
        placed = [Placed(0, position, records[0])]
        if sample.stamp % HOUR == 0:
            placed.append(Placed(ALL_PARTITIONS, position + 1, Tick(sample.stamp + SECOND, True)))
        position += 2
        _, outputs = step(state, placed)
        for output in outputs.get(0, ()):
            if isinstance(output, Judgements):
                said += output.changes
    return said


def test_habits_are_told_each_hour_and_a_snapshot_keeps_what_was_learnt() -> None:
    samples = days(3)
    cut = len(samples) // 2
    state, other = new_state(1), new_state(1)
    first = told(state, samples[:cut], 1)
    assert first
    assert not any(change.habits for change in first)
    restore(other, "p", capture(state, 0).encode())
    rest = told(state, samples[cut:], 1 + 2 * cut)
    (habit,) = rest[-1].habits
    assert isinstance(habit, Habit)
    assert habit.at(samples[-1].stamp) is not None
    assert told(other, samples[cut:], 1 + 2 * cut) == rest
