"""Estimate batches by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch, Kind, Status, Verdict
from twin.forecast_row import wide

T0 = 1_764_000_000_000_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an estimate batch with its names; columns: what differs from the usual."""

    kind: Kind
    patient: str
    signal: str
    device: str
    columns: dict[str, Any] = field(default_factory=dict)


def observed(
    at: int,
    value: float,
    patient: str = "p1",
    signal: str = "heart_rate",
    device: str = "watch-1",
    verdict: Verdict = Verdict.ACCEPTED,
    **columns: Any,
) -> Row:
    """A verdict row; its estimate (as_of = at, mean = value) counts only if it is accepted."""
    said = {"measured_at": at, "as_of": at, "device_stamp": at, "received_at": at + SECOND // 3}
    said |= {"value": value, "mean": value, "std": 1.0, "trend": 0.0, "verdict": verdict}
    return Row(Kind.VERDICT, patient, signal, device, said | columns)


def revised(
    at: int, mean: float, patient: str = "p1", signal: str = "heart_rate", **columns: Any
) -> Row:
    """A revision of the estimate at `at`."""
    said = {"as_of": at, "mean": mean, "std": 1.0, "trend": 0.0, "received_at": at + 60 * SECOND}
    return Row(Kind.REVISION, patient, signal, "", said | columns)


def aged(at: int, status: Status, patient: str = "p1", signal: str = "heart_rate") -> Row:
    """A change of status at the tick `at`."""
    said = {"received_at": at, "as_of": at - SECOND, "status": status}
    return Row(Kind.STATUS, patient, signal, "", said)


def coasting(at: int, patient: str = "p1", signal: str = "heart_rate") -> Row:
    """A prediction at a tick."""
    return Row(Kind.COASTING, patient, signal, "", {"as_of": at, "mean": 1.0, "std": 9.0})


def batch(*rows: Row, model: str = "m1") -> EstimateBatch:
    """The rows as a batch, sorted by patient as the worker does it."""
    ordered = sorted(rows, key=lambda row: row.patient)
    patients, signals = _names(ordered, "patient"), _names(ordered, "signal")
    devices = [name for name in _names(ordered, "device") if name]
    table = np.zeros(len(rows), ESTIMATE_ROW)
    for name in ("noise_std", "quality", "nis"):
        table[name] = np.nan
    for name in ("scale50", "scale90", "scale95", "weight"):
        table[name] = 1
    table["status"] = Status.FRESH
    for place, row in enumerate(ordered):
        table["kind"][place] = row.kind
        table["patient"][place] = patients.index(row.patient)
        table["signal"][place] = signals.index(row.signal)
        table["device"][place] = devices.index(row.device) if row.device else NO_DEVICE
        for name, value in row.columns.items():
            table[name][place] = value
    tables = tuple(patients), tuple(devices), tuple(signals), ("",)
    return EstimateBatch(model, *tables, table[table["kind"] != Kind.FORECAST], wide(table))


def _names(rows: Sequence[Row], attribute: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, attribute) for row in rows))


def forecast(at: int, seconds: int, mean: float, patient: str = "p1", **columns: Any) -> Row:
    """What was expected at `at` of the heart rate so many seconds later."""
    said = {"as_of": at, "measured_at": at + seconds * SECOND, "flags": seconds}
    said |= {"mean": mean, "std": 2.0, "scale90": 1.5, "received_at": at + 3 * SECOND}
    return Row(Kind.FORECAST, patient, "heart_rate", "", said | columns)
