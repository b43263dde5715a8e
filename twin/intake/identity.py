"""Devices' own numbers: gaps in them, and messages that came again. Never a reason to discard.

A gap is a run of numbers that were passed over. It is open for 60 s of journal time, in which an
earlier message may still fill it; then its messages are `missing`. What comes even later is taken
off again, for as long as the gap is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.device_report import Changed
from twin.intake.kernel import (
    EARLIER,
    GAP,
    MISSING,
    PARTITION,
    REDELIVERED,
)
from twin.intake.table import DeviceTable

#: Journal time after which what a gap passed over is missing (ns).
PATIENCE = 60 * SECOND
#: So many open gaps of a device are remembered, and as many that were given up.
REMEMBERED = 256


@dataclass(slots=True)
class Gap:
    """Numbers first … last of a count (its mark: boot) that did not come.

    opened: journal time; missing: it was given up, and its numbers are counted missing.
    """

    first: int
    last: int
    boot: int
    opened: int
    missing: bool = False

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class Gaps:
    """Gaps of the rows that have some, oldest first."""

    of: dict[int, list[Gap]] = field(default_factory=dict)

    def note(
        self, table: DeviceTable, notes: NDArray[np.int64], elapsed: NDArray[np.int64]
    ) -> None:
        """Act on what `kernel.hear` noted, in order. elapsed: (partitions,) journal time, ns."""
        for what, row, first, last, boot in notes.tolist():
            table.change(row, Changed.NUMBERS)
            if what == GAP:
                now = int(elapsed[table.marks[row, PARTITION]])
                self.of.setdefault(row, []).append(Gap(first, last, boot, now))
                self._bound(table, row)
            elif what == EARLIER and not self._fill(table, row, first, boot):
                table.marks[row, REDELIVERED] += 1

    def give_up(
        self, table: DeviceTable, due: NDArray[np.bool_], elapsed: NDArray[np.int64]
    ) -> None:
        """On a tick of the due partitions (mask): what was open for too long is missing."""
        for row, gaps in self.of.items():
            partition = table.marks[row, PARTITION]
            if due[partition]:
                for gap in gaps:
                    if not gap.missing and elapsed[partition] - gap.opened >= PATIENCE:
                        _miss(table, row, gap)

    def open(self, row: int) -> int:
        """Messages of the row that may still come."""
        return sum(len(gap) for gap in self.of.get(row, ()) if not gap.missing)

    def _fill(self, table: DeviceTable, row: int, number: int, boot: int) -> bool:
        """Whether the number was in a gap of its boot, the newest count first."""
        gaps = self.of.get(row, [])
        for place in range(len(gaps) - 1, -1, -1):
            gap = gaps[place]
            if gap.boot == boot and gap.first <= number <= gap.last:
                parts = (
                    Gap(gap.first, number - 1, boot, gap.opened, gap.missing),
                    Gap(number + 1, gap.last, boot, gap.opened, gap.missing),
                )
                gaps[place : place + 1] = [part for part in parts if len(part)]
                if gap.missing:
                    table.marks[row, MISSING] -= 1
                if not gaps:
                    del self.of[row]
                else:
                    self._bound(table, row)
                return True
        return False

    def _bound(self, table: DeviceTable, row: int) -> None:
        gaps = self.of[row]
        still_open = [gap for gap in gaps if not gap.missing]
        for gap in still_open[: max(len(still_open) - REMEMBERED, 0)]:
            _miss(table, row, gap)
        given_up = [gap for gap in gaps if gap.missing]
        for gap in given_up[: max(len(given_up) - REMEMBERED, 0)]:
            gaps.remove(gap)


def _miss(table: DeviceTable, row: int, gap: Gap) -> None:
    gap.missing = True
    table.marks[row, MISSING] += len(gap)
    table.change(row, Changed.NUMBERS)
