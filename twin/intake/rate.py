"""Samples beyond the rate that a device's model declares: counted, and not kept.

Judged on device stamps, so an offline backlog may come at any speed. The rule is in `kernel.meter`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.estimation.kalman import NEVER
from twin.intake.kernel import METER, meter
from twin.intake.table import DeviceTable

#: The longest interval that is told to the twin, s: what two bytes hold.
_LONGEST_S = 2**16 - 1


class Meters:
    """For rows whose model declares a rate only, by signal: (meters, signals) int64 ns each.

    interval: between two samples, 0 where none is declared; due: when the next one falls due;
    newest: the newest stamp. Meter 0 belongs to all rows without a declared rate.
    """

    def __init__(self, signals: int) -> None:
        self.interval = np.zeros((1, signals), np.int64)
        self.due = np.zeros((1, signals), np.int64)
        self.newest = np.full((1, signals), NEVER, np.int64)
        self.count = 1

    def declare(self, table: DeviceTable, row: int, interval: NDArray[np.int64]) -> None:
        """A row's declared ns between two samples, (signals,)."""
        place = int(table.marks[row, METER])
        if not place:
            if not interval.any():
                return
            place = self._add()
            table.marks[row, METER] = place
        self.interval[place] = interval

    def over(
        self,
        table: DeviceTable,
        row: NDArray[np.int64],
        signal: NDArray[np.int64],
        stamp: NDArray[np.int64],
    ) -> NDArray[np.bool_] | None:
        """(n,) which samples are beyond the rate; None: none is."""
        if self.count == 1:
            return None
        over = np.empty(len(row), np.bool_)
        if not meter(row, signal, stamp, table.marks, self.interval, self.due, self.newest, over):
            return None
        return over

    def declared(
        self, table: DeviceTable, row: NDArray[np.int64], signal: NDArray[np.int64]
    ) -> NDArray[np.uint16] | None:
        """(n,) declared s between two samples of the signal (a row of the catalogue), 0: none.
        Whole ones, rounded up, and 18 h where it is longer."""
        if self.count == 1:
            return None
        between = -(-self.interval[table.marks[row, METER], signal] // SECOND)
        return np.asarray(np.minimum(between, _LONGEST_S), np.uint16)

    def take(self, table: DeviceTable, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n, 3, signals) copies of interval, due and newest."""
        of = table.marks[rows, METER]
        return np.stack([self.interval[of], self.due[of], self.newest[of]], axis=1)

    def put(
        self,
        table: DeviceTable,
        row: int,
        taken: NDArray[np.int64],
        signals: NDArray[np.int64],
    ) -> None:
        """The inverse of `take` for one row that has a meter; signals: the rows of those it had."""
        place = self._add()
        for array, of in zip((self.interval, self.due, self.newest), taken, strict=True):
            array[place, signals] = of
        table.marks[row, METER] = place

    def _add(self) -> int:
        place, self.count = self.count, self.count + 1
        if self.count > len(self.due):
            size = max(64, 2 * self.count)
            self.interval = _grown(self.interval, size, 0)
            self.due = _grown(self.due, size, 0)
            self.newest = _grown(self.newest, size, NEVER)
        return place


def _grown(array: NDArray[np.int64], size: int, filling: int) -> NDArray[np.int64]:
    grown = np.full((size, array.shape[1]), filling, np.int64)
    grown[: len(array)] = array
    return grown
