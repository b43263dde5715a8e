"""Hot rows of some series → blocks: what is enough for a block is sealed, the rest is kept.

A series' blocks never overlap: rows that fall into the time of an earlier block (late revisions)
are put into it, newer versions over older ones. The newest rows stay hot, because these are the
ones that are still revised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps

import apsw
import numpy as np

from twin.bytewise import joined, octets, taken
from twin.store.blocks import Rows, encode
from twin.store.rows import EXTENTS, by_series, newest_versions, sealed_between
from twin.store.sqlite_file import LAYOUTS, SeriesKey

#: A series with this many hot rows has its group or bucket sealed.
SEAL_AT = 1088
#: In what is being sealed, series with fewer hot rows than this stay hot.
SEAL_MINIMUM = 512
#: The newest rows of a series, which stay hot.
STAY_HOT = 64
#: Rows of a block at most: 65 535 is the format's limit, a chart of an hour needs few of them.
BLOCK_ROWS = 2048
#: Numbers of series that lie further apart, beyond as many as there are rows, are sorted.
_SPAN = 1 << 18
_NEWEST = """
SELECT value, (SELECT t1 FROM extent WHERE series = value ORDER BY t0 DESC LIMIT 1)
 FROM json_each(?)
"""


def seal(connection: apsw.Connection, keys: Mapping[int, SeriesKey], rows: Rows) -> Rows:
    """Seal what is enough of hot rows in the order in which they were written; the rows that stay
    hot, each time once. keys: all series by number. To be called in a transaction."""
    rows = newest_by_series(rows)
    series = rows["series"].astype(np.int64)
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    bounds = zip(starts.tolist(), [*starts[1:].tolist(), len(rows)], strict=True)
    newest = _newest_sealed(connection, series[starts].tolist())
    stay = [rows[:0]]
    for number, (start, end) in zip(series[starts].tolist(), bounds, strict=True):
        ripe = start
        if end - start >= SEAL_MINIMUM:
            ripe = end - STAY_HOT
            _seal(connection, keys[number], rows[start:ripe], newest[number])
        stay.append(rows[ripe:end])
    return joined(stay)


def newest_by_series(rows: Rows) -> Rows:
    """Sorted by series and time, of each time the newest version."""
    # Compiled, and numba is loaded by who writes alone.
    from twin.store.unpack_kernel import in_order, span_of

    n, item = len(rows), rows.dtype.itemsize
    whole = octets(rows)
    least, most = span_of(whole, item, n) if n else (0, 0)
    if most - least <= _SPAN + n:
        begin, order = np.zeros((2, most - least + 1), np.int64), np.empty(n, np.int64)
        kept = in_order(whole, item, n, least, begin[0], begin[1], order)
        if kept >= 0:
            return taken(rows, order[:kept])
    series, time = rows["series"], rows["time"]
    order = by_series(series, time)
    series, time = series[order], time[order]
    last = np.append((series[1:] != series[:-1]) | (time[1:] != time[:-1]), True)
    return taken(rows, order[last])


def _newest_sealed(connection: apsw.Connection, series: Sequence[int]) -> dict[int, int | None]:
    """The newest time in blocks of each series: one question for all, as each costs 50 µs."""
    return dict(connection.execute(_NEWEST, (dumps(series),)))


def _seal(
    connection: apsw.Connection, key: SeriesKey, rows: Rows, newest_sealed: int | None
) -> None:
    layout = LAYOUTS[key.stored]
    t0, t1 = _ends(rows)
    if newest_sealed is not None and newest_sealed >= t0:
        earlier = connection.execute(EXTENTS, (key.id, t0, t1 + 1)).fetchall()
        old, _ = sealed_between(connection, key, t0, t1 + 1)
        rows = newest_versions(joined([old, rows]))
        for first, _last, _n, block in earlier:
            connection.execute("DELETE FROM extent WHERE series = ? AND t0 = ?", (key.id, first))
            connection.execute("DELETE FROM block WHERE id = ?", (block,))
    few = len(rows) <= BLOCK_ROWS
    for part in [rows] if few else np.array_split(rows, -(-len(rows) // BLOCK_ROWS)):
        blobs = encode(part, layout, key.per_unit)
        connection.execute("INSERT INTO block(first, second) VALUES(?, ?)", blobs)
        extent = (key.id, *_ends(part), len(part))
        connection.execute(
            "INSERT INTO extent VALUES(?, ?, ?, ?, ?)", (*extent, connection.last_insert_rowid())
        )


def _ends(rows: Rows) -> tuple[int, int]:
    """The first and the last time of n ≥ 1 rows."""
    time = rows["time"]
    return int(time[0]), int(time[-1])
