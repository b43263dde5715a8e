"""The words that ingest and twin share: observation, batch of observations, tick, command, what
devices say of themselves.

A journal record is one of the last four, encoded by `encode_record` in an envelope that carries
format version, key id and CRC-32, so that a flipped byte is reported and never decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NewType
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

PatientId = NewType("PatientId", str)
DeviceId = NewType("DeviceId", str)
SignalCode = NewType("SignalCode", str)

#: One observation in a batch: indexes into the batch's tables, canonical units, int64 ns UTC.
#: noise_std and quality are NaN where not said; sequence −1 and boot 0 mean none.
OBSERVATION_ROW = np.dtype(
    [
        ("patient", "<u4"),
        ("device", "<u4"),
        ("signal", "<u2"),
        ("value", "<f8"),
        ("noise_std", "<f8"),
        ("quality", "<f8"),
        ("measured_at", "<i8"),
        ("received_at", "<i8"),
        ("device_stamp", "<i8"),
        ("device_sequence", "<i8"),
        ("boot", "<i8"),
    ]
)
#: The same, to pack one.
ROW = struct.Struct("<IIHdddqqqqq")

#: Only the indexes of a row.
_INDEXES = struct.Struct("<IIH64x")
#: Rows of a batch (on average) below which Python looks through them faster than numpy.
_FEW = 8

FORMAT_VERSION = 1
_ENVELOPE = struct.Struct("<2sBBII")  # magic, version, kind, key id, crc32 of the body
_MAGIC = b"TW"
KIND_BATCH, KIND_TICK, KIND_COMMAND, KIND_ESTIMATES, KIND_OUTCOME = 1, 2, 3, 4, 5
KIND_DEVICES = 6
KIND_JUDGEMENTS = 7
KIND_REPORTS, KIND_EVENT = 8, 9
KIND_ANCHORS = 10


class RecordDamaged(Exception):
    """A record whose envelope, checksum or layout is wrong; it is never decoded. `why`: which."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured value of one signal of one patient by one device.

    value and noise_std are in the signal's canonical unit; noise_std and quality (0–1) are NaN
    where the device said nothing; stamps are int64 ns UTC. device_stamp is the device's own,
    uncorrected: it is part of the identity (patient, device, signal, device_stamp).
    """

    patient: PatientId
    device: DeviceId
    signal: SignalCode
    value: float
    measured_at: int
    received_at: int
    device_stamp: int
    noise_std: float = float("nan")
    quality: float = float("nan")
    device_sequence: int = -1
    boot: int = 0


class ObservationBatch(msgspec.Struct, frozen=True, array_like=True):
    """n observations as one block of rows, sorted by patient (order of receipt within a patient).

    offsets: int32 (patients + 1,), little-endian bytes: patients[i] has the rows
    offsets[i]:offsets[i+1]. rows: n packed `OBSERVATION_ROW`s (`table` reads them). device and
    signal of a row index `devices` and `signals`, patient indexes `patients`.
    """

    patients: tuple[str, ...]
    devices: tuple[str, ...]
    signals: tuple[str, ...]
    offsets: bytes
    rows: bytes

    def __len__(self) -> int:
        return len(self.rows) // OBSERVATION_ROW.itemsize

    def table(self) -> NDArray[Any]:
        """The rows, (n,) of dtype OBSERVATION_ROW, read-only. Raises RecordDamaged."""
        if len(self.rows) % OBSERVATION_ROW.itemsize:
            raise RecordDamaged("rows are cut")
        rows = np.frombuffer(self.rows, OBSERVATION_ROW)
        tables = {"patient": self.patients, "device": self.devices, "signal": self.signals}
        for column, table in tables.items():
            if len(rows) and rows[column].max() >= len(table):
                raise RecordDamaged(f"a row names a {column} outside its table")
        return rows


def all_whole(batches: Sequence[ObservationBatch]) -> bool:
    """Whether `table` of none of these would raise."""
    size = OBSERVATION_ROW.itemsize
    if any(len(batch.rows) % size for batch in batches):
        return False
    if sum(map(len, batches)) < _FEW * len(batches):
        return all(map(_indexes_inside, batches))
    if not batches:
        return True
    rows = np.frombuffer(b"".join(batch.rows for batch in batches), OBSERVATION_ROW)
    of = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
    for column, sizes in (
        ("patient", [len(batch.patients) for batch in batches]),
        ("device", [len(batch.devices) for batch in batches]),
        ("signal", [len(batch.signals) for batch in batches]),
    ):
        if (rows[column] >= np.array(sizes, np.int64)[of]).any():
            return False
    return True


def _indexes_inside(batch: ObservationBatch) -> bool:
    """Whether every row's indexes are in the batch's tables, row by row."""
    patients, devices, signals = len(batch.patients), len(batch.devices), len(batch.signals)
    for patient, device, signal in _INDEXES.iter_unpack(batch.rows):
        if patient >= patients or device >= devices or signal >= signals:
            return False
    return True


class Tick(msgspec.Struct, frozen=True, array_like=True):
    """One second of journal time: wall clock (int64 ns UTC), broker connected, clock stepped."""

    at: int
    broker_connected: bool
    clock_stepped: bool = False


class Command(msgspec.Struct, frozen=True):
    """Anything but data that changes a result. The same id twice acts once.

    patient None: it concerns all partitions. issued_at is int64 ns UTC. request: what a person's
    request asked for, as a hash ("": no request of a person); an id stands for one such request.
    """

    id: str
    kind: str
    actor: str
    issued_at: int
    body: dict[str, Any]
    patient: str | None = None
    request: str = ""


class DeviceState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a device said of itself in one message; None: not said.

    patient: whose it was at that time. at: the device's own newest stamp in the message (of a
    status, its receipt), received_at: its receipt; both int64 ns UTC. battery 0–1; contact: the
    sensor touches the body; online: its last status (offline is the broker's word, by last will).
    patient "": a gateway's status, for all patients. sequence, boot: of a message that put nothing
    else into the journal (−1, 0: none), so that it is no gap. refused: nothing of it could be used;
    stamps_refused: for its stamps.
    """

    device: str
    patient: str
    at: int
    received_at: int
    battery: float | None = None
    contact: bool | None = None
    online: bool | None = None
    sequence: int = -1
    boot: int = 0
    stamps_refused: bool = False
    refused: bool = False


