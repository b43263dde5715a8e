"""The intake of a partition as bytes, and back: arrays as they are, names instead of numbers."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import BEFORE_NAMES, CODES, rows_of
from twin.device_report import Changed
from twin.estimation.bank import Bank
from twin.estimation.names import Names
from twin.intake.clock import Shifts
from twin.intake.gateways import Gateways
from twin.intake.identity import Gap, Gaps
from twin.intake.kernel import (
    CHANGED,
    CLOCK_COLUMNS,
    DEVICE,
    MARK_COLUMNS,
    METER,
    NO_MODEL,
    OVER_RATE,
    PATIENT,
    REFUSED,
    REFUSED_AT,
)
from twin.intake.line import Line
from twin.intake.rate import Meters
from twin.intake.table import DeviceTable

_LINE = ("tick_at", "broker_lost_at", "respite", "minute")


class Remembered(Protocol):
    """The intake, as far as it is saved."""

    bank: Bank
    devices: Names
    table: DeviceTable
    gaps: Gaps
    shifts: Shifts
    meters: Meters
    gateways: Gateways
    line: Line


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    """patients, devices: of each row; arrays little-endian; gaps, shifts: place of row → what."""

    layout: tuple[int, int, int]
    patients: list[str]
    devices: list[str]
    marks: memoryview
    clock: memoryview
    meters: memoryview
    gaps: dict[int, list[tuple[int, int, int, int, bool]]]
    shifts: dict[int, list[tuple[int, int, int]]]
    gateways_off: list[str]
    line: dict[str, int]
    signals: list[str] = msgspec.field(default_factory=lambda: list(BEFORE_NAMES))


_LAYOUT = (MARK_COLUMNS, CLOCK_COLUMNS)
#: Columns of `marks` before the twin's refusals were counted by reason, and before it was noted
#: when a device was refused.
_MARKS_BEFORE = NO_MODEL, REFUSED_AT
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Saved).decode


def packed(intake: Remembered, partition: int) -> bytes:
    """Everything that the intake knows of the partition."""
    table = intake.table
    rows = table.in_partition(partition)
    marks, clock = table.marks[rows], table.clock[rows]
    place = {row: n for n, row in enumerate(rows.tolist())}
    metered = rows[marks[:, METER] > 0]
    saved = _Saved(
        (*_LAYOUT, len(CODES)),
        [intake.bank.patients.text[n] for n in marks[:, PATIENT].tolist()],
        [intake.devices.text[n] for n in marks[:, DEVICE].tolist()],
        memoryview(marks.astype("<i8").tobytes()),
        memoryview(clock.astype("<f8").tobytes()),
        memoryview(intake.meters.take(table, metered).astype("<i8").tobytes()),
        {
            place[row]: [(g.first, g.last, g.boot, g.opened, g.missing) for g in gaps]
            for row, gaps in intake.gaps.of.items()
            if row in place
        },
        {place[row]: of for row, of in intake.shifts.pieces.items() if row in place},
        intake.gateways.names_off(partition),
        {name: int(getattr(intake.line, name)[partition]) for name in _LINE},
        list(CODES),
    )
    return _encode(saved)


def unpacked(intake: Remembered, partition: int, content: bytes | memoryview) -> None:
    """Put it into an intake that knows nothing of the partition. Raises ValueError."""
    try:
        saved = _decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    width = saved.layout[0]
    if width not in (*_MARKS_BEFORE, MARK_COLUMNS) or saved.layout[1:] != (
        CLOCK_COLUMNS, len(saved.signals)
    ):  # fmt: skip
        raise ValueError(f"columns {saved.layout}, this code reads {_LAYOUT}")
    signals = np.array(rows_of(saved.signals), np.int64)
    part = {
        "marks": _marks(_array(saved.marks, "<i8", width)),
        "clock": _array(saved.clock, "<f8", CLOCK_COLUMNS),
    }
    patients = np.array(intake.bank.numbers_in(partition, saved.patients), np.int64)
    devices = np.array(intake.devices.numbers_of(saved.devices), np.int64)
    rows = intake.table.put(patients, devices, partition, part)
    metered = rows[part["marks"][:, METER] > 0].tolist()
    taken = np.frombuffer(saved.meters, "<i8").reshape(len(metered), 3, len(signals))
    for row, of in zip(metered, taken, strict=True):
        intake.meters.put(intake.table, row, of, signals)
    for place, gaps in saved.gaps.items():
        intake.gaps.of[int(rows[place])] = [Gap(*gap) for gap in gaps]
    for place, pieces in saved.shifts.items():
        intake.shifts.pieces[int(rows[place])] = list(pieces)
    every = np.zeros(intake.bank.partitions, np.bool_)
    every[partition] = True
    for gateway in saved.gateways_off:
        intake.gateways.tell(gateway, False, every)
    for name in _LINE:
        getattr(intake.line, name)[partition] = saved.line[name]


def _marks(saved: NDArray[np.int64]) -> NDArray[np.int64]:
    """Marks of this build from those of any. What was refused before reasons were counted, and was
    not beyond the rate, had no model; and readers are told the account anew."""
    if saved.shape[1] == MARK_COLUMNS:
        return saved
    marks = np.zeros((len(saved), MARK_COLUMNS), np.int64)
    marks[:, : saved.shape[1]] = saved
    if saved.shape[1] > NO_MODEL:
        return marks
    marks[:, NO_MODEL] = marks[:, REFUSED] - marks[:, OVER_RATE]
    marks[:, CHANGED] |= Changed.ACCOUNT
    return marks


def _array(content: memoryview, kind: str, columns: int) -> NDArray[Any]:
    return np.frombuffer(content, kind).reshape(-1, columns)
