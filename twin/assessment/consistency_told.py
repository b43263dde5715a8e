"""Every ten minutes of each patient: how the innovations of its signals were (docs/models.md).

What is said is what the kernel has counted in the bank; this part only knows when it said it last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from ingest.instant import MINUTE
from ingest.observation import Tick
from twin.estimation.bank import Bank
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
from twin.estimation.turns import whose_turn
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
        bank = self.bank
        due = whose_turn(
            bank, np.where(passed, before, tick.at), np.full_like(before, tick.at), EVERY
        )
        who, told = self._of(due)
        if not told:
            return ()
        said: dict[int, list[Consistency]] = {}
        at, name = tick.at, bank.patients.text
        begins = np.flatnonzero(np.diff(who, prepend=-1))
        firsts, ends = begins.tolist(), [*begins[1:].tolist(), len(who)]
        numbers = due[who[begins]]
        partitions = bank.partition[numbers].tolist()
        for number, partition, first, end in zip(
            numbers.tolist(), partitions, firsts, ends, strict=True
        ):
            row = Consistency(name[number], at, tuple(told[first:end]))
            said.setdefault(partition, []).append(row)
        return [
            (p, Judgements(consistency=tuple(sorted(rows, key=_patient))))
            for p, rows in sorted(said.items())
        ]

    def _of(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[DeviceConsistency]]:
        """What is told of these patients' devices, and of which patient (its place) each is, in
        order: signals in the catalogue's order, the devices of each by name."""
        a = self.bank.slots.of
        slots = self.bank.slot_of[numbers]
        who, signal = np.nonzero(slots >= 0)
        slot = slots[who, signal]
        # Of patients and signals in order, each device that was heard.
        place, nth = np.nonzero(
            (a["share_device"][slot] >= 0) & (a["state_t"][slot] != NEVER)[:, None]
        )
        names = list(
            map(self.devices.text.__getitem__, a["share_device"][slot[place], nth].tolist())
        )
        if nth.any():  # a signal of several devices
            order = sorted(range(len(names)), key=lambda n: (place[n], names[n]))
            place, nth, names = place[order], nth[order], [names[n] for n in order]
        who, signal, slot = who[place], signal[place], slot[place]
        shares = a["shares"][slot].reshape(-1, TALLIED, TALLY)[np.arange(len(slot)), nth]
        square, product = shares[:, SQUARE].tolist(), shares[:, PRODUCT].tolist()
        told = map(
            DeviceConsistency,
            map(CODES.__getitem__, signal.tolist()),
            names,
            map(_ratio, square),
            map(_lag1, square, product),
            *(map(_three_digits, shares[:, inside].tolist()) for inside in (IN50, IN90, IN95)),
            (a["memory"][slot, TROUBLE] < 0.0).tolist(),
        )
        return who, list(told)

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


_patient = attrgetter("patient")


# Of all these: to three digits, as they are kept.
def _lag1(square: int, product: int) -> float:
    return round(product / UNIT / (square / UNIT), 3) if square > 0 else 0.0


@cache  # of an int16, as all shares are
def _ratio(square: int) -> float:
    return float(f"{float(factor_of(square / UNIT)):.3g}")


@cache
def _three_digits(share: int) -> float:
    return round(share / UNIT, 3)
