"""A history cut to a pixel budget: buckets that keep the extremes, gaps that stay gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bands import Bands
from twin.estimate import Series

Numbers = NDArray[np.float64]
Stamps = NDArray[np.int64]


def bucket_length(start: int, end: int, points: int) -> int:
    """Length in ns of at most `points` equal buckets that cover [start, end)."""
    return max(1, -(-(end - start) // max(1, points)))


def raw(
    time: Stamps,
    mean: Numbers,
    band: Bands,
    observed_at: Stamps,
    observed: Numbers,
    device: Sequence[str],
    cursor: str | None,
) -> Series:
    """A page of a series as it is stored."""
    return Series(
        "raw",
        time,
        mean,
        band.lo50,
        band.hi50,
        band.lo95,
        band.hi95,
        mean,
        mean,
        observed_at,
        observed,
        device,
        cursor,
    )


def bucketed(
    time: Stamps, mean: Numbers, band: Bands, start: int, length: int, seen: Observed
) -> Series:
    """Buckets of `length` ns from `start` on; a bucket's time is its beginning.

    time, mean, band: all estimates of the range, sorted by time. Empty buckets are absent.
    """
    slot = (time - start) // length
    first = np.flatnonzero(np.diff(slot, prepend=-1))
    counts = np.diff(first, append=len(slot))
    thin = seen.thinned(start, length)
    return Series(
        "bucket",
        start + slot[first] * length,
        _each(np.add, mean, first) / counts,
        _each(np.minimum, band.lo50, first),
        _each(np.maximum, band.hi50, first),
        _each(np.minimum, band.lo95, first),
        _each(np.maximum, band.hi95, first),
        _each(np.minimum, mean, first),
        _each(np.maximum, mean, first),
        thin.time,
        thin.value,
        thin.names(),
        None,
    )


def _each(ufunc: np.ufunc, values: Numbers, first: NDArray[np.intp]) -> Numbers:
    if not len(first):
        return np.empty(0)
    reduced: Numbers = ufunc.reduceat(values, first)
    return reduced


class Observed:
    """Observations of several devices, sorted by time: time (n,) ns, value (n,), device of each."""

    def __init__(
        self, time: Stamps, value: Numbers, device: NDArray[Any], devices: Sequence[str]
    ) -> None:
        self.time, self.value, self.device, self.devices = time, value, device, devices

    @classmethod
    def of(cls, parts: Sequence[tuple[str, Stamps, Numbers]]) -> Observed:
        """Of (device, time, value) for each device."""
        devices = [device for device, _, _ in parts]
        time = np.concatenate([np.empty(0, np.int64), *(time for _, time, _ in parts)])
        value = np.concatenate([np.empty(0), *(value for _, _, value in parts)])
        device = np.repeat(np.arange(len(parts)), [len(time) for _, time, _ in parts])
        return cls(time, value, device, devices)._at(np.argsort(time, kind="stable"))

    def names(self) -> list[str]:
        """The device of each observation."""
        return [self.devices[i] for i in self.device.tolist()]

    def thinned(self, start: int, length: int) -> Observed:
        """The first, smallest, largest and last observation of each bucket."""
        slot = (self.time - start) // length
        smallest = np.lexsort((self.value, slot))  # of equal ones the earliest
        largest = np.lexsort((-self.value, slot))
        first = np.flatnonzero(np.diff(slot, prepend=-1))
        last = np.append(first[1:], len(slot)) - 1 if len(first) else first
        return self._at(np.unique(np.concatenate([first, last, smallest[first], largest[first]])))

    def _at(self, chosen: NDArray[np.intp]) -> Observed:
        return Observed(self.time[chosen], self.value[chosen], self.device[chosen], self.devices)
