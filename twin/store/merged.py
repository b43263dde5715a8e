"""Several estimate batches as one, and which of their rows are stored as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.bytewise import joined, readable, taken
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch, Kind
from twin.forecast_row import HORIZONS, NUMBERS, WIDE_ROW

Indexes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Merged:
    """n rows (dtype ESTIMATE_ROW), only to be read, in the order of the batches, indexing common
    tables.

    model: (n,) index into `models`. Rows without a device keep NO_DEVICE. forecasts: (m,) dtype
    WIDE_ROW, indexing the same tables, forecast_model (m,) as model.
    """

    rows: NDArray[Any]
    model: NDArray[np.uint16]
    models: Sequence[str]
    patients: Sequence[str]
    devices: Sequence[str]
    signals: Sequence[str]
    forecasts: NDArray[Any]
    forecast_model: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Kept:
    """Indexes of the rows that are stored, by what they are stored as, in processing order.

    Duplicates, refusals and coasting rows are in none of them; an accepted observation is in two.
    belated: how many of the observations are.
    """

    observations: Indexes
    conflicts: Indexes
    estimates: Indexes
    statuses: Indexes
    forecasts: Indexes
    belated: int


def merged(batches: Sequence[EstimateBatch]) -> Merged:
    """The batches as one; batches of one or a few rows cost as little as large ones afterwards."""
    if len(batches) == 1 and _named_once(batches[0]):
        return _alone(batches[0])
    rows = joined([np.empty(0, ESTIMATE_ROW), *(batch.rows for batch in batches)])
    forecasts = joined([np.empty(0, WIDE_ROW), *(batch.forecasts for batch in batches)])
    sizes = [len(batch.rows) for batch in batches]
    ahead = [len(batch.forecasts) for batch in batches]
    models: dict[str, int] = {}
    number = np.array([models.setdefault(b.model, len(models)) for b in batches], np.uint16)
    patients = _numbered(
        [(rows["patient"], sizes), (forecasts["patient"], ahead)], [b.patients for b in batches]
    )
    devices = _numbered([(rows["device"], sizes)], [b.devices for b in batches])
    signals = _numbered(
        [(rows["signal"], sizes), (forecasts["signal"], ahead)], [b.signals for b in batches]
    )
    of = np.repeat(number, sizes), list(models), patients, devices, signals
    return Merged(readable(rows), *of, readable(forecasts), np.repeat(number, ahead))


def _named_once(batch: EstimateBatch) -> bool:
    tables = batch.patients, batch.devices, batch.signals
    return all(len(set(names)) == len(names) for names in tables)


def _alone(batch: EstimateBatch) -> Merged:
    model, ahead = (np.zeros(len(of), np.uint16) for of in (batch.rows, batch.forecasts))
    tables = batch.patients, batch.devices, batch.signals
    rows, forecasts = readable(batch.rows), readable(batch.forecasts)
    return Merged(rows, model, [batch.model], *tables, forecasts, ahead)


def _numbered(
    columns: Sequence[tuple[NDArray[Any], Sequence[int]]], named: Sequence[Sequence[str]]
) -> Sequence[str]:
    """Numbers of names in a batch become numbers in a common table, which is returned; NO_DEVICE
    stays. named: each batch's names; columns: numbers, and how many each batch has of them."""
    table: dict[str, int] = {}
    places: list[int] = []
    begin, same = [], True
    for names in named:
        begin.append(len(places))
        own = [table.setdefault(name, len(table)) for name in names]
        same = same and own == list(range(len(own)))
        places += own
    if not same:
        there = np.array([*places, NO_DEVICE], np.uint32)
        for of, sizes in columns:
            place = np.repeat(np.array(begin, np.int64), sizes) + of
            none = of == NO_DEVICE
            if none.any():
                place[none] = len(places)
            of[:] = there[place]
    return list(table)


def with_points(whole: Merged) -> Merged:
    """The same, each horizon of each forecast a row of its own (`Kind.FORECAST`), after the
    others."""
    made, n = whole.forecasts, len(HORIZONS)
    if not len(made):
        return whole
    rows = np.zeros(n * len(made), ESTIMATE_ROW)
    rows["kind"], rows["device"] = Kind.FORECAST, NO_DEVICE
    rows["flags"] = np.tile(HORIZONS, len(made))
    for name, column in (
        ("patient",) * 2,
        ("signal",) * 2,
        ("as_of",) * 2,
        ("received_at", "known_at"),
    ):
        rows[name] = np.repeat(made[column], n)
    rows["measured_at"] = rows["as_of"] + rows["flags"] * np.int64(SECOND)
    for name in NUMBERS:
        rows[name] = made[name].reshape(-1)
    there = ~np.isnan(rows["mean"])
    model = np.append(whole.model, np.repeat(whole.forecast_model, n)[there])
    every = readable(joined([whole.rows, taken(rows, there)]))
    return replace(whole, rows=every, model=model, forecasts=made[:0])


def kept(rows: NDArray[Any]) -> Kept:
    """What of `rows` (dtype ESTIMATE_ROW, `readable`) belongs in a store."""
    # Compiled, and numba is loaded by who writes alone.
    from twin.store.merged_kernel import sort_out

    chosen, counts = np.empty((5, len(rows)), np.intp), np.zeros(6, np.int64)
    sort_out(rows, chosen, counts)
    *many, belated = counts.tolist()
    seen, conflicts, estimates, statuses, forecasts = (
        own[:n] for own, n in zip(chosen, many, strict=True)
    )
    return Kept(seen, conflicts, estimates, statuses, forecasts, belated)
