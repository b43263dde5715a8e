"""Illness onset: do the nights of a person say that an illness begins (docs/change.md)?

What one night gives of each signal (resting heart rate, respiration, heart rate variability, skin
temperature) is compared with what is usual for the person; the innovations are fused to one, with
the signs that an infection gives them, and a one-sided cumulative sum (Page 1954) looks for a shift
that stays. While the sum is up what is usual stands still. Silent: it calls nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: Textbook constants for a shift of one standard deviation: what is taken off each night, and the
#: sum that counts as an onset (once in about 900 independent nights by chance: Hawkins and Olwell
#: 1998; nights of one person are not independent, so it is more often).
ALLOWED, ONSET = 0.5, 5.0
RAISED = ONSET / 2
#: One night counts as so much at most: no single one makes an onset of a usual week, nor a raised
#: sum. The sum grows to so much at most: it must come down again.
FARTHEST, MOST = 2.5, ONSET + 2.0
#: So many nights before anything is said; what is usual is a mean over so many.
LEAST_NIGHTS, MEMORY = 14, 28
#: After so many nights up this is how the person is now; after a gap of so many all begins anew.
LONGEST_UP, LONGEST_GAP = 28, 14
#: How much two signals of a night vary together: fused innovations are no sum of independent ones.
TOGETHER = 0.3


@dataclass(frozen=True, slots=True)
class Expected:
    """What an infection does to a signal (+1 or −1), and how much nights of one person differ.

    spread: the standard deviation that is assumed of somebody of whom nothing is known, counting as
    `ASSUMED` nights.
    """

    sign: float
    spread: float


ASSUMED = 5.0
#: Proposals that need a clinician; in the signal's unit.
SIGNALS_OF_ILLNESS: Mapping[str, Expected] = {
    "heart_rate": Expected(1.0, 3.0),
    "respiratory_rate": Expected(1.0, 0.7),
    "hrv_rmssd": Expected(-1.0, 8.0),
    "skin_temperature": Expected(1.0, 0.4),
}


class State(StrEnum):
    """What a night says."""

    LEARNING = "learning"  # not yet known
    USUAL = "usual"
    RAISED = "raised"  # on its way
    ONSET = "onset"


@dataclass(frozen=True, slots=True)
class Measured:
    """One signal of one night: its resting value and that value's variance."""

    value: float
    variance: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What a night said. innovation: fused, in standard deviations; usual: signal → mean before it;
    nights: so many were learnt before it."""

    night: int
    state: State
    cusum: float
    innovation: float
    usual: Mapping[str, float]
    nights: int


@dataclass(slots=True)
class _Usual:
    """Mean and variance between nights of one signal."""

    nights: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def learn(self, value: float, spread: float) -> None:
        """A night that was as usual, or teaches what is."""
        self.nights += 1
        share = 1 / min(self.nights, MEMORY)
        away = value - self.mean
        if self.nights > LEAST_NIGHTS // 2:  # one odd night does not change what is usual
            away = min(max(away, -FARTHEST * spread), FARTHEST * spread)
        self.mean += share * away
        self.variance += share * (away * away * (1 - share) - self.variance)

    def spread(self, assumed: float) -> float:
        """Standard deviation between nights, shrunk towards the assumed one."""
        nights = min(self.nights, MEMORY)
        total = nights * self.variance + ASSUMED * assumed * assumed
        return math.sqrt(total / (nights + ASSUMED))


@dataclass(slots=True)
class Onset:
    """One person's memory: a few numbers for each signal, however many nights."""

    cusum: float = 0.0
    up: int = 0
    last: int | None = None
    usual: dict[str, _Usual] = field(default_factory=dict)

    def judge(self, night: int, measured: Mapping[str, Measured]) -> Judged:
        """Take in a night (days since the epoch, ascending); signals it does not know are ignored.

        Raises ValueError: not after the last one.
        """
        if self.last is not None and night <= self.last:
            raise ValueError(f"night {night} is not after {self.last}")
        if self.last is not None and night - self.last > LONGEST_GAP:
            self.cusum, self.up, self.usual = 0.0, 0, {}
        self.last = night
        known = {code: m for code, m in measured.items() if code in SIGNALS_OF_ILLNESS}
        before = {code: self.usual[code].mean for code in known if code in self.usual}
        nights = max((one.nights for one in self.usual.values()), default=0)
        innovations = self._innovations(known)
        state, fused = State.LEARNING, math.nan
        if innovations:
            k = len(innovations)
            fused = sum(innovations) / math.sqrt(k + k * (k - 1) * TOGETHER)
            fused = min(max(fused, -FARTHEST), FARTHEST)
            self.cusum = min(max(self.cusum + fused - ALLOWED, 0.0), MOST)
            state = State.USUAL
            if self.cusum >= RAISED:
                state = State.ONSET if self.cusum >= ONSET else State.RAISED
        self._learn(known)
        return Judged(night, state, self.cusum, fused, before, nights)

    def _innovations(self, measured: Mapping[str, Measured]) -> list[float]:
        found = []
        for code, one in measured.items():
            usual = self.usual.get(code)
            if usual is None or usual.nights < LEAST_NIGHTS:
                continue
            expected = SIGNALS_OF_ILLNESS[code]
            # The mean of so few nights is itself not known better than this.
            nights = 1 + 1 / min(usual.nights, MEMORY)
            spread = math.sqrt(nights * usual.spread(expected.spread) ** 2 + one.variance)
            found.append(expected.sign * (one.value - usual.mean) / spread)
        return found

    def _learn(self, measured: Mapping[str, Measured]) -> None:
        """What is usual stands still while the sum is up, four weeks at most."""
        self.up = self.up + 1 if self.cusum >= ONSET else 0
        if self.up > LONGEST_UP:
            self.cusum, self.up, self.usual = 0.0, 0, {}
        if self.up:
            return
        for code, one in measured.items():
            usual = self.usual.setdefault(code, _Usual())
            usual.learn(one.value, usual.spread(SIGNALS_OF_ILLNESS[code].spread))


def judged(nights: Mapping[int, Mapping[str, Measured]]) -> Sequence[Judged]:
    """All nights of one person, in order."""
    onset = Onset()
    return [onset.judge(night, nights[night]) for night in sorted(nights)]