class DeviceStates(msgspec.Struct, frozen=True, array_like=True):
    """States of devices of one partition's patients, in order of receipt.

    A device's is said when it changed, and now and then again: the newest word of each field holds.
    """

    states: tuple[DeviceState, ...]


Record = ObservationBatch | Tick | Command | DeviceStates


@dataclass(frozen=True, slots=True)
class Bound:
    """A device and the patient it is bound to now (None: to nobody)."""

    device: str
    patient: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """One quarantined item; `got` never holds more than the offending value.

    id names the message: several items may share it. device is "" where the topic names none.
    """

    id: str
    reason: str
    path: str
    expected: str
    got: str
    device: str
    received_at: int
    size: int
    count: int


_encoder = msgspec.msgpack.Encoder()
_decoders: Mapping[int, msgspec.msgpack.Decoder[Any]] = {
    KIND_BATCH: msgspec.msgpack.Decoder(ObservationBatch),
    KIND_TICK: msgspec.msgpack.Decoder(Tick),
    KIND_COMMAND: msgspec.msgpack.Decoder(Command),
    KIND_DEVICES: msgspec.msgpack.Decoder(DeviceStates),
}
_kinds = {
    ObservationBatch: KIND_BATCH,
    Tick: KIND_TICK,
    Command: KIND_COMMAND,
    DeviceStates: KIND_DEVICES,
}


def seal(kind: int, body: bytes, key_id: int = 0) -> bytes:
    """Body in its envelope."""
    return _ENVELOPE.pack(_MAGIC, FORMAT_VERSION, kind, key_id, crc32(body)) + body


def unseal(record: bytes) -> tuple[int, bytes]:
    """(kind, body) of a sealed record. Raises RecordDamaged."""
    if len(record) < _ENVELOPE.size:
        raise RecordDamaged("shorter than its envelope")
    magic, version, kind, _key, crc = _ENVELOPE.unpack_from(record)
    if magic != _MAGIC:
        raise RecordDamaged("no journal record")
    if version != FORMAT_VERSION:
        raise RecordDamaged(f"format version {version}, expected {FORMAT_VERSION}")
    body = record[_ENVELOPE.size :]
    if crc32(body) != crc:
        raise RecordDamaged("checksum does not match")
    return kind, body


def is_sealed(record: bytes, kind: int) -> bool:
    """Whether `unseal` gives a body of this kind."""
    if len(record) < _ENVELOPE.size:
        return False
    magic, version, of, _key, crc = _ENVELOPE.unpack_from(record)
    if (magic, version, of) != (_MAGIC, FORMAT_VERSION, kind):
        return False
    return bool(crc32(memoryview(record)[_ENVELOPE.size :]) == crc)


def encode_record(record: Record) -> bytes:
    """A batch, tick, command or states of devices as journal bytes."""
    return seal(_kinds[type(record)], _encoder.encode(record))


def decode_record(record: bytes) -> Record:
    """The inverse of `encode_record`. Raises RecordDamaged."""
    kind, body = unseal(record)
    decoder = _decoders.get(kind)
    if decoder is None:
        raise RecordDamaged(f"kind {kind} is not one of the observations journal")
    try:
        decoded: Record = decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise RecordDamaged(f"layout: {error}") from error
    return decoded


@dataclass(slots=True)
class _Table:
    """Strings in order of first use → index."""

    index: dict[str, int] = field(default_factory=dict)

    def of(self, text: str) -> int:
        return self.index.setdefault(text, len(self.index))


def batch_of(observations: Sequence[Observation]) -> ObservationBatch:
    """The observations as a batch, sorted by patient (stable: order of receipt within one)."""
    rows = sorted(observations, key=lambda o: o.patient)
    devices, signals = _Table(), _Table()
    patients: list[str] = []
    offsets: list[int] = []
    packed = []
    for i, o in enumerate(rows):
        if not patients or patients[-1] != o.patient:
            patients.append(o.patient)
            offsets.append(i)
        packed.append(
            ROW.pack(
                len(patients) - 1,
                devices.of(o.device),
                signals.of(o.signal),
                o.value,
                o.noise_std,
                o.quality,
                o.measured_at,
                o.received_at,
                o.device_stamp,
                o.device_sequence,
                o.boot,
            )
        )
    offsets.append(len(rows))
    return ObservationBatch(
        tuple(patients),
        tuple(devices.index),
        tuple(signals.index),
        np.array(offsets, "<i4").tobytes(),
        b"".join(packed),
    )
