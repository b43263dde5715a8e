"""Rows of one series as a block of bytes, and the one function that rounds stored numbers.

Each column becomes integers (stamps as they are, numbers in units of their declared step), these or
their differences become offsets above a base, and the offsets are packed at the bit width that most
of them need; the few that need more stand beside. A column that is no multiple of its step is kept
as it is, so a block always gives back exactly what went in. Bit packing instead of a general
compressor: 0.05 µs a row and column, a tenth of zlib, and a third smaller than zlib's fast levels.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS

Rows = NDArray[Any]
Integers = NDArray[np.int64]

_UNKNOWN_PER_UNIT = 1_000_000
_PER_UNIT = {code: round(100 / signal.resolution) for code, signal in SIGNALS.items()}
#: Steps in one unit of numbers without unit (nis, weight, quality, band scales).
PLAIN_PER_UNIT = 1000


def steps_per_unit(signal: str) -> int:
    """Storage steps in one unit of the signal: 100 / resolution, 10⁶ if it is not catalogued."""
    return _PER_UNIT.get(signal, _UNKNOWN_PER_UNIT)


def rounded(values: NDArray[Any], signal: str) -> NDArray[np.float64]:
    """`values` (n,), in the signal's unit, as the embedded store keeps estimates of it.

    The nearest multiple of a hundredth of the signal's resolution, as the float64 closest to that
    decimal number; NaN and infinities stay. Rounding twice is rounding once.
    """
    return rounded_to(np.asarray(values, np.float64), steps_per_unit(signal))


def rounded_to(values: NDArray[np.float64], per_unit: NDArray[Any] | int) -> NDArray[np.float64]:
    """Multiples of 1 / per_unit; adding zero turns −0.0 into 0.0."""
    with np.errstate(over="ignore"):  # beyond 10³⁰⁴ it becomes infinite
        return np.rint(values * per_unit) / per_unit + 0.0


def taken(rows: Rows, chosen: NDArray[Any]) -> Rows:
    """rows[chosen]. numpy copies rows of a structured dtype field by field (0.3 µs each); as bytes
    without structure it copies them whole (0.02 µs)."""
    whole = np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")
    chosen_rows: Rows = whole[chosen].view(rows.dtype)
    return chosen_rows


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of all parts (one or more, same dtype), writable; bytewise for the same reason."""
    whole = bytearray().join([part.tobytes() for part in parts])
    return np.frombuffer(whole, parts[0].dtype)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a block. from_time: kept as difference to the row's time. plain: has no unit.

    smooth: neighbours are alike, so their differences are kept.
    """

    name: str
    form: str
    smooth: bool = False
    from_time: bool = False
    plain: bool = False


class Layout:
    """Columns of one kind of row: `first` are what a chart needs, `second` the rest.

    rows: dtype of all columns, with the series' number in front; chart: dtype of `first` alone.
    """

    def __init__(self, first: tuple[Column, ...], second: tuple[Column, ...] = ()) -> None:
        self.first, self.second = first, second
        self.rows = np.dtype([("series", "<u4"), *((c.name, c.form) for c in first + second)])
        self.chart = np.dtype([(c.name, c.form) for c in first])


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

# flags, bit width, exponent of ten, exceptions, base, first value, bytes of the body
_HEAD = struct.Struct("<BBBHqqI")
_CRC = struct.Struct("<I")
_DIFFERENCES, _RAW, _NULLS = 1, 2, 4
_EXCEPTION_BITS = 80
_EXACT = 2.0**53


class BlockDamaged(ValueError):
    """A block whose checksum or shape is wrong."""


def encode(rows: Rows, layout: Layout, per_unit: int) -> tuple[bytes, bytes]:
    """Blobs of the layout's first and second columns. rows: (n ≥ 1,) of one series by time."""
    time = np.ascontiguousarray(rows["time"])
    # Numbers beyond all steps overflow and are then kept as they are; stamps wrap around and back.
    with np.errstate(all="ignore"):
        return (
            _sealed([_encode_column(rows[c.name], c, time, per_unit) for c in layout.first]),
            _sealed([_encode_column(rows[c.name], c, time, per_unit) for c in layout.second]),
        )


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


def _constant(values: Rows) -> bool:
    """Whether all are the same number (or all NaN): kept as one, which numpy spreads again."""
    first = values[0]
    return bool((values == first).all()) or (first != first and bool(np.isnan(values).all()))


def _sealed(columns: list[bytes]) -> bytes:
    body = b"".join(columns)
    return _CRC.pack(crc32(body)) + body


def _decode_into(rows: Rows, blob: bytes, columns: tuple[Column, ...], per_unit: int) -> None:
    body = memoryview(blob)[_CRC.size :]
    if _CRC.unpack_from(blob)[0] != crc32(body):
        raise BlockDamaged("checksum does not match")
    place = 0
    for column in columns:
        place = _decode_column(rows, body, place, column, per_unit)


def _encode_column(values: Rows, column: Column, time: Integers, per_unit: int) -> bytes:
    if not column.from_time and _constant(values):
        body = values[:1].tobytes()
        return _HEAD.pack(_RAW, 0, 0, 0, 0, 0, len(body)) + body
    if values.dtype.kind == "f":
        return _encode_numbers(values, column, per_unit)
    whole = values.astype(np.int64)
    if column.from_time:
        whole = whole - time
    exponent = _exponent(whole) if column.form == "<i8" else 0
    whole = whole // 10**exponent if exponent else whole
    return _encode_integers(whole, exponent, _differences(column))


