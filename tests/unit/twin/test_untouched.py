"""Rows of nothing but zeros are told from others to the bit."""

from __future__ import annotations

import numpy as np

from twin.untouched import telling


def test_only_rows_of_zeros_tell_nothing() -> None:
    rows = np.zeros((5, 2, 2))
    rows[1, 1, 0], rows[3, 0, 1], rows[4, 1, 1] = 1.5, np.nan, -0.0
    assert telling(rows).tolist() == [1, 3, 4]


def test_every_other_row_of_a_larger_array_and_rows_of_one_number() -> None:
    rows = np.array([[0, 1], [2, 3], [0, 5], [6, 7]], np.int8)
    assert telling(rows[::2]).tolist() == [0, 1]
    assert telling(rows[:, 0]).tolist() == [1, 3]


def test_no_rows_and_rows_of_no_width() -> None:
    assert telling(np.zeros((0, 3))).tolist() == []
    assert telling(np.zeros((4, 0))).tolist() == []
