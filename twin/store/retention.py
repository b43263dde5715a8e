"""What is kept how long, and the windows that stay when rows go.

A turn is short (some 100 ms), because writing waits for it; the job makes as many as there is work.
Windows are made anew wherever a row was written since, however old; rows that are older than they
are kept are forgotten after their windows were made, and count for them no more. A job can be
broken off between two turns: what is due stays due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from ingest.instant import MINUTE
from twin.bytewise import taken
from twin.store import judged
from twin.store.aggregates import LENGTHS, QUARTER, Limits
from twin.store.catalogue import SeriesTable
from twin.store.embedded import EmbeddedStore
from twin.store.rows import home_rows
from twin.store.sqlite_file import HOMES, Stored
from twin.store.window_making import make_windows
from twin.store.windows import Marks, touched

#: A quarter is made this long after its end, when its rows have mostly come.
SETTLED = 2 * MINUTE
#: Touched quarters are looked for so many at once, and made in turns of some 100 ms.
_QUARTERS_READ, _QUARTERS_AT_ONCE = 50_000, 500
_BLOCKS_AT_ONCE = 500
_HOMES_AT_ONCE = 64
_REPORTS = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """How long what is kept, ns; 0: for ever.

    raw: observations and conflicts; derived: estimates and forecasts; logs: status changes;
    minutes, quarters: the aggregates of 1 and 15 minutes; judgements: alarms that are over (from
    their end, each with its whole story), scores and change indexes.
    """

    raw: int = 0
    derived: int = 0
    logs: int = 0
    minutes: int = 0
    quarters: int = 0
    judgements: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What one job did. at: ns; windows: quarters made anew; the others: what was forgotten."""

    at: int
    windows: int = 0
    observations: int = 0
    estimates: int = 0
    logs: int = 0
    minutes: int = 0
    quarters: int = 0
    judgements: int = 0


@dataclass(slots=True)
class Retention:
    """The job on one store, whose writer this process is. limits: for the time outside them."""

    store: EmbeddedStore
    kept: Kept
    limits: Limits = field(default_factory=dict)

    def run(self, now: int, stopping: Callable[[], bool] = lambda: False) -> Report:
        """Do all that is to be done at `now` (ns) and remember the report in the store.

        stopping is asked after each turn: once it is so the rest stays due, for the next time.
        """
        done: Counter[str] = Counter()
        for name, n in self._turns(now):
            done[name] += n
            if stopping():
                break
        report = Report(now, **done)
        self.store.upkeep(lambda db, _series, _marks: _remember(db, report))
        return report

    def _turns(self, now: int) -> Iterator[tuple[str, int]]:
        """Each turn, made when it is asked for: (what of a report, how many)."""
        for n in self._make_windows(now):
            yield "windows", n
        for name, kinds, kept in (
            ("observations", (Stored.OBSERVATION, Stored.CONFLICT), self.kept.raw),
            ("estimates", (Stored.ESTIMATE, Stored.FORECAST), self.kept.derived),
            ("logs", (Stored.STATUS,), self.kept.logs),
        ):
            for n in self._forget(kinds, now, kept):
                yield name, n
        for name, length, kept in (
            ("minutes", LENGTHS[0], self.kept.minutes),
            ("quarters", LENGTHS[1], self.kept.quarters),
        ):
            yield name, self._forget_windows(length, now, kept)
        for n in self._forget_judged(now):
            yield "judgements", n
        if self.kept.derived:
            cut = (now - self.kept.derived) // QUARTER * QUARTER
            self.store.of_strayed(lambda strayed: strayed.forget(cut))

    def _make_windows(self, now: int) -> Iterator[int]:
        while True:
            found = self.store.upkeep(
                lambda db, _series, _marks: touched(db, now - SETTLED, _QUARTERS_READ)
            )
            for first in range(0, len(found), _QUARTERS_AT_ONCE):
                part = found[first : first + _QUARTERS_AT_ONCE]
                self.store.upkeep(
                    lambda db, series, marks, p=part: make_windows(  # type: ignore[misc]
                        db, series, marks, p, self.limits
                    )
                )
                yield len(part)
            if len(found) < _QUARTERS_READ:
                return

    def _forget(self, kinds: Sequence[Stored], now: int, kept: int) -> Iterator[int]:
        if not kept:
            return
        cut = (now - kept) // QUARTER * QUARTER
        for stored in kinds:
            n = _BLOCKS_AT_ONCE
            while n == _BLOCKS_AT_ONCE:
                n, rows = self.store.upkeep(
                    lambda db, _series, _marks, s=stored: _forget_blocks(db, s, cut)  # type: ignore[misc]
                )
                yield rows
            for first in range(0, HOMES, _HOMES_AT_ONCE):
                part = range(first, min(first + _HOMES_AT_ONCE, HOMES))
                yield self.store.upkeep(
                    lambda db, series, _marks, s=stored, p=part: _forget_hot(db, series, s, p, cut)  # type: ignore[misc]
                )

    def _forget_windows(self, length: int, now: int, kept: int) -> int:
        if not kept:
            return 0
        before = (now - kept) // QUARTER

        def turn(db: apsw.Connection, _series: SeriesTable, _marks: Marks) -> int:
            db.execute("DELETE FROM aggregate WHERE length = ? AND quarter < ?", (length, before))
            return int(db.changes())

        return self.store.upkeep(turn)

    def _forget_judged(self, now: int) -> Iterator[int]:
        if not self.kept.judgements:
            return
        cut = now - self.kept.judgements
        while n := self.store.upkeep(lambda db, _series, _marks: judged.forget_alarms(db, cut)):
            yield n
        for table in judged.POINTS:
            after: str | None = ""
            while after is not None:
                n, after = self.store.upkeep(
                    lambda db, _series, _marks, t=table, a=after: judged.forget_points(  # type: ignore[misc]
                        db, cut, t, a
                    )
                )
                yield n


