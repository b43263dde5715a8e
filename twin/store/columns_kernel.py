"""Columns of rows that are given as bytes, compiled: what slices and blocks are packed from.

Rows are not aligned, so a number is put together of its bytes, which the compiler makes one load
of. `bits` (columns, n) int64 holds whole numbers, and of floating ones the bit pattern; `number` is
the same memory as float64.
"""

from __future__ import annotations

from pathlib import Path

from numpy import int64, uint64

from ingest.compiled import kernels
from twin.store.columns import F4, U1, U2, U4

#: Where `time` stands in every row, behind the number of the series.
TIME = 4
#: Whole numbers below are exact as float64.
EXACT = 2.0**53
_SIGN8, _ABOVE8, _INFINITE8 = -(1 << 63), (1 << 63) - 1, 0x7FF << 52
_SIGN4, _ABOVE4, _INFINITE4 = 1 << 31, (1 << 31) - 1, 0xFF << 23

SOURCES = ("columns.py", "columns_kernel.py")
compiled, inlined = kernels(Path(__file__).with_name(name) for name in SOURCES)


@inlined
def _byte(rows, at, more):  # type: ignore[no-untyped-def]
    """Byte `more` behind `at`: of an unsigned place nobody asks whether it counts from the end."""
    return int64(rows[at + uint64(more)]) << (8 * more)


@inlined
def _two(rows, at):  # type: ignore[no-untyped-def]
    """The number of the two bytes from `at` (uint64) on, lowest first."""
    return _byte(rows, at, 0) | _byte(rows, at, 1)


@inlined
def _four(rows, at):  # type: ignore[no-untyped-def]
    return _two(rows, at) | _byte(rows, at, 2) | _byte(rows, at, 3)


@inlined
def _eight(rows, at):  # type: ignore[no-untyped-def]
    """The same of eight, as int64."""
    high = _byte(rows, at, 4) | _byte(rows, at, 5) | _byte(rows, at, 6) | _byte(rows, at, 7)
    return _four(rows, at) | high


@inlined
def number_of_series(rows, at):  # type: ignore[no-untyped-def]
    """The number of the series of the row that begins at `at`."""
    return _four(rows, uint64(at))


@inlined
def stamp(rows, at):  # type: ignore[no-untyped-def]
    """The time of the row that begins at `at`."""
    return _eight(rows, uint64(at + TIME))


@compiled
def load(rows, item, n, place, form, bits, c):  # type: ignore[no-untyped-def]
    """Column `place` of n rows of `item` bytes each, as bits[c]."""
    at, step = uint64(place), uint64(item)
    if form == U1:
        for i in range(n):
            bits[c, i] = rows[at]
            at += step
    elif form == U2:
        for i in range(n):
            bits[c, i] = _two(rows, at)
            at += step
    elif form in (U4, F4):
        for i in range(n):
            bits[c, i] = _four(rows, at)
            at += step
    else:
        for i in range(n):
            bits[c, i] = _eight(rows, at)
            at += step


@compiled
def gather(rows, item, order, n, place, form, bits, c):  # type: ignore[no-untyped-def]
    """The same of the rows order[:n]."""
    if form == U1:
        for i in range(n):
            bits[c, i] = rows[uint64(order[i] * item + place)]
    elif form == U2:
        for i in range(n):
            bits[c, i] = _two(rows, uint64(order[i] * item + place))
    elif form in (U4, F4):
        for i in range(n):
            bits[c, i] = _four(rows, uint64(order[i] * item + place))
    else:
        for i in range(n):
            bits[c, i] = _eight(rows, uint64(order[i] * item + place))


@inlined
def put(whole, size, out, at):  # type: ignore[no-untyped-def]
    """Write the lowest bytes of a number into out from `at` (uint64) on; the place behind them."""
    for i in range(size):
        out[at + uint64(i)] = (whole >> (8 * i)) & 0xFF
    return at + uint64(size)


@inlined
def size_of(form):  # type: ignore[no-untyped-def]
    """Bytes of a number."""
    if form in (U4, F4):
        return 4
    return 1 if form == U1 else 2 if form == U2 else 8


@inlined
def is_number(bits, form):  # type: ignore[no-untyped-def]
    """Whether the bits of a floating number are not those of NaN."""
    if form == F4:
        return bits & _ABOVE4 <= _INFINITE4
    return bits & _ABOVE8 <= _INFINITE8


@compiled
def less_time(rows, item, n, bits, c):  # type: ignore[no-untyped-def]
    """bits[c] become differences to the rows' times."""
    at, step = uint64(TIME), uint64(item)
    for i in range(n):
        bits[c, i] -= _eight(rows, at)
        at += step


@compiled
def same(bits, c, n, form):  # type: ignore[no-untyped-def]
    """Whether all numbers of bits[c] are equal, or none is a number (`blocks.constant`)."""
    sign, above, infinite = _SIGN8, _ABOVE8, _INFINITE8
    if form == F4:
        sign, above, infinite = _SIGN4, _ABOVE4, _INFINITE4
    floating, first = form >= F4, bits[c, 0]
    if floating and first & above > infinite:
        for i in range(n):  # noqa: SIM110 — numba has no generators
            if bits[c, i] & above <= infinite:
                return False
        return True
    if bits[c, n // 2] == first:
        for i in range(n):
            each = bits[c, i]
            if each != first and not (floating and each | first == sign):
                return False
        return True
    if not floating or first & above != 0:
        return False
    for i in range(n):  # noqa: SIM110 — 0.0 and −0.0 are equal
        if bits[c, i] & above != 0:
            return False
    return True


@compiled
def divisible(bits, c, n, unit):  # type: ignore[no-untyped-def]
    """Whether all of bits[c] are multiples of 10⁶, 10⁴, 10³ or 100."""
    if unit == 1_000_000:
        for i in range(n):
            if bits[c, i] % 1_000_000 != 0:
                return False
    elif unit == 10_000:
        for i in range(n):
            if bits[c, i] % 10_000 != 0:
                return False
    elif unit == 1_000:
        for i in range(n):
            if bits[c, i] % 1_000 != 0:
                return False
    else:
        for i in range(n):
            if bits[c, i] % 100 != 0:
                return False
    return True


@compiled
def shorten(bits, c, n, unit):  # type: ignore[no-untyped-def]
    """bits[c] divided by such a unit, all of whose multiples they are."""
    if unit == 1_000_000:
        for i in range(n):
            bits[c, i] = bits[c, i] // 1_000_000
    elif unit == 10_000:
        for i in range(n):
            bits[c, i] = bits[c, i] // 10_000
    elif unit == 1_000:
        for i in range(n):
            bits[c, i] = bits[c, i] // 1_000
    else:
        for i in range(n):
            bits[c, i] = bits[c, i] // 100
