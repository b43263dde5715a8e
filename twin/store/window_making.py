"""Windows of many touched quarters at once: from their rows in the file to the tables of windows.

A quarter of one series is a few hundred rows, and some hundred calls of numpy if it is made by
itself. So all that are wanted are laid one behind the other on one axis of time, a quarter of an
hour for each, and made as if they were one series; quarters of one signal together, as means and
bands are cut to where a signal can be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.bytewise import joined, taken
from twin.store.aggregates import (
    LENGTHS,
    NO_LIMIT,
    QUARTER,
    Estimates,
    Limits,
    Windows,
    aggregated,
    combined,
)
from twin.store.blocks import Rows, steps_per_unit
from twin.store.catalogue import SeriesTable
from twin.store.rows import by_series, home_rows, sealed_between
from twin.store.series_rows import bands_of, mean_of
from twin.store.slices import charted
from twin.store.sqlite_file import LAYOUTS, SeriesKey, Stored, homes
from twin.store.thinning import Observed
from twin.store.windows import Marks, rows_from, store

#: (number of an estimate series, quarter of an hour since 1970)
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows of quarters, each time of a series once; of: (n,) the quarter that each belongs to, in
    ascending order; which: (n,) the place of its series among those that were asked for."""

    rows: Rows
    of: NDArray[np.int64]
    which: NDArray[np.int64]

    def between(self, first: int, end: int) -> Placed:
        """Those of the quarters [first, end)."""
        part = slice(*np.searchsorted(self.of, (first, end)))
        return Placed(self.rows[part], self.of[part], self.which[part])


def make_windows(
    db: apsw.Connection,
    series: SeriesTable,
    marks: Marks,
    wanted: Sequence[Pair],
    limits: Limits,
) -> None:
    """Make these quarters anew and take their marks away; part of the caller's transaction.

    Where rows of a quarter were forgotten, its windows stay as they are.
    """
    forgotten = rows_from(db)
    pairs = [pair for pair in wanted if pair[1] * QUARTER >= forgotten]
    signals = [series.key(number).signal for number, _ in pairs]
    order = sorted(range(len(pairs)), key=signals.__getitem__)
    pairs, signals = [pairs[i] for i in order], [signals[i] for i in order]
    quarters = np.array([quarter for _, quarter in pairs], np.int64)
    shift = (np.arange(len(pairs)) - quarters) * QUARTER
    estimates, observations, device = _read(db, series, pairs)
    first = 0
    while first < len(pairs):
        signal, end = signals[first], first + signals[first:].count(signals[first])
        known, seen = estimates.between(first, end), observations.between(first, end)
        time = known.rows["time"] + shift[known.of]
        mean, band = mean_of(known.rows, signal), bands_of(known.rows, signal)
        seen_at = seen.rows["time"] + shift[seen.of]
        value = seen.rows["value"].astype(np.float64)
        made = aggregated(
            Estimates(time, mean, band),
            Observed(seen_at, value, device[seen.which], ()),
            LENGTHS[0],
            limits.get(signal, NO_LIMIT),
        )
        for length, windows in zip(LENGTHS, (made, combined(made, QUARTER)), strict=True):
            place = windows["start"] // QUARTER
            windows["start"] -= shift[place]
            _round(windows, steps_per_unit(signal))
            ends = np.searchsorted(place, np.arange(first + 1, end))
            store(db, length, pairs[first:end], np.split(windows, ends))
        first = end
    marks.made(wanted)


def _round(windows: Windows, per_unit: int) -> None:
    """Round what was averaged, or reckoned from means and widths, to the stored step of the signal
    or less: to a power of two, so that most bytes of a number are zero.

    A quarter's minutes are then a third shorter. Above 1 002 bytes (SQLite's limit for a table
    without row numbers) they would take a page of their own, four times as much.
    """
    step = 2.0 ** math.floor(-math.log2(per_unit))
    for name in ("mean", "lo50", "hi50", "lo95", "hi95", "value"):
        windows[name] = np.rint(windows[name] / step) * step


