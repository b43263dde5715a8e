"""Batches built from plain tuples, a record for each partition, without an object per sample."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.observation import OBSERVATION_ROW, ROW, Observation, ObservationBatch, encode_record

#: device, signal, value, noise_std, quality, measured_at, received_at, device_stamp,
#: device_sequence, boot: the fields of `Observation` but the patient, in units as there.
Row = tuple[str, str, float, float, float, int, int, int, int, int]

#: Rows of one record; a message with more samples is spread over several.
RECORD_ROWS = 5_000
#: Rows of one `Columns`, at most.
COLUMNS_ROWS = 500


class Columns(NamedTuple):
    """Rows of one device and signal from one message, side by side; not said: quality."""

    device: str
    signal: str
    values: NDArray[np.float64]
    stamps: NDArray[np.int64]
    received_at: int
    device_sequence: int
    boot: int
    noise_std: float = nan


Entry = Row | Columns


def row_of(observation: Observation) -> Row:
    """The observation's row."""
    o = observation
    return (
        o.device, o.signal, o.value, o.noise_std, o.quality,
        o.measured_at, o.received_at, o.device_stamp, o.device_sequence, o.boot,
    )  # fmt: skip


def batch_of_rows(by_patient: Mapping[str, Sequence[Entry]]) -> ObservationBatch:
    """A batch of rows in order of receipt, by patient; the same as `batch_of` makes."""
    patients = sorted(by_patient)
    devices: dict[str, int] = {}
    signals: dict[str, int] = {}
    offsets = array("i", [0])
    packed: list[bytes] = []
    wide: list[tuple[int, Columns]] = []
    rows = 0
    pack, add = ROW.pack, packed.append
    for place, patient in enumerate(patients):
        for entry in by_patient[patient]:
            if isinstance(entry, Columns):
                device, signal = entry.device, entry.signal
            else:  # names for all: a slice would be one more object for each row
                device, signal, a, b, c, d, e, f, g, h = entry
            at = devices.get(device)
            if at is None:
                at = devices[device] = len(devices)
            of = signals.get(signal)
            if of is None:
                of = signals[signal] = len(signals)
            if isinstance(entry, Columns):
                wide.append((rows, entry))
                g, h, e = entry.device_sequence, entry.boot, entry.received_at
                noise = entry.noise_std
                add(pack(place, at, of, nan, noise, nan, 0, e, 0, g, h) * len(entry.values))
                rows += len(entry.values)
            else:
                add(pack(place, at, of, a, b, c, d, e, f, g, h))
                rows += 1
        offsets.append(rows)
    if sys.byteorder == "big":
        offsets.byteswap()
    block = b"".join(packed)
    if wide:
        block = _filled(block, wide)
    return ObservationBatch(
        tuple(patients), tuple(devices), tuple(signals), offsets.tobytes(), block
    )


def _filled(block: bytes, wide: Sequence[tuple[int, Columns]]) -> bytes:
    """The rows with values and stamps of the columns, each from its row on: all in one go, since a
    row of them would cost more to pack than its sample to decode."""
    rows = np.frombuffer(bytearray(block), OBSERVATION_ROW)
    sizes = np.array([len(columns.values) for _, columns in wide])
    total = int(sizes.sum())
    first = np.array([row for row, _ in wide]) - (np.cumsum(sizes) - sizes)
    place = np.repeat(first, sizes) + np.arange(total)
    rows["value"][place] = np.concatenate([columns.values for _, columns in wide])
    stamps = np.concatenate([columns.stamps for _, columns in wide])
    rows["measured_at"][place] = rows["device_stamp"][place] = stamps
    return rows.tobytes()


class RecordBuilder:
    """Gathers rows in order of receipt and gives journal records, each of one partition."""

    def __init__(self) -> None:
        self._open: dict[int, dict[str, list[Entry]]] = {}
        self._counts: dict[int, int] = {}
        self._records: list[tuple[int, bytes]] = []

    def add(self, partition: int, patient: str, entries: Sequence[Entry], rows: int) -> None:
        """Entries of one patient, so many rows, after all that were added before."""
        count = self._counts.get(partition, 0) + rows
        if count > RECORD_ROWS:
            if len(entries) > 1:
                for entry in entries:
                    size = len(entry.values) if isinstance(entry, Columns) else 1
                    self.add(partition, patient, [entry], size)
                return
            self._close(partition)
            count = rows
        self._counts[partition] = count
        by_patient = self._open.get(partition)
        if by_patient is None:
            by_patient = self._open[partition] = {}
        gathered = by_patient.get(patient)
        if gathered is None:
            by_patient[patient] = list(entries)
        else:
            gathered += entries

    def take(self) -> list[tuple[int, bytes]]:
        """(partition, record) pairs of all that was added; the builder is then empty."""
        for partition in list(self._open):
            self._close(partition)
        records, self._records = self._records, []
        return records

    def _close(self, partition: int) -> None:
        by_patient = self._open.pop(partition, None)
        self._counts.pop(partition, None)
        if by_patient:
            self._records.append((partition, encode_record(batch_of_rows(by_patient))))


def rows_by_patient(observations: Iterable[Observation]) -> dict[str, list[Row]]:
    """The observations' rows, in their order, under their patients."""
    by_patient: dict[str, list[Row]] = {}
    for each in observations:
        by_patient.setdefault(each.patient, []).append(row_of(each))
    return by_patient
