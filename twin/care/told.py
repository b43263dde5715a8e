"""What the worker last reported of each device on each patient: a fold of the estimates journal.

The newest report of a pair replaces the one before. Its counts are those of the tick that it was
made on; until the next one, some ticks later, each verdict row adds to them, so that they are exact
at any time, and whatever of the journal was never read is in them as soon as the worker reports.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.bytewise import readable
from twin.care import told_kernel
from twin.care.facts import DeviceFacts, Totals
from twin.care.places import Places
from twin.care.silences import Pairs, SilentGroup, grouped
from twin.device_report import (
    DEVICE_ROW,
    UNSAID,
    DeviceReports,
    Silence,
    SystemEvent,
    reasons_before,
)
from twin.estimate import EstimateBatch, Verdict

EVENTS = 100
#: Fields of a report that count messages by the device's own numbers.
NUMBERS = ("missing", "open", "redelivered", "restarts")
_WORDS = [silence.word for silence in Silence]
#: Columns of a report in the order of `DeviceFacts`, whose last field is the refused by reason.
_FACTS = (
    "silence", "since", "at", "last_received", "expected", "battery", "contact", "online", "offset",
    "offset_std", "drift", "drift_std", "correction", "missing", "open", "redelivered", "restarts",
    "accepted", "belated", "duplicate", "conflict",
)  # fmt: skip
_DIGITS = {"battery": 2, **dict.fromkeys(("offset", "offset_std", "drift", "drift_std"), 6)}
_COUNTED = {verdict: verdict.name.lower() for verdict in Verdict if verdict}


class ToldState(msgspec.Struct, frozen=True, array_like=True):
    """As it is saved; rows are DEVICE_ROWs, one of each pair."""

    layout: str = ""
    patients: list[str] = []
    devices: list[str] = []
    rows: bytes = b""
    events: list[SystemEvent] = []
    refused: dict[int, dict[str, int]] | None = None  # as in `DeviceReports`


class Told:
    """Not safe for several threads; its owner locks. events: the newest of the line itself."""

    def __init__(self) -> None:
        self.events: deque[SystemEvent] = deque(maxlen=EVENTS)
        #: Of devices on patients, in `_rows`.
        self._places = Places()
        self._rows: NDArray[Any] = np.zeros(0, DEVICE_ROW)
        self._refused: dict[int, dict[str, int]] = {}
        self._gateways: dict[str, int] = {}
        #: The gateway of each place, −1: none.
        self._gateway: NDArray[np.int64] = np.zeros(0, np.int64)
        #: What silences many, and of which silences that was made.
        self._grouped: tuple[tuple[bytes, int | None], list[SilentGroup]] = (b"", None), []

    def fold(self, output: DeviceReports | EstimateBatch | SystemEvent) -> None:
        """Take in one record."""
        if isinstance(output, SystemEvent):
            self.events.append(output)
        elif isinstance(output, DeviceReports):
            rows, patients = output.rows, max(1, len(output.patients))
            pairs = rows["device"].astype(np.int64) * patients + rows["patient"]
            places = self._places_of(output, pairs)
            self._rows[places] = output.rows
            for row, reasons in output.refused.items():
                self._refused[int(places[row])] = dict(reasons)
        else:
            self._judged(output)

    def _judged(self, batch: EstimateBatch) -> None:
        rows, patients = readable(batch.rows), max(1, len(batch.patients))
        pairs = np.empty(len(rows), np.int64)
        pairs = pairs[: told_kernel.runs(rows, patients, pairs)]
        if not len(pairs):
            return
        places, refused = self._places_of(batch, pairs), np.empty((len(rows), 2), np.int64)
        n = told_kernel.count(rows, patients, places, self._rows, refused)
        for row, place in refused[:n].tolist():
            reasons = self._refused.setdefault(place, {})
            word = batch.reasons[rows["reason"][row]]
            reasons[word] = reasons.get(word, 0) + 1

    def _places_of(
        self, output: DeviceReports | EstimateBatch, pairs: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The place of each device · patients + patient, (n,); new ones are made."""
        known = len(self._places)
        places = self._places.of(output.devices, output.patients, pairs)
        if len(self._places) > known:
            self._make(known)
        return places

    def _make(self, known: int) -> None:
        """Rows for the places from `known` on."""
        size = len(self._places)
        if size > len(self._rows):
            grown = np.zeros(2 * size, DEVICE_ROW)
            grown[:known] = self._rows[:known]
            self._rows = grown
        self._rows[known:size] = UNSAID

    def facts(self, device: str | None = None) -> list[DeviceFacts]:
        """Of every device (or of one) on every patient, in order of device id, then of patient."""
        index = self._places.index
        keys = sorted(key for key in index if device in (None, key[0]))
        places = [index[key] for key in keys]
        columns = (_column(self._rows[name][places], _DIGITS.get(name)) for name in _FACTS)
        refused = (self._refused.get(place, {}) for place in places)
        return [_facts(*key, *said) for key, *said in zip(keys, *columns, refused, strict=True)]

    def silences(self, ingest_since: int | None) -> list[SilentGroup]:
        """What silences many; ingest_since: ingest is down since then (ns UTC), by the reader's
        clock."""
        rows = self._rows[: len(self._places)]
        seen = rows["silence"].tobytes(), ingest_since
        if seen != self._grouped[0]:
            self._look_at_gateways()
            pairs = Pairs(list(self._places.index), rows, self._gateway, list(self._gateways))
            self._grouped = seen, grouped(pairs, ingest_since)
        return list(self._grouped[1])

    def totals(self) -> Totals:
        """Of all devices together."""
        rows = self._rows[: len(self._places)]
        reached = np.sum([rows[name] for name in _COUNTED.values()], axis=0) > 0
        keys = zip(self._places.index, reached.tolist(), strict=True)
        heard = {device for (device, _patient), there in keys if there}
        refused: Counter[str] = Counter()
        for reasons in self._refused.values():
            refused.update(reasons)
        return Totals(
            len(heard),
            {name: int(rows[name].sum()) for name in _COUNTED.values() if name != "refused"},
            dict(refused),
            {name: int(rows[name].sum()) for name in NUMBERS},
        )

    def _look_at_gateways(self) -> None:
        index, new = self._gateways, islice(self._places.index, len(self._gateway), None)
        names = [device.rpartition("/")[0] for device, _patient in new]
        numbers = [index.setdefault(name, len(index)) if name else -1 for name in names]
        self._gateway = np.concatenate([self._gateway, np.array(numbers, np.int64)])

    def state(self) -> ToldState:
        keys = self._places.index
        devices, patients = [key[0] for key in keys], [key[1] for key in keys]
        rows = self._rows[: len(devices)].tobytes()
        refused = {place: dict(reasons) for place, reasons in self._refused.items()}
        layout = str(DEVICE_ROW.descr)
        return ToldState(layout, patients, devices, rows, list(self.events), refused)

    @classmethod
    def of(cls, state: ToldState) -> Told:
        """What was saved; of another layout nothing: the reports come again within an hour."""
        told = cls()
        told.events.extend(state.events)
        if state.layout == str(DEVICE_ROW.descr):
            rows = np.frombuffer(state.rows, DEVICE_ROW).copy()
            told._places = Places.of_keys(zip(state.devices, state.patients, strict=True))
            told._rows = rows
            told._refused = state.refused or reasons_before(rows)
        return told


def _facts(
    device: str,
    patient: str,
    silence: int,
    since: int,
    at: int,
    last_received: int,
    expected: int,
    battery: float,
    contact: int,
    online: int,
    offset: float,
    offset_std: float,
    drift: float,
    drift_std: float,
    *counts: Any,
) -> DeviceFacts:
    return DeviceFacts(
        device,
        patient,
        _WORDS[silence],
        since,
        at,
        last_received,
        expected * 1e-9,
        _number(battery),
        _said(contact),
        _said(online),
        _number(offset),
        _number(offset_std),
        _number(drift),
        _number(drift_std),
        *counts,
    )


def _column(numbers: NDArray[Any], digits: int | None) -> list[Any]:
    """As Python's own numbers, rounded to so many digits."""
    rounded = numbers if digits is None else numbers.astype(np.float64).round(digits)
    return list(rounded.tolist())


def _number(number: float) -> float | None:
    return number if number == number else None


def _said(value: int) -> bool | None:
    return None if value < 0 else bool(value)
