"""Several estimate batches as one, and which of their rows are stored as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bytewise import joined, readable
from twin.estimate import ESTIMATE_ROW, NO_DEVICE, EstimateBatch

Indexes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Merged:
    """n rows (dtype ESTIMATE_ROW), only to be read, in the order of the batches, indexing common
    tables.

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
    if len(batches) == 1:
        alone = batches[0]
        tables = (alone.patients, alone.devices, alone.signals)
        if all(len(set(names)) == len(names) for names in tables):
            model = np.zeros(len(alone.rows), np.uint16)
            return Merged(readable(alone.rows), model, [alone.model], *tables)
    rows = joined([np.empty(0, ESTIMATE_ROW), *(batch.rows for batch in batches)])
    sizes = [len(batch.rows) for batch in batches]
    models: dict[str, int] = {}
    number = [models.setdefault(batch.model, len(models)) for batch in batches]
    model = np.repeat(np.array(number, np.uint16), sizes)
    patients = _numbered(rows["patient"], [batch.patients for batch in batches], sizes)
    signals = _numbered(rows["signal"], [batch.signals for batch in batches], sizes)
    devices = _numbered(rows["device"], [batch.devices for batch in batches], sizes)
    return Merged(readable(rows), model, list(models), patients, devices, signals)


def _numbered(
    of: NDArray[Any], named: Sequence[Sequence[str]], sizes: Sequence[int]
) -> Sequence[str]:
    """Numbers of names in a batch become numbers in a common table, which is returned; NO_DEVICE
    stays. named: each batch's names; sizes: how many rows each has."""
    table: dict[str, int] = {}
    places: list[int] = []
    begin, same = [], True
    for names in named:
        begin.append(len(places))
        own = [table.setdefault(name, len(table)) for name in names]
        same = same and own == list(range(len(own)))
        places += own
    if not same:
        there, place = np.array([*places, NO_DEVICE], np.uint32), np.repeat(begin, sizes) + of
        none = of == NO_DEVICE
        if none.any():
            place[none] = len(places)
        of[:] = there[place]
    return list(table)


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
