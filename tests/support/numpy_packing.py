"""Slices and blocks packed with numpy, as the store did before it was compiled: what its files are.

An independent way to the same bytes; the tests compare it with the compiled one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.store.blocks import PLAIN_PER_UNIT, Rows, constant, with_checksum
from twin.store.columns import Column, Layout

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]
#: Head of a column, its numbers.
Made = tuple[bytes, bytes]

_MARK = 0xFFFFFFFF
_SLICE = struct.Struct("<II")  # mark, rows
_COLUMN = struct.Struct("<BBq")  # kind or bytes of a number, exponent of ten, base
_SINGLE, _EXACTLY = 16, 17
_STEPS = 1e6
_EXACT = 2.0**53
_SERIES = Column("series", "<u4")
_FORMS = {size: np.dtype(f"<u{size}") for size in (1, 2, 4, 8)}
# flags, bit width, exponent of ten, exceptions, base, first value, bytes of the body
_HEAD = struct.Struct("<BBBHqqI")
_DIFFERENCES, _VERBATIM, _NULLS = 1, 2, 4
_EXCEPTION_BITS = 80


def packed_slices(rows: Rows, bounds: Sequence[int], layout: Layout) -> list[bytes]:
    """A blob for each part of the rows, by where the parts begin, and the end."""
    return [_packed(rows[a:b], layout) for a, b in pairwise(bounds)]


def _packed(rows: Rows, layout: Layout) -> bytes:
    time = np.ascontiguousarray(rows["time"])
    parts: list[bytes] = [_SLICE.pack(_MARK, len(rows))]
    with np.errstate(all="ignore"):  # numbers that overflow are kept as they are
        for column in (_SERIES, *layout.first, *layout.second):
            values = np.ascontiguousarray(rows[column.name])
            if column.form.endswith(("f4", "f8")):
                parts += _slice_numbers(values)
                continue
            if column.from_time:
                values = values - time
            parts += _whole(values, int(values.min()), int(values.max()))
    return with_checksum(parts)


def _slice_numbers(values: NDArray[Any]) -> Made:
    if constant(values):
        return _COLUMN.pack(_SINGLE, 0, 0), values[:1].tobytes()
    if values.dtype.itemsize == 8:
        steps = values * _STEPS
        np.rint(steps, steps)
        least, most = float(steps.min()), float(steps.max())
        if least > -_EXACT and most < _EXACT and bool((steps / _STEPS == values).all()):
            return _whole(steps.astype(np.int64), int(least), int(most))
    return _COLUMN.pack(_EXACTLY, 0, 0), values.tobytes()


def _whole(values: NDArray[Any], least: int, most: int) -> Made:
    """Offsets above the smallest, in as few bytes as the largest needs: without common decimal
    zeros where this makes them fewer (stamps are mostly whole milliseconds, receipts sometimes
    microseconds, numbers hundredths)."""
    if least == most:
        return _COLUMN.pack(0, 0, least), b""
    exponent, size = 0, _size(most - least)
    if values.dtype.itemsize == 8:
        for tried in (6, 4, 3, 2):
            unit = 10**tried
            if _size((most - least) // unit) < size and not (values % unit).any():
                values, least, most, exponent = values // unit, least // unit, most // unit, tried
                break
    size = _size(most - least)
    offsets = (values - least).astype(_FORMS[size])
    return _COLUMN.pack(size, exponent, least), offsets.tobytes()


def _size(span: int) -> int:
    return next(size for size in (1, 2, 4, 8) if span < 1 << 8 * size)


def packed_block(rows: Rows, layout: Layout, per_unit: int) -> tuple[bytes, bytes]:
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


def _constant(rows: Rows, column: Column) -> bool:
    """Whether all are the same number (or all NaN): kept as one, which numpy spreads again."""
    if column.from_time:
        return False
    return constant(rows[column.name])


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


@dataclass(frozen=True, slots=True)
class Steps:
    """A column to be packed: whole (n,), in units of 10**exponent; smooth: neighbours are alike;
    missing: (n,), which have no value, or None."""

    whole: Integers
    smooth: bool
    exponent: int
    missing: Bools | None


def verbatim(values: NDArray[Any]) -> bytes:
    """A column as it is."""
    body = np.ascontiguousarray(values).tobytes()
    return _HEAD.pack(_VERBATIM, 0, 0, 0, 0, 0, len(body)) + body


def single(values: NDArray[Any]) -> bytes:
    """A column whose values are all the same."""
    return verbatim(values[:1])


def pack(columns: Sequence[Steps]) -> list[bytes]:
    """Each column as bytes. All have the same length n ≥ 1."""
    if not columns:
        return []
    offsets = np.array([column.whole for column in columns])
    smooth = [i for i, column in enumerate(columns) if column.smooth]
    if smooth and offsets.shape[1] > 1:
        # The first has no neighbour; what stands in its place does not matter.
        offsets[smooth, 1:] = np.diff(offsets[smooth], axis=1)
        offsets[smooth, 0] = offsets[smooth, 1]
    windows = _windows(offsets)
    above = (offsets - np.array([[base] for base, _, _ in windows])).view(np.uint64)
    bits = _bits(above, [width for _, width, _ in windows])
    return [_column(*each) for each in zip(columns, above, bits, windows, strict=True)]


def _column(
    column: Steps, above: NDArray[np.uint64], bits: bytes, window: tuple[int, int, bool]
) -> bytes:
    base, width, complete = window
    flags, first, count, body = 0, 0, 0, b""
    if column.smooth:
        flags, first = _DIFFERENCES, int(column.whole[0])
    if column.missing is not None:
        flags, body = flags | _NULLS, np.packbits(column.missing).tobytes()
    if not complete:
        beyond = np.flatnonzero(above >= np.uint64(1 << width))
        count = len(beyond)
        body += beyond.astype("<u2").tobytes() + above[beyond].astype("<u8").tobytes()
    body += bits
    return _HEAD.pack(flags, width, column.exponent, count, base, first, len(body)) + body


def _windows(offsets: Integers) -> list[tuple[int, int, bool]]:
    """(base, bit width, whether all fit) of each column's cheapest packing: all, or all but few."""
    n = offsets.shape[1]
    cuts = [cut for cut in (0, 1 + n // 500, 1 + n // 60) if 2 * cut < n]
    tops = [n - 1 - cut for cut in cuts]
    places = [*cuts, *tops]
    least = offsets.min(axis=1)
    span = (offsets.max(axis=1) - least).view(np.uint64)
    if span.max() < 1 << 32:  # half as many bytes are sorted in half the time
        ordered = np.sort((offsets - least[:, np.newaxis]).astype(np.uint32), axis=1)
        edges = ordered[:, places] + least[:, np.newaxis]
    else:
        edges = np.sort(offsets, axis=1)[:, places]
    lows, highs = edges[:, : len(cuts)].tolist(), edges[:, len(cuts) :].tolist()
    found = []
    for low, high in zip(lows, highs, strict=True):
        widths = [(h - b).bit_length() for b, h in zip(low, high, strict=True)]
        costs = [w * n + 2 * c * _EXCEPTION_BITS for w, c in zip(widths, cuts, strict=True)]
        best = costs.index(min(costs))
        found.append((low[best], widths[best], best == 0))
    return found


def _bits(above: NDArray[np.uint64], widths: Sequence[int]) -> list[bytes]:
    """The low bits of each number, without gaps, most significant bit first; columns that need the
    same number of bytes are spread into bits together."""
    made = [b""] * len(widths)
    sizes = [_container(width) for width in widths]
    for size in set(sizes) - {0}:
        own = [i for i, each in enumerate(sizes) if each == size]
        octets = above[own].astype(f">u{size}").view(np.uint8)
        # Flat: along a short axis numpy takes seven times as long for the same bits.
        spread = np.unpackbits(octets.reshape(-1)).reshape(len(own), -1, 8 * size)
        for part, i in zip(spread, own, strict=True):
            made[i] = np.packbits(part[:, 8 * size - widths[i] :].reshape(-1)).tobytes()
    return made


def _container(width: int) -> int:
    """Bytes of the number that holds so many bits."""
    return 0 if width == 0 else 1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8
