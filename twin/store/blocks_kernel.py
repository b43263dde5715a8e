"""The columns of a block, compiled: what each is packed as, and its bytes (`packing` says how)."""

from __future__ import annotations

from pathlib import Path

from numpy import float32, int32, int64, rint, uint64

from ingest.compiled import kernels
from twin.store.columns import F4, FLAGS, FORM, FROM_TIME, I8, PLACE, SMOOTH
from twin.store.columns_kernel import (
    EXACT,
    SOURCES,
    divisible,
    is_number,
    less_time,
    load,
    put,
    same,
    shorten,
    size_of,
)
from twin.store.packing import DIFFERENCES, NULLS, VERBATIM

compiled, inlined = kernels(
    Path(__file__).with_name(name) for name in (*SOURCES, "packing.py", "blocks_kernel.py")
)

#: Bytes of a column's head.
HEAD = 25
#: A number that stands beside the others takes its place, too.
EXCEPTION_BITS = 80
#: Rows of the scratch memory: what was loaded, whole numbers, offsets.
_LOADED, _WHOLE, _OFFSETS = range(3)


@compiled
def pack(rows, item, columns, units, bits, numbers, four, single, ends, out, at):  # type: ignore[no-untyped-def]
    """Write the columns of rows of `item` bytes each into out from `at` on; where they end.

    columns, units: (k, 3) as `columns` describes them, (k,) steps in one unit of each. bits,
    numbers: (3, n), the same memory as int64 and float64; four, single: (n,) as int32 and float32;
    ends: (2, n), for the smallest and the largest numbers.
    """
    end = uint64(at)
    for c in range(columns.shape[0]):
        end = _column(rows, item, columns, c, units[c], bits, numbers, four, single, ends, out, end)
    return int64(end)


@compiled
def _column(rows, item, columns, c, unit, bits, numbers, four, single, ends, out, at):  # type: ignore[no-untyped-def]
    n, form, flags = bits.shape[1], columns[c, FORM], columns[c, FLAGS]
    load(rows, item, n, columns[c, PLACE], form, bits, _LOADED)
    if not flags & FROM_TIME and same(bits, _LOADED, n, form):
        return _as_it_is(bits, 1, size_of(form), out, at)
    whole, exponent, nulls = _LOADED, 0, False
    if form >= F4:
        whole = _WHOLE
        fits, nulls = _steps(bits, numbers, four, single, n, form, unit)
        if not fits:
            return _as_it_is(bits, n, size_of(form), out, at)
    elif flags & FROM_TIME:
        less_time(rows, item, n, bits, whole)
    if form == I8:
        for tried in (6, 3):
            if divisible(bits, whole, n, 10**tried):
                shorten(bits, whole, n, 10**tried)
                exponent = tried
                break
    said = 0
    offsets = whole
    if flags & SMOOTH:
        said, offsets = DIFFERENCES, _differences(bits, whole, n)
    if nulls:
        said |= NULLS
    return _packed(bits, whole, offsets, n, form, said, exponent, ends, out, at)


@compiled
def _as_it_is(bits, n, size, out, at):  # type: ignore[no-untyped-def]
    at = _head(VERBATIM, 0, 0, 0, 0, 0, n * size, out, at)
    for i in range(n):
        at = put(bits[_LOADED, i], size, out, at)
    return at


@inlined
def _head(flags, width, exponent, exceptions, base, first, size, out, at):  # type: ignore[no-untyped-def]
    at = put(flags, 1, out, at)
    at = put(width, 1, out, at)
    at = put(exponent, 1, out, at)
    at = put(exceptions, 2, out, at)
    at = put(base, 8, out, at)
    at = put(first, 8, out, at)
    return put(size, 4, out, at)


@compiled
def _steps(bits, numbers, four, single, n, form, unit):  # type: ignore[no-untyped-def]
    """(whether what was loaded are whole steps, whether some of it is no number). Then bits[_WHOLE]
    are these steps, 0 for what is no number."""
    nulls, fits = False, True
    if form == F4:
        for i in range(n):
            four[i] = int32(bits[_LOADED, i])
        for i in range(n):
            numbers[_WHOLE, i] = single[i]
    else:
        for i in range(n):
            bits[_WHOLE, i] = bits[_LOADED, i]
    for i in range(n):
        if not is_number(bits[_LOADED, i], form):
            numbers[_WHOLE, i], nulls = 0.0, True
    for i in range(n):
        said = numbers[_WHOLE, i]
        steps = rint(said * unit)
        back = steps / unit
        if form == F4:
            fits &= float32(back) == float32(said)
        else:
            fits &= back == said
        fits &= (steps > -EXACT) & (steps < EXACT)
    if fits:
        for i in range(n):
            bits[_WHOLE, i] = int(rint(numbers[_WHOLE, i] * unit))
    return fits, nulls


