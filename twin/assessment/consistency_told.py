"""Every ten minutes of each patient: how the innovations of its signals were (docs/models.md).

What is said is what the kernel has counted in the bank; this part only knows when it said it last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from ingest.instant import MINUTE
from ingest.observation import Tick
from twin.estimation.bank import TURNS, Bank
from twin.estimation.consistency import (
    IN50,
    IN90,
    IN95,
    PRODUCT,
    SQUARE,
    TALLIED,
    TALLY,
    UNIT,
    factor_of,
)
from twin.estimation.kalman import NEVER
from twin.estimation.names import Names
from twin.estimation.robust import TROUBLE
from twin.judgement import Judgements
from twin.part import Moment, Said, Unasked
from twin.personal import Consistency, DeviceConsistency

EVERY = 10 * MINUTE


@dataclass(slots=True)
class ConsistencyTold(Unasked):
    """A part of the twin's state. devices: the state's own names.

    _at (partitions,): the last tick, ns; NEVER: none yet.
    """

    bank: Bank
    devices: Names
    _at: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._at = np.full(self.bank.partitions, NEVER, np.int64)

    @property
    def name(self) -> str:
        return "consistency"

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """Each patient has a moment of its own within the ten minutes."""
        before = self._at.copy()
        self._at[moment.partitions] = tick.at
        passed = moment.partitions & (before != NEVER) & (before < tick.at)
        turn = np.arange(TURNS) * (EVERY // TURNS)
        turned = (before[:, None] + turn) // EVERY != (tick.at + turn) // EVERY
        turned &= passed[:, None]
        if not turned.any():
            return ()
        bank, known = self.bank, len(self.bank.patients)
        due = np.flatnonzero(turned[bank.partition[:known], bank.turn[:known]])
        said: dict[int, list[Consistency]] = {}
        partitions = bank.partition[due].tolist()
        for number, partition, of in zip(due.tolist(), partitions, self._of(due), strict=True):
            if of:
                row = Consistency(bank.patients.text[number], tick.at, tuple(of))
                said.setdefault(partition, []).append(row)
        return [
            (p, Judgements(consistency=tuple(sorted(rows, key=lambda row: row.patient))))
            for p, rows in sorted(said.items())
        ]

    def _of(self, numbers: NDArray[np.int64]) -> list[list[DeviceConsistency]]:
        """Of each of these patients: signals in the catalogue's order, the devices of each by
        name."""
        a = self.bank.slots.of
        slots = self.bank.slot_of[numbers]
        who, signal = np.nonzero(slots >= 0)
        slot = slots[who, signal]
        # Of patients and signals in order, each device that was heard.
        place, nth = np.nonzero(
            (a["share_device"][slot] >= 0) & (a["state_t"][slot] != NEVER)[:, None]
        )
        who, signal, slot = who[place], signal[place], slot[place]
        shares = a["shares"][slot].reshape(-1, TALLIED, TALLY)[np.arange(len(slot)), nth]
        heard = sorted(
            zip(
                place.tolist(),
                map(self.devices.text.__getitem__, a["share_device"][slot, nth].tolist()),
                who.tolist(),
                signal.tolist(),
                shares.tolist(),
                (a["memory"][slot, TROUBLE] < 0.0).tolist(),
                strict=True,
            )
        )
        of: list[list[DeviceConsistency]] = [[] for _ in range(len(numbers))]
        for _, device, patient, row, share, diverged in heard:
            told = DeviceConsistency(CODES[row], device, *_numbers(share), diverged)
            of[patient].append(told)
        return of

    def capture(self, partition: int) -> bytes:
        """The last tick."""
        return int(self._at[partition]).to_bytes(8, "little", signed=True)

    def restore(self, partition: int, content: bytes | memoryview) -> None:
        """Raises ValueError: another layout."""
        if len(content) != 8:
            raise ValueError(f"got {len(content)} bytes, expected 8")
        self._at[partition] = int.from_bytes(content, "little", signed=True)

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        self._at[partition] = NEVER


def _numbers(share: list[int]) -> tuple[float, float, float, float, float]:
    """Ratio of variances, lag-1 correlation and coverages; to three digits, as they are kept."""
    square = share[SQUARE] / UNIT
    lag1 = share[PRODUCT] / UNIT / square if square > 0.0 else 0.0
    in50, in90, in95 = (_three_digits(share[c]) for c in (IN50, IN90, IN95))
    return _ratio(share[SQUARE]), round(lag1, 3), in50, in90, in95


@cache  # of an int16, as all shares are
def _ratio(square: int) -> float:
    return float(f"{float(factor_of(square / UNIT)):.3g}")


@cache
def _three_digits(share: int) -> float:
    return round(share / UNIT, 3)
