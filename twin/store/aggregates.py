"""Estimates and observations of one signal as windows of a minute or a quarter of an hour.

A window holds what a chart of months and a report need of its rows: counts, means, extremes, the
widest bands, and how long the estimate was outside the limits. Windows of the same length add up:
buckets of a chart are made of whole windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE, SECOND
from twin.bands import Bands
from twin.estimate import Series
from twin.store.thinning import Observed

QUARTER = 15 * MINUTE
#: Lengths of stored windows, ns; the longer is made of whole shorter ones.
LENGTHS = (MINUTE, QUARTER)
#: An estimate counts as outside until the next one, but no longer than this.
_HOLD = MINUTE

#: start: int64 ns; n, observed: counts of estimates and observations; mean … hi95 of the
#: estimates, value … of the observations (NaN without any), in the signal's unit; outside_s:
#: seconds outside the limits; *_at: ns after start; *_device: number of the device.
AGGREGATE = np.dtype(
    [
        ("start", "<i8"),
        ("n", "<u4"),
        ("observed", "<u4"),
        ("outside_s", "<f4"),
        *((name, "<f8") for name in ("mean", "min", "max", "lo50", "hi50", "lo95", "hi95")),
        ("value", "<f8"),
        ("least", "<f8"),
        ("least_at", "<i8"),
        ("least_device", "<u4"),
        ("most", "<f8"),
        ("most_at", "<i8"),
        ("most_device", "<u4"),
    ]
)

_NUMBERS = ("mean", "min", "max", "lo50", "hi50", "lo95", "hi95", "value", "least", "most")

Windows = NDArray[Any]
#: Signal → (low, high), each in its unit; −∞ and ∞ where there is no limit.
Limits = Mapping[str, tuple[float, float]]
NO_LIMIT = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates of one series, sorted by time: time (n,) ns, mean (n,), bands of each."""

    time: NDArray[np.int64]
    mean: NDArray[np.float64]
    band: Bands


def aggregated(
    estimates: Estimates,
    seen: Observed,
    length: int,
    limit: tuple[float, float] = NO_LIMIT,
) -> Windows:
    """Windows (dtype AGGREGATE) of `length` ns, on its multiples, that hold any of the rows.

    seen.device: numbers of devices. Empty windows are absent.
    """
    of_estimate, of_observation = estimates.time // length, seen.time // length
    found = np.union1d(of_estimate, of_observation)
    made = np.zeros(len(found), AGGREGATE)
    made["start"] = found * length
    for name in _NUMBERS:
        made[name] = np.nan
    if len(of_estimate):
        _add_estimates(made, np.searchsorted(found, of_estimate), estimates, length, limit)
    if len(of_observation):
        _add_observations(made, np.searchsorted(found, of_observation), seen)
    return made


def _add_estimates(
    made: Windows,
    slot: NDArray[np.intp],
    estimates: Estimates,
    length: int,
    limit: tuple[float, float],
) -> None:
    first = np.flatnonzero(np.diff(slot, prepend=-1))
    used, counts = slot[first], np.diff(first, append=len(slot))
    mean, band = estimates.mean, estimates.band
    made["n"][used] = counts
    made["mean"][used] = np.add.reduceat(mean, first) / counts
    for name, function, values in (
        ("min", np.minimum, mean),
        ("max", np.maximum, mean),
        ("lo50", np.minimum, band.lo50),
        ("hi50", np.maximum, band.hi50),
        ("lo95", np.minimum, band.lo95),
        ("hi95", np.maximum, band.hi95),
    ):
        made[name][used] = function.reduceat(values, first)
    following = np.append(estimates.time[1:], np.iinfo(np.int64).max)
    ends = np.minimum(following, made["start"][slot] + length)
    lasts = np.minimum(ends - estimates.time, _HOLD) / SECOND
    outside = (mean < limit[0]) | (mean > limit[1])
    np.add.at(made["outside_s"], slot[outside], lasts[outside])


def _add_observations(made: Windows, slot: NDArray[np.intp], seen: Observed) -> None:
    first = np.flatnonzero(np.diff(slot, prepend=-1))
    used, counts = slot[first], np.diff(first, append=len(slot))
    made["observed"][used] = counts
    made["value"][used] = np.add.reduceat(seen.value, first) / counts
    for name, order in (
        ("least", np.lexsort((seen.value, slot))),
        ("most", np.lexsort((-seen.value, slot))),
    ):
        chosen = order[first]
        made[name][used] = seen.value[chosen]
        made[f"{name}_at"][used] = seen.time[chosen] - made["start"][used]
        made[f"{name}_device"][used] = seen.device[chosen]


def combined(windows: Windows, length: int, anchor: int = 0) -> Windows:
    """Windows of a longer `length`, a multiple of theirs, of windows sorted by start; one of them
    begins at `anchor`."""
    slot = (windows["start"] - anchor) // length
    first = np.flatnonzero(np.diff(slot, prepend=-1 if not len(slot) else slot[0] - 1))
    made = np.zeros(len(first), AGGREGATE)
    if not len(first):
        return made
    made["start"] = anchor + slot[first] * length
    for count, mean in (("n", "mean"), ("observed", "value")):
        number = windows[count].astype(np.int64)
        made[count] = total = np.add.reduceat(number, first)
        weighted = np.add.reduceat(np.where(number > 0, windows[mean] * number, 0.0), first)
        made[mean] = np.where(total > 0, weighted / np.maximum(total, 1), np.nan)
    made["outside_s"] = np.add.reduceat(windows["outside_s"], first)
    for name in ("min", "lo50", "lo95"):
        made[name] = np.fmin.reduceat(windows[name], first)
    for name in ("max", "hi50", "hi95"):
        made[name] = np.fmax.reduceat(windows[name], first)
    inside = slot - slot[first[0]]
    for name, sign in (("least", 1.0), ("most", -1.0)):
        value = np.where(windows["observed"] > 0, sign * windows[name], np.inf)
        chosen = np.lexsort((value, inside))[first]
        made[name], made[f"{name}_device"] = (
            windows[name][chosen],
            windows[f"{name}_device"][chosen],
        )
        at = windows["start"][chosen] + windows[f"{name}_at"][chosen]
        made[f"{name}_at"] = np.where(made["observed"] > 0, at - made["start"], 0)
    return made


def as_series(windows: Windows, start: int, devices: Mapping[int, str]) -> Series:
    """Buckets of a chart; the first begins no earlier than `start`."""
    held = windows[windows["n"] > 0]
    time = np.maximum(held["start"], start)
    seen_at, seen, device = _extremes(windows[windows["observed"] > 0], devices)
    return Series(
        "bucket", time, held["mean"], held["lo50"], held["hi50"], held["lo95"], held["hi95"],
        held["min"], held["max"], seen_at, seen, device, None,
    )  # fmt: skip


def _extremes(
    windows: Windows, devices: Mapping[int, str]
) -> tuple[NDArray[np.int64], NDArray[np.float64], Sequence[str]]:
    """The smallest and the largest observation of each window, in order, each once."""
    at = np.concatenate([windows["start"] + windows[f"{name}_at"] for name in ("least", "most")])
    value = np.concatenate([windows["least"], windows["most"]])
    number = np.concatenate([windows["least_device"], windows["most_device"]])
    _, once = np.unique(np.stack([at, number.astype(np.int64)], axis=1), axis=0, return_index=True)
    names = [devices.get(each, "") for each in number[once].tolist()]
    return at[once], value[once], names
