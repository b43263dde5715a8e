"""What the twin says, and the protocols by which it is written and asked.

One record of the estimates journal is an `EstimateBatch`: a row for each input observation with its
verdict (and the estimate, if accepted), revisions of earlier estimates, status changes and coasting
rows; and forecasts. Others are an `Outcome` (the answer to a command), `Judgements` (alarms and
scores, see `twin.judgement`), `DeviceReports` and `SystemEvent` (see `twin.device_report`),
`Anchors` (see `twin.anchor`). Store writer, live feed and ledger read nothing else.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.observation import (
    KIND_ANCHORS,
    KIND_ESTIMATES,
    KIND_EVENT,
    KIND_JUDGEMENTS,
    KIND_OUTCOME,
    KIND_REPORTS,
    Bound,
    RecordDamaged,
    Refused,
    seal,
    unseal,
)
from twin.anchor import Anchors
from twin.device_report import (
    DeviceReports,
    SystemEvent,
    decode_event,
    decode_reports,
    encode_event,
    encode_reports,
)
from twin.forecast_row import FORECAST, WIDE_ROW, wide
from twin.judgement import Judgements
from twin.judgement_record import decode_judgements, encode_judgements


class Kind(IntEnum):
    """What a row of an estimate batch is."""

    VERDICT = 0  # one input observation, its verdict, and the estimate after it if accepted
    REVISION = 1  # the estimate at an earlier stamp again, because an observation came late
    STATUS = 2  # a tick changed the status of a key
    COASTING = 3  # prediction without measurement at a tick: for the live feed only, never stored
    # The value expected at measured_at, `flags` seconds after as_of: in batches of a journal before
    # 2026-11-27, and where forecasts become points.
    FORECAST = FORECAST


class Verdict(IntEnum):
    """What became of an input observation."""

    NONE = 0  # row is not about an observation
    ACCEPTED = 1
    BELATED = 2  # older than the ring or the horizon: in the record, live state untouched
    DUPLICATE = 3
    CONFLICT = 4  # same identity, another value: kept apart
    REFUSED = 5


class Status(IntEnum):
    """Age (and, with `diverged`, consistency) of an estimate."""

    NONE = 0
    FRESH = 1
    LATE = 2
    STALE = 3
    DIVERGED = 4


#: One row. Indexes into the batch's tables; canonical units; stamps int64 ns UTC; NaN = no value.
#: mean ± z·std·scaleNN is the NN % band (see `twin.bands`); trend is per minute. flags: of a
#: forecast its horizon in seconds, of a revision REFILTERED or 0.
ESTIMATE_ROW = np.dtype(
    [
        ("kind", "u1"),
        ("verdict", "u1"),
        ("reason", "u1"),
        ("status", "u1"),
        ("patient", "<u4"),
        ("device", "<u4"),
        ("signal", "<u2"),
        ("flags", "<u2"),
        ("value", "<f8"),
        ("noise_std", "<f4"),
        ("quality", "<f4"),
        ("measured_at", "<i8"),
        ("received_at", "<i8"),
        ("device_stamp", "<i8"),
        ("as_of", "<i8"),
        ("mean", "<f8"),
        ("std", "<f8"),
        ("trend", "<f8"),
        ("trend_std", "<f4"),
        ("nis", "<f4"),
        ("weight", "<f4"),
        ("scale50", "<f4"),
        ("scale90", "<f4"),
        ("scale95", "<f4"),
    ]
)
#: In `flags`: a revision made by the job that folds belated observations in, not by the worker.
REFILTERED = 1
#: `device` of a row that is about no device.
NO_DEVICE = 0xFFFFFFFF


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    model: str
    patients: tuple[str, ...]
    devices: tuple[str, ...]
    signals: tuple[str, ...]
    reasons: tuple[str, ...]
    offsets: bytes
    rows: bytes
    forecasts: bytes | None = None  # None: of before 2026-11-27, they are among the rows


def _no_forecasts() -> NDArray[Any]:
    return np.zeros(0, WIDE_ROW)


@dataclass(frozen=True, slots=True)
class EstimateBatch:
    """n rows (dtype ESTIMATE_ROW), sorted by patient, in processing order within a patient.

    model: model version of every estimate in it. row["patient"] etc. index the tables; reason
    indexes `reasons`, whose entry 0 is "" (none). as_of of a verdict row is the state's time after
    it (the newest stamp); of a revision the stamp that it revises; received_at of a revision is
    that of the observation that caused it (known_at). forecasts: (m,) dtype WIDE_ROW, indexing the
    same tables, sorted by patient.
    """

    model: str
    patients: tuple[str, ...]
    devices: tuple[str, ...]
    signals: tuple[str, ...]
    reasons: tuple[str, ...]
    rows: NDArray[Any]
    forecasts: NDArray[Any] = field(default_factory=_no_forecasts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answer to a command: done, or refused with the reason. at: int64 ns UTC (journal time)."""

    id: str
    done: bool
    reason: str
    at: int


class _OutcomeWire(msgspec.Struct, frozen=True, array_like=True):
    id: str
    done: bool
    reason: str
    at: int


#: What a record of the estimates journal holds.
Output = EstimateBatch | Outcome | Judgements | DeviceReports | SystemEvent | Anchors

#: Rows up to which a list is faster than numpy.
_FEW = 16


_encoder = msgspec.msgpack.Encoder()
_anchors = msgspec.msgpack.Decoder(Anchors)
_wire = msgspec.msgpack.Decoder(_Wire)
_outcome = msgspec.msgpack.Decoder(_OutcomeWire)


