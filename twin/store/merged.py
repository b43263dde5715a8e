"""Several estimate batches as one, and which of their rows are stored as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bytewise import joined
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch, Kind, Verdict

Indexes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Merged:
    """n rows (dtype ESTIMATE_ROW) in the order of the batches, indexing common tables.

    model: (n,) index into `models`. Rows without a device keep NO_DEVICE.
    """

    rows: NDArray[Any]
    model: NDArray[np.uint16]
    models: Sequence[str]
    patients: Sequence[str]
    devices: Sequence[str]
    signals: Sequence[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """Indexes of the rows that are stored, by what they are stored as, in processing order.

    Duplicates, refusals and coasting rows are in none of them; an accepted observation is in two.
    """

    observations: Indexes
    conflicts: Indexes
    estimates: Indexes
    statuses: Indexes
    forecasts: Indexes


def merged(batches: Sequence[EstimateBatch]) -> Merged:
    """The batches as one; batches of one or a few rows cost as little as large ones afterwards."""
    patients: dict[str, int] = {}
    devices: dict[str, int] = {}
    signals: dict[str, int] = {}
    models: dict[str, int] = {}
    rows = joined([np.empty(0, ESTIMATE_ROW), *(batch.rows for batch in batches)])
    model = np.empty(len(rows), np.uint16)
    start = 0
    for batch in batches:
        part = rows[start : start + len(batch.rows)]
        model[start : start + len(part)] = models.setdefault(batch.model, len(models))
        _number(part["patient"], patients, batch.patients)
        _number(part["signal"], signals, batch.signals)
        _number(part["device"], devices, batch.devices)
        start += len(part)
    return Merged(rows, model, list(models), list(patients), list(devices), list(signals))


def _number(of: NDArray[Any], table: dict[str, int], names: Sequence[str]) -> None:
    """Numbers of names in a batch become numbers in the common table; NO_DEVICE stays."""
    places = [table.setdefault(name, len(table)) for name in names]
    if places != list(range(len(places))):
        there = np.array([*places, NO_DEVICE], np.uint32)
        of[:] = there[np.where(of == NO_DEVICE, len(places), of)]


def kept(rows: NDArray[Any]) -> Kept:
    """What of `rows` (dtype ESTIMATE_ROW) belongs in a store."""
    kind, verdict = rows["kind"], rows["verdict"]
    judged = kind == Kind.VERDICT
    accepted = judged & (verdict == Verdict.ACCEPTED)
    return Kept(
        np.flatnonzero(accepted | judged & (verdict == Verdict.BELATED)),
        np.flatnonzero(judged & (verdict == Verdict.CONFLICT)),
        np.flatnonzero(accepted | (kind == Kind.REVISION)),
        np.flatnonzero(kind == Kind.STATUS),
        np.flatnonzero(kind == Kind.FORECAST),
    )
