"""Rows of the estimates journal from what the bank said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from twin.bytewise import joined, taken
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch, Kind, Verdict
from twin.estimation.bank import Bank
from twin.estimation.events import Updated
from twin.estimation.kalman import (
    E_DIVERGED,
    E_INTERVAL,
    E_MEAN,
    E_NIS,
    E_TREND,
    E_TREND_VAR,
    E_VAR,
    E_WEIGHT,
)
from twin.estimation.names import Names
from twin.estimation.status import grow_old, status_of, told_of
from twin.forecast import HORIZONS
from twin.foresight import fill_forecasts
from twin.intake.arrivals import Arrivals

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

    def refuse(self, arrived: Arrivals, chosen: NDArray[np.int64], reason: str) -> None:
        """A verdict row for each chosen observation that the twin cannot use.

        What is beyond the declared rate is not kept: its row says so without the value.
        """
        if len(chosen):
            rows = self._observed(arrived, chosen)
            if reason == "over_rate":
                rows["value"] = np.nan
            rows["verdict"], rows["reason"] = Verdict.REFUSED, REASONS.index(reason)
            self._take(rows, chosen)

    def add(
        self,
        arrived: Arrivals,
        chosen: NDArray[np.int64],
        slot: NDArray[np.int64],
        updated: Updated,
    ) -> None:
        """Verdict rows of the chosen observations, revisions and changes of status they caused."""
        rows = self._observed(arrived, chosen)
        rows["verdict"], rows["as_of"] = updated.verdict, updated.as_of
        _fill(rows, updated.estimates)
        signal = arrived.signal[chosen]
        expected = self.bank.expected_interval(signal, updated.estimates[:, E_INTERVAL])
        aged = status_of(rows["received_at"] - rows["as_of"], expected)
        rows["status"] = told_of(aged, updated.estimates[:, E_DIVERGED])
        self._take(rows, chosen)
        self._revise(rows, chosen, aged, updated)
        self._change_status(rows, chosen, slot)

    def _revise(
        self,
        caused: NDArray[Any],
        chosen: NDArray[np.int64],
        aged: NDArray[np.uint8],
        updated: Updated,
    ) -> None:
        """Revisions, with the status of what caused them by age: that is when they were known."""
        by = updated.revised_by
        if not len(by):
            return
        rows = empty_rows(len(by), Kind.REVISION)
        for name in ("patient", "signal", "received_at", "measured_at"):
            rows[name] = caused[name][by]
        rows["status"] = told_of(aged[by], updated.revised[:, E_DIVERGED])
        rows["as_of"] = updated.revised_at
        _fill(rows, updated.revised)
        self._take(rows, chosen[by])

    def _change_status(
        self, rows: NDArray[Any], chosen: NDArray[np.int64], slot: NDArray[np.int64]
    ) -> None:
        """Status rows where an accepted observation changed its key's status."""
        accepted = np.flatnonzero(rows["verdict"] == Verdict.ACCEPTED)
        order = accepted[np.argsort(slot[accepted], kind="stable")]
        if not len(order):
            return
        slots, now = slot[order], rows["status"][order]
        status = self.bank.slots.of["status"]
        before = np.concatenate([[0], now[:-1]])
        first = np.concatenate([[True], slots[1:] != slots[:-1]])
        before[first] = status[slots[first]]
        last = np.concatenate([first[1:], [True]])
        status[slots[last]] = now[last]
        changed = order[before != now]
        news = empty_rows(len(changed), Kind.STATUS)
        for name in ("patient", "signal", "status", "as_of", "received_at", "measured_at"):
            news[name] = rows[name][changed]
        self._take(news, chosen[changed])

    def age(self, at: int, partitions: NDArray[np.bool_]) -> None:
        """Status and coasting rows of a tick at `at` (ns) for these partitions (mask)."""
        a, bank = self.bank.slots.of, self.bank
        changed, coasting = np.empty((2, bank.slots.count), np.int64)
        changes, coasts = grow_old(
            at, bank.slots.count, partitions, bank.partition, a["patient"], a["model"],
            bank.expected, bank.modelled, a["state_t"], a["memory"], a["ring_at"], a["ring_n"],
            a["ring_t"], a["status"], a["coasted_at"], bank.slots.rests_until, changed, coasting,
        )  # fmt: skip
        if changes:
            self._take(self._of_slots(changed[:changes], Kind.STATUS, at), None)
        self._coast(coasting[:coasts], at)

    def _coast(self, slots: NDArray[np.int64], at: int) -> None:
        if not len(slots):
            return
        rows = self._of_slots(slots, Kind.COASTING, at)
        ahead = (at - self.bank.slots.of["state_t"][slots]) * 1e-9
        rows["mean"], rows["std"] = self.bank.ahead(slots, ahead)
        rows["as_of"] = at
        self._take(rows, None)

    def forecast(self, slots: NDArray[np.int64], at: int) -> None:
        """Forecast rows of these slots, made at a tick at `at` (ns)."""
        if not len(slots):
            return
        rows = self._of_slots(np.repeat(slots, len(HORIZONS)), Kind.FORECAST, at)
        fill_forecasts(self.bank, slots, rows)
        self._take(rows, None)

    def _of_slots(self, slots: NDArray[np.int64], kind: Kind, at: int) -> NDArray[Any]:
        a = self.bank.slots.of
        rows = empty_rows(len(slots), kind)
        rows["patient"], rows["signal"] = a["patient"][slots], a["model"][slots]
        rows["status"], rows["as_of"] = a["status"][slots], a["state_t"][slots]
        rows["received_at"] = rows["measured_at"] = at
        return rows

    def _observed(self, arrived: Arrivals, chosen: NDArray[np.int64]) -> NDArray[Any]:
        rows = empty_rows(len(chosen), Kind.VERDICT)
        given = arrived.of(chosen)
        for name in ("value", "noise_std", "quality", "measured_at", "received_at", "device_stamp"):
            rows[name] = given[name]
        rows["patient"], rows["device"] = arrived.patient[chosen], arrived.device[chosen]
        rows["signal"] = np.maximum(arrived.signal[chosen], 0)
        return rows

    def _take(self, rows: NDArray[Any], events: NDArray[np.int64] | None) -> None:
        self._parts.append(rows)
        self._events.append(np.zeros(len(rows), np.int64) if events is None else events)

    def batches(self) -> Iterator[tuple[int, EstimateBatch]]:
        """(partition, batch) in order of partition; nothing where there are no rows."""
        if not any(map(len, self._parts)):
            return
        rows = joined(self._parts)
        patient = rows["patient"].astype(np.int64)
        # By partition, patient, event: one number, of which one sort is made.
        events = np.concatenate(self._events)
        patients, most = len(self.bank.patients), int(events.max()) + 1
        key = (self.bank.partition[patient].astype(np.int64) * patients + patient) * most + events
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            rows, patient = taken(rows, order), patient[order]
        partition = self.bank.partition[patient]
        cuts = (np.flatnonzero(np.diff(partition)) + 1).tolist()
        edges = list(pairwise([0, *cuts, len(rows)]))
        # All partitions at once: a live step has a few rows in each of many.
        first = np.concatenate([[True], patient[1:] != patient[:-1]])
        place = np.cumsum(first)
        begins = place[[begin for begin, _ in edges]]
        sizes = [end - begin for begin, end in edges]
        rows["patient"] = place - np.repeat(begins, sizes)
        devices = self._devices(rows, np.repeat(np.arange(len(edges)), sizes), len(edges))
        names = list(map(self.bank.patients.text.__getitem__, patient[first].tolist()))
        known = [*(begins - 1).tolist(), len(names)]
        for n, (begin, end) in enumerate(edges):
            yield (
                int(partition[begin]),
                EstimateBatch(
                    self.bank.model_file.version,
                    tuple(names[known[n] : known[n + 1]]),
                    devices[n],
                    tuple(CODES),
                    REASONS,
                    rows[begin:end],
                ),
            )

    def _devices(
        self, rows: NDArray[Any], part: NDArray[np.int64], parts: int
    ) -> list[tuple[str, ...]]:
        """For each part of the rows its devices in order of number; rows then index into them.

        part (n,): which part of so many a row is of, ascending.
        """
        said = np.flatnonzero(rows["device"] != NO_DEVICE)
        count = max(len(self.devices), 1)
        keys = part[said] * count + rows["device"][said]
        distinct, index = np.unique(keys, return_inverse=True)
        ends = np.searchsorted(distinct, np.arange(parts + 1) * count)
        rows["device"][said] = index - ends[part[said]]
        names = list(map(self.devices.text.__getitem__, (distinct % count).tolist()))
        return [tuple(names[begin:end]) for begin, end in pairwise(ends.tolist())]


def _fill(rows: NDArray[Any], estimates: NDArray[np.float64]) -> None:
    rows["mean"], rows["std"] = estimates[:, E_MEAN], np.sqrt(estimates[:, E_VAR])
    rows["trend"], rows["trend_std"] = estimates[:, E_TREND], np.sqrt(estimates[:, E_TREND_VAR])
    rows["nis"], rows["weight"] = estimates[:, E_NIS], estimates[:, E_WEIGHT]