def encode_output(output: Output) -> bytes:
    """A record of the estimates journal."""
    if isinstance(output, Judgements):
        return seal(KIND_JUDGEMENTS, encode_judgements(output))
    if isinstance(output, Anchors):
        return seal(KIND_ANCHORS, _encoder.encode(output))
    if isinstance(output, DeviceReports):
        return seal(KIND_REPORTS, encode_reports(output))
    if isinstance(output, SystemEvent):
        return seal(KIND_EVENT, encode_event(output))
    if isinstance(output, Outcome):
        body = _OutcomeWire(output.id, output.done, output.reason, output.at)
        return seal(KIND_OUTCOME, _encoder.encode(body))
    wire = _Wire(
        output.model,
        output.patients,
        output.devices,
        output.signals,
        output.reasons,
        _offsets(output),
        output.rows.tobytes(),
        output.forecasts.tobytes(),
    )
    return seal(KIND_ESTIMATES, _encoder.encode(wire))


def _offsets(batch: EstimateBatch) -> bytes:
    """Where each patient's rows begin, and where the last one's end, int32."""
    patient, patients = batch.rows["patient"], len(batch.patients)
    if not len(patient):  # forecasts alone, of hundreds
        return bytes(4 * (patients + 1))
    if len(patient) > _FEW:
        return np.searchsorted(patient, np.arange(patients + 1)).astype("<i4").tobytes()
    given = patient.tolist()  # a live step has a row or two in each of many batches
    begins = [bisect_left(given, n) for n in range(patients + 1)]
    return struct.pack(f"<{patients + 1}i", *begins)


def decode_output(record: bytes) -> Output:
    """The inverse of `encode_output`. Raises RecordDamaged."""
    kind, body = unseal(record)
    try:
        if kind == KIND_OUTCOME:
            said = _outcome.decode(body)
            return Outcome(said.id, said.done, said.reason, said.at)
        if kind == KIND_JUDGEMENTS:
            return decode_judgements(body)
        if kind == KIND_ANCHORS:
            return _anchors.decode(body)
        if kind == KIND_REPORTS:
            return decode_reports(body)
        if kind == KIND_EVENT:
            return decode_event(body)
        if kind != KIND_ESTIMATES:
            raise RecordDamaged(f"kind {kind} is not one of the estimates journal")
        wire = _wire.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise RecordDamaged(f"layout: {error}") from error
    if len(wire.rows) % ESTIMATE_ROW.itemsize:
        raise RecordDamaged("rows are cut")
    rows = np.frombuffer(wire.rows, ESTIMATE_ROW)
    if wire.forecasts is None:
        forecasts = wide(rows)
        rows = rows[rows["kind"] != FORECAST]
    elif len(wire.forecasts) % WIDE_ROW.itemsize:
        raise RecordDamaged("forecasts are cut")
    else:
        forecasts = np.frombuffer(wire.forecasts, WIDE_ROW)
    tables = wire.patients, wire.devices, wire.signals, wire.reasons
    return EstimateBatch(wire.model, *tables, rows, forecasts)


# --- asked by pages and API -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Series:
    """History of one signal of one patient, oldest first; time in ns UTC, numbers in its unit.

    resolution "raw": every stored estimate and observation. "bucket": at most `points` buckets of
    equal length over [start, end); a bucket's mean is the mean of its estimates, minimum and
    maximum are the extremes of its estimates (lo/hi: lowest lo, highest hi of the bucket); empty
    buckets are absent. Observations in buckets: the first, minimum, maximum and last of each.
    cursor: pass as `after` for the next page, None at the end. refiltered: (first, last stamp) of
    what was filtered again because observations came belated.
    """

    resolution: str
    time: NDArray[np.int64]
    mean: NDArray[np.float64]
    lo50: NDArray[np.float64]
    hi50: NDArray[np.float64]
    lo95: NDArray[np.float64]
    hi95: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    observed_at: NDArray[np.int64]
    observed: NDArray[np.float64]
    device: Sequence[str]
    cursor: str | None
    refiltered: Sequence[tuple[int, int]] = ()


class HistoryUnavailable(Exception):
    """The store cannot answer now (it is away, or busy beyond its time limit). Ask again later."""


class History(Protocol):
    """What the page and the API ask of a store. Every answer may raise HistoryUnavailable."""

    def series(
        self,
        patient: str,
        signal: str,
        start: int,
        end: int,
        points: int | None = None,
        after: str | None = None,
        limit: int = 20_000,
    ) -> Series:
        """[start, end) ns UTC. points None: raw, in pages of at most `limit` estimates."""

    def stored(self) -> Mapping[str, int]:
        """Observations in the record, by device id (for the ledger)."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a sink did with a batch, in rows of the batch."""

    accepted: int
    rejected: Sequence[tuple[int, str]]  # (row, reason): never to be written
    kept: Sequence[int]  # not written now, to be tried again
    expired: int = 0  # older than the store keeps anything: counted, not written


class Sink(Protocol):
    """Where estimates are stored. Writing the same batch twice changes nothing."""

    def write(self, batch: EstimateBatch) -> Written: ...


class Quarantine(Protocol):
    """What the page and the API ask of the quarantine."""

    def summary(self) -> Mapping[str, int]:
        """Refusals by reason."""

    def by_device(self) -> Mapping[str, Mapping[str, int]]:
        """Refusals by device id and reason."""

    def items(
        self, limit: int, reason: str | None = None, device: str | None = None
    ) -> Sequence[Refused]:
        """The newest first."""


class People(Protocol):
    """What the page and the API ask of the registry."""

    def labels(self) -> Mapping[str, str]:
        """Patient id → label ("" where nobody gave one), for all registered patients."""

    def devices(self) -> Sequence[Bound]: ...
