"""Status by age."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.instant import HOUR, MINUTE, SECOND
from twin.estimate import Status
from twin.estimation.status import status_of


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
