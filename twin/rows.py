"""Rows of the estimates journal from what the bank said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from twin.bytewise import joined, taken
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch, Kind, Verdict
from twin.estimation.bank import Bank
from twin.estimation.events import Updated
from twin.estimation.kalman import E_DIVERGED, E_INTERVAL
from twin.estimation.names import Names
from twin.estimation.status import grow_old, status_of, told_of
from twin.forecast_row import WIDE_ROW
from twin.foresight import forecasts_of
from twin.intake.arrivals import Arrivals
from twin.rows_kernel import cut, keys, name_devices, observed

REASONS = ("", "no_model", "value_not_a_number", "over_rate")


def _empty_row() -> NDArray[Any]:
    row = np.zeros(1, ESTIMATE_ROW)
    row["device"] = NO_DEVICE
    for name in ESTIMATE_ROW.names or ():
        if ESTIMATE_ROW[name].kind == "f":
            row[name] = np.nan
    for name in ("scale50", "scale90", "scale95"):
        row[name] = 1.0
    return row


_EMPTY = _empty_row()
_NONE = np.zeros(0, ESTIMATE_ROW)


def empty_rows(n: int, kind: Kind) -> NDArray[Any]:
    """n rows with no value anywhere."""
    rows = np.repeat(_EMPTY, n)
    rows["kind"] = kind
    return rows


@dataclass(slots=True)
class RowBuilder:
    """Collects rows of one part of a step; `batches` gives them by partition, patient and order."""

    bank: Bank
    devices: Names
    _parts: list[NDArray[Any]] = field(default_factory=list)
    _events: list[NDArray[np.int64]] = field(default_factory=list)
    _forecasts: NDArray[Any] = field(default_factory=lambda: np.zeros(0, WIDE_ROW))

    def refuse(self, arrived: Arrivals, chosen: NDArray[np.int64], reason: str) -> None:
        """A verdict row for each chosen observation that the twin cannot use.

        What is beyond the declared rate is not kept: its row says so without the value.
        """
        if len(chosen):
            given = arrived.of(chosen)
            rows = empty_rows(len(chosen), Kind.VERDICT)
            for name in ("patient", "device", "noise_std", "quality", "measured_at", "received_at"):
                rows[name] = getattr(given, name)
            rows["device_stamp"], rows["signal"] = given.device_stamp, np.maximum(given.signal, 0)
            rows["value"] = np.nan if reason == "over_rate" else given.value
            rows["verdict"], rows["reason"] = Verdict.REFUSED, REASONS.index(reason)
            self._take(rows, chosen)

    def add(
        self,
        given: Arrivals,
        chosen: NDArray[np.int64],
        slot: NDArray[np.int64],
        updated: Updated,
        declared: NDArray[np.uint16] | None,
    ) -> None:
        """Verdict rows of observations, revisions and changes of status they caused.

        chosen (n,): which of the step's they are. declared (n,): s between values as the device's
        model has it, 0: not; None: of none. It holds until a key has learned its own. A revision
        has the status of what caused it by age: that is when it was known.
        """
        estimates, by = updated.estimates, updated.revised_by
        seen = estimates[:, E_INTERVAL]
        if declared is not None:
            seen = np.where(seen == 0.0, declared, seen)
            newest = updated.verdict == Verdict.ACCEPTED
            self.bank.slots.of["declared"][slot[newest]] = declared[newest]
        expected = self.bank.expected_interval(given.signal, seen)
        aged = status_of(given.received_at - updated.as_of, expected)
        told = told_of(aged, estimates[:, E_DIVERGED])
        revised = told_of(aged[by], updated.revised[:, E_DIVERGED]) if len(by) else aged[:0]
        most = 2 * len(chosen) + len(by)
        rows, events = np.empty(most, ESTIMATE_ROW), np.empty(most, np.int64)
        n = observed(
            chosen, given.patient, given.device, given.signal, given.value, given.noise_std,
            given.quality, given.measured_at, given.received_at, given.device_stamp, slot,
            updated.verdict, updated.as_of, estimates, told, by, updated.revised_at,
            updated.revised, revised, self.bank.slots.of["status"], rows, events,
        )  # fmt: skip
        self._take(rows[:n], events[:n])

    def age(self, at: int, partitions: NDArray[np.bool_]) -> None:
        """Status and coasting rows of a tick at `at` (ns) for these partitions (mask)."""
        a, bank = self.bank.slots.of, self.bank
        changed, coasting = np.empty((2, bank.slots.count), np.int64)
        changes, coasts = grow_old(
            at, bank.slots.count, partitions, bank.partition, a["patient"], a["model"],
            bank.expected, bank.modelled, a["state_t"], a["memory"], a["ring_start"],
            a["ring_head"], a["ring_n"], a["ring_t"], a["declared"], a["status"], a["coasted"],
            bank.slots.rests_until, changed, coasting,
        )  # fmt: skip
        if changes:
            self._take(self._of_slots(changed[:changes], Kind.STATUS, at), None)
        self._coast(coasting[:coasts], at)

    def _coast(self, slots: NDArray[np.int64], at: int) -> None:
        if not len(slots):
            return
        rows = self._of_slots(slots, Kind.COASTING, at)
        ahead = (at - self.bank.slots.of["state_t"][slots]) * 1e-9
        rows["mean"], rows["std"] = self.bank.next_reading(slots, ahead)
        rows["as_of"] = at
        self._take(rows, None)

    def forecast(self, slots: NDArray[np.int64], at: int) -> None:
        """Forecasts of these slots, by partition and patient, made at a tick at `at` (ns)."""
        if len(slots):
            self._forecasts = forecasts_of(self.bank, slots, at)

    def _of_slots(self, slots: NDArray[np.int64], kind: Kind, at: int) -> NDArray[Any]:
        a = self.bank.slots.of
        rows = empty_rows(len(slots), kind)
        rows["patient"], rows["signal"] = a["patient"][slots], a["model"][slots]
        rows["status"], rows["as_of"] = a["status"][slots], a["state_t"][slots]
        rows["received_at"] = rows["measured_at"] = at
        return rows

    def _take(self, rows: NDArray[Any], events: NDArray[np.int64] | None) -> None:
        self._parts.append(rows)
        self._events.append(np.zeros(len(rows), np.int64) if events is None else events)

    def batches(self) -> Iterator[tuple[int, EstimateBatch]]:
        """(partition, batch) in order of partition; nothing where there are no rows. Forecasts are
        in batches of their own, after the others."""
        yield from self._row_batches()
        yield from self._forecast_batches()

    def _row_batches(self) -> Iterator[tuple[int, EstimateBatch]]:
        if not any(map(len, self._parts)):
            return
        rows, events = self._parts[0], self._events[0]
        if len(self._parts) > 1:
            rows, events = joined(self._parts), np.concatenate(self._events)
        n, partition = len(rows), self.bank.partition
        key = np.empty(n, np.int64)
        if not keys(rows, events, partition, len(self.bank.patients), key):
            rows = taken(rows, np.argsort(key, kind="stable"))
        # All partitions at once: a live step has a few rows in each of many.
        batches = np.empty((min(n, self.bank.partitions), 3), np.int64)
        names, devices = np.empty(n, np.int64), key
        count = max(len(self.devices), 1)
        made, named, devised = cut(rows, partition, count, batches, names, devices)
        devices[:devised].sort()
        ends = np.empty(made, np.int64)
        distinct = name_devices(rows, batches, made, devices, devised, count, ends)
        patients = [*map(self.bank.patients.text.__getitem__, names[:named].tolist())]
        worn = [*map(self.devices.text.__getitem__, devices[:distinct].tolist())]
        model, codes, begin, first, device = self.bank.model_file.version, tuple(CODES), 0, 0, 0
        for (of, end, last), until in zip(batches[:made].tolist(), ends.tolist(), strict=True):
            batch = EstimateBatch(
                model,
                tuple(patients[first:last]),
                tuple(worn[device:until]),
                codes,
                REASONS,
                rows[begin:end],
            )
            begin, first, device = end, last, until
            yield of, batch

    def _forecast_batches(self) -> Iterator[tuple[int, EstimateBatch]]:
        rows = self._forecasts
        if not len(rows):
            return
        who = rows["patient"].astype(np.int64)
        partition = self.bank.partition[who]
        first = np.append(True, who[1:] != who[:-1])  # of its patient
        begins = np.flatnonzero(np.append(True, partition[1:] != partition[:-1])).tolist()
        number, named = np.cumsum(first) - 1, who[first].tolist()
        model, codes = self.bank.model_file.version, tuple(CODES)
        for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
            before, last = int(number[begin]), int(number[end - 1]) + 1
            rows["patient"][begin:end] = number[begin:end] - before
            patients = tuple(map(self.bank.patients.text.__getitem__, named[before:last]))
            batch = EstimateBatch(model, patients, (), codes, REASONS, _NONE, rows[begin:end])
            yield int(partition[begin]), batch