def _differences(column: Column) -> int:
    return _DIFFERENCES if column.smooth else 0


def _decode_column(rows: Rows, body: memoryview, place: int, column: Column, per_unit: int) -> int:
    head = _HEAD.unpack_from(body, place)
    flags, exponent, size = int(head[0]), int(head[2]), int(head[6])
    place += _HEAD.size
    part = body[place : place + size]
    values: Rows
    if flags & _RAW:
        values = np.frombuffer(part, column.form)
    else:
        nulls = -(-len(rows) // 8) if flags & _NULLS else 0
        whole = _decode_integers(part[nulls:], len(rows), head)
        if np.dtype(column.form).kind == "f":
            values = whole / float(PLAIN_PER_UNIT if column.plain else per_unit)
            if nulls:
                bits = np.frombuffer(part[:nulls], np.uint8)
                values[np.unpackbits(bits, count=len(rows)).view(bool)] = np.nan
        else:
            values = whole * 10**exponent if exponent else whole
            if column.from_time:
                values = values + rows["time"]
    rows[column.name] = values
    return place + size


def _encode_numbers(values: Rows, column: Column, per_unit: int) -> bytes:
    per_unit = PLAIN_PER_UNIT if column.plain else per_unit
    exact = values.astype(np.float64)
    nulls = np.isnan(exact)
    some = bool(nulls.any())
    if some:
        exact[nulls] = exact[~nulls].min() if not nulls.all() else 0.0
    steps = np.rint(exact * float(per_unit))
    fits = np.abs(steps).max() < _EXACT and bool(
        ((steps / per_unit).astype(values.dtype) == exact.astype(values.dtype)).all()
    )
    if not fits:
        body = np.ascontiguousarray(values).tobytes()
        return _HEAD.pack(_RAW, 0, 0, 0, 0, 0, len(body)) + body
    flags = (_NULLS if some else 0) | _differences(column)
    return _encode_integers(steps.astype(np.int64), 0, flags, nulls)


def _exponent(whole: Integers) -> int:
    """Stamps are mostly whole milliseconds: 6, 3 or 0 trailing decimal zeros of all of them."""
    for exponent in (6, 3):
        if not (whole[:16] % 10**exponent).any() and not (whole % 10**exponent).any():
            return exponent
    return 0


def _encode_integers(
    whole: Integers, exponent: int, flags: int, nulls: NDArray[np.bool_] | None = None
) -> bytes:
    first, offsets = 0, whole
    if flags & _DIFFERENCES:
        (
            first,
            offsets,
        ) = int(whole[0]), whole[1:] - whole[:-1]
    base, width = _window(offsets)
    above = (offsets - base).view(np.uint64)
    beyond = np.flatnonzero(above >= np.uint64(1 << width)) if width < 64 else above[:0]
    mask = np.packbits(nulls).tobytes() if flags & _NULLS and nulls is not None else b""
    body = (
        mask
        + beyond.astype("<u2").tobytes()
        + above[beyond.astype(np.int64)].astype("<u8").tobytes()
        + _packed(above, width)
    )
    head = _HEAD.pack(flags, width, exponent, len(beyond), base, first, len(body))
    return head + body


def _window(offsets: Integers) -> tuple[int, int]:
    """(base, bit width) of the cheapest packing: everything, or all but a few exceptions."""
    n = len(offsets)
    if n == 0:
        return 0, 0
    ordered = np.sort(offsets)
    best = (0, 0, 64 * n)
    for cut in (0, 1 + n // 500, n // 100, n // 40):
        if 2 * cut < n:
            low, high = int(ordered[cut]), int(ordered[n - 1 - cut])
            width = (high - low).bit_length()
            cost = width * n + (0 if cut == 0 else 2 * cut * _EXCEPTION_BITS)
            if cut == 0 or cost < best[2]:
                best = (low, width, cost)
    return best[0], best[1]


def _packed(above: NDArray[np.uint64], width: int) -> bytes:
    """The low `width` bits of each number, without gaps, most significant bit first."""
    if width == 0:
        return b""
    size = _container(width)
    octets = above.astype(f">u{size}").view(np.uint8).reshape(len(above), size)
    return np.packbits(np.unpackbits(octets, axis=1)[:, 8 * size - width :]).tobytes()


def _unpacked(part: memoryview, n: int, width: int) -> NDArray[np.uint64]:
    if width == 0:
        return np.zeros(n, np.uint64)
    size = _container(width)
    bits = np.zeros((n, 8 * size), np.uint8)
    octets = np.frombuffer(part, np.uint8)
    bits[:, 8 * size - width :] = np.unpackbits(octets, count=n * width).reshape(n, width)
    return np.packbits(bits).view(f">u{size}").astype(np.uint64)


def _container(width: int) -> int:
    return 1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8


def _decode_integers(part: memoryview, rows: int, head: tuple[int, ...]) -> Integers:
    flags, width, _, exceptions, base, first, _ = head
    n = rows - 1 if flags & _DIFFERENCES else rows
    beyond = np.frombuffer(part[: 2 * exceptions], "<u2")
    values = np.frombuffer(part[2 * exceptions : 10 * exceptions], "<u8")
    above = _unpacked(part[10 * exceptions :], n, width)
    above[beyond] = values
    offsets: Integers = above.view(np.int64) + base
    if not flags & _DIFFERENCES:
        return offsets
    whole = np.empty(rows, np.int64)
    whole[0] = first
    np.cumsum(offsets, out=whole[1:])
    whole[1:] += first
    return whole
