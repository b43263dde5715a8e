"""Three marks of a device in one number."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.support.layouts import unflagged
from twin.estimation import devices
from twin.estimation.devices import (
    ALONE,
    AWAY,
    ENTRIES,
    ENTRY,
    FLAGS,
    JUMPED,
    LAGS,
    NUMBER,
    STEPPED,
    TOGETHER,
    flagged,
)

WHY = (STEPPED, 0, AWAY, ALONE, TOGETHER)
EVERY = list(product((False, True), (False, True), WHY))

set_flag, set_suspicion = devices.set_flag.py_func, devices.set_suspicion.py_func
flag, suspicion = devices.flag.py_func, devices.suspicion.py_func


def entries_with(*marks: tuple[bool, bool, int]) -> np.ndarray:  # type: ignore[type-arg]
    """(1, ENTRIES) numbered columns, and the marks of each of the two devices."""
    w = np.arange(ENTRIES, dtype=np.float32)[None, :].copy()
    for at, (jumped, lags, why) in zip((0, ENTRY), marks, strict=True):
        w[0, at + FLAGS] = 0.0
        set_flag(w, 0, at, JUMPED, jumped)
        set_suspicion(w, 0, at, why)
        set_flag(w, 0, at, LAGS, lags)
    return w


def marks_of(w: np.ndarray, at: int) -> tuple[bool, bool, int]:  # type: ignore[type-arg]
    return bool(flag(w, 0, at, JUMPED)), bool(flag(w, 0, at, LAGS)), int(suspicion(w, 0, at))


@pytest.mark.parametrize("first", EVERY)
@pytest.mark.parametrize("then", EVERY)
def test_each_mark_is_set_and_taken_back_without_touching_another(
    first: tuple[bool, bool, int], then: tuple[bool, bool, int]
) -> None:
    w = entries_with(first, then)
    assert (marks_of(w, 0), marks_of(w, ENTRY)) == (first, then)
    set_suspicion(w, 0, 0, then[2])
    assert marks_of(w, 0) == (first[0], first[1], then[2])
    set_flag(w, 0, 0, LAGS, then[1])
    assert marks_of(w, 0) == (first[0], then[1], then[2])
    set_flag(w, 0, 0, JUMPED, then[0])
    assert marks_of(w, 0) == then


@pytest.mark.parametrize("marks", EVERY)
def test_a_column_for_each_mark_becomes_one_number(marks: tuple[bool, bool, int]) -> None:
    w = entries_with(marks, EVERY[7])
    before = unflagged(w)
    assert before[0, 3:5].tolist() == [marks[0], marks[2]]
    assert before[0, 11] == marks[1]
    np.testing.assert_array_equal(flagged(before), w)


def test_a_free_place_stays_free() -> None:
    before = np.zeros((2, 24), np.float32)
    before[:, [0, 12]] = -1.0
    now = flagged(before)
    assert now[:, [NUMBER, ENTRY + NUMBER]].tolist() == [[-1.0, -1.0]] * 2
    assert np.count_nonzero(now) == 4
    assert flagged(before[:0]).shape == (0, ENTRIES)
