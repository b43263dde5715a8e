"""Readings of the reference, and for each what every forecaster had said of its moment.

n readings of a signal at one horizon; for each forecaster mean and std (n,) of the forecast that a
reading judges, NaN where none was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.estimation.pairing import Key, Readings, Track, held, keys_of, origins, usual_interval

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sides:
    """All that is compared of one signal: reference, what the twin was given, forecasters."""

    signal: str
    truth: Mapping[Key, Readings]
    given: Mapping[Key, Readings]
    ours: Mapping[Key, Track]
    others: Mapping[str, Mapping[Key, Track]]
    raw: Mapping[str, Mapping[Key, Readings]]
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Judged:
    """n readings with the twin's forecast, by person and stamp, and the others' of the same."""

    person: NDArray[np.int64]
    at: NDArray[np.int64]
    truth: Numbers
    mean: Numbers
    std: Numbers
    low: Numbers
    high: Numbers
    others: Mapping[str, tuple[Numbers, Numbers]]

    def inside(self) -> NDArray[np.bool_]:
        """(3, n): whether each reading lies in the 50, 90, 95 % band."""
        return np.asarray((self.truth >= self.low) & (self.truth <= self.high))

    def of(self, person: int) -> NDArray[np.int64]:
        """Places of one person."""
        return np.flatnonzero(self.person == person)


def judged_readings(sides: Sides, place: int, seconds: float) -> Judged:
    """Readings of all persons that the twin forecast, with every forecaster's mean and std."""
    parts: list[tuple[NDArray[np.int64], ...]] = []
    columns: list[list[Numbers]] = []
    names = ["persistence", *sides.raw, *sides.others]
    for key in keys_of(sides.signal, sides.ours):
        track, truth = sides.ours[key], sides.truth.get(key)
        if truth is None:
            continue
        origin = origins(track.made, truth.at, seconds)
        chosen = np.flatnonzero(origin >= 0)
        at, origin = truth.at[chosen], origin[chosen]
        forecasts = [held(sides.given[key], track.made[origin])]
        forecasts += [_held_raw(each.get(key), track.made[origin]) for each in sides.raw.values()]
        none = np.full(len(at), np.nan)
        spreads = [none] * len(forecasts)
        for other in sides.others.values():
            mean, std = _theirs(other.get(key), at, place, seconds)
            forecasts.append(mean)
            spreads.append(std)
        parts.append((np.full(len(at), sides.numbers[key[0]]), at))
        columns.append(
            [
                truth.value[chosen],
                *(track.mean[origin, place], track.std[origin, place]),
                *(track.low[origin, place].T, track.high[origin, place].T),
                *forecasts,
                *spreads,
            ]
        )
    return _joined(parts, columns, names)


def _joined(
    parts: Sequence[tuple[NDArray[np.int64], ...]],
    columns: Sequence[Sequence[Numbers]],
    names: Sequence[str],
) -> Judged:
    if not parts:
        no, three = np.empty(0), np.empty((3, 0))
        count = np.empty(0, np.int64)
        return Judged(count, count, no, no, no, three, three, {})
    person, at = (np.concatenate(each) for each in zip(*parts, strict=True))
    truth, mean, std, low, high, *rest = (
        np.concatenate(each, axis=-1) for each in zip(*columns, strict=True)
    )
    pairs = zip(rest[: len(names)], rest[len(names) :], strict=True)
    return Judged(person, at, truth, mean, std, low, high, dict(zip(names, pairs, strict=True)))


def _held_raw(given: Readings | None, at: NDArray[np.int64]) -> Numbers:
    """A device's last value, if it is not older than five of its usual intervals (2 s at least)."""
    if given is None:
        return np.full(len(at), np.nan)
    return held(given, at, max(2 * SECOND, 5 * usual_interval(given.at)))


def _theirs(
    track: Track | None, at: NDArray[np.int64], place: int, seconds: float
) -> tuple[Numbers, Numbers]:
    none = np.full(len(at), np.nan)
    if track is None:
        return none, none
    origin = origins(track.made, at, seconds)
    mean = np.where(origin >= 0, track.mean[origin, place], np.nan)
    return mean, np.where(origin >= 0, track.std[origin, place], np.nan)
