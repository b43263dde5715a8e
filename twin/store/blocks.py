"""Rows of one series as a block of bytes, and the one function that rounds stored numbers.

Each column becomes integers: stamps as they are, numbers in units of their declared step; these are
packed (`packing`). A column that is no multiple of its step is kept as it is, so a block always
gives back exactly what went in.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from twin.bytewise import octets
from twin.forecast_row import HORIZONS, NUMBERS
from twin.store.columns import FLAGS, PLAIN, Column, Layout
from twin.store.packing import Part

Rows = NDArray[Any]
Integers = NDArray[np.int64]

_UNKNOWN_PER_UNIT = 1_000_000
#: Steps in one unit of numbers without unit (nis, weight, quality, band scales).
PLAIN_PER_UNIT = 1000


def steps_per_unit(signal: str) -> int:
    """Storage steps in one unit of the signal: 100 / resolution, 10⁶ if it is not catalogued."""
    known = SIGNALS.get(signal)
    return _UNKNOWN_PER_UNIT if known is None else round(100 / known.resolution)


def rounded(values: NDArray[Any], signal: str) -> NDArray[np.float64]:
    """`values` (n,), in the signal's unit, as the embedded store keeps estimates of it.

    The nearest multiple of a hundredth of the signal's resolution, as the float64 closest to that
    decimal number; NaN and infinities stay. Rounding twice is rounding once.
    """
    return rounded_to(np.asarray(values, np.float64), steps_per_unit(signal))


def rounded_to(values: NDArray[np.float64], per_unit: NDArray[Any] | int) -> NDArray[np.float64]:
    """Multiples of 1 / per_unit; adding zero turns −0.0 into 0.0."""
    with np.errstate(over="ignore"):  # beyond 10³⁰⁴ it becomes infinite
        steps: NDArray[np.float64] = values * per_unit
        np.rint(steps, steps)
        steps /= per_unit
        steps += 0.0
        return steps


_TIME = Column("time", "<i8", smooth=True)
_SCALES = tuple(Column(f"scale{band}", "<f4", plain=True) for band in (50, 90, 95))

ESTIMATES = Layout(
    (_TIME, Column("mean", "<f8", smooth=True), Column("std", "<f8", smooth=True), *_SCALES),
    (
        Column("trend", "<f8", smooth=True),
        Column("trend_std", "<f4"),
        Column("nis", "<f4", plain=True),
        Column("weight", "<f4", plain=True),
        Column("known_at", "<i8", from_time=True),
        Column("model", "<u2"),
        Column("status", "u1"),
    ),
)
OBSERVATIONS = Layout(
    (_TIME, Column("value", "<f8", smooth=True)),
    (
        Column("received_at", "<i8", from_time=True),
        Column("device_stamp", "<i8", from_time=True),
        Column("noise_std", "<f4"),
        Column("quality", "<f4", plain=True),
        Column("verdict", "u1"),
    ),
)
#: time is when it was received: two conflicts about one stamp are both kept.
CONFLICTS = Layout(
    (_TIME, Column("value", "<f8", smooth=True), Column("measured_at", "<i8", from_time=True)),
    (
        Column("device_stamp", "<i8", from_time=True),
        Column("noise_std", "<f4"),
        Column("quality", "<f4", plain=True),
    ),
)
STATUSES = Layout((_TIME, Column("status", "u1")))
#: time is the newest stamp that was forecast from; of each horizon in seconds its own columns.
FORECASTS = Layout(
    (
        _TIME,
        *(
            Column(f"{name}_{seconds}", form, smooth=name == "mean", plain=form == "<f4")
            for seconds in HORIZONS
            for name, form in zip(NUMBERS, ("<f8", "<f8", "<f4", "<f4", "<f4"), strict=True)
        ),
    ),
    (Column("known_at", "<i8", from_time=True), Column("model", "<u2")),
)

_CRC = struct.Struct("<I")
#: Bytes of it.
CHECKSUM = _CRC.size
#: Bytes that a packed column and a row of it take at most.
_MOST_OF_COLUMN, _MOST_OF_ROW = 64, 10


class BlockDamaged(ValueError):
    """A block whose checksum or shape is wrong."""


def encode(rows: Rows, layout: Layout, per_unit: int) -> tuple[bytes, bytes]:
    """Blobs of the layout's first and second columns. rows: (n ≥ 1,) of one series by time."""
    # Compiled, and numba is loaded by who writes alone.
    from twin.store.blocks_kernel import pack

    n, item, both = len(rows), layout.rows.itemsize, []
    whole = octets(rows)
    bits, four = np.empty((3, n), np.int64), np.empty(n, np.int32)
    scratch = bits, bits.view(np.float64), four, four.view(np.float32), np.empty((2, n), np.int64)
    units = np.where(layout.columns[:, FLAGS] & PLAIN, float(PLAIN_PER_UNIT), float(per_unit))
    out = np.empty(CHECKSUM + len(units) * (_MOST_OF_COLUMN + _MOST_OF_ROW * n), np.uint8)
    for part in (slice(0, len(layout.first)), slice(len(layout.first), len(units))):
        end = pack(whole, item, layout.columns[part], units[part], *scratch, out, CHECKSUM)
        both.append(behind_checksum(out.data[:end]))
    return both[0], both[1]


