"""Batches built from plain tuples, a record for each partition, without an object per sample."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence

from ingest.observation import ROW, Observation, ObservationBatch, encode_record

#: device, signal, value, noise_std, quality, measured_at, received_at, device_stamp,
#: device_sequence, boot: the fields of `Observation` but the patient, in units as there.
Row = tuple[str, str, float, float, float, int, int, int, int, int]

#: Rows of one record; a message with more samples is spread over several.
RECORD_ROWS = 5_000


def row_of(observation: Observation) -> Row:
    """The observation's row."""
    o = observation
    return (
        o.device, o.signal, o.value, o.noise_std, o.quality,
        o.measured_at, o.received_at, o.device_stamp, o.device_sequence, o.boot,
    )  # fmt: skip


def batch_of_rows(by_patient: dict[str, list[Row]]) -> ObservationBatch:
    """A batch of rows in order of receipt, by patient; the same as `batch_of` makes."""
    patients = sorted(by_patient)
    devices: dict[str, int] = {}
    signals: dict[str, int] = {}
    offsets = array("i", [0])
    packed: list[bytes] = []
    pack, add = ROW.pack, packed.append
    for place, patient in enumerate(patients):
        # Names for all fields: a starred rest would be a list of its own for each row.
        for device, signal, a, b, c, d, e, f, g, h in by_patient[patient]:
            at = devices.get(device)
            if at is None:
                at = devices[device] = len(devices)
            of = signals.get(signal)
            if of is None:
                of = signals[signal] = len(signals)
            add(pack(place, at, of, a, b, c, d, e, f, g, h))
        offsets.append(len(packed))
    if sys.byteorder == "big":
        offsets.byteswap()
    return ObservationBatch(
        tuple(patients), tuple(devices), tuple(signals), offsets.tobytes(), b"".join(packed)
    )


class RecordBuilder:
    """Gathers rows in order of receipt and gives journal records, each of one partition."""

    def __init__(self) -> None:
        self._open: dict[int, dict[str, list[Row]]] = {}
        self._counts: dict[int, int] = {}
        self._records: list[tuple[int, bytes]] = []

    def add(self, partition: int, patient: str, rows: Sequence[Row]) -> None:
        """Rows of one patient, after all that were added before."""
        count = self._counts.get(partition, 0)
        if count + len(rows) > RECORD_ROWS:
            rows = self._fill(partition, patient, rows, RECORD_ROWS - count)
            count = 0
        self._counts[partition] = count + len(rows)
        by_patient = self._open.get(partition)
        if by_patient is None:
            by_patient = self._open[partition] = {}
        gathered = by_patient.get(patient)
        if gathered is None:
            by_patient[patient] = list(rows)
        else:
            gathered += rows

    def take(self) -> list[tuple[int, bytes]]:
        """(partition, record) pairs of all that was added; the builder is then empty."""
        for partition in list(self._open):
            self._close(partition)
        records, self._records = self._records, []
        return records

    def _fill(self, partition: int, patient: str, rows: Sequence[Row], room: int) -> Sequence[Row]:
        """Close full records; the rows that begin the next one."""
        by_patient = self._open.setdefault(partition, {})
        if room:
            by_patient.setdefault(patient, []).extend(rows[:room])
        self._close(partition)
        rest = rows[room:]
        while len(rest) > RECORD_ROWS:
            self._open[partition] = {patient: list(rest[:RECORD_ROWS])}
            self._close(partition)
            rest = rest[RECORD_ROWS:]
        return rest

    def _close(self, partition: int) -> None:
        by_patient = self._open.pop(partition)
        self._counts.pop(partition, None)
        if by_patient:
            self._records.append((partition, encode_record(batch_of_rows(by_patient))))


def rows_by_patient(observations: Iterable[Observation]) -> dict[str, list[Row]]:
    """The observations' rows, in their order, under their patients."""
    by_patient: dict[str, list[Row]] = {}
    for each in observations:
        by_patient.setdefault(each.patient, []).append(row_of(each))
    return by_patient