def _read(
    db: apsw.Connection, series: SeriesTable, pairs: Sequence[Pair]
) -> tuple[Placed, Placed, NDArray[np.uint32]]:
    """Estimates and observations of the quarters, each sorted by quarter and time; the number of
    the device of each observation series that `which` counts."""
    seen = [
        (i, key, quarter)
        for i, (number, quarter) in enumerate(pairs)
        for key in series.observations_of(number)
    ]
    of = np.array([i for i, _, _ in seen], np.int64)
    rows, which = _quarters(db, Stored.OBSERVATION, [(key, quarter) for _, key, quarter in seen])
    order = by_series(of[which].astype(np.uint32), rows["time"])
    observations = Placed(taken(rows, order), of[which][order], which[order])
    device = [series.device_number(key.device) for _, key, _ in seen]
    own = [(series.key(number), quarter) for number, quarter in pairs]
    rows, which = _quarters(db, Stored.ESTIMATE, own)
    return Placed(rows, which, which), observations, np.array(device, np.uint32)


def _quarters(
    db: apsw.Connection, stored: Stored, asked: Sequence[tuple[SeriesKey, int]]
) -> tuple[Rows, NDArray[np.int64]]:
    """Rows of quarters of series, the columns of a chart, sorted by what was asked and time, of
    several with the same time the newest; (n,) the place of each among what was asked."""
    layout = LAYOUTS[stored]
    parts, places = [np.empty(0, layout.chart)], [np.empty(0, np.int64)]
    in_blocks = _in_blocks(db, asked)
    for i, (key, quarter) in enumerate(asked):
        if key.id not in in_blocks:
            continue
        start, end = quarter * QUARTER, (quarter + 1) * QUARTER
        sealed, _ = sealed_between(db, key, start, end, chart=True)
        sealed = taken(sealed, (sealed["time"] >= start) & (sealed["time"] < end))
        parts.append(sealed)
        places.append(np.full(len(sealed), i))
    codes = np.array([key.id << 32 | quarter for key, quarter in asked], np.int64)
    order = np.argsort(codes)
    for kind in zip(*(homes(key.id) for key, _ in asked), strict=True):  # oldest rows first
        for home in sorted(set(kind)):
            rows = home_rows(db, stored, home)
            code = rows["series"].astype(np.int64) << 32 | rows["time"] // QUARTER
            near = np.minimum(np.searchsorted(codes[order], code), len(codes) - 1)
            chosen = np.flatnonzero(codes[order][near] == code)
            parts.append(charted(taken(rows, chosen), layout))
            places.append(order[near[chosen]])
    return _newest(joined(parts), np.concatenate(places))


def _in_blocks(db: apsw.Connection, asked: Sequence[tuple[SeriesKey, int]]) -> set[int]:
    """Numbers of the series of which a block may reach into a quarter that was asked for. Mostly
    all are hot still, and to ask for each would be a third of the work."""
    found = db.execute(
        "SELECT DISTINCT value FROM json_each(?1) WHERE EXISTS"
        " (SELECT 1 FROM extent WHERE series = value AND t1 >= ?2)",
        (
            json.dumps([key.id for key, _ in asked]),
            min((quarter for _, quarter in asked), default=0) * QUARTER,
        ),
    )
    return {int(number) for (number,) in found}


def _newest(rows: Rows, place: NDArray[np.int64]) -> tuple[Rows, NDArray[np.int64]]:
    """Sorted by place and time; of several of one place and time the last one."""
    order = by_series(place.astype(np.uint32), rows["time"])
    rows, place = taken(rows, order), place[order]
    again = (place[1:] == place[:-1]) & (rows["time"][1:] == rows["time"][:-1])
    if not again.any():
        return rows, place
    last = np.append(~again, True)
    return taken(rows, last), place[last]
