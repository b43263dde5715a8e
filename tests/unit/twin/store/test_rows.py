"""Rows in the order of their series and times, and as they are sealed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.store import sealing
from twin.store.blocks import STATUSES
from twin.store.rows import by_series

_NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1))


@given(st.lists(st.tuples(_NUMBERS, st.integers(0, 5)), max_size=40), st.booleans())
def test_rows_are_ordered_by_series_and_time_and_equal_ones_stay_as_they_came(
    rows: list[tuple[int, int]], in_time: bool
) -> None:
    rows = sorted(rows, key=lambda row: row[1]) if in_time else rows
    series = np.array([row[0] for row in rows], np.uint32)
    time = np.array([row[1] for row in rows], np.int64)
    expected = sorted(range(len(rows)), key=lambda i: rows[i])
    assert by_series(series, time).tolist() == expected


@given(
    st.lists(st.tuples(_NUMBERS, st.integers(-3, 5)), max_size=60),
    st.sampled_from(["as they are", "in time", "backwards"]),
)
def test_what_is_sealed_is_by_series_and_time_and_of_each_time_the_last_that_came(
    rows: list[tuple[int, int]], come: str
) -> None:
    if come != "as they are":
        rows = sorted(rows, key=lambda row: row[1], reverse=come == "backwards")
    hot = np.zeros(len(rows), STATUSES.rows)
    for i, row in enumerate(rows):
        hot[i] = (*row, i)
    newest = {row: i for i, row in enumerate(rows)}
    expected = [(*row, newest[row]) for row in sorted(newest)]
    assert sealing.newest_by_series(hot).tolist() == expected


def test_rows_far_out_of_order_are_sorted_all_the_same() -> None:
    hot = np.zeros(3_000, STATUSES.rows)
    hot["series"], hot["time"] = np.arange(3_000) % 2, -np.arange(3_000)
    found = sealing.newest_by_series(hot)
    assert found["series"].tolist() == [0] * 1_500 + [1] * 1_500
    assert (np.diff(found["time"][:1_500]) == 2).all()
    assert (np.diff(found["time"][1_500:]) == 2).all()
