"""Questions to the embedded store's file: series for charts, counts, rows for an export."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.bands import Bands
from twin.estimate import Series
from twin.store.blocks import Rows
from twin.store.counted import stored_by_device
from twin.store.long_series import long_series
from twin.store.series_rows import bands_of, first_rows, mean_of, read_rows, series_keys
from twin.store.sqlite_file import Stored, naming_damage, open_store
from twin.store.strayed import spans
from twin.store.thinning import bucket_length, bucketed, raw

_BEGINNING, _END = -(1 << 62), 1 << 62
_EXPORT_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class RecordedRows:
    """Rows of one series for an export, sorted by time: one device's observations of a signal
    (columns of blocks.OBSERVATIONS), or the estimates of a signal (of blocks.ESTIMATES; `models`
    are the names that their column "model" counts from 1)."""

    patient: str
    signal: str
    device: str
    rows: Rows
    models: Mapping[int, str]

    def mean(self) -> NDArray[np.float64]:
        """The means of estimate rows."""
        return mean_of(self.rows, self.signal)

    def bands(self) -> Bands:
        """The bands of estimate rows."""
        return bands_of(self.rows, self.signal)


class Reading:
    """Answers from a store's file while somebody, in this process or another, writes to it.

    path: the file. Safe to use from several threads (they take turns; an answer takes
    milliseconds). Each answer is of one moment: it is read in one transaction.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = open_store(path, readonly=True)

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
        """See `twin.estimate.History`. Raises ValueError for a cursor that is none of its own."""
        if points is None:
            return self._page(patient, signal, start if after is None else int(after), end, limit)
        with self._moment() as connection:
            again = spans(connection, patient, signal, start, end)
            long = long_series(connection, patient, signal, start, end, points)
            if long is not None:
                return replace(long, refiltered=again)
            estimates, observed, _ = read_rows(connection, patient, signal, start, end, None)
        length = bucket_length(start, end, points)
        mean, band = mean_of(estimates, signal), bands_of(estimates, signal)
        made = bucketed(estimates["time"], mean, band, start, length, observed)
        return replace(made, refiltered=again)

    def _page(self, patient: str, signal: str, start: int, end: int, limit: int) -> Series:
        with self._moment() as connection:
            again = spans(connection, patient, signal, start, end)
            read = read_rows(connection, patient, signal, start, end, max(1, limit))
        estimates, seen, until = read
        cursor = str(until) if until < end else None
        time = estimates["time"]
        mean, band = mean_of(estimates, signal), bands_of(estimates, signal)
        page = raw(time, mean, band, seen.time, seen.value, seen.names(), cursor)
        return replace(page, refiltered=again)

    def stored(self) -> Mapping[str, int]:
        """Observations in the record (each key once, conflicts not among them), by device id."""
        with self._moment() as connection:
            return stored_by_device(connection)

    def stored_at(self) -> tuple[int, Mapping[str, int]]:
        """Position in the estimates journal, and what `stored` counts up to there."""
        with self._moment() as connection:
            position = connection.execute("SELECT value FROM meta WHERE key = 'position'").get
            return int(position), stored_by_device(connection)

    def knows(self, patient: str) -> bool:
        """Whether anything is recorded of a patient."""
        with self._moment() as connection:
            asked = "SELECT 1 FROM series WHERE patient = ? LIMIT 1"
            return connection.execute(asked, (patient,)).fetchone() is not None

    def observations(
        self, patient: str | None = None, start: int = _BEGINNING, end: int = _END
    ) -> Iterator[RecordedRows]:
        """Raw observations with start ≤ measured_at < end, in pieces of some 10 000 rows."""
        return self._export(Stored.OBSERVATION, patient, start, end)

    def estimates(
        self, patient: str | None = None, start: int = _BEGINNING, end: int = _END
    ) -> Iterator[RecordedRows]:
        """Estimates with start ≤ as_of < end, in pieces of some 10 000 rows."""
        return self._export(Stored.ESTIMATE, patient, start, end)

    def record(
        self, patient: str, signal: str, start: int, at_most: int
    ) -> tuple[list[RecordedRows], int]:
        """Observations of a signal with start ≤ measured_at < until, by device: (rows, until).

        until is beyond all of them, or less if more than `at_most` rows of a device came before.
        """
        with self._moment() as connection:
            keys = series_keys(connection, Stored.OBSERVATION, patient, signal)
            read = [
                (key, *first_rows(connection, key, start, _END, at_most, chart=False))
                for key in keys
            ]
        until = min([_END, *(end for _, _, end in read)])
        return [
            RecordedRows(patient, signal, key.device, rows[rows["time"] < until], {})
            for key, rows, _ in read
        ], until

    def conflicts(self, patient: str | None = None) -> Iterator[RecordedRows]:
        """Observations that said another value than an earlier one of the same identity."""
        return self._export(Stored.CONFLICT, patient, _BEGINNING, _END)

    def statuses(self, patient: str | None = None) -> Iterator[RecordedRows]:
        """Status changes that no observation caused."""
        return self._export(Stored.STATUS, patient, _BEGINNING, _END)

    def forecasts(self, patient: str | None = None) -> Iterator[RecordedRows]:
        """Forecasts of all horizons, each row those made at one moment (blocks.FORECASTS)."""
        return self._export(Stored.FORECAST, patient, _BEGINNING, _END)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _export(
        self, stored: Stored, patient: str | None, start: int, end: int
    ) -> Iterator[RecordedRows]:
        with self._moment() as connection:
            keys = series_keys(connection, stored, patient)
            models = dict(connection.execute("SELECT id, name FROM model"))
        for key in keys:
            place = start
            while place < end:
                with self._moment() as connection:
                    rows, until = first_rows(connection, key, place, end, _EXPORT_ROWS, chart=False)
                place = until
                if len(rows):
                    yield RecordedRows(key.patient, key.signal, key.device, rows, models)

    @contextmanager
    def _moment(self) -> Iterator[apsw.Connection]:
        with self._lock, naming_damage(self.path):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("COMMIT")
