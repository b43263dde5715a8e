"""The newest estimate of every patient and signal: a pure fold of the estimates journal.

Rows live in one structured array with a row for each (patient, signal) that was ever estimated, so
that a batch of thousands costs a few array operations. The position up to which the journal is
folded is saved with it: a restart goes on from there at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.observation import RecordDamaged, seal, unseal
from twin.bytewise import readable
from twin.care import latest_kernel
from twin.care.board import Board, BoardState
from twin.care.forecasts import Forecasts, ForecastsState
from twin.care.notebook import Notebook
from twin.care.places import numbered
from twin.care.told import Told, ToldState
from twin.care.vitals import ORDER, VITALS
from twin.estimate import EstimateBatch
from twin.judgement import Entered

#: One key's newest. patient and device index the tables of `Latest`; signal is its place in VITALS.
#: mean … trend_std are the estimate at as_of; value is the newest raw value, measured at value_at.
#: While `coasting`, coast_mean ± … is the prediction without measurement that pages show instead.
LATEST_ROW = np.dtype(
    [
        ("patient", "<u4"),
        ("device", "<u4"),
        ("signal", "u1"),
        ("status", "u1"),
        ("coasting", "?"),
        ("as_of", "<i8"),
        ("mean", "<f8"),
        ("std", "<f8"),
        ("scale50", "<f4"),
        ("scale95", "<f4"),
        ("trend", "<f8"),
        ("trend_std", "<f8"),
        ("value", "<f8"),
        ("value_at", "<i8"),
        ("received_at", "<i8"),
        ("coast_mean", "<f8"),
        ("coast_std", "<f8"),
        ("coast_scale50", "<f4"),
        ("coast_scale95", "<f4"),
    ]
)
_KIND_LATEST = 100
_NONE = -1


class _Devices(msgspec.Struct, frozen=True, array_like=True):
    """Builds before this one saved a ledger here, whose first part were the same names."""

    names: list[str]


class _State(msgspec.Struct, frozen=True, array_like=True):
    layout: str
    position: int
    patients: list[str]
    signals: list[str]
    rows: bytes
    devices: _Devices
    board: BoardState = BoardState()
    told: ToldState = ToldState()
    forecasts: ForecastsState = ForecastsState()
    entries: list[Entered] = []


class Latest:
    """The fold. Not safe for several threads; its owner locks."""

    def __init__(self) -> None:
        #: Journal position of the last record that is folded in.
        self.position = 0
        #: Alarms and scores.
        self.board = Board()
        self.told = Told()
        self.forecasts = Forecasts()
        #: What people entered.
        self.notebook = Notebook()
        self._patients: dict[str, int] = {}
        self._names: list[str] = []
        self._devices: dict[str, int] = {}
        self._slots = np.full((0, len(VITALS)), _NONE, np.int64)
        self._rows: NDArray[Any] = np.zeros(0, LATEST_ROW)
        self._size = 0
        self._changed = np.zeros(0, np.bool_)
        #: Of each key, within a fold, the row of the batch whose value it has.
        self._valued = np.zeros(0, np.int64)

    @property
    def rows(self) -> NDArray[Any]:
        """All keys' rows, (n,) of dtype LATEST_ROW; a key keeps its place."""
        return self._rows[: self._size]

    @property
    def patients(self) -> Sequence[str]:
        """Patient ids in order of first appearance; row["patient"] indexes them."""
        return self._names

    @property
    def devices(self) -> list[str]:
        """Device ids in order of first appearance; row["device"] indexes them."""
        return list(self._devices)

    def places_of(self, patient: str) -> NDArray[np.int64]:
        """Places in `rows` of one patient's keys, in the order of signals, (n,)."""
        place = self._patients.get(patient)
        if place is None:
            return np.zeros(0, np.int64)
        slots = self._slots[place]
        return np.extract(slots != _NONE, slots)

    def fold(self, batch: EstimateBatch) -> None:
        """Take in one batch. Rows of a signal that the catalogue has not are left out."""
        self.told.fold(batch)
        self.forecasts.fold(batch)
        rows, begin = readable(batch.rows), 0
        if not len(rows):
            return
        patients = self._places(batch.patients)
        signals = np.array([ORDER.get(code, _NONE) for code in batch.signals], np.int64)
        of = patients, signals, self._slots
        while begin < len(rows):
            into = self._rows, self._size, self._changed, self._valued
            begin, self._size = latest_kernel.fold(rows, begin, *of, *into)
            if begin < 0:
                raise IndexError("a row names nobody of its batch")
            if begin < len(rows):
                self._grow(self._size + 1)
        # Each value gets its device; those that are used get numbers.
        used, here = np.zeros(len(batch.devices), np.bool_), np.zeros(len(batch.devices), np.int64)
        latest_kernel.used_devices(rows, *of, self._valued, used)
        for i in np.flatnonzero(used).tolist():
            here[i] = self._devices.setdefault(batch.devices[i], len(self._devices))
        latest_kernel.name_devices(rows, *of, self._valued, here, self._rows)

    def take_changed(self) -> NDArray[np.int64]:
        """Places of the rows that changed since the last call."""
        places = np.flatnonzero(self._changed[: self._size])
        self._changed[places] = False
        return places

    def dump(self) -> bytes:
        """Everything, to be saved."""
        state = _State(
            str(LATEST_ROW.descr),
            self.position,
            self._names,
            list(VITALS),
            self.rows.tobytes(),
            _Devices(self.devices),
            self.board.state(),
            self.told.state(),
            self.forecasts.state(),
            self.notebook.state(),
        )
        return seal(_KIND_LATEST, msgspec.msgpack.encode(state))

    @classmethod
    def load(cls, dumped: bytes) -> Latest:
        """What `dump` gave. Raises RecordDamaged: torn, or of another build's layout."""
        _kind, body = unseal(dumped)
        try:
            state = msgspec.msgpack.decode(body, type=_State)
            if state.layout != str(LATEST_ROW.descr) or state.signals != list(VITALS):
                raise RecordDamaged("of another build")
            latest = cls()
            latest.position = state.position
            latest._devices = {name: n for n, name in enumerate(state.devices.names)}
            latest.board = Board.of(state.board)
            latest.told = Told.of(state.told)
            latest.forecasts = Forecasts.of_state(state.forecasts)
            latest.notebook.fold(state.entries)
            latest._places(state.patients)
            rows = np.frombuffer(state.rows, LATEST_ROW)
            latest._grow(len(rows))
            latest._rows[: len(rows)] = rows
            latest._size = len(rows)
            latest._slots[rows["patient"], rows["signal"]] = np.arange(len(rows))
        except (msgspec.DecodeError, ValueError, IndexError) as error:
            raise RecordDamaged(f"layout: {error}") from error
        return latest

    def _places(self, patients: Sequence[str]) -> NDArray[np.int64]:
        index = self._patients
        places = numbered(patients, index)
        self._names.extend(islice(index, len(self._names), None))
        if len(index) > len(self._slots):
            slots = np.full((max(64, 2 * len(index)), len(VITALS)), _NONE, np.int64)
            slots[: len(self._slots)] = self._slots
            self._slots = slots
        return places

    def _grow(self, size: int) -> None:
        if size > len(self._rows):
            rows = np.zeros(max(256, 2 * size), LATEST_ROW)
            changed = np.zeros(len(rows), np.bool_)
            rows[: self._size] = self.rows
            changed[: self._size] = self._changed[: self._size]
            valued = np.full(len(rows), _NONE, np.int64)
            valued[: self._size] = self._valued[: self._size]
            self._rows, self._changed, self._valued = rows, changed, valued
