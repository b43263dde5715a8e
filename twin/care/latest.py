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
from twin.care.board import Board, BoardState
from twin.care.forecasts import Forecasts, ForecastsState
from twin.care.notebook import Notebook
from twin.care.told import Told, ToldState
from twin.care.vitals import ORDER, VITALS
from twin.estimate import EstimateBatch, Kind, Verdict
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
_ESTIMATE = ("as_of", "mean", "std", "scale50", "scale95", "trend", "trend_std")
_KIND_LATEST = 100
_NONE = -1
_NEVER = np.iinfo(np.int64).min


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
        rows = batch.rows
        if not len(rows):
            return
        patient = self._places(batch.patients)[rows["patient"]]
        signal = np.array([ORDER.get(code, _NONE) for code in batch.signals], np.int64)
        signal = signal[rows["signal"]]
        accepted = (rows["kind"] == Kind.VERDICT) & (rows["verdict"] == Verdict.ACCEPTED)
        births = self._make_slots(patient, signal, accepted & (signal != _NONE))
        slot = np.where(signal == _NONE, _NONE, self._slots[patient, signal])
        known = slot != _NONE
        if births:  # a row before its key's first estimate says nothing
            first = np.zeros(self._size, np.int64)
            first[list(births)] = list(births.values())
            known &= np.arange(len(rows)) >= first[slot]
        self._take_estimates(rows, slot, known & (accepted | (rows["kind"] == Kind.REVISION)))
        self._take_values(batch, slot, known & accepted)
        self._take_status(rows, slot, known, accepted)

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
        found = list(map(index.get, patients))
        if None in found:
            found = [index.setdefault(p, len(index)) for p in patients]
        places = np.array(found, np.int64)
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
            self._rows, self._changed = rows, changed

    def _make_slots(
        self, patient: NDArray[np.int64], signal: NDArray[np.int64], wanted: NDArray[np.bool_]
    ) -> dict[int, int]:
        """New keys' slots → the row of each one's first estimate."""
        births: dict[int, int] = {}
        for row in np.flatnonzero(wanted & (self._slots[patient, signal] == _NONE)).tolist():
            key = int(patient[row]), int(signal[row])
            if self._slots[key] != _NONE:
                continue
            self._grow(self._size + 1)
            fresh = self._rows[self._size]
            fresh["patient"], fresh["signal"] = key
            fresh["as_of"] = fresh["value_at"] = _NEVER
            self._slots[key] = self._size
            births[self._size] = row
            self._size += 1
        return births

    def _take_estimates(
        self, rows: NDArray[Any], slot: NDArray[np.int64], wanted: NDArray[np.bool_]
    ) -> None:
        """The newest as_of of each key; of equal ones the last. An older one never replaces it."""
        winners = _newest(
            slot, rows["as_of"], wanted & (rows["as_of"] >= self._stamps("as_of", slot))
        )
        places = slot[winners]
        for name in _ESTIMATE:
            self._rows[name][places] = rows[name][winners]
        self._changed[places] = True

    def _take_values(
        self, batch: EstimateBatch, slot: NDArray[np.int64], wanted: NDArray[np.bool_]
    ) -> None:
        rows = batch.rows
        newer = rows["measured_at"] >= self._stamps("value_at", slot)
        winners = _newest(slot, rows["measured_at"], wanted & newer)
        places = slot[winners]
        for name, source in (
            ("value", "value"),
            ("value_at", "measured_at"),
            ("received_at", "received_at"),
        ):
            self._rows[name][places] = rows[source][winners]
        if len(winners):
            self._rows["device"][places] = self._numbers(batch, rows["device"][winners])

    def _numbers(self, batch: EstimateBatch, used: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The fold's own number of each used device, (n,); used: indexes of the batch's."""
        here, index = np.zeros(len(batch.devices), np.int64), self._devices
        for i in np.unique(used).tolist():
            here[i] = index.setdefault(batch.devices[i], len(index))
        return here[used]

    def _take_status(
        self,
        rows: NDArray[Any],
        slot: NDArray[np.int64],
        known: NDArray[np.bool_],
        accepted: NDArray[np.bool_],
    ) -> None:
        """Status and coasting as the last row says; numpy assigns repeated places in order."""
        coasting = known & (rows["kind"] == Kind.COASTING)
        says_status = (known & accepted) | coasting | (known & (rows["kind"] == Kind.STATUS))
        self._rows["status"][slot[says_status]] = rows["status"][says_status]
        moves = (known & accepted) | coasting
        self._rows["coasting"][slot[moves]] = coasting[moves]
        for name in ("mean", "std", "scale50", "scale95"):
            self._rows[f"coast_{name}"][slot[coasting]] = rows[name][coasting]
        self._changed[slot[says_status]] = True

    def _stamps(self, name: str, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """A stamp of each row's key, (n,); of a row without key some other's, which nobody uses."""
        if not self._size:
            return np.zeros(len(slot), np.int64)
        return np.asarray(self._rows[name][np.maximum(slot, 0)], np.int64)


def _newest(
    slot: NDArray[np.int64], stamp: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Row numbers: of each wanted slot the one with the highest stamp, the last of equal ones."""
    places = np.flatnonzero(wanted)
    if not len(places):
        return places
    of, order = slot[places], np.arange(len(places))
    by_slot = np.empty(int(of.max()) + 1, np.int64)
    by_slot[of] = order
    if (by_slot[of] == order).all():  # each slot once: nothing to choose from
        return places
    places = places[np.lexsort((places, stamp[places], slot[places]))]
    last = np.append(slot[places][1:] != slot[places][:-1], True)
    return np.extract(last, places)
