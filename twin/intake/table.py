"""What the worker remembers of each device on each patient: compact rows, growing by doubling.

A row is a device on one patient, never more: a device that goes from one patient to another has a
row for each, so no state couples two patients, and each row is of its patient's partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.device_report import Changed
from twin.estimation.kalman import NEVER
from twin.estimation.names import Names
from twin.intake.kernel import (
    BATTERY_LEFT,
    CHANGED,
    CLOCK_COLUMNS,
    CONTACT,
    DEVICE,
    HEARD,
    HIGHEST,
    LEAST,
    LEAST_BEFORE,
    MARK_COLUMNS,
    MESSAGE_AT,
    MESSAGE_NUMBER,
    MINUTE_LEAST,
    MINUTE_MOST,
    MOST,
    MOST_BEFORE,
    NEWEST,
    NEXT,
    ONLINE,
    PARTITION,
    PATIENT,
    PREVIOUS_HIGHEST,
    find,
)

_UNSAID = (NEXT, HIGHEST, PREVIOUS_HIGHEST, MESSAGE_NUMBER, CONTACT, ONLINE)


class DeviceTable:
    """`marks` (rows, MARK_COLUMNS) int64 and `clock` (rows, CLOCK_COLUMNS) float64; see kernel.py.

    of (rows,): the partition of each, −1: of none; the column PARTITION of marks, which lies apart
    because all of a ward is looked through for it. look (rows,): as `kernel.watch` has it; who
    changes a row's marks elsewhere than there and in `kernel.hear` sets it to NEVER, as `change`
    does. count rows are in use. devices: the twin's numbers of device names, shared with the bank.
    """

    def __init__(self, devices: Names) -> None:
        self.devices = devices
        self.count = 0
        self.marks = np.zeros((0, MARK_COLUMNS), np.int64)
        self.clock = np.zeros((0, CLOCK_COLUMNS))
        self.look = np.zeros(0, np.int64)
        self.of = np.zeros(0, np.int64)
        self._first = np.full(0, -1, np.int64)

    def __len__(self) -> int:
        return self.count

    def rows(
        self,
        patient: NDArray[np.int64],
        device: NDArray[np.int64],
        partition: NDArray[np.int32],
    ) -> tuple[NDArray[np.int64], list[int]]:
        """((n,) rows of patient and device numbers, the places at which a new row was made).

        partition: of each patient number.
        """
        self._know(len(self.devices) - 1)
        found = np.empty(len(patient), np.int64)
        born: list[int] = []
        if find(patient, device, self._first, self.marks, found):
            for place in np.flatnonzero(found < 0).tolist():
                who, what = int(patient[place]), int(device[place])
                known = self.row(who, what)
                if known < 0:
                    known = self.add(who, what, int(partition[who]))
                    born.append(place)
                found[place] = known
        return found, born

    def row(self, patient: int, device: int) -> int:
        """The row of the pair, −1 if there is none."""
        row = int(self._first[device]) if device < len(self._first) else -1
        while row >= 0 and self.marks[row, PATIENT] != patient:
            row = int(self.marks[row, NEXT])
        return row

    def change(self, rows: int | NDArray[np.int64], what: Changed) -> None:
        """Note what changed of these rows, so that the next tick looks at them."""
        self.marks[rows, CHANGED] |= what
        self.look[rows] = NEVER

    def in_partition(self, partition: int) -> NDArray[np.int64]:
        """Rows of the partition, in order."""
        return np.flatnonzero(self.of[: self.count] == partition)

    def in_partitions(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows of the partitions that the mask (partitions,) names, in order."""
        if not self.count:
            return np.zeros(0, np.int64)
        named = np.append(mask, False)  # whose last is that of rows of no partition
        return np.flatnonzero(named[self.of[: self.count]])

    def forget(self, partition: int) -> None:
        """Drop the partition's rows. Their places stay empty; they are few, and it is rare."""
        for row in self.in_partition(partition).tolist():
            self._unchain(row)
            self.marks[row, PARTITION] = self.marks[row, PATIENT] = self.of[row] = -1

    def take(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Copies of everything these rows hold."""
        return {"marks": self.marks[rows], "clock": self.clock[rows]}

    def put(
        self,
        patient: NDArray[np.int64],
        device: NDArray[np.int64],
        partition: int,
        part: Mapping[str, NDArray[Any]],
    ) -> NDArray[np.int64]:
        """The inverse of `take` into new rows of these numbers (n,); their numbers, (n,)."""
        rows = np.arange(self.count, self.count + len(patient))
        self.count += len(patient)
        if self.count > len(self.marks):
            self._grow(max(64, 2 * self.count))
        self._know(int(device.max(initial=-1)))
        self.marks[rows], self.clock[rows] = part["marks"], part["clock"]
        self.marks[rows, PATIENT], self.marks[rows, DEVICE] = patient, device
        self.marks[rows, PARTITION] = self.of[rows] = partition
        # A device's newest row comes first in its chain, as `add` has it.
        order = np.argsort(device, kind="stable")
        of, sorted_rows = device[order], rows[order]
        again = of[1:] == of[:-1]
        following = self._first[of]
        following[1:][again] = sorted_rows[:-1][again]
        self.marks[sorted_rows, NEXT] = following
        self._first[of] = sorted_rows  # of several rows the last
        return rows

    def reserve(self, times: float) -> None:
        """Room for so many times the rows in use, so that it need not grow on the way there."""
        if times * self.count > len(self.marks):
            self._grow(int(times * self.count))

    def add(self, patient: int, device: int, partition: int) -> int:
        """A new row for the pair; its number."""
        row = self.count
        self.count += 1
        if self.count > len(self.marks):
            self._grow(max(64, 2 * self.count))
        self._know(device)
        marks, clock = self.marks[row], self.clock[row]
        marks[:] = 0
        marks[list(_UNSAID)] = -1
        marks[[HEARD, NEWEST, MESSAGE_AT]] = NEVER
        marks[[PATIENT, DEVICE, PARTITION]] = patient, device, partition
        marks[NEXT] = self._first[device]
        self.of[row] = partition
        clock[:] = 0
        clock[[MINUTE_LEAST, LEAST, LEAST_BEFORE]] = np.inf
        clock[[MINUTE_MOST, MOST, MOST_BEFORE]] = -np.inf
        clock[BATTERY_LEFT] = np.nan
        self._first[device] = row
        return row

    def _know(self, device: int) -> None:
        """Room for the rows of a device of this number."""
        if device >= len(self._first):
            grown = np.full(max(64, 2 * (device + 1)), -1, np.int64)
            grown[: len(self._first)] = self._first
            self._first = grown

    def _grow(self, size: int) -> None:
        marks, clock = np.zeros((size, MARK_COLUMNS), np.int64), np.zeros((size, CLOCK_COLUMNS))
        marks[: len(self.marks)], clock[: len(self.clock)] = self.marks, self.clock
        look = np.full(size, NEVER, np.int64)
        look[: len(self.look)] = self.look
        of = np.full(size, -1, np.int64)
        of[: len(self.of)] = self.of
        self.marks, self.clock, self.look, self.of = marks, clock, look, of

    def _unchain(self, row: int) -> None:
        device = int(self.marks[row, DEVICE])
        following = int(self.marks[row, NEXT])
        before = int(self._first[device])
        if before == row:
            self._first[device] = following
            return
        while self.marks[before, NEXT] != row:
            before = int(self.marks[before, NEXT])
        self.marks[before, NEXT] = following