def _forget_blocks(db: apsw.Connection, stored: Stored, cut: int) -> tuple[int, int]:
    """(blocks, rows) forgotten of those that end before `cut`; a block goes as a whole."""
    db.execute(
        "INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = max(value, ?2)",
        (f"cut {stored.name.lower()}", cut),
    )
    found: list[tuple[Any, ...]] = db.execute(
        "SELECT extent.series, t0, n, block FROM extent JOIN series ON series.id = extent.series"
        " WHERE stored = ? AND t1 < ? LIMIT ?",
        (int(stored), cut, _BLOCKS_AT_ONCE),
    ).fetchall()
    db.executemany("DELETE FROM block WHERE id = ?", [(block,) for *_, block in found])
    db.executemany(
        "DELETE FROM extent WHERE series = ? AND t0 = ?", [(s, t0) for s, t0, _, _ in found]
    )
    return len(found), sum(n for _, _, n, _ in found)


def _forget_hot(
    db: apsw.Connection, series: SeriesTable, stored: Stored, where: range, cut: int
) -> int:
    gone = 0
    for home in where:
        rows = home_rows(db, stored, home)
        left = taken(rows, rows["time"] >= cut)
        if len(left) < len(rows):
            gone += len(rows) - len(left)
            series.hot.replace(stored, home, rows, left)
    return gone


def _remember(db: apsw.Connection, report: Report) -> None:
    body = msgspec.json.encode(report).decode()
    db.execute("INSERT OR REPLACE INTO report VALUES(?, ?)", (report.at, body))
    db.execute(
        "DELETE FROM report WHERE at NOT IN (SELECT at FROM report ORDER BY at DESC LIMIT ?)",
        (_REPORTS,),
    )


def reports(db: apsw.Connection) -> list[Report]:
    """The newest reports first."""
    if not db.table_exists("main", "report"):
        return []
    found = db.execute("SELECT body FROM report ORDER BY at DESC")
    return [msgspec.json.decode(body, type=Report) for (body,) in found]
