"""What the embedded store's writer knows of its file: series, their devices, their newest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.bytewise import octets
from twin.store.blocks import Rows, steps_per_unit
from twin.store.counted import Counted
from twin.store.hot import HotRows
from twin.store.known import KnownSeries
from twin.store.merged import Indexes, Merged
from twin.store.sqlite_file import SeriesKey, Stored

_LONG_AGO = np.iinfo(np.int64).min


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
        self.newest = np.full(1024, _LONG_AGO)
        for number, stored, *names in connection.execute("SELECT * FROM series"):
            self._remember(SeriesKey(number, Stored(stored), *names))
        for number, newest in connection.execute(
            "SELECT series, max(t1) FROM extent GROUP BY series"
        ):
            self.newest[number] = newest
        self._numbered = np.zeros(1024, np.int64)
        self._devices = dict(connection.execute("SELECT name, id FROM device"))
        self._highest = max(self._devices.values(), default=0)
        self._counted = Counted(connection)
        self._paired = np.zeros(1024, np.bool_)
        self._models = dict(connection.execute("SELECT name, id FROM model"))
        self.hot = HotRows(connection, self._met)

    def _met(self, _stored: Stored, rows: Rows) -> None:
        np.maximum.at(self.newest, rows["series"], rows["time"])

    def _remember(self, key: SeriesKey) -> None:
        if key.id >= len(self.newest):
            more = np.zeros(len(self.newest), np.int64)
            self.newest = np.append(self.newest, more + _LONG_AGO)
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

    def pair(self, series: NDArray[np.uint32]) -> None:
        """Enter the estimate series of these observation series, (n,), in the file where new."""
        if len(self._paired) < len(self.newest):
            more = np.zeros(len(self.newest) - len(self._paired), np.bool_)
            self._paired = np.append(self._paired, more)
        for number in np.unique(series[~self._paired[series]]).tolist():
            self.estimates_of(number)
            self._paired[number] = True

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

    def numbers(self, stored: Stored, whole: Merged, chosen: Indexes) -> NDArray[np.uint32]:
        """The series of each chosen row of `whole`, (n,); new ones are entered in the file."""
        known, every = self._known[stored], stored in (Stored.OBSERVATION, Stored.CONFLICT)
        names = (
            known.patients.codes(whole.patients),
            known.signals.codes(whole.signals),
            known.devices.codes(whole.devices if every else [""]),
        )
        return known.numbers(whole.rows, chosen, names, every)

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

    def all_newer(self, rows: Rows) -> bool:
        """Whether each of these observations is newer than all of its series before it, here and in
        the file; then they are the newest from now on."""
        # Compiled, and numba is loaded by who writes alone.
        from twin.store.rows_kernel import all_newer

        whole, item = octets(rows), rows.dtype.itemsize
        return bool(all_newer(whole, item, self.newest, np.empty(len(rows), np.int64)))

    def observed(self, rows: Rows) -> None:
        """Count new observations by device, (n,), and remember the newest of each series."""
        np.maximum.at(self.newest, rows["series"], rows["time"])
        self.count(rows)

    def count(self, rows: Rows) -> None:
        """Count observations, (n,), by the devices of their series."""
        # Compiled, and numba is loaded by who writes alone.
        from twin.store.rows_kernel import count

        if len(self._numbered) < len(self.newest):
            more = np.zeros(len(self.newest) - len(self._numbered), np.int64)
            self._numbered = np.append(self._numbered, more)
        counts = self._counted.waiting(self._highest)
        whole, item, n = octets(rows), rows.dtype.itemsize, len(rows)
        if not count(whole, item, n, self._numbered, counts):
            self._number_devices(rows["series"])
            counts = self._counted.waiting(self._highest)
            count(whole, item, n, self._numbered, counts)
        self._counted.write(n)

    def _number_devices(self, series: NDArray[np.uint32]) -> None:
        """Number the devices of observation series, (n,); new ones are entered in the file."""
        for number in np.unique(series[self._numbered[series] == 0]).tolist():
            name = self.keys[number].device
            if name not in self._devices:
                self._connection.execute("INSERT INTO device(name, stored) VALUES(?, 0)", (name,))
                self._highest = self._connection.last_insert_rowid()
                self._devices[name] = self._highest
            self._numbered[number] = self._devices[name]
