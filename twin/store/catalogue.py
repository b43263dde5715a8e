"""What the embedded store's writer knows of its file: series, their hot rows, their newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.store.blocks import Rows, checked, steps_per_unit
from twin.store.known import KnownSeries
from twin.store.merged import Merged
from twin.store.sealing import SEAL_AT
from twin.store.sqlite_file import BUCKETS, LAYOUTS, RECENT, SeriesKey, Stored, slice_at

_LONG_AGO = np.iinfo(np.int64).min
#: A bucket with so many slices is rewritten as one, whether a block comes of it or not.
_SLICES = 1024
#: Recent rows are read by every question: so many cost it half a millisecond.
_RECENT_ROWS, _RECENT_SLICES = 16_384, 256


class SeriesTable:
    """Lives as long as its connection's transactions succeed; after a failed one it is made anew.

    newest: (series + spare,) int64 ns, the newest time of each observation series; keys: all series
    by number. Every change of the file that it makes is part of the caller's transaction.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.keys: dict[int, SeriesKey] = {}
        self._numbers: dict[tuple[int, str, str, str], int] = {}
        self._known = {stored: KnownSeries(partial(self._number, stored)) for stored in Stored}
        self._ripe: dict[tuple[int, int], int] = {}
        self._slices = np.zeros(len(Stored) * BUCKETS, np.int64)
        self.newest = np.full(1024, _LONG_AGO)
        self._hot = np.zeros(1024, np.int64)
        for number, stored, *names in connection.execute("SELECT * FROM series"):
            self._remember(SeriesKey(number, Stored(stored), *names))
        for number, newest in connection.execute(
            "SELECT series, max(t1) FROM extent GROUP BY series"
        ):
            self.newest[number] = newest
        self._numbered = np.zeros(1024, np.int64)
        self._devices = dict(connection.execute("SELECT name, id FROM device"))
        self._models = dict(connection.execute("SELECT name, id FROM model"))
        self._sequence = 0
        self._recent = dict.fromkeys(Stored, (0, 0))
        self._load_hot()

    def _load_hot(self) -> None:
        for place, blob in self._connection.execute("SELECT place, rows FROM hot"):
            stored, bucket, sequence = slice_at(place)
            rows = np.frombuffer(checked(blob), LAYOUTS[stored].rows)
            self._sequence = max(self._sequence, sequence)
            np.maximum.at(self.newest, rows["series"], rows["time"])
            if bucket == RECENT:
                self._note_recent(stored, len(rows))
            else:
                self.grown(stored, rows, [bucket])

    def _remember(self, key: SeriesKey) -> None:
        if key.id >= len(self.newest):
            more = np.zeros(len(self.newest), np.int64)
            self.newest = np.append(self.newest, more + _LONG_AGO)
            self._hot = np.append(self._hot, more)
        self.keys[key.id] = key
        self._numbers[key.stored, key.patient, key.signal, key.device] = key.id

    def key(self, number: int) -> SeriesKey:
        return self.keys[number]

    def estimates_of(self, number: int) -> int:
        """The estimate series of the patient and signal of a series, entered in the file if new."""
        key = self.keys[number]
        if key.stored == Stored.ESTIMATE:
            return number
        return self._number(Stored.ESTIMATE, key.patient, key.signal, "")

    def number_of(self, patient: str, signal: str) -> int:
        """The estimate series of a patient's signal, entered in the file if new."""
        return self._number(Stored.ESTIMATE, patient, signal, "")

    def observations_of(self, number: int) -> Sequence[SeriesKey]:
        """The observation series of the patient and signal of an estimate series."""
        key = self.keys[number]
        found = self._connection.execute(
            "SELECT id FROM series WHERE patient = ? AND signal = ? AND stored = ?",
            (key.patient, key.signal, int(Stored.OBSERVATION)),
        )
        return [self.keys[each] for (each,) in found]

    def device_number(self, name: str) -> int:
        """Number of a device that has observations in the file."""
        return int(self._devices[name])

    def forget_hot(self, stored: Stored, bucket: int, left: Rows) -> None:
        """Note that of a bucket's hot rows only `left` are there still, as one slice."""
        if bucket == RECENT:
            self._recent[stored] = (len(left), 1)
            return
        for number, key in self.keys.items():
            if key.stored == stored and number % BUCKETS == bucket:
                self._hot[number] = 0
        np.add.at(self._hot, left["series"], 1)
        self._slices[stored * BUCKETS + bucket] = 1

    def numbers(self, stored: Stored, whole: Merged, chosen: NDArray[Any]) -> NDArray[np.uint32]:
        """The series of each chosen row, (n,); new ones are entered in the file."""
        known = self._known[stored]
        patient = known.patients.codes(whole.patients)[whole.rows["patient"][chosen]]
        signal = known.signals.codes(whole.signals)[whole.rows["signal"][chosen]]
        if stored in (Stored.OBSERVATION, Stored.CONFLICT):
            device = known.devices.codes(whole.devices)[whole.rows["device"][chosen]]
        else:
            device = np.repeat(known.devices.codes([""]), len(chosen))
        return known.numbers(patient, signal, device)

    def _number(self, stored: Stored, patient: str, signal: str, device: str) -> int:
        number = self._numbers.get((stored, patient, signal, device))
        if number is None:
            self._connection.execute(
                "INSERT INTO series(stored, patient, signal, device) VALUES(?, ?, ?, ?)",
                (int(stored), patient, signal, device),
            )
            number = self._connection.last_insert_rowid()
            self._remember(SeriesKey(number, stored, patient, signal, device))
        return number

    def models(self, names: Sequence[str]) -> NDArray[np.uint16]:
        """The number of each model version, entered in the file if new."""
        for name in names:
            if name not in self._models:
                self._connection.execute("INSERT INTO model(name) VALUES(?)", (name,))
                self._models[name] = self._connection.last_insert_rowid()
        return np.array([self._models[name] for name in names], np.uint16)

    def steps_per_unit(self, signals: Sequence[str]) -> NDArray[np.float64]:
        """Storage steps in one unit of each signal."""
        return np.array([steps_per_unit(signal) for signal in signals], np.float64)

    def observed(self, series: NDArray[np.int64], time: NDArray[np.int64]) -> None:
        """Count new observations, by device; series and time: (n,) of each."""
        np.maximum.at(self.newest, series, time)
        counts = np.bincount(self._device_of(series))
        of_device = np.flatnonzero(counts)
        self._connection.executemany(
            "UPDATE device SET stored = stored + ? WHERE id = ?",
            list(zip(counts[of_device].tolist(), of_device.tolist(), strict=True)),
        )

    def _device_of(self, series: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the device of each observation series, entered in the file if new."""
        if len(self._numbered) < len(self.newest):
            more = np.zeros(len(self.newest) - len(self._numbered), np.int64)
            self._numbered = np.append(self._numbered, more)
        for number in np.unique(series[self._numbered[series] == 0]).tolist():
            name = self.keys[number].device
            if name not in self._devices:
                self._connection.execute("INSERT INTO device(name, stored) VALUES(?, 0)", (name,))
                self._devices[name] = self._connection.last_insert_rowid()
            self._numbered[number] = self._devices[name]
        return self._numbered[series]

    def next_sequence(self) -> int:
        """Place of the next slice within its bucket: above all that there are."""
        self._sequence += 1
        return self._sequence

    def recent(self, stored: Stored, n: int) -> bool:
        """Whether n more rows are still few enough to stay recent, which they then are; if not,
        nothing is recent any more."""
        rows, slices = self._recent[stored]
        if rows + n > _RECENT_ROWS or slices == _RECENT_SLICES:
            self._recent[stored] = (0, 0)
            return False
        self._note_recent(stored, n)
        return True

    def _note_recent(self, stored: Stored, n: int) -> None:
        rows, slices = self._recent[stored]
        self._recent[stored] = (rows + n, slices + 1)

    def grown(self, stored: Stored, rows: Rows, buckets: Sequence[int]) -> None:
        """Note that a slice with these rows was added to each of the buckets."""
        np.add.at(self._hot, rows["series"], 1)
        for number in np.unique(rows["series"][self._hot[rows["series"]] >= SEAL_AT]).tolist():
            self._ripe[stored, number % BUCKETS] = number
        slices = np.asarray(buckets) + stored * BUCKETS
        self._slices[slices] += 1
        for place in slices[self._slices[slices] >= _SLICES].tolist():
            bucket = place % BUCKETS
            self._ripe.setdefault((stored, bucket), self._any(stored, rows, bucket))

    def _any(self, stored: Stored, rows: Rows, bucket: int) -> int:
        numbers = rows["series"]
        return int(numbers[numbers % BUCKETS == bucket][0])

    def ripe(self) -> SeriesKey | None:
        """A series whose bucket is to be sealed."""
        return self.keys[next(iter(self._ripe.values()))] if self._ripe else None

    def sealed(self, key: SeriesKey, left: Mapping[int, int]) -> None:
        """Note what sealing left hot of the bucket of `key`."""
        self._ripe.pop((key.stored, key.id % BUCKETS), None)
        self._slices[key.stored * BUCKETS + key.id % BUCKETS] = 1
        for number, n in left.items():
            self._hot[number] = n
