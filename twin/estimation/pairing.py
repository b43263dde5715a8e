"""Which forecast is judged by which reading of the reference.

Each reading is judged once for each horizon h. The forecast is the one made nearest to h before it
(within a quarter of h and half the usual interval between estimates); for h = 0 the last estimate
not newer than it (within one and a half usual intervals, at least 2 s). Nobody looks ahead: nothing
that was measured after the forecast was made goes into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from ingest.recording import Recording
from twin.estimation.replay import Replayed

Key = tuple[str, str]  # patient, signal


@dataclass(frozen=True, slots=True)
class Readings:
    """Stamps (n,) ns, ascending, and values (n,) of one key."""

    at: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Track:
    """Forecasts of one key in the order they were made, each for H horizons (the first is now).

    made (n,) ns, ascending and distinct; mean, std (n, H); low, high (n, H, 3): 50, 90, 95 % bands.
    """

    made: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def rows_of(recording: Recording, chosen: NDArray[np.int64]) -> Mapping[Key, NDArray[np.int64]]:
    """Places in `chosen` (rows of the recording) of each key, in their order."""
    places: dict[Key, list[int]] = {}
    for place, row in enumerate(chosen.tolist()):
        places.setdefault((recording.patient[row], recording.signal[row]), []).append(place)
    return {key: np.array(found, np.int64) for key, found in places.items()}


def subset(recording: Recording, rows: NDArray[np.int64]) -> Recording:
    """These rows of the recording, in this order; a row may come more than once."""
    chosen = rows.tolist()
    return replace(
        recording,
        patient=[recording.patient[row] for row in chosen],
        device=[recording.device[row] for row in chosen],
        signal=[recording.signal[row] for row in chosen],
        value=recording.value[rows],
        measured_at=recording.measured_at[rows],
        received_at=recording.received_at[rows],
        noise_std=recording.noise_std[rows],
        quality=recording.quality[rows],
        line=recording.line[rows],
        blank=0,
        refused={},
    )


def readings(recording: Recording, rows: NDArray[np.int64] | None = None) -> dict[Key, Readings]:
    """Plausible readings of each key, by stamp; `rows` chooses."""
    chosen = np.arange(len(recording)) if rows is None else rows
    found = {}
    for key, places in rows_of(recording, chosen).items():
        row = chosen[places]
        value, signal = recording.value[row], SIGNALS[key[1]]
        row = row[(value >= signal.lower) & (value <= signal.upper)]
        row = row[np.argsort(recording.measured_at[row], kind="stable")]
        found[key] = Readings(recording.measured_at[row], recording.value[row])
    return found


def tracks(recording: Recording, replayed: Replayed, horizons: int) -> dict[Key, Track]:
    """What a replay with so many horizons beyond now said of each key."""
    each, table = 1 + horizons, replayed.table

    def column(name: str) -> NDArray[np.float64]:
        return np.asarray(table.column(name).to_numpy(), np.float64).reshape(-1, each)

    made = table.column("as_of").to_numpy().astype(np.int64).reshape(-1, each)[:, 0]
    mean, std = column("mean"), column("std")
    low = np.stack([column(f"lo{level}") for level in (50, 90, 95)], axis=2)
    high = np.stack([column(f"hi{level}") for level in (50, 90, 95)], axis=2)
    found = {}
    for key, places in rows_of(recording, replayed.taken).items():
        # Of several observations at one stamp the last row has seen them all.
        last = places[np.append(np.diff(made[places]) != 0, True)]
        found[key] = Track(made[last], mean[last], std[last], low[last], high[last])
    return found


def usual_interval(at: NDArray[np.int64]) -> int:
    """Median distance (ns) of ascending stamps; 0 with fewer than two."""
    return int(np.median(np.diff(at))) if len(at) > 1 else 0


def origins(made: NDArray[np.int64], at: NDArray[np.int64], horizon_s: float) -> NDArray[np.int64]:
    """(len(at),) place in `made` of the forecast that each reading judges; −1: none was made."""
    if not len(made):
        return np.full(len(at), -1, np.int64)
    horizon, interval = round(horizon_s * SECOND), usual_interval(made)
    asked = at - horizon
    before = np.searchsorted(made, asked, "right") - 1
    if horizon == 0:
        place, limit = before, max(2 * SECOND, 3 * interval // 2)
    else:
        limit = min(horizon // 4, max(SECOND // 2, interval // 2))
        place, after = np.maximum(before, 0), np.minimum(before + 1, len(made) - 1)
        nearer = np.abs(made[after] - asked) < np.abs(made[place] - asked)
        # Without `made < at` a forecast that already holds the reading could judge itself.
        place = np.where(nearer & (made[after] < at), after, place)
    near = (place >= 0) & (np.abs(made[place] - asked) <= limit)
    return np.where(near, place, -1)


def held(given: Readings, at: NDArray[np.int64], limit: int | None = None) -> NDArray[np.float64]:
    """(len(at),) the last value not newer than each stamp, NaN if there is none within limit ns."""
    if not len(given.at):
        return np.full(len(at), np.nan)
    place = np.searchsorted(given.at, at, "right") - 1
    value = np.where(place >= 0, given.value[place], np.nan)
    if limit is not None:
        value = np.where(at - given.at[place] <= limit, value, np.nan)
    return value


def horizon_name(seconds: float) -> str:
    """ "now", "60s", "15min", "1h": as people write them and threshold files name them."""
    if seconds == 0:
        return "now"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= max(size, 120) and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def keys_of(signal: str, keys: Sequence[Key] | Mapping[Key, object]) -> list[Key]:
    """The keys of one signal, in their order."""
    return [key for key in keys if key[1] == signal]
