"""Rows in the order of their series and times."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
