"""Rows of one series between two times, from blocks and hot slices of the embedded store's file."""

from __future__ import annotations

from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.bytewise import joined, taken
from twin.store.blocks import BlockDamaged, Rows, decode
from twin.store.slices import rows_of_series, unpacked
from twin.store.sqlite_file import LAYOUTS, SeriesKey, Stored, homes, places

EXTENTS = """
SELECT t0, t1, n, block FROM extent WHERE series = ?1 AND t0 < ?3 AND t1 >= ?2
 AND t0 >= coalesce((SELECT max(t0) FROM extent WHERE series = ?1 AND t0 <= ?2), ?2) ORDER BY t0
"""


def rows_between(
    connection: apsw.Connection,
    key: SeriesKey,
    start: int,
    end: int,
    chart: bool = True,
    at_most: int | None = None,
) -> tuple[Rows, int]:
    """Rows of one series with start ≤ time < until, sorted by time, each time once: (rows, until).

    The newest version of each. until is `end`, or less if more than `at_most` rows came before it.
    chart: only the columns of the layout's first half. To be called inside a transaction.
    """
    sealed, until = sealed_between(connection, key, start, end, chart, at_most)
    hot = hot_rows(connection, key, chart)
    hot = taken(hot, (hot["time"] >= start) & (hot["time"] < until))
    return newest_versions(joined([_within(sealed, start, end), hot])), until


def _within(rows: Rows, start: int, end: int) -> Rows:
    """Of rows sorted by time those in [start, end)."""
    time = np.ascontiguousarray(rows["time"])
    first, last = np.searchsorted(time, (start, end))
    return rows[first:last]


def sealed_between(
    connection: apsw.Connection,
    key: SeriesKey,
    start: int,
    end: int,
    chart: bool = False,
    at_most: int | None = None,
) -> tuple[Rows, int]:
    """All rows of the blocks that reach into [start, end), and until when these are all of them."""
    layout = LAYOUTS[key.stored]
    parts = [np.empty(0, layout.chart if chart else layout.rows)]
    within = 0
    extents: list[tuple[Any, ...]] = connection.execute(EXTENTS, (key.id, start, end)).fetchall()
    for extent in extents:
        parts.append(_block(connection, extent, key, chart))
        within += int((parts[-1]["time"] >= start).sum())
        if at_most is not None and within > at_most:
            return joined(parts), min(end, int(extent[1]) + 1)
    return joined(parts), end


def _block(
    connection: apsw.Connection, extent: tuple[Any, ...], key: SeriesKey, chart: bool
) -> Rows:
    _t0, _t1, n, block = extent
    columns = "first, NULL" if chart else "first, second"
    found = connection.execute(f"SELECT {columns} FROM block WHERE id = ?", (block,)).fetchone()
    if found is None:
        raise BlockDamaged(f"block {block} is missing")
    first, second = found
    return decode(first, second, n, LAYOUTS[key.stored], key.per_unit, key.id)


def hot_rows(connection: apsw.Connection, key: SeriesKey, chart: bool) -> Rows:
    """The hot rows of one series in the order in which they were written."""
    found = [blob for home in homes(key.id) for blob in _slices(connection, key.stored, home)]
    return rows_of_series(found, LAYOUTS[key.stored], key.id, chart)


def home_rows(connection: apsw.Connection, stored: Stored, home: int) -> Rows:
    """All hot rows of a home in the order in which they were written; for who writes."""
    return unpacked(_slices(connection, stored, home), LAYOUTS[stored])


def _slices(connection: apsw.Connection, stored: Stored, home: int) -> list[bytes]:
    found = connection.execute(
        "SELECT rows FROM hot WHERE place BETWEEN ? AND ? ORDER BY place", places(stored, home)
    )
    return [blob for (blob,) in found]


def by_series(series: NDArray[np.integer[Any]], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """The order of rows (n,) by series and time, equal ones as they come.

    Rows mostly come by time already: then sorting by series, whose numbers are short, is all.
    """
    short = series - series.min() if len(series) else series
    if short.max(initial=0) < 1 << 16:
        short = short.astype(np.uint16)
    order = np.argsort(short, kind="stable")
    own, when = series[order], time[order]
    if bool(((own[1:] != own[:-1]) | (when[1:] >= when[:-1])).all()):
        return order
    return np.lexsort((time, series))


def newest_versions(rows: Rows) -> Rows:
    """Rows of one series sorted by time; of several with the same time the last one."""
    if len(rows) < 2 or bool((rows["time"][1:] > rows["time"][:-1]).all()):
        return rows
    rows = taken(rows, np.argsort(rows["time"], kind="stable"))
    last = np.append(rows["time"][1:] != rows["time"][:-1], True)
    return taken(rows, last)
