"""Copies of rows as bytes are what numpy's own copies by field are."""

from __future__ import annotations

import numpy as np
import pytest

from twin.bytewise import joined, taken
from twin.estimate import ESTIMATE_ROW


def rows_of(n: int) -> np.ndarray:
    made = np.zeros(n, ESTIMATE_ROW)
    made["patient"], made["mean"] = np.arange(n), np.linspace(-1.0, 1.0, n)
    made["trend"] = np.nan
    return made


@pytest.mark.parametrize("n", [0, 1, 3, 1_000])
def test_rows_are_taken_by_indexes_by_mask_and_out_of_a_view(n: int) -> None:
    rows = rows_of(n)
    backwards = np.arange(n)[::-1]
    assert taken(rows, backwards).tobytes() == rows[backwards].tobytes()
    even = rows["patient"] % 2 == 0
    assert taken(rows, even).tobytes() == rows[even].tobytes()
    assert taken(rows[::2], np.arange(len(rows[::2]))).tobytes() == rows[::2].tobytes()
    assert taken(rows, backwards).dtype == ESTIMATE_ROW


@pytest.mark.parametrize("sizes", [[0], [5], [0, 3, 2], [2_000, 1, 700]])
def test_joined_rows_stand_in_order_in_memory_of_their_own(sizes: list[int]) -> None:
    parts = [rows_of(n) for n in sizes]
    whole = joined(parts)
    assert whole.tobytes() == b"".join(part.tobytes() for part in parts)
    whole["value"] = 7.0
    assert all((part["value"] == 0.0).all() for part in parts)