@compiled
def _differences(bits, whole, n):  # type: ignore[no-untyped-def]
    """bits[_OFFSETS] become differences of neighbours. The first has none; what stands in its place
    does not matter."""
    bits[_OFFSETS, 0] = bits[whole, 0]
    for i in range(1, n):
        bits[_OFFSETS, i] = bits[whole, i] - bits[whole, i - 1]
    if n > 1:
        bits[_OFFSETS, 0] = bits[_OFFSETS, 1]
    return _OFFSETS


@compiled
def _packed(bits, whole, offsets, n, form, flags, exponent, ends, out, at):  # type: ignore[no-untyped-def]
    base, width, complete = _window(bits, offsets, n, ends)
    begin, at, exceptions = at, at + uint64(HEAD), 0
    if flags & NULLS:
        at = _nulls(bits, n, form, out, at)
    if not complete:
        most = uint64(1) << uint64(width)
        for i in range(n):
            if uint64(bits[offsets, i] - base) >= most:
                at = put(i, 2, out, at)
                exceptions += 1
        for i in range(n):
            if uint64(bits[offsets, i] - base) >= most:
                at = put(bits[offsets, i] - base, 8, out, at)
    if width > 0:
        at = _bits(bits, offsets, n, base, width, out, at)
    first = bits[whole, 0] if flags & DIFFERENCES else 0
    size = int64(at - begin) - HEAD
    _head(flags, width, exponent, exceptions, base, first, size, out, begin)
    return at


@compiled
def _nulls(bits, n, form, out, at):  # type: ignore[no-untyped-def]
    """A bit for each number, set where it is missing, most significant bit first."""
    for begin in range(0, n, 8):
        octet = 0
        for i in range(begin, min(begin + 8, n)):
            if not is_number(bits[_LOADED, i], form):
                octet |= 0x80 >> (i - begin)
        at = put(octet, 1, out, at)
    return at


@compiled
def _window(bits, r, n, ends):  # type: ignore[no-untyped-def]
    """(base, bit width, whether all fit) of the cheapest packing: all, or all but few."""
    cuts = (0, 1 + n // 500, 1 + n // 60)
    deep = 1
    for cut in cuts:
        if 2 * cut < n:
            deep = cut + 1
    _extremes(bits, r, n, deep, ends)
    base, width, cost, complete = 0, 0, -1, True
    for cut in cuts:
        if 2 * cut < n:
            tried = 0
            span = uint64(ends[1, cut]) - uint64(ends[0, cut])
            while span != 0:
                span >>= uint64(1)
                tried += 1
            price = tried * n + 2 * cut * EXCEPTION_BITS
            if cost < 0 or price < cost:
                base, width, cost, complete = ends[0, cut], tried, price, cut == 0
    return base, width, complete


@compiled
def _extremes(bits, r, n, deep, ends):  # type: ignore[no-untyped-def]
    """The smallest of n ≥ deep numbers in ends[0], smallest first, the largest in ends[1]."""
    for i in range(n):
        each = bits[r, i]
        if i < deep or each < ends[0, deep - 1]:
            j = min(i, deep - 1)
            while j > 0 and ends[0, j - 1] > each:
                ends[0, j] = ends[0, j - 1]
                j -= 1
            ends[0, j] = each
        if i < deep or each > ends[1, deep - 1]:
            j = min(i, deep - 1)
            while j > 0 and ends[1, j - 1] < each:
                ends[1, j] = ends[1, j - 1]
                j -= 1
            ends[1, j] = each


@compiled
def _bits(bits, r, n, base, width, out, at):  # type: ignore[no-untyped-def]
    """The low bits of each number above the base, without gaps, most significant bit first."""
    low = int64(min(width, 32))
    more = uint64(width - low)
    shift, mask = uint64(low), (uint64(1) << uint64(low)) - uint64(1)
    waiting, held = uint64(0), int64(0)
    for i in range(n):
        above = uint64(bits[r, i] - base)
        if more != 0:
            part = (above >> uint64(32)) & ((uint64(1) << more) - uint64(1))
            waiting, held = (waiting << more) | part, held + int64(more)
            if held >= 32:
                held -= 32
                at = _put_four(waiting >> uint64(held), out, at)
        waiting, held = (waiting << shift) | (above & mask), held + low
        if held >= 32:
            held -= 32
            at = _put_four(waiting >> uint64(held), out, at)
    while held >= 8:
        held -= 8
        at = put(waiting >> uint64(held), 1, out, at)
    if held > 0:
        at = put(waiting << uint64(8 - held), 1, out, at)
    return at


@inlined
def _put_four(whole, out, at):  # type: ignore[no-untyped-def]
    """Write the four lowest bytes of a number, highest first; the place behind them."""
    for i in range(4):
        out[at + uint64(i)] = (whole >> uint64(24 - 8 * i)) & uint64(0xFF)
    return at + uint64(4)
