"""Batches of the journal as one set of columns, with the twin's own numbers for names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.observation import OBSERVATION_ROW, ObservationBatch, RecordDamaged
from twin.bytewise import taken
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.names import Names
from twin.intake.page import PagedBatch, rows_in


@dataclass(frozen=True, slots=True)
class Arrivals:
    """n observations in journal order: numbers of patient, device, signal row (−1: unknown), rows.

    rows: (n,) OBSERVATION_ROW, whose own indexes are replaced by the numbers beside it.
    """

    patient: NDArray[np.int64]
    device: NDArray[np.int64]
    signal: NDArray[np.int64]
    rows: NDArray[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of these (m,), each at most once, in order; not to be written to."""
        return self.rows if len(chosen) == len(self.rows) else taken(self.rows, chosen)

    def measured(self, at: NDArray[np.int64]) -> Arrivals:
        """The same observations with other times of measurement, (n,) ns UTC."""
        rows = self.rows.copy()
        rows["measured_at"] = at
        return replace(self, rows=rows)


def arrivals(
    given: Sequence[ObservationBatch | PagedBatch], bank: Bank, devices: Names
) -> Arrivals:
    """The batches' rows one after another. Raises RecordDamaged if a row's index is outside."""
    if (found := rows_in(given)) is not None:
        return Arrivals(found.patient, found.device, found.signal, found.rows)
    batches = [one.whole() if isinstance(one, PagedBatch) else one for one in given]
    patients: list[str] = []
    device_names: list[str] = []
    signals: list[int] = []
    starts = np.empty((len(batches), 3), np.int64)
    sizes = np.empty((len(batches), 3), np.int64)
    counts = np.empty(len(batches), np.int64)
    for n, batch in enumerate(batches):
        starts[n] = len(patients), len(device_names), len(signals)
        sizes[n] = len(batch.patients), len(batch.devices), len(batch.signals)
        counts[n] = len(batch)
        patients += batch.patients
        device_names += batch.devices
        signals.extend(SIGNAL_ROW.get(code, -1) for code in batch.signals)
    # A bytearray can be written to: a lone row's columns are views of it, and kernels are compiled
    # for arrays that can be, which all others are.
    rows = np.frombuffer(bytearray().join(batch.rows for batch in batches), OBSERVATION_ROW)
    index = np.stack([rows["patient"], rows["device"], rows["signal"]], axis=1).astype(np.int64)
    if (index >= np.repeat(sizes, counts, axis=0)).any():
        raise RecordDamaged("a row names a patient, device or signal outside its table")
    index += np.repeat(starts, counts, axis=0)
    return Arrivals(
        np.array(bank.numbers_of(patients), np.int64)[index[:, 0]],
        np.array(devices.numbers_of(device_names), np.int64)[index[:, 1]],
        np.array(signals, np.int64)[index[:, 2]],
        rows,
    )
