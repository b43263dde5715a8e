"""Which series a row belongs to, for all rows of a transaction at once.

A row names its patient, signal and device; asking a dictionary for each series of each transaction
cost more than all else of a live write (7 of 12 µs a row). So patients, signals and devices have
codes, and a table says which series a patient's signal had last, and of which device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Indexes = NDArray[np.intp]


class Names:
    """Names by code, in the order in which they were met."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self.names: list[str] = []
        #: What was asked last: the next transaction's names are often the same.
        self._asked: Sequence[str] = ()
        self._told: Codes = np.empty(0, np.int64)

    def codes(self, names: Sequence[str]) -> Codes:
        """The code of each name, (n,); not to be written to."""
        if names == self._asked:
            return self._told
        known = self._codes
        found = [known.get(name, -1) for name in names]
        if -1 in found:
            found = [self._code(name) for name in names]
        self._asked, self._told = names, np.array(found, np.int64)
        return self._told

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
        return code


class KnownSeries:
    """Of one kind of row. number: asked for a series that is not in the table, by its names."""

    def __init__(self, number: Callable[[str, str, str], int]) -> None:
        self._number = number
        self.patients, self.signals, self.devices = Names(), Names(), Names()
        self._series = np.zeros((1, 1), np.uint32)
        self._device = np.full((1, 1), -1, np.int64)

    def numbers(
        self, source: NDArray[Any], chosen: Indexes, names: tuple[Codes, Codes, Codes], every: bool
    ) -> NDArray[np.uint32]:
        """The series of the chosen rows of source (ESTIMATE_ROW), (n,). names: codes of its
        patients, signals and devices; every: each device has its own series, else the first code
        is all of them.

        Raises IndexError for a row that names none of them.
        """
        # Compiled, and numba is loaded by who writes alone.
        from twin.store.rows_kernel import numbers

        self._grow()
        found, other = np.empty(len(chosen), np.uint32), np.empty(len(chosen), np.int64)
        others = numbers(source, chosen, *names, every, self._series, self._device, found, other)
        if others < 0:
            raise IndexError("a row names nobody of its batch")
        if others:
            other = other[:others]
            rows, (patients, signals, devices) = source[chosen[other]], names
            keys = np.empty((others, 3), np.int64)
            keys[:, 0], keys[:, 1] = patients[rows["patient"]], signals[rows["signal"]]
            keys[:, 2] = devices[rows["device"] if every else 0]
            each, where = np.unique(keys, axis=0, return_inverse=True)
            asked = [self._ask(*key) for key in each.tolist()]
            found[other] = np.array(asked, np.uint32)[where.reshape(-1)]
        return found

    def _ask(self, patient: int, signal: int, device: int) -> int:
        names = self.patients.names[patient], self.signals.names[signal]
        number = self._number(*names, self.devices.names[device])
        self._series[patient, signal], self._device[patient, signal] = number, device
        return number

    def _grow(self) -> None:
        rows, columns = self._series.shape
        if len(self.patients.names) > rows or len(self.signals.names) > columns:
            shape = (max(rows, 2 * len(self.patients.names)), max(columns, len(self.signals.names)))
            series, device = np.zeros(shape, np.uint32), np.full(shape, -1, np.int64)
            series[:rows, :columns], device[:rows, :columns] = self._series, self._device
            self._series, self._device = series, device
