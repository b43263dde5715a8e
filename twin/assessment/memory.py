"""What the assessment remembers of each patient and signal: arrays that grow with the patients.

The first axis is the bank's number of the patient, the second, where there is one, the row of the
catalogue. All of it is captured and restored by patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from twin.assessment.kernel import ENTRIES, HELD, NEVER
from twin.estimation.slots import filled
from twin.untouched import telling

#: Stands in a shape for the length of the catalogue.
_S = -1
#: name, dtype, shape beyond the patient, filled with.
_ARRAYS: tuple[tuple[str, Any, tuple[int, ...], float], ...] = (
    ("charted", np.float64, (_S,), np.nan),
    ("charted_at", np.int64, (_S,), NEVER),
    ("seen_at", np.int64, (_S,), NEVER),
    ("seen_interval", np.float64, (_S,), 0),
    ("worth", np.uint8, (_S,), 0),
    ("bad_for", np.float64, (_S,), 0),
    ("beyond", np.int32, (_S, 2), 0),
    ("progress", np.float64, (_S, 2, 2), 0),
    ("clear_for", np.float64, (_S, 2), 0),
    ("level", np.int8, (_S, 2), 0),
    ("unverified", np.bool_, (_S, 2), 0),
    ("entered", np.float64, (ENTRIES,), np.nan),
    ("entered_at", np.int64, (ENTRIES,), NEVER),
    ("entered_until", np.int64, (ENTRIES,), NEVER),
    ("held", np.int8, (HELD,), -1),
    ("shown", np.int8, (HELD,), -1),
    ("rising", np.float64, (5,), 0),
    ("falling", np.float64, (5,), 0),
    ("source", np.int8, (5,), 0),
    ("scored", np.float64, (5,), np.nan),
    ("context", np.int8, (), 0),
    ("told_at", np.int64, (), NEVER),
    ("due_medium", np.float64, (), 0),
    ("due_high", np.float64, (), 0),
    ("score_clear", np.float64, (), 0),
    ("score_level", np.int8, (), 0),
    ("turn", np.int64, (), 0),
    ("known", np.bool_, (), 0),
)
#: Of the moment: not captured.
_PASSING: tuple[tuple[str, Any, tuple[int, ...], float], ...] = (
    ("total", np.int64, (), 0),
    ("set", np.int64, (), -1),  # row of the limit tables, −1: to be resolved
    ("seconds", np.float64, (), 0),  # journal time since the tick before, of who is looked at
    ("restless", np.bool_, (_S,), 0),  # to be judged at the next tick
    ("rests_until", np.int64, (), NEVER),  # the last tick (ns) at which scoring changes nothing
)


class Memory:
    """`of[name]` are the arrays, (capacity, …)."""

    def __init__(self) -> None:
        self.signals = len(SIGNALS)
        self.of: dict[str, NDArray[Any]] = {}
        self.capacity = 0
        self.grow(1)

    def grow(self, patients: int) -> None:
        """Room for so many patients."""
        if patients <= self.capacity:
            return
        capacity = max(64, patients, 2 * self.capacity)
        for name, kind, shape, filling in (*_ARRAYS, *_PASSING):
            grown = filled((capacity, *self._shape(shape)), kind, filling)
            if name in self.of:
                grown[: self.capacity] = self.of[name]
            self.of[name] = grown
        self.capacity = capacity

    def seen(self, patients: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the signals of which there is anything to be known of these patients."""
        return np.flatnonzero((self.of["seen_at"][patients] != NEVER).any(axis=0))

    def take(
        self, patients: NDArray[np.int64], signals: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Copies of what is known of these patients and signals (rows), by name."""
        each = np.ix_(patients, signals)
        return {
            name: self.of[name][each if shape[:1] == (_S,) else patients]
            for name, _, shape, _ in _ARRAYS
        }

    def put(
        self,
        patients: NDArray[np.int64],
        part: Mapping[str, NDArray[Any]],
        signals: NDArray[np.int64],
    ) -> None:
        """The inverse of `take`, of patients of whom nothing is known; signals: the rows of those
        it had. Raises ValueError: another layout."""
        same = np.array_equal(signals, np.arange(self.signals))
        for name, kind, shape, filling in _ARRAYS:
            array = part.get(name)
            each = shape[:1] == (_S,)
            expected = (len(patients), *((len(signals), *shape[1:]) if each else shape))
            if array is None or array.dtype != kind or array.shape != expected:
                raise ValueError(f"{name} is not {expected} of {np.dtype(kind)}")
            who = patients
            if not filling:  # of most patients nothing goes on: their zeros are there already
                said = telling(array)
                who, array = who[said], array[said]
            if each and not same:
                self.of[name][who[:, None], signals] = array
            else:
                self.of[name][who] = array

    def forget(self, patients: NDArray[np.int64]) -> None:
        """Know nothing of these patients."""
        for name, _, _, filling in (*_ARRAYS, *_PASSING):
            self.of[name][patients] = filling

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.signals if size == _S else size for size in shape)
