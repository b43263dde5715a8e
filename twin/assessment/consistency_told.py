"""Every ten minutes of each patient: how the innovations of its signals were (docs/models.md).

What is said is what the kernel has counted in the bank; this part only knows when it said it last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
        for number in due.tolist():
            of = self._of(number)
            if of:
                row = Consistency(bank.patients.text[number], tick.at, of)
                said.setdefault(int(bank.partition[number]), []).append(row)
        return [
            (p, Judgements(consistency=tuple(sorted(rows, key=lambda row: row.patient))))
            for p, rows in sorted(said.items())
        ]

    def _of(self, number: int) -> tuple[DeviceConsistency, ...]:
        """Signals in the catalogue's order, the devices of each by name."""
        a, rows = self.bank.slots.of, []
        for signal, slot in enumerate(self.bank.slot_of[number].tolist()):
            if slot < 0 or a["state_t"][slot] == NEVER:
                continue
            diverged = bool(a["memory"][slot, TROUBLE] < 0.0)
            shares = a["shares"][slot].reshape(TALLIED, TALLY) / UNIT
            heard = zip(a["share_device"][slot].tolist(), shares.tolist(), strict=True)
            rows += sorted(
                (CODES[signal], self.devices.text[device], *_numbers(share), diverged)
                for device, share in heard
                if device >= 0
            )
        return tuple(DeviceConsistency(*row) for row in rows)

    def capture(self, partition: int) -> bytes:
        """The last tick."""
        return int(self._at[partition]).to_bytes(8, "little", signed=True)

    def restore(self, partition: int, content: bytes) -> None:
        """Raises ValueError: another layout."""
        if len(content) != 8:
            raise ValueError(f"got {len(content)} bytes, expected 8")
        self._at[partition] = int.from_bytes(content, "little", signed=True)

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        self._at[partition] = NEVER


def _numbers(share: list[float]) -> tuple[float, float, float, float, float]:
    """Ratio of variances, lag-1 correlation and coverages; to three digits, as they are kept."""
    ratio = float(f"{float(factor_of(share[SQUARE])):.3g}")
    lag1 = share[PRODUCT] / share[SQUARE] if share[SQUARE] > 0.0 else 0.0
    in50, in90, in95 = (round(share[c], 3) for c in (IN50, IN90, IN95))
    return ratio, round(lag1, 3), in50, in90, in95
