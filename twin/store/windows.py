"""Windows of aggregates in the embedded store's file, and which of them are out of date.

Tables beside the rows, made on opening and unknown to releases before them: these go on reading and
writing the same file. What such a release wrote is noticed (`marked` is behind `position`), and the
windows that it may have touched are made again.

touched: (number of an estimate series, quarter of an hour). A row that is written marks its
quarter in the same transaction; making a quarter anew takes the mark away in the same transaction.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apsw
import numpy as np

from twin.bytewise import octets, taken
from twin.store.aggregates import AGGREGATE, QUARTER, Windows
from twin.store.blocks import Rows, checked, with_checksum
from twin.store.slices import rows_of
from twin.store.sqlite_file import BUCKETS, LAYOUTS, Stored, slice_at

_TABLES = """
CREATE TABLE IF NOT EXISTS touched(
    series INTEGER, quarter INTEGER, PRIMARY KEY(series, quarter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aggregate(
    length INTEGER, series INTEGER, quarter INTEGER, rows BLOB NOT NULL,
    PRIMARY KEY(length, series, quarter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report(at INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT OR IGNORE INTO meta VALUES('marked', -1);
"""
_NEVER = np.iinfo(np.int64).min


def prepare(connection: apsw.Connection) -> None:
    """Make the tables where they are missing."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        connection.execute(_TABLES)
    connection.execute("COMMIT")


def catch_up(connection: apsw.Connection, marks: Marks) -> None:
    """Mark everything, if a release that knows nothing of windows wrote to the file. To be called
    in a transaction."""
    settings = dict(connection.execute("SELECT key, value FROM meta"))
    if settings["marked"] == settings["position"]:
        return
    kinds = (int(Stored.ESTIMATE), int(Stored.OBSERVATION))
    spans: list[tuple[Any, ...]] = connection.execute(
        "SELECT series, t0, t1 FROM extent JOIN series ON series.id = extent.series"
        " WHERE stored IN (?, ?)",
        kinds,
    ).fetchall()
    for number, t0, t1 in spans:
        quarters = np.arange(t0 // QUARTER, t1 // QUARTER + 1)
        rows = np.zeros(len(quarters), LAYOUTS[Stored.ESTIMATE].rows)
        rows["series"], rows["time"] = number, quarters * QUARTER
        marks.note(rows)
    hot: list[tuple[Any, ...]] = connection.execute("SELECT place, rows FROM hot").fetchall()
    for place, blob in hot:
        stored, _, _ = slice_at(place)
        if stored in kinds:
            rows = rows_of([blob], LAYOUTS[stored])
            marks.note(rows)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'marked'", (settings["position"],))


def mark(connection: apsw.Connection, windows: Iterable[tuple[int, int]]) -> None:
    """Say that these (series, quarter) are out of date."""
    connection.executemany("INSERT OR IGNORE INTO touched VALUES(?, ?)", windows)


class Marks:
    """Which quarters the writer has marked already, so that a row costs a comparison.

    estimates_of: number of the estimate series of a row's series.
    """

    def __init__(self, connection: apsw.Connection, estimates_of: Callable[[int], int]) -> None:
        self._connection, self._estimates_of = connection, estimates_of
        self._known = set(connection.execute("SELECT series, quarter FROM touched"))
        #: The beginning of the quarter of each series that was marked last, ns.
        self._newest = np.full(1024, _NEVER)

    def note(self, rows: Rows) -> None:
        """Mark the quarters of stored rows; part of the caller's transaction."""
        # Compiled, and numba is loaded by who writes alone.
        from twin.store.rows_kernel import in_another

        which, whole = np.empty(len(rows), np.int64), (octets(rows), rows.dtype.itemsize)
        found = in_another(*whole, self._newest, QUARTER, which)
        if found < 0:
            more = np.full(int(rows["series"].max()) + 1, _NEVER)
            self._newest = np.append(self._newest, more)
            found = in_another(*whole, self._newest, QUARTER, which)
        if not found:
            return
        other = taken(rows, which[:found])
        series, quarter = other["series"], other["time"] // QUARTER
        self._newest[series] = quarter * QUARTER
        pairs = set(zip(series.tolist(), quarter.tolist(), strict=True))
        told = {(self._estimates_of(number), each) for number, each in pairs}
        mark(self._connection, told - self._known)
        self._known |= told

    def made(self, windows: Iterable[tuple[int, int]]) -> None:
        """These are up to date again; part of the caller's transaction."""
        done = set(windows)
        self._connection.executemany(
            "DELETE FROM touched WHERE series = ? AND quarter = ?", list(done)
        )
        self._known -= done
        self._newest[:] = _NEVER


def touched(connection: apsw.Connection, before: int, at_most: int) -> list[tuple[int, int]]:
    """(series, quarter) out of date whose quarter ended by `before` (ns), by series' bucket, so
    that those next to each other have their hot rows in the same homes."""
    found: list[tuple[Any, ...]] = connection.execute(
        "SELECT series, quarter FROM touched WHERE quarter < ? ORDER BY series, quarter LIMIT ?",
        (before // QUARTER, at_most),
    ).fetchall()
    return sorted(found, key=lambda pair: (pair[0] % BUCKETS, pair))


def store(
    connection: apsw.Connection,
    length: int,
    pairs: Sequence[tuple[int, int]],
    windows: Sequence[Windows],
) -> None:
    """Replace the windows of one length in some (series, quarter)."""
    connection.executemany(
        "INSERT OR REPLACE INTO aggregate VALUES(?, ?, ?, ?)",
        [
            (length, *pair, with_checksum([zlib.compress(each.tobytes(), 1)]))
            for pair, each in zip(pairs, windows, strict=True)
            if len(each)
        ],
    )
    connection.executemany(
        "DELETE FROM aggregate WHERE length = ? AND series = ? AND quarter = ?",
        [(length, *pair) for pair, each in zip(pairs, windows, strict=True) if not len(each)],
    )


def load(
    connection: apsw.Connection, length: int, number: int, first: int, end: int
) -> tuple[Windows, list[int]]:
    """Windows of the quarters [first, end) that are up to date, and the quarters that are not."""
    stale = [
        int(quarter)
        for (quarter,) in connection.execute(
            "SELECT quarter FROM touched WHERE series = ? AND quarter >= ? AND quarter < ?",
            (number, first, end),
        )
    ]
    wrong = set(stale)
    blobs = connection.execute(
        "SELECT quarter, rows FROM aggregate WHERE length = ? AND series = ?"
        " AND quarter >= ? AND quarter < ? ORDER BY quarter",
        (length, number, first, end),
    )
    parts = [zlib.decompress(checked(blob)) for quarter, blob in blobs if quarter not in wrong]
    return np.frombuffer(b"".join(parts), AGGREGATE), stale


def has_windows(connection: apsw.Connection) -> bool:
    """Whether this file was ever opened by a release that keeps aggregates."""
    return connection.table_exists("main", "aggregate")


def rows_from(connection: apsw.Connection) -> int:
    """Time (ns) before which rows may have been forgotten; 0 where none ever were."""
    asked = "SELECT coalesce(max(value), 0) FROM meta WHERE key LIKE 'cut %'"
    return int(connection.execute(asked).get)
