"""What the twin concludes of what is usual: for a person, and for the readings of a device.

Neither raises an alarm. Times are int64 ns UTC; numbers are in the signal's canonical unit, NaN
where there is none.
"""

from __future__ import annotations

import math

import msgspec

from ingest.instant import DAY, HOUR

#: Upper quartile of the standard normal distribution.
_Z50 = 0.6744897501960817


class Departure(msgspec.Struct, frozen=True, array_like=True):
    """What one signal adds to a change index.

    departure: mean of the last day away from usual, in the person's standard deviations of a
    quarter of an hour; contribution: its part of the statistic (they add up to it; one may be
    negative). usual, spread: mean and standard deviation that are usual for the person, in the
    signal's unit.
    """

    signal: str
    departure: float
    contribution: float
    usual: float
    spread: float


class Habit(msgspec.Struct, frozen=True, array_like=True):
    """What is usual of one signal for a person at each time of day, in its unit (docs/models.md).

    terms: mean, cosine and sine of a swing of 24 h, of one of 12 h, from midnight UTC; std:
    standard deviation of the person's hours about that; known: bit n is set if it is known of the
    hour from n UTC.
    """

    signal: str
    terms: tuple[float, ...]
    std: float
    known: int

    def at(self, instant: int) -> tuple[float, float] | None:
        """(lower, upper) end of the middle half of what is usual at an instant (ns UTC); None: of
        that hour it is not known."""
        if not self.known >> (instant % DAY // HOUR) & 1:
            return None
        w = 2.0 * math.pi * (instant % DAY) / DAY
        waves = (1.0, math.cos(w), math.sin(w), math.cos(2.0 * w), math.sin(2.0 * w))
        usual = math.fsum(term * wave for term, wave in zip(self.terms, waves, strict=True))
        return usual - _Z50 * self.std, usual + _Z50 * self.std


class Change(msgspec.Struct, frozen=True, array_like=True):
    """How unusual the last day of a person is for that person. Written once an hour; no alarm.

    known False: not yet known (samples says how much is learnt); index, low, high are NaN then.
    index 0–1: the chi-squared cdf of `statistic` (T²); low, high: 90 % as few samples allow.
    samples: independent samples that the person's own covariance rests on. unusual: 0.99 was
    reached, and it is not below 0.95 since. departures: by contribution, the largest first. habits:
    what is usual at each hour, of the signals of which that is known; not kept in the stores.
    """

    patient: str
    at: int
    known: bool
    index: float
    low: float
    high: float
    statistic: float
    samples: float
    unusual: bool
    departures: tuple[Departure, ...]
    habits: tuple[Habit, ...] = ()


class DeviceConsistency(msgspec.Struct, frozen=True, array_like=True):
    """How the newest innovations of one device of a signal were (docs/models.md, Consistency).

    ratio: of their variance to the expected one (1 is right); lag1: correlation of neighbouring
    ones (0); in50, in90, in95: shares of readings inside the bands predicted for them. diverged:
    the signal's estimates are its readings.
    """

    signal: str
    device: str
    ratio: float
    lag1: float
    in50: float
    in90: float
    in95: float
    diverged: bool


class Consistency(msgspec.Struct, frozen=True, array_like=True):
    """Of one patient at one moment (ns UTC), every ten minutes. No alarm."""

    patient: str
    at: int
    of: tuple[DeviceConsistency, ...]
