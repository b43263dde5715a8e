"""Each patient's newest estimates as arrays (patients x signals), and whose are due. Pure.

A state is due when it moved: a mean, or half a 95 % band, by the unit that it is shown in (the
signal's resolution), a status, the model, or a signal more or less; and `REFRESH_S` after it was
last said if it changed at all. Once in `EVERY_S` seconds at most, those first that have waited
longest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from twin.bands import Z95
from twin.estimate import EstimateBatch, Kind, Verdict

EVERY_S = 1.0
REFRESH_S = 10.0
#: What is kept of an estimate: its unit's numbers, trend per minute, stamp ns UTC.
_TAKEN = ("as_of", "mean", "std", "scale95", "trend")
_ROW = np.dtype(
    [("as_of", "i8"), *((name, "f8") for name in _TAKEN[1:]), ("status", "u1"), ("model", "u2")]
)
#: `as_of` where there is no estimate: older than any.
_NONE = np.iinfo(np.int64).min

Places = NDArray[np.int64]


class Held(msgspec.Struct, frozen=True, array_like=True):
    """The newest estimate of one signal, in its unit; trend per minute, stamps ns UTC."""

    as_of: int
    mean: float
    std: float
    scale95: float
    trend: float
    status: int
    model: str


class Chosen(NamedTuple):
    """Rows of some patients (n x signals, in the order of their codes); there: which there are."""

    codes: list[str]
    models: list[str]
    rows: NDArray[Any]
    there: NDArray[np.bool_]


class States:
    """Rows by place (patient) and column (signal of the catalogue that was ever met); both only
    grow. One thread uses it."""

    def __init__(self) -> None:
        self._patients: list[str] = []
        self._places: dict[str, int] = {}
        self._columns: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._rows = np.zeros((0, 0), _ROW)
        # What may be said: all of a patient, or these signals.
        self._all = np.zeros(0, np.bool_)
        self._may = np.zeros((0, 0), np.bool_)
        self._step = np.zeros(0)
        # As it was last said: mean and half band; and when, s of a monotonic clock.
        self._said = np.zeros((0, 0, 2))
        self._said_at = np.zeros(0)
        self._changed = np.zeros(0, np.bool_)
        self._moved = np.zeros(0, np.bool_)

    def knows(self, patient: str) -> bool:
        """Has the patient a place?"""
        return patient in self._places

    def patients(self) -> list[str]:
        """Who has a state."""
        known = (self._rows["as_of"] != _NONE).any(axis=1)
        return [self._patients[place] for place in np.flatnonzero(known).tolist()]

    def restore(self, patient: str, held: Mapping[str, Held]) -> None:
        """Put in what was kept; nothing of it is due."""
        self.allow(patient, frozenset())
        for code, one in held.items():
            if code in SIGNALS:
                column = self._column(code)
                self._rows[self._places[patient], column] = (
                    *(getattr(one, name) for name in (*_TAKEN, "status")),
                    self._model(one.model),
                )

    def allow(self, patient: str, may: frozenset[str] | None) -> bool:
        """Only these signals of the patient from now on (empty: all, None: nothing), who has a
        place then; the others are gone. Is any left?"""
        if patient not in self._places:
            self._places[patient] = len(self._patients)
            self._patients.append(patient)
            self._grow()
        columns = [self._column(code) for code in may or () if code in SIGNALS]
        place = self._places[patient]
        self._all[place] = may is not None and not may
        self._may[place] = False
        self._may[place, columns] = True
        held = self._rows["as_of"][place]
        lost = (held != _NONE) & ~(self._all[place] | self._may[place])
        held[lost] = _NONE
        left = bool((held != _NONE).any())
        for marks in (self._changed, self._moved):
            marks[place] = left and (marks[place] or lost.any())
        return left

    def take(self, batch: EstimateBatch) -> None:
        """Fold a batch in, whose patients have places. An older estimate replaces none, a revision
        of nothing says nothing. Coasting changes a status at most: what is said is the estimate."""
        rows = batch.rows
        places = np.array([self._places.get(each, -1) for each in batch.patients], np.int64)
        columns = np.array(
            [self._column(code) if code in SIGNALS else -1 for code in batch.signals], np.int64
        )
        accepted = (rows["kind"] == Kind.VERDICT) & (rows["verdict"] == Verdict.ACCEPTED)
        key = rows["patient"].astype(np.int64) * len(batch.signals) + rows["signal"]
        estimates = accepted | (rows["kind"] == Kind.REVISION)
        self._put(rows[_newest(key, rows["as_of"], estimates)], places, columns, batch.model)
        aged = accepted | np.isin(rows["kind"], (Kind.STATUS, Kind.COASTING))
        self._age(rows[_newest(key, np.arange(len(rows)), aged)], places, columns)

    def _put(self, rows: NDArray[Any], places: Places, columns: Places, model: str) -> None:
        place, column = places[rows["patient"]], columns[rows["signal"]]
        here = (place >= 0) & (column >= 0)
        here[here] = self._all[place[here]] | self._may[place[here], column[here]]
        rows, place, column = rows[here], place[here], column[here]
        held = self._rows[place, column]
        revised = rows["kind"] == Kind.REVISION
        newer = (rows["as_of"] >= held["as_of"]) & ~(revised & (held["as_of"] == _NONE))
        rows, place, column = rows[newer], place[newer], column[newer]
        held, revised = held[newer], revised[newer]
        made = np.empty(len(rows), _ROW)
        for name in _TAKEN:
            made[name] = rows[name]
        made["status"] = np.where(revised, held["status"], rows["status"])
        made["model"] = self._model(model)
        self._rows[place, column] = made
        self._changed[place[_differs(made, held)]] = True
        said, step = self._said[place, column], self._step[column]
        still = np.abs(made["mean"] - said[:, 0]) < step
        still &= np.abs(_half(made) - said[:, 1]) < step
        still &= (made["status"] == held["status"]) & (made["model"] == held["model"])
        self._moved[place[~still]] = True

    def _age(self, rows: NDArray[Any], places: Places, columns: Places) -> None:
        place, column = places[rows["patient"]], columns[rows["signal"]]
        here = (place >= 0) & (column >= 0) & (rows["status"] != 0)
        rows, place, column = rows[here], place[here], column[here]
        held = self._rows[place, column]
        aged = (held["as_of"] != _NONE) & (held["status"] != rows["status"])
        place = place[aged]
        self._rows["status"][place, column[aged]] = rows["status"][aged]
        self._changed[place] = self._moved[place] = True

    def take_due(self, now: float, most: int) -> list[str]:
        """Whose state is to be said, `most` at most; counted as said at now, s of a monotonic
        clock."""
        waited = now - self._said_at
        due = self._changed & (self._moved | (waited >= REFRESH_S)) & (waited >= EVERY_S)
        places = np.flatnonzero(due)
        places = places[np.argsort(self._said_at[places], kind="stable")][:most]
        self._changed[places] = self._moved[places] = False
        self._said_at[places] = now
        rows = self._rows[places]
        self._said[places] = np.stack([rows["mean"], _half(rows)], axis=-1)
        return [self._patients[place] for place in places.tolist()]

    def change_all(self) -> None:
        """All is to be said again."""
        self._changed[:] = self._moved[:] = (self._rows["as_of"] != _NONE).any(axis=1)

    def chosen(self, patients: Iterable[str]) -> Chosen:
        """The rows of these patients, who have places."""
        codes = sorted(self._columns)
        places = np.array([self._places[each] for each in patients], np.int64)
        columns = np.array([self._columns[code] for code in codes], np.int64)
        rows = self._rows[places[:, None], columns]
        return Chosen(codes, list(self._models), rows, rows["as_of"] != _NONE)

    def held(self, patients: Iterable[str]) -> Iterator[tuple[str, dict[str, list[object]]]]:
        """What is kept of these patients, if anything: by signal the fields of `Held`."""
        known = [each for each in patients if each in self._places]
        chosen = self.chosen(known)
        rows, there = chosen.rows.tolist(), chosen.there.tolist()
        for patient, row, here in zip(known, rows, there, strict=True):
            kept = {
                code: [*one[:-1], chosen.models[one[-1]]]
                for code, one, is_here in zip(chosen.codes, row, here, strict=True)
                if is_here
            }
            if kept:
                yield patient, kept

    def _column(self, code: str) -> int:
        if code not in self._columns:
            self._columns[code] = len(self._columns)
            self._grow()
            self._step[self._columns[code]] = SIGNALS[code].resolution
        return self._columns[code]

    def _model(self, model: str) -> int:
        return self._models.setdefault(model, len(self._models))

    def _grow(self) -> None:
        """Room for all places and columns; of places twice as much as there was."""
        high, wide = self._rows.shape
        if len(self._patients) <= high and len(self._columns) <= wide:
            return
        taller = high if len(self._patients) <= high else max(64, 2 * high)
        wider = max(wide, len(self._columns))
        rows, may = np.zeros((taller, wider), _ROW), np.zeros((taller, wider), np.bool_)
        said = np.full((taller, wider, 2), np.nan)
        rows["as_of"] = _NONE
        for grown, before in ((rows, self._rows), (may, self._may), (said, self._said)):
            grown[:high, :wide] = before
        self._rows, self._may, self._said = rows, may, said
        self._step = np.append(self._step, np.zeros(wider - wide))
        self._said_at = np.append(self._said_at, np.full(taller - high, -np.inf))
        unmarked = np.zeros(taller - high, np.bool_)
        self._all, self._changed, self._moved = (
            np.append(marks, unmarked) for marks in (self._all, self._changed, self._moved)
        )


def _half(rows: NDArray[Any]) -> NDArray[np.float64]:
    half: NDArray[np.float64] = Z95 * rows["std"] * rows["scale95"]
    return half


def _differs(made: NDArray[Any], held: NDArray[Any]) -> NDArray[np.bool_]:
    """Where any number of two rows is another; no number is like no number."""
    differs = np.zeros(len(made), np.bool_)
    for name in _ROW.names or ():
        a, b = made[name], held[name]
        differs |= (a != b) & ~((a != a) & (b != b))
    return differs


def _newest(
    key: NDArray[np.int64], stamp: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Row numbers: of each wanted key the one with the highest stamp, the last of equal ones."""
    places = np.flatnonzero(wanted)
    places = places[np.lexsort((places, stamp[places], key[places]))]
    if not len(places):
        return places
    return np.extract(np.append(key[places][1:] != key[places][:-1], True), places)
