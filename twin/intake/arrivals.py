"""Batches of the journal as one set of columns, with the twin's own numbers for names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.observation import OBSERVATION_ROW, ObservationBatch, RecordDamaged
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.names import Names
from twin.intake.arrivals_kernel import FLOATS, INTEGERS, NUMBERS, number, spread
from twin.intake.page import PagedBatch, rows_in


@dataclass(frozen=True, slots=True)
class Arrivals:
    """n observations in journal order, all (n,): numbers of patient and device, signal row (−1:
    unknown), and the other columns of OBSERVATION_ROW."""

    patient: NDArray[np.int64]
    device: NDArray[np.int64]
    signal: NDArray[np.int64]
    measured_at: NDArray[np.int64]
    received_at: NDArray[np.int64]
    device_stamp: NDArray[np.int64]
    sequence: NDArray[np.int64]
    boot: NDArray[np.int64]
    value: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.patient)

    def measured(self, at: NDArray[np.int64]) -> Arrivals:
        """The same observations with other times of measurement, (n,) ns UTC."""
        return replace(self, measured_at=at)

    def of(self, chosen: NDArray[np.int64]) -> Arrivals:
        """These (m,), each at most once, in order; not to be written to."""
        if len(chosen) == len(self):
            return self
        return Arrivals(
            self.patient[chosen],
            self.device[chosen],
            self.signal[chosen],
            self.measured_at[chosen],
            self.received_at[chosen],
            self.device_stamp[chosen],
            self.sequence[chosen],
            self.boot[chosen],
            self.value[chosen],
            self.noise_std[chosen],
            self.quality[chosen],
        )


def arrivals(
    given: Sequence[ObservationBatch | PagedBatch], bank: Bank, devices: Names
) -> Arrivals:
    """The batches' rows one after another. Raises RecordDamaged if a row's index is outside."""
    if (found := rows_in(given)) is not None:
        return _arrived((found.patient, found.device, found.signal), found.rows)
    batches = [one.whole() if isinstance(one, PagedBatch) else one for one in given]
    patients: list[str] = []
    device_names: list[str] = []
    signals: list[int] = []
    places: list[tuple[int, ...]] = []
    n = 0
    for batch in batches:
        n += len(batch)
        begins = len(patients), len(device_names), len(signals)
        sizes = len(batch.patients), len(batch.devices), len(batch.signals)
        places.append((n, *begins, *sizes))
        patients += batch.patients
        device_names += batch.devices
        signals += [SIGNAL_ROW.get(code, -1) for code in batch.signals]
    # A bytearray can be written to: kernels are compiled for arrays that can be.
    rows = np.frombuffer(bytearray().join([batch.rows for batch in batches]), OBSERVATION_ROW)
    numbers = np.empty((NUMBERS, n), np.int64)
    whole = number(
        rows,
        np.array(places, np.int64),
        np.array(bank.numbers_of(patients), np.int64),
        np.array(devices.numbers_of(device_names), np.int64),
        np.array(signals, np.int64),
        numbers,
    )
    if not whole:
        raise RecordDamaged("a row names a patient, device or signal outside its table")
    return _arrived(numbers, rows)


def _arrived(numbers: Iterable[NDArray[np.int64]], rows: NDArray[Any]) -> Arrivals:
    """Of numbers of patients, devices and signal rows, and rows of OBSERVATION_ROW."""
    integers, floats = np.empty((INTEGERS, len(rows)), np.int64), np.empty((FLOATS, len(rows)))
    spread(rows, integers, floats)
    patient, device, signal = numbers
    measured_at, received_at, device_stamp, sequence, boot = integers
    value, noise_std, quality = floats
    return Arrivals(
        patient, device, signal, measured_at, received_at, device_stamp, sequence, boot,
        value, noise_std, quality,
    )  # fmt: skip
