"""The embedded store: one SQLite file that one process writes and any number read.

A transaction's rows and the position in the estimates journal after them are committed together,
so whatever is killed, the writer goes on exactly where the rows end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import apsw
import numpy as np
from numpy.typing import NDArray

from ingest.closing import Closing
from ingest.journal.lock import Ownership
from twin.anchor import Anchors
from twin.bytewise import taken
from twin.estimate import EstimateBatch, Series, Written
from twin.judgement import Judgements
from twin.store import judged, strayed, windows
from twin.store.blocks import PLAIN_PER_UNIT, Rows
from twin.store.catalogue import SeriesTable
from twin.store.forecasts import forecast_rows
from twin.store.merged import Indexes, Kept, Merged, kept, merged
from twin.store.protocol import Storable
from twin.store.reading import Reading, RecordedRows
from twin.store.rows import rows_between
from twin.store.sealing import newest_by_series
from twin.store.sqlite_file import (
    LAYOUTS,
    Stored,
    StoreInUse,
    naming_damage,
    open_store,
)
from twin.store.strayed import Strayed
from twin.store.windows import Marks, catch_up

Turned = TypeVar("Turned")
#: A transaction moves about so many rows on towards blocks, or twice what it writes: no long stops
#: of the writer.
_MOVED_AT_ONCE = 16_384
#: What is kept of a row as it is; its time is when it was received.
_UNCHANGED = {
    Stored.CONFLICT: ("value", "device_stamp", "noise_std", "quality", "measured_at"),
    Stored.STATUS: ("status",),
}


class EmbeddedStore(Closing):
    """Sink and history in one file.

    path: the file; its folder must exist. keeps: what it takes of a batch (the record of a store
    elsewhere keeps observations only); judgements it always takes. readonly: for questions only,
    while another process may be writing. Raises StoreDamaged (naming the file), StoreInUse (a
    second writer), and FileNotFoundError where readonly finds no store. Reading and writing are
    safe from several threads; an answer never waits for a write.
    """

    def __init__(
        self, path: Path, readonly: bool = False, keeps: Collection[Stored] = tuple(Stored)
    ) -> None:
        self._path = Path(path)
        self._writer = None if readonly else _Writer(self._path, keeps)
        try:
            self._reading = Reading(self._path)
        except BaseException:
            if self._writer is not None:
                self._writer.close()
            raise

    # --- sink ---

    @property
    def position(self) -> int:
        """Position in the estimates journal up to which everything is in this file."""
        return self._write.position

    def write(self, batch: EstimateBatch) -> Written:
        """Store one batch. Blocks until it is on disk."""
        return self.write_all([batch], None)

    def write_all(self, batches: Sequence[Storable], position: int | None) -> Written:
        """Store batches, anchors and judgements and the journal position after them, or nothing.

        Raises apsw.Error (disk full, locked) or StoreDamaged; then nothing was written.
        """
        return self._write.write(batches, position)

    def upkeep(self, turn: Callable[[apsw.Connection, SeriesTable, Marks], Turned]) -> Turned:
        """Let retention do one short turn in a transaction of its own (`twin.store.retention`)."""
        return self._write.upkeep(turn)

    def of_strayed(self, turn: Callable[[Strayed], Turned]) -> Turned:
        """Ask or change what is to be filtered again, in a transaction of its own."""
        return self._write.of_strayed(turn)

    @property
    def _write(self) -> _Writer:
        if self._writer is None:
            raise ValueError(f"{self._path} was opened for reading only")
        return self._writer

    # --- history ---

    def series(
        self,
        patient: str,
        signal: str,
        start: int,
        end: int,
        points: int | None = None,
        after: str | None = None,
        limit: int = 20_000,
    ) -> Series:
        """See `twin.estimate.History`."""
        return self._reading.series(patient, signal, start, end, points, after, limit)

    def stored(self) -> Mapping[str, int]:
        """Observations in the record, by device id; conflicts and rewrites are not counted."""
        return self._reading.stored()

    def observations(self, patient: str | None = None) -> Iterator[RecordedRows]:
        """See `Reading.observations`."""
        return self._reading.observations(patient)

    def estimates(self, patient: str | None = None) -> Iterator[RecordedRows]:
        """See `Reading.estimates`."""
        return self._reading.estimates(patient)

    @property
    def reading(self) -> Reading:
        """All questions that the file answers."""
        return self._reading

    def close(self) -> None:
        self._reading.close()
        if self._writer is not None:
            self._writer.close()


class _Writer:
    """The one writing connection, and what it remembers of the file between transactions."""

    def __init__(self, path: Path, keeps: Collection[Stored]) -> None:
        from twin.store.warm import warm_up  # numba is loaded by who writes alone

        warm_up()
        self._path, self._keeps = path, keeps
        self._lock = threading.Lock()
        try:
            self._owner = Ownership(path.with_name(path.name + ".writer"))
        except BlockingIOError as error:
            raise StoreInUse(path) from error
        try:
            self._connection = open_store(path, readonly=False)
            self._load()
        except BaseException:
            self._owner.close()
            raise

    @property
    def position(self) -> int:
        with self._lock:
            return self._position

    def _load(self) -> None:
        with naming_damage(self._path):
            windows.prepare(self._connection)
            strayed.prepare(self._connection)
            judged.prepare(self._connection)
            self._series = SeriesTable(self._connection)
            self._strayed = Strayed(self._connection, self._series)
            self._marks = Marks(self._connection, self._series.estimates_of)
            with self._transaction():
                catch_up(self._connection, self._marks)
            found = self._connection.execute("SELECT value FROM meta WHERE key = 'position'")
            self._position = int(found.get)

    def write(self, batches: Sequence[Storable], position: int | None) -> Written:
        whole = merged([each for each in batches if isinstance(each, EstimateBatch)])
        with self._lock, naming_damage(self._path):
            try:
                with self._transaction():
                    self._insert(whole, kept(whole.rows))
                    self._strayed.take(each for each in batches if isinstance(each, Anchors))
                    said = [each for each in batches if isinstance(each, Judgements)]
                    judged.take(self._connection, said)
                    budget = max(_MOVED_AT_ONCE, 2 * len(whole.rows))
                    self._series.hot.settle(self._series.keys, budget)
                    if position is not None:
                        self._connection.execute(
                            "UPDATE meta SET value = ? WHERE key IN ('position', 'marked')",
                            (position,),
                        )
            except BaseException:
                self._load()
                raise
            if position is not None:
                self._position = position
        return Written(len(whole.rows) + len(whole.forecasts), (), ())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def upkeep(self, turn: Callable[[apsw.Connection, SeriesTable, Marks], Turned]) -> Turned:
        """One turn of upkeep, all of it or nothing; writing waits meanwhile."""
        with self._turn():
            return turn(self._connection, self._series, self._marks)

    def of_strayed(self, turn: Callable[[Strayed], Turned]) -> Turned:
        """The same for what is to be filtered again."""
        with self._turn():
            return turn(self._strayed)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock, naming_damage(self._path):
            try:
                with self._transaction():
                    yield
            except BaseException:
                self._load()
                raise

    def _insert(self, whole: Merged, parts: Kept) -> None:
        self._strayed.note(whole, parts)
        for stored, chosen in (
            (Stored.ESTIMATE, parts.estimates),
            (Stored.OBSERVATION, parts.observations),
            (Stored.CONFLICT, parts.conflicts),
            (Stored.STATUS, parts.statuses),
        ):
            if len(chosen) and stored in self._keeps:
                rows = _rows(stored, whole, chosen, self._series)
                if stored == Stored.OBSERVATION:
                    self._count_new(rows)
                if Stored.ESTIMATE not in self._keeps:
                    self._series.pair(rows["series"])
                elif stored in (Stored.ESTIMATE, Stored.OBSERVATION):
                    self._marks.note(rows)
                self._series.hot.append(stored, rows)
        if len(whole.forecasts) and Stored.FORECAST in self._keeps:
            rows = forecast_rows(whole, self._series)
            self._series.hot.append(Stored.FORECAST, rows)

    def _count_new(self, rows: Rows) -> None:
        """Count the keys (series, time) that were not in the record before, by device."""
        if self._series.all_newer(rows):
            self._series.count(rows)
            return
        # Of each key one.
        rows = newest_by_series(rows)
        series, time = rows["series"].astype(np.int64), np.ascontiguousarray(rows["time"])
        new = time > self._series.newest[series]
        for number in np.unique(series[~new]).tolist():
            old = np.flatnonzero((series == number) & ~new)
            new[old] = ~self._present(number, time[old])
        self._series.observed(taken(rows, new))

    def _present(self, number: int, time: NDArray[np.int64]) -> NDArray[np.bool_]:
        key = self._series.key(number)
        rows, _ = rows_between(self._connection, key, int(time[0]), int(time[-1]) + 1)
        return np.isin(time, rows["time"])

    def close(self) -> None:
        with self._lock:
            self._connection.close()
            self._owner.close()


def _rows(stored: Stored, whole: Merged, chosen: Indexes, series: SeriesTable) -> Rows:
    """The chosen rows in the form in which they are stored, numbers rounded."""
    # Compiled, and numba is loaded by who writes alone.
    from twin.store.rows_kernel import estimates, observations

    rows = np.empty(len(chosen), LAYOUTS[stored].rows)
    numbers = series.numbers(stored, whole, chosen)
    if stored == Stored.ESTIMATE:
        per_unit, models = series.steps_per_unit(whole.signals), series.models(whole.models)
        plain = float(PLAIN_PER_UNIT)
        estimates(whole.rows, chosen, numbers, per_unit, plain, models, whole.model, rows)
    elif stored == Stored.OBSERVATION:
        observations(whole.rows, chosen, numbers, rows)
    else:
        source = taken(whole.rows, chosen)
        rows["series"], rows["time"] = numbers, source["received_at"]
        for name in _UNCHANGED[stored]:
            rows[name] = source[name]
    return rows