def decode(
    first: bytes, second: bytes | None, n: int, layout: Layout, per_unit: int, series: int = 0
) -> Rows:
    """The n rows of a block: dtype layout.rows, or layout.chart where `second` is None.

    Raises BlockDamaged.
    """
    rows = np.empty(n, layout.chart if second is None else layout.rows)
    try:
        _decode_into(rows, first, layout.first, per_unit)
        if second is not None:
            rows["series"] = series
            _decode_into(rows, second, layout.second, per_unit)
    except (struct.error, ValueError, IndexError) as error:
        raise BlockDamaged(str(error)) from error
    return rows


def constant(values: NDArray[Any]) -> bool:
    """Whether all of n ≥ 1 numbers are the same, or all NaN; mostly the first two tell."""
    first, second = values[0], values[len(values) // 2]
    if first != first:
        return bool(second != second) and bool(np.isnan(values).all())
    return bool(second == first) and bool((values == first).all())


def with_checksum(parts: Sequence[bytes | memoryview]) -> bytes:
    """The parts behind their checksum: what `checked` gives back, or refuses."""
    body = b"".join(parts)
    return _CRC.pack(crc32(body)) + body


def behind_checksum(out: memoryview) -> bytes:
    """The same of bytes that begin with CHECKSUM bytes of room for it, which are written."""
    _CRC.pack_into(out, 0, crc32(out[CHECKSUM:]))
    return out.tobytes()


def checked(blob: bytes) -> memoryview:
    """Raises BlockDamaged."""
    body = memoryview(blob)[_CRC.size :]
    if len(blob) < _CRC.size or _CRC.unpack_from(blob)[0] != crc32(body):
        raise BlockDamaged("checksum does not match")
    return body


def _decode_into(rows: Rows, blob: bytes, columns: tuple[Column, ...], per_unit: int) -> None:
    body = checked(blob)
    place = 0
    for column in columns:
        place = _decode_column(rows, body, place, column, per_unit)


def _decode_column(rows: Rows, body: memoryview, place: int, column: Column, per_unit: int) -> int:
    part = Part.at(body, place)
    values: Rows
    if part.verbatim:
        values = np.frombuffer(part.body, column.form)
    else:
        whole, missing = part.unpack(len(rows))
        if np.dtype(column.form).kind == "f":
            values = whole / float(PLAIN_PER_UNIT if column.plain else per_unit)
            if missing is not None:
                values[missing] = np.nan
        else:
            values = whole * 10**part.exponent if part.exponent else whole
            if column.from_time:
                values = values + rows["time"]
    rows[column.name] = values
    return part.end
