"""Hot rows of several series as bytes: packed columns where there are many rows, whole rows else.

A row is written with its transaction and again each time that it moves on towards its block, and
SQLite takes 5 µs of CPU for every kB (its log, then its file): what a row costs is its bytes. Of
the 71 bytes of an estimate some 24 are left, of the 45 of an observation 15; unlike a block's,
columns are of whole bytes, because a slice is written quickly and read for one of its many series.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bytewise import joined, octets, taken
from twin.store.blocks import (
    CHECKSUM,
    BlockDamaged,
    Rows,
    behind_checksum,
    checked,
    with_checksum,
)
from twin.store.columns import Column, Layout

Integers = NDArray[np.int64]
Indexes = NDArray[np.intp]

#: In front of packed columns; whole rows begin with the number of a series, and none has this one.
_MARK = 0xFFFFFFFF
_HEAD = struct.Struct("<II")  # mark, rows
_COLUMN = struct.Struct("<BBq")  # kind or bytes of a number, exponent of ten, base
#: Fewer rows stay whole: packing and unpacking cost as much for one row as for a thousand.
_FEW = 200
#: In place of the bytes of a number: one for all rows; as it is.
SINGLE, VERBATIM = 16, 17
#: Numbers are mostly hundredths of a signal's resolution; others are kept as they are.
STEPS = 1e6
_SERIES = Column("series", "<u4")
_AS_THEY_ARE = np.empty(0, np.intp)
_FORMS = {size: np.dtype(f"<u{size}") for size in (1, 2, 4, 8)}


def slice_of(rows: Rows, layout: Layout) -> bytes:
    """The blob of rows (n,) of dtype layout.rows, in their order."""
    return _slices(rows, [_AS_THEY_ARE], [len(rows)], layout)[0]


def slices_of(rows: Rows, order: Indexes, bounds: Sequence[int], layout: Layout) -> list[bytes]:
    """A blob for each part of the rows in an order, (n,). bounds: where the parts begin, and the
    end of the last. Columns are packed where there are many rows."""
    parts = [order[a:b] for a, b in pairwise(bounds)]
    return _slices(rows, parts, list(map(len, parts)), layout)


def _slices(
    rows: Rows, parts: Sequence[Indexes], many: Sequence[int], layout: Layout
) -> list[bytes]:
    """A blob for each part, which has so many rows."""
    if sum(many) < _FEW * len(many):
        chosen = (
            taken(rows, part) if len(part) else rows[:n]
            for part, n in zip(parts, many, strict=True)
        )
        return [with_checksum([each.tobytes()]) for each in chosen]
    # Compiled, and numba is loaded by who writes alone.
    from twin.store.slices_kernel import pack

    source, item, columns = octets(rows), rows.dtype.itemsize, layout.with_series
    begin, most = CHECKSUM + _HEAD.size, max(many)
    bits = np.empty((1, most), np.int64)
    out = np.empty(begin + 8 * len(columns) * (most + 3), np.uint8)
    numbers, blobs = bits.view(np.float64), []
    for part, n in zip(parts, many, strict=True):
        _HEAD.pack_into(out.data, CHECKSUM, _MARK, n)
        end = pack(source, item, n, part, columns, bits, numbers, out, begin)
        blobs.append(behind_checksum(out.data[:end]))
    return blobs


def rows_of(blobs: Sequence[bytes], layout: Layout) -> Rows:
    """Rows of several blobs one after the other. Raises BlockDamaged."""
    return joined([np.empty(0, layout.rows), *(_rows(blob, layout, None, False) for blob in blobs)])


def unpacked(blobs: Sequence[bytes], layout: Layout) -> Rows:
    """The same as `rows_of`, compiled: for who writes. Raises BlockDamaged."""
    from twin.store.unpack_kernel import unpack

    bodies = [checked(blob) for blob in blobs]
    item, columns = layout.rows.itemsize, layout.with_series
    counts = [_packed_rows(body) for body in bodies]
    many = [len(b) // item if n is None else n for b, n in zip(bodies, counts, strict=True)]
    rows = np.empty(sum(many), layout.rows)
    out = rows.view(np.uint8)
    bits = np.empty((3, max(many, default=0) + 1), np.int64)
    numbers, begin = bits.view(np.float64), 0
    for blob, body, packed, n in zip(blobs, bodies, counts, many, strict=True):
        source = np.frombuffer(body, np.uint8)
        if packed is None or not unpack(source, n, item, columns, bits, numbers, out, begin):
            whole = _rows(blob, layout, None, False)
            out[begin * item : (begin + n) * item] = whole.view(np.uint8)
        begin += n
    return rows


def _packed_rows(body: memoryview) -> int | None:
    """How many rows a slice with packed columns says that it has; None: its rows are whole."""
    if len(body) < _HEAD.size:
        return None
    mark, n = _HEAD.unpack_from(body)
    return int(n) if mark == _MARK else None


def rows_of_series(blobs: Sequence[bytes], layout: Layout, series: int, chart: bool) -> Rows:
    """Rows of one series of several blobs; chart: dtype layout.chart. Raises BlockDamaged."""
    nothing = np.empty(0, layout.chart if chart else layout.rows)
    return joined([nothing, *(_rows(blob, layout, series, chart) for blob in blobs)])


def _rows(blob: bytes, layout: Layout, series: int | None, chart: bool) -> Rows:
    body = checked(blob)
    try:
        if _packed_rows(body) is not None:
            return _Packed(body).rows(layout, series, chart)
        rows: Rows = np.frombuffer(body, layout.rows)
    except (struct.error, ValueError) as error:
        raise BlockDamaged(str(error)) from error
    if series is not None:
        rows = taken(rows, rows["series"] == series)
    return charted(rows, layout) if chart else rows


def charted(rows: Rows, layout: Layout) -> Rows:
    """Only the columns that a chart needs."""
    chart = np.empty(len(rows), layout.chart)
    for name in layout.chart.names or ():
        chart[name] = rows[name]
    return chart


class _Packed:
    """A packed slice, read column by column."""

    def __init__(self, body: memoryview) -> None:
        self._body, self._place = body, _HEAD.size
        self._n: int = _HEAD.unpack_from(body)[1]

    def rows(self, layout: Layout, series: int | None, chart: bool) -> Rows:
        number = self._column(_SERIES, None)
        if isinstance(number, int):
            number = np.full(self._n, number)
        chosen = None if series is None else np.flatnonzero(number == series)
        n = self._n if chosen is None else len(chosen)
        rows = np.empty(n, layout.chart if chart else layout.rows)
        if not n:
            return rows
        if not chart:
            rows["series"] = number if chosen is None else series
        for column in layout.first if chart else (*layout.first, *layout.second):
            values = self._column(column, chosen)
            rows[column.name] = values + rows["time"] if column.from_time else values
        return rows

    def _column(self, column: Column, chosen: NDArray[np.intp] | None) -> NDArray[Any] | int:
        """The next column: of the chosen rows, or one number where all have the same."""
        size, exponent, base = _COLUMN.unpack_from(self._body, self._place)
        self._place += _COLUMN.size
        if size == 0:
            return int(base)
        form = column.form if size in (SINGLE, VERBATIM) else _FORMS[size]
        found = np.frombuffer(self._body, form, 1 if size == SINGLE else self._n, self._place)
        self._place += found.nbytes
        if size == SINGLE:
            return found
        picked: NDArray[Any] = found if chosen is None else found[chosen]
        if size == VERBATIM:
            return picked
        whole: NDArray[Any] = picked.astype(np.int64)
        whole += base
        if exponent:
            whole *= 10**exponent
        return whole / STEPS if column.form == "<f8" else whole
