"""Status by age."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.instant import HOUR, MINUTE, SECOND
from ingest.observation import DeviceId, Observation, PatientId, SignalCode, Tick, batch_of
from twin.estimate import Status
from twin.estimation.status import interval, status_of
from twin.step import Placed, new_state, step


@pytest.mark.parametrize(
    ("expected", "fresh", "late", "stale"),
    [
        (1 * SECOND, 10 * SECOND, 60 * SECOND, 15 * MINUTE),
        (5 * SECOND, 10 * SECOND, 60 * SECOND, 15 * MINUTE),
        (20 * SECOND, 40 * SECOND, 100 * SECOND, 15 * MINUTE),
        (5 * MINUTE, 10 * MINUTE, 25 * MINUTE, 50 * MINUTE),
        (4 * HOUR, 8 * HOUR, 20 * HOUR, 40 * HOUR),
    ],
)
def test_each_status_ends_where_its_threshold_says(
    expected: int, fresh: int, late: int, stale: int
) -> None:
    ages = np.array([0, fresh, fresh + 1, late, late + 1, stale, stale + 1], np.int64)
    assert [Status(n) for n in status_of(ages, np.full(7, expected))] == [
        Status.FRESH,
        Status.FRESH,
        Status.LATE,
        Status.LATE,
        Status.STALE,
        Status.STALE,
        Status.NONE,
    ]


def test_a_stamp_ahead_of_the_clock_is_fresh() -> None:
    assert status_of(np.array([-HOUR]), np.array([SECOND])).tolist() == [Status.FRESH]


@pytest.mark.parametrize("apart", [1, 5, 20, 200])
def test_a_ward_ages_as_each_of_its_keys_does(apart: int) -> None:
    """The compiled pass over all slots says what the thresholds say of each ring's interval."""
    state = new_state(1)
    begin = 1_790_000_000 * SECOND
    for n in range(5):
        at = begin + n * apart * SECOND
        said = [
            Observation(PatientId(who), DeviceId("w"), SignalCode("heart_rate"), 70.0, at, at, at)
            for who in ("often", "once")
            if who == "often" or n == 0
        ]
        step(state, [Placed(0, n + 1, batch_of(said))])
    a = state.bank.slots.of
    slots = state.bank.known()
    rings = (a["state_t"], a["ring_start"], a["ring_head"], a["ring_n"], a["ring_t"])
    seen = np.array([interval(slot, *rings) for slot in slots])
    assert seen.tolist() == [float(apart), 0.0]
    expected = state.bank.expected_interval(a["model"][slots].astype(np.int64), seen)
    last = begin + 4 * apart * SECOND
    for n, age in enumerate((1, 9, 39, 41, 61, 101, 399, 401, 1_001, 2_001, 9_999)):
        step(state, [Placed(0, 10 + n, Tick(last + age * SECOND, True))])
        wanted = status_of(last + age * SECOND - a["state_t"][slots], expected)
        assert a["status"][slots].tolist() == wanted.tolist()
