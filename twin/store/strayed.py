"""Keys whose live estimates have strayed from the record, and anchors to filter them again from.

Tables beside the rows, made on opening; all changes are part of the transaction that writes the
rows, so what is to be done survives a kill. Numbers are of estimate series.

anchor: the filter of a key as of a stamp. SURE ones are those of the record in order: what comes
below one takes it away. LIVE ones are what the worker said of a key that has strayed.
strayed: a key with a belated observation, until the live twin is back on the line of the record.
since: the earliest stamp from which rows were written since the last run; doing: from where the run
in hand has still to write; first: the earliest of all; belated: whether since covers a belated one.
refiltered: (first, until) what was rewritten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.anchor import Anchor, Anchors
from twin.estimate import REFILTERED, Verdict
from twin.store.catalogue import SeriesTable
from twin.store.merged import Indexes, Kept, Merged
from twin.store.rows import rows_between
from twin.store.sqlite_file import SeriesKey, Stored

_TABLES = """
CREATE TABLE IF NOT EXISTS anchor(
    series INTEGER, kind INTEGER, at INTEGER, body BLOB NOT NULL,
    PRIMARY KEY(series, kind, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS strayed(
    series INTEGER PRIMARY KEY, first INTEGER NOT NULL, since INTEGER, doing INTEGER,
    belated INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refiltered(
    series INTEGER, first INTEGER, until INTEGER NOT NULL,
    PRIMARY KEY(series, first)) WITHOUT ROWID;
"""
#: Kinds of anchors. LAST: SURE too, where a run ended; a key has one.
SURE, LIVE, LAST = 0, 1, 2
_MARK = """
INSERT INTO strayed VALUES(?1, ?2, ?2, NULL, ?3) ON CONFLICT(series) DO UPDATE SET
 first = min(first, ?2), since = min(coalesce(since, ?2), ?2), belated = max(belated, ?3)
"""
_INVALID = "DELETE FROM anchor WHERE series = ? AND kind != ? AND at >= ?"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A key that has something to be done. marks: what was written of it, to see it come to rest;
    belated: not only what the live twin says of a key that has strayed."""

    series: int
    marks: int
    belated: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run has to do: the estimates of a key from `start` (ns) on, going on from `anchor`,
    or from the beginning. first: from where this and the runs before it write anew; forgotten: rows
    before it were (ns), if any were."""

    key: SeriesKey
    first: int
    start: int
    anchor: Anchor | None
    forgotten: int | None


def prepare(connection: apsw.Connection) -> None:
    """Make the tables where they are missing."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        connection.execute(_TABLES)
    connection.execute("COMMIT")


class Strayed:
    """Lives as long as its connection's transactions succeed, like the series table; everything it
    does is part of the caller's transaction."""

    def __init__(self, connection: apsw.Connection, series: SeriesTable) -> None:
        self._connection, self._series = connection, series
        self._keys = {int(n) for (n,) in connection.execute("SELECT series FROM strayed")}
        # Of each key (since, belated) as the file has it, and how often it was written of: so a row
        # of a strayed key costs a comparison, and the file is told once in a run.
        self._told: dict[int, tuple[int, bool]] = {}
        self._marks: Counter[int] = Counter()

    # --- the writer's side ---

    def note(self, whole: Merged, parts: Kept) -> None:
        """Mark the keys of belated rows, and what else is written of keys that have strayed.

        To be called before the rows are written: what was in the record already is no news.
        """
        if parts.belated:
            seen = parts.observations
            self._note_belated(whole, seen[whole.rows["verdict"][seen] == Verdict.BELATED])
        if self._keys:
            flags = whole.rows["flags"][parts.estimates]
            self._note_live(whole, parts.estimates[flags & REFILTERED == 0])

    def _note_belated(self, whole: Merged, belated: Indexes) -> None:
        numbers = self._series.numbers(Stored.OBSERVATION, whole, belated)
        for number in np.unique(numbers).tolist():
            own = belated[numbers == number]
            time, value = whole.rows["measured_at"][own], whole.rows["value"][own]
            new = time[~self._recorded(self._series.key(number), time, value)]
            if len(new):
                self.mark(self._series.estimates_of(number), int(new.min()), belated=True)

    def _recorded(
        self, key: SeriesKey, time: NDArray[np.int64], value: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """(n,) whether the record has this value at this stamp (a message that came again)."""
        first, last = int(time.min()), int(time.max())
        rows, _ = rows_between(self._connection, key, first, last + 1)
        if not len(rows):
            return np.zeros(len(time), bool)
        place = np.minimum(np.searchsorted(rows["time"], time), len(rows) - 1)
        return np.asarray((rows["time"][place] == time) & (rows["value"][place] == value), bool)

    def _note_live(self, whole: Merged, estimates: Indexes) -> None:
        if not len(estimates):
            return
        numbers = self._series.numbers(Stored.ESTIMATE, whole, estimates)
        strayed = np.flatnonzero(np.isin(numbers, np.array(list(self._keys), np.uint32)))
        if not len(strayed):
            return
        order = strayed[np.argsort(numbers[strayed], kind="stable")]
        numbers, stamps = numbers[order], whole.rows["as_of"][estimates[order]]
        starts = np.flatnonzero(np.diff(numbers.astype(np.int64), prepend=-1))
        earliest = np.minimum.reduceat(stamps, starts)
        for number, since in zip(numbers[starts].tolist(), earliest.tolist(), strict=True):
            self.mark(number, since, belated=False)

    def mark(self, number: int, since: int, belated: bool) -> None:
        """From `since` on the key is to be filtered again: no anchor from there on holds."""
        self._marks[number] += 1
        earliest, any_belated = self._told.get(number, (since + 1, False))
        if earliest <= since and any_belated >= belated:
            return  # said already, and nothing that was made since then reaches beyond
        self._told[number] = min(earliest, since), any_belated or belated
        self._connection.execute(_MARK, (number, since, int(belated)))
        self._connection.execute(_INVALID, (number, LIVE, since))
        self._keys.add(number)

    def take(self, records: Iterable[Anchors]) -> None:
        """Keep the worker's anchors. Doing it again changes nothing."""
        for record in records:
            for anchor in record.anchors:
                number = self._series.number_of(anchor.patient, anchor.signal)
                kind = LIVE if number in self._keys else SURE
                self._keep(number, kind, anchor)

    def _keep(self, number: int, kind: int, anchor: Anchor) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO anchor VALUES(?, ?, ?, ?)",
            (number, kind, anchor.at, anchor.body),
        )

    # --- the job's side ---

    @property
    def count(self) -> int:
        """Keys that have strayed."""
        return len(self._keys)

    def waiting(self) -> list[Waiting]:
        """Keys of which something was written since their last run, or whose run was cut off."""
        found: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT series, belated OR doing IS NOT NULL FROM strayed"
            " WHERE since IS NOT NULL OR doing IS NOT NULL"
        ).fetchall()
        return [Waiting(number, self._marks[number], bool(belated)) for number, belated in found]

    def claim(self, number: int) -> Claim | None:
        """Begin a run, or go on with one that was cut off; None: there is nothing to do."""
        self._told.pop(number, None)
        self._connection.execute(
            "UPDATE strayed SET doing = min(coalesce(doing, since), coalesce(since, doing)),"
            " since = NULL, belated = 0 WHERE series = ?",
            (number,),
        )
        asked = "SELECT first, doing FROM strayed WHERE series = ? AND doing IS NOT NULL"
        began = self._connection.execute(asked, (number,)).fetchone()
        if began is None:
            return None
        first, start = began
        self._keys.add(number)
        key, cut = self._series.key(number), self._forgotten()
        found = self._connection.execute(
            "SELECT at, body FROM anchor WHERE series = ? AND kind != ? AND at < ? AND at >= ?"
            " ORDER BY at DESC LIMIT 1",
            (number, LIVE, start, -(1 << 62) if cut is None else cut),
        ).fetchone()
        anchor = None if found is None else Anchor(key.patient, key.signal, *found)
        return Claim(key, int(first), int(start), anchor, cut)

    def _forgotten(self) -> int | None:
        """Observations before this stamp were forgotten by retention."""
        asked = "SELECT value FROM meta WHERE key = 'cut observation'"
        found = self._connection.execute(asked).fetchone()
        return None if found is None else int(found[0])

    def live(self, number: int) -> dict[int, bytes]:
        """Stamp → what the worker's anchor of a strayed key said."""
        asked = "SELECT at, body FROM anchor WHERE series = ? AND kind = ?"
        found: list[tuple[Any, ...]] = self._connection.execute(asked, (number, LIVE)).fetchall()
        return {int(at): bytes(body) for at, body in found}

    def advance(
        self, number: int, until: int, anchors: Sequence[Anchor], base: Anchor | None
    ) -> None:
        """Everything of the run up to stamp `until` is in the store; these anchors were passed.

        An anchor above what was written since the claim is none.
        """
        asked = "SELECT first, coalesce(since, ?) FROM strayed WHERE series = ?"
        found = self._connection.execute(asked, (1 << 62, number)).fetchone()
        if found is None:
            return
        first, since = found
        for anchor in anchors:
            if anchor.at < since:
                self._keep(number, SURE, anchor)
        if base is not None and base.at < since:
            self._connection.execute(
                "DELETE FROM anchor WHERE series = ? AND kind = ?", (number, LAST)
            )
            self._keep(number, LAST, base)
        self._connection.execute(
            "UPDATE strayed SET doing = ? WHERE series = ?", (until + 1, number)
        )
        self._connection.execute(
            "DELETE FROM refiltered WHERE series = ?1 AND first >= ?2 AND until <= ?3",
            (number, first, until),
        )
        self._connection.execute(
            "INSERT INTO refiltered VALUES(?1, ?2, ?3)"
            " ON CONFLICT(series, first) DO UPDATE SET until = max(until, ?3)",
            (number, first, until),
        )

    def rest(self, number: int, met: int | None) -> None:
        """The run is at its end. met: from this stamp on the live twin was on the line of the
        record, and nothing belated came after it; then the key has strayed no more."""
        belated = "SELECT belated FROM strayed WHERE series = ?"
        if met is not None and self._connection.execute(belated, (number,)).get == 0:
            self._connection.execute(
                "UPDATE OR REPLACE anchor SET kind = ? WHERE series = ? AND kind = ? AND at >= ?",
                (SURE, number, LIVE, met),
            )
            self._connection.execute("DELETE FROM strayed WHERE series = ?", (number,))
            self._keys.discard(number)
            self._told.pop(number, None)
        else:
            self._connection.execute("UPDATE strayed SET doing = NULL WHERE series = ?", (number,))
        # What the run compared with its own is of no more use.
        self._connection.execute(
            "DELETE FROM anchor WHERE series = ?1 AND kind = ?2 AND at <="
            " (SELECT max(at) FROM anchor WHERE series = ?1 AND kind = ?3)",
            (number, LIVE, SURE),
        )

    def forget(self, before: int) -> None:
        """Anchors and spans that end before a stamp go with the estimates there."""
        self._connection.execute("DELETE FROM anchor WHERE at < ?", (before,))
        self._connection.execute("DELETE FROM refiltered WHERE until < ?", (before,))


def spans(
    connection: apsw.Connection, patient: str, signal: str, start: int, end: int
) -> tuple[tuple[int, int], ...]:
    """(first, until) in ns, both in it, of what was filtered again of [start, end)."""
    if not connection.table_exists("main", "refiltered"):
        return ()
    found: list[tuple[Any, ...]] = connection.execute(
        "SELECT first, until FROM refiltered JOIN series ON series.id = refiltered.series"
        " WHERE patient = ? AND signal = ? AND first < ? AND until >= ? ORDER BY first",
        (patient, signal, end, start),
    ).fetchall()
    return tuple((int(first), int(until)) for first, until in found)


def ask(connection: apsw.Connection, patient: str | None, signal: str | None, since: int) -> int:
    """Ask for what was recorded from `since` (ns) on to be filtered again, of all or the given;
    returns how many keys. For a connection of one's own, also beside the process that writes."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        chosen: list[tuple[Any, ...]] = connection.execute(
            "SELECT id FROM series WHERE stored = ?1 AND (?2 IS NULL OR patient = ?2)"
            " AND (?3 IS NULL OR signal = ?3)",
            (int(Stored.ESTIMATE), patient, signal),
        ).fetchall()
        for (number,) in chosen:
            connection.execute(_MARK, (number, since, 1))
            connection.execute(_INVALID, (number, LIVE, since))
    connection.execute("COMMIT")
    return len(chosen)
