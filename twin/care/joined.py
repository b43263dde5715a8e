"""Several estimate batches as one: what folds them then does its work once.

A worker says what its step made partition by partition, so that a reader finds tens of batches of
a few rows; folding each costs more than all their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from twin import bytewise
from twin.care.joined_kernel import renumber
from twin.estimate import EstimateBatch


def joined(batches: Sequence[EstimateBatch]) -> Iterator[EstimateBatch]:
    """The same rows in the same order, in as few batches as possible; rows are no longer sorted by
    patient, and a patient or device stands in the tables once for each batch that names it."""
    for _, alike in groupby(batches, lambda one: (one.model, one.signals, one.reasons)):
        yield _one(list(alike))


def _one(batches: Sequence[EstimateBatch]) -> EstimateBatch:
    """Of the same model, signals and reasons."""
    first = batches[0]
    if len(batches) == 1:
        return first
    rows = bytewise.joined([batch.rows for batch in batches])
    patients = _begins([len(batch.patients) for batch in batches])
    devices = _begins([len(batch.devices) for batch in batches])
    renumber(rows, np.cumsum([len(batch.rows) for batch in batches]), patients, devices)
    forecasts = bytewise.joined([batch.forecasts for batch in batches])
    if len(forecasts):
        forecasts["patient"] += np.repeat(patients, [len(batch.forecasts) for batch in batches])
    return EstimateBatch(
        first.model,
        tuple(chain.from_iterable(batch.patients for batch in batches)),
        tuple(chain.from_iterable(batch.devices for batch in batches)),
        first.signals,
        first.reasons,
        rows,
        forecasts,
    )


def _begins(lengths: Sequence[int]) -> NDArray[np.uint32]:
    """Where each of these tables begins, put one behind another."""
    return (np.cumsum(lengths) - lengths).astype(np.uint32)
