"""What the twin says of devices: ledger, gaps, clock and silence, as it goes through `estimates`.

One record is a `DeviceReports`: the present of some devices of one partition's patients. A reader
that keeps the newest row of each (device, patient) knows all that the worker knows of it. A
`SystemEvent` is about the line itself: its ticks stopped, its clock stepped, its broker was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.sparse_rows import packed, unpacked


class Silence(IntEnum):
    """Why a device is silent; NONE while it is heard."""

    NONE = 0
    NEVER_SEEN = 1  # declared or bound, and nothing ever came
    LATE = 2  # nothing for longer than expected, and nobody says why
    BODY_OFF = 3  # it says that it does not touch the body
    BATTERY = 4  # its battery was nearly empty when it was last heard
    RADIO = 5  # the broker lost it (its last will)
    GATEWAY = 6  # the gateway that speaks for it is offline
    BROKER = 7  # ingest has no broker
    INGEST = 8  # ingest itself does not tick: said by the reader, by its own clock
    CLOCK = 9  # it speaks, but its stamps cannot be used
    UNUSABLE = 10  # it speaks, but nothing that it sends can be used

    @property
    def word(self) -> str:
        """As API, metrics and alarms name it: `body_off`; "" for NONE."""
        return self.name.lower() if self else ""


#: One device on one patient. patient and device index the tables; stamps int64 ns UTC.
#: changed: `Changed` flags, what made the row. contact, online: −1 not said, 0, 1; battery NaN
#: where not said. since: when the silence began (0: none); expected: ns between two messages.
#: offset, offset_std: seconds by which its stamps lead their receipt (negative: clock slow, or
#: delay), drift in 1e-6; correction: seconds taken from its stamps. The counts are of observations,
#: but redelivered, missing, open and restarts: of numbered messages.
DEVICE_ROW = np.dtype(
    [
        ("patient", "<u4"),
        ("device", "<u4"),
        ("silence", "u1"),
        ("changed", "u1"),
        ("contact", "i1"),
        ("online", "i1"),
        ("battery", "<f4"),
        ("at", "<i8"),
        ("since", "<i8"),
        ("last_received", "<i8"),
        ("expected", "<i8"),
        ("offset", "<f8"),
        ("offset_std", "<f8"),
        ("drift", "<f8"),
        ("drift_std", "<f8"),
        ("correction", "<f8"),
        ("accepted", "<i8"),
        ("belated", "<i8"),
        ("duplicate", "<i8"),
        ("conflict", "<i8"),
        ("refused", "<i8"),
        ("over_rate", "<i8"),
        ("redelivered", "<i8"),
        ("missing", "<i8"),
        ("open", "<i8"),
        ("restarts", "<i8"),
    ]
)


class Changed(IntEnum):
    """What made a row, as flags."""

    SILENCE = 1
    NUMBERS = 2  # gaps opened, filled or given up; redeliveries, restarts
    CLOCK = 4
    STATE = 8  # battery, contact, online
    ACCOUNT = 16  # observations were counted, or an hour has passed


def _unsaid() -> NDArray[Any]:
    row = np.zeros(1, DEVICE_ROW)
    row["contact"] = row["online"] = -1
    for name in ("battery", "offset", "offset_std", "drift", "drift_std"):
        row[name] = np.nan
    return row


#: (1,) DEVICE_ROW: a device that has said nothing and of which nothing is known.
UNSAID = _unsaid()


class _Said(msgspec.Struct, frozen=True, array_like=True):
    """n rows as `sparse_rows.packed`, patient and device less the row's place: where each patient
    has one device, these do not differ."""

    n: int
    marks: bytes
    values: bytes
    refused: Mapping[int, Mapping[str, int]]


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    patients: tuple[str, ...]
    devices: tuple[str, ...]
    rows: bytes = b""  # these two of before 2026-11-27; the last also None, of before reasons were
    refused: Mapping[int, Mapping[str, int]] | None = None  # counted
    said: _Said | None = None


@dataclass(frozen=True, slots=True)
class DeviceReports:
    """n rows (dtype DEVICE_ROW), sorted by patient and device.

    refused: place of the row → reason → observations that the twin refused for it; their sum is the
    row's `refused`. Rows of which none was refused are not in it.
    """

    patients: tuple[str, ...]
    devices: tuple[str, ...]
    rows: NDArray[Any]
    refused: Mapping[int, Mapping[str, int]]


class SystemCause(StrEnum):
    """What happened to the line."""

    INGEST_GAP = "ingest_gap"  # no tick for `seconds`
    CLOCK_STEPPED = "clock_stepped"  # by `seconds`, forward or (negative) back
    BROKER_LOST = "broker_lost"
    BROKER_BACK = "broker_back"  # after `seconds`


class SystemEvent(msgspec.Struct, frozen=True, array_like=True):
    """Something of the line itself. at: int64 ns UTC (journal time)."""

    cause: SystemCause
    at: int
    seconds: float = 0.0


_encode = msgspec.msgpack.Encoder().encode
_wire = msgspec.msgpack.Decoder(_Wire)
_event = msgspec.msgpack.Decoder(SystemEvent)


def encode_reports(reports: DeviceReports) -> bytes:
    """The body of a record."""
    rows = _placed(reports.rows, -1)
    said = _Said(len(rows), *packed(rows, UNSAID), reports.refused)
    return _encode(_Wire(reports.patients, reports.devices, b"", {}, said))


def decode_reports(body: bytes) -> DeviceReports:
    """The inverse. Raises ValueError: another layout, or an index outside its table."""
    wire = _wire.decode(body)
    if wire.said is None:
        rows = np.frombuffer(wire.rows, DEVICE_ROW)
        refused = reasons_before(rows) if wire.refused is None else wire.refused
    else:
        rows = _placed(unpacked(wire.said.marks, wire.said.values, wire.said.n, UNSAID), 1)
        refused = wire.said.refused
    for column, table in (("patient", wire.patients), ("device", wire.devices)):
        if len(rows) and rows[column].max() >= len(table):
            raise ValueError(f"a row names a {column} outside its table")
    if refused and not 0 <= min(refused) <= max(refused) < len(rows):
        raise ValueError("reasons of a row that is not there")
    return DeviceReports(wire.patients, wire.devices, rows, refused)


def _placed(rows: NDArray[Any], sign: int) -> NDArray[Any]:
    """With each row's place added to its patient and device, or taken away."""
    placed, place = rows.copy(), np.arange(len(rows)) * sign
    for column in ("patient", "device"):
        placed[column] = (rows[column] + place).astype(np.uint32)
    return placed


def reasons_before(rows: NDArray[Any]) -> dict[int, dict[str, int]]:
    """The reasons of a report of before they were counted one by one: what was not beyond the rate
    was a signal without a model, as ingest lets no value pass that is not a number."""
    reasons = {}
    for row in np.flatnonzero(rows["refused"]).tolist():
        over = int(rows["over_rate"][row])
        by_reason = {"no_model": int(rows["refused"][row]) - over, "over_rate": over}
        reasons[row] = {reason: n for reason, n in by_reason.items() if n}
    return reasons


def encode_event(event: SystemEvent) -> bytes:
    """The body of a record."""
    return _encode(event)


def decode_event(body: bytes) -> SystemEvent:
    """The inverse. Raises msgspec.DecodeError."""
    return _event.decode(body)
