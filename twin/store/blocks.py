"""Rows of one series as a block of bytes, and the one function that rounds stored numbers.

Each column becomes integers: stamps as they are, numbers in units of their declared step; these are
packed (`packing`). A column that is no multiple of its step is kept as it is, so a block always
gives back exactly what went in.
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
from twin.forecast import HORIZONS, NUMBERS
from twin.store.packing import Part, Steps, pack, single, verbatim

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
_EXACT = 2.0**53


class BlockDamaged(ValueError):
    """A block whose checksum or shape is wrong."""


def encode(rows: Rows, layout: Layout, per_unit: int) -> tuple[bytes, bytes]:
    """Blobs of the layout's first and second columns. rows: (n ≥ 1,) of one series by time."""
    columns = (*layout.first, *layout.second)
    constant = {c.name: single(rows[c.name]) for c in columns if _constant(rows, c)}
    varying = [c for c in columns if c.name not in constant]
    # Numbers beyond all steps overflow and are then kept as they are; stamps wrap around and back.
    with np.errstate(all="ignore"):
        made = constant | _numbers(rows, varying, per_unit) | _stamps(rows, varying)
        ready = [(name, column) for name, column in made.items() if isinstance(column, Steps)]
        packed = dict(zip((n for n, _ in ready), pack([c for _, c in ready]), strict=True))
    blobs = {name: column for name, column in made.items() if isinstance(column, bytes)} | packed
    return (
        with_checksum([blobs[c.name] for c in layout.first]),
        with_checksum([blobs[c.name] for c in layout.second]),
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


def _constant(rows: Rows, column: Column) -> bool:
    """Whether all are the same number (or all NaN): kept as one, which numpy spreads again."""
    if column.from_time:
        return False
    return constant(rows[column.name])


def constant(values: NDArray[Any]) -> bool:
    """Whether all of n ≥ 1 numbers are the same, or all NaN; mostly the first two tell."""
    first, second = values[0], values[len(values) // 2]
    if first != first:
        return bool(second != second) and bool(np.isnan(values).all())
    return bool(second == first) and bool((values == first).all())


def with_checksum(parts: Sequence[bytes]) -> bytes:
    """The parts behind their checksum: what `checked` gives back, or refuses."""
    body = b"".join(parts)
    return _CRC.pack(crc32(body)) + body


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


def _numbers(rows: Rows, columns: list[Column], per_unit: int) -> dict[str, Steps | bytes]:
    """Floating columns in units of their step, or as they are where they are no multiples."""
    made: dict[str, Steps | bytes] = {}
    for form in ("<f8", "<f4"):
        own = [c for c in columns if c.form == form]
        if not own:
            continue
        exact = np.array([rows[c.name] for c in own], np.float64)
        nulls = np.isnan(exact) if np.isnan(exact.min()) else None
        if nulls is not None:
            exact[nulls] = 0.0
        units = np.array([[PLAIN_PER_UNIT if c.plain else per_unit] for c in own], np.float64)
        steps = np.rint(exact * units)
        back, said = steps / units, exact
        if form == "<f4":
            back, said = back.astype(form), exact.astype(form)
        fits = (back == said).all(axis=1)
        fits &= (steps.min(axis=1) > -_EXACT) & (steps.max(axis=1) < _EXACT)
        whole = steps.astype(np.int64)
        for i, column in enumerate(own):
            missing = nulls[i] if nulls is not None and nulls[i].any() else None
            made[column.name] = (
                Steps(whole[i], column.smooth, 0, missing)
                if fits[i]
                else verbatim(rows[column.name])
            )
    return made


def _stamps(rows: Rows, columns: list[Column]) -> dict[str, Steps]:
    """Whole columns; stamps in the largest unit that divides all of them."""
    made = {}
    for column in columns:
        if np.dtype(column.form).kind != "f":
            whole = rows[column.name].astype(np.int64)
            if column.from_time:
                whole -= rows["time"]
            exponent = _exponent(whole) if column.form == "<i8" else 0
            whole = whole // 10**exponent if exponent else whole
            made[column.name] = Steps(whole, column.smooth, exponent, None)
    return made


def _exponent(whole: Integers) -> int:
    """Stamps are mostly whole milliseconds: 6, 3 or 0 trailing decimal zeros of all of them."""
    for exponent in (6, 3):
        unit = 10**exponent
        if whole[0] % unit == 0 and bool((whole // unit * unit == whole).all()):
            return exponent
    return 0


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
