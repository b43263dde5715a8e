"""The columns of hot slices, compiled: what each is packed as, and its bytes."""

from __future__ import annotations

from pathlib import Path

from numpy import int64, rint, uint64

from ingest.compiled import kernels
from twin.store.columns import F4, F8, FLAGS, FORM, FROM_TIME, I8, PLACE
from twin.store.columns_kernel import (
    EXACT,
    SOURCES,
    divisible,
    gather,
    less_time,
    load,
    number_of_series,
    put,
    same,
    shorten,
    size_of,
    stamp,
)
from twin.store.slices import SINGLE, STEPS, VERBATIM

compiled, inlined = kernels(
    Path(__file__).with_name(name) for name in (*SOURCES, "slices.py", "slices_kernel.py")
)


@compiled
def pack(rows, item, n, order, columns, bits, numbers, out, at):  # type: ignore[no-untyped-def]
    """Write the columns of n ≥ 1 rows, each behind its head, into out from `at` on; where they end.
    order: (n,) which rows, or (0,): the first, as they are.

    rows: bytes of rows of `item` bytes each; columns: (k, 3) as `columns` describes them, with the
    series. bits, numbers: (1, ≥ n), the same memory as int64 and float64. Of out, (12 k + 8 k n)
    bytes may be written to.
    """
    end = uint64(at)
    for c in range(columns.shape[0]):
        end = _column(rows, item, order, n, columns, c, bits, numbers, out, end)
    return int64(end)


@compiled
def _column(rows, item, order, n, columns, c, bits, numbers, out, at):  # type: ignore[no-untyped-def]
    form, size = columns[c, FORM], size_of(columns[c, FORM])
    ordered = order.shape[0] != 0
    if ordered:
        gather(rows, item, order, n, columns[c, PLACE], form, bits, 0)
    else:
        load(rows, item, n, columns[c, PLACE], form, bits, 0)
    if form >= F4:
        if same(bits, 0, n, form):
            return put(bits[0, 0], size, out, _head(SINGLE, 0, 0, out, at))
        if form == F4 or not _steps(bits, numbers, n):
            return _offsets(bits, n, 0, size, out, _head(VERBATIM, 0, 0, out, at))
    if columns[c, FLAGS] & FROM_TIME:
        if ordered:
            for i in range(n):
                bits[0, i] -= stamp(rows, order[i] * item)
        else:
            less_time(rows, item, n, bits, 0)
    return _whole(bits, n, form in (I8, F8), out, at)


@inlined
def _head(kind, exponent, base, out, at):  # type: ignore[no-untyped-def]
    at = put(kind, 1, out, at)
    at = put(exponent, 1, out, at)
    return put(base, 8, out, at)


@compiled
def _steps(bits, numbers, n):  # type: ignore[no-untyped-def]
    """Whether all numbers are whole multiples of 1 / STEPS; then bits are these."""
    fits = True
    for i in range(n):
        steps = rint(numbers[0, i] * STEPS)
        fits &= (steps / STEPS == numbers[0, i]) & (steps > -EXACT) & (steps < EXACT)
    if fits:
        for i in range(n):
            bits[0, i] = int(rint(numbers[0, i] * STEPS))
    return fits


@compiled
def _whole(bits, n, long, out, at):  # type: ignore[no-untyped-def]
    """Whole numbers in as few bytes as the offset of the largest above the smallest needs."""
    least = most = bits[0, 0]
    for i in range(n):
        least, most = min(least, bits[0, i]), max(most, bits[0, i])
    if least == most:
        return _head(0, 0, least, out, at)
    exponent, span = 0, uint64(most) - uint64(least)
    size = _bytes_of(span)
    if long:
        for tried in (6, 4, 3, 2):
            unit = 10**tried
            shorter = _bytes_of(span // uint64(unit))
            if shorter < size and least % unit == 0 and divisible(bits, 0, n, unit):
                shorten(bits, 0, n, unit)
                exponent, least, size = tried, least // unit, shorter
                break
    return _offsets(bits, n, least, size, out, _head(size, exponent, least, out, at))


@inlined
def _bytes_of(span):  # type: ignore[no-untyped-def]
    """Bytes of a number that holds it."""
    size = 1
    while size < 8 and span >> uint64(8 * size) != 0:
        size *= 2
    return size


@compiled
def _offsets(bits, n, base, size, out, at):  # type: ignore[no-untyped-def]
    if size == 1:
        for i in range(n):
            at = put(bits[0, i] - base, 1, out, at)
    elif size == 2:
        for i in range(n):
            at = put(bits[0, i] - base, 2, out, at)
    elif size == 4:
        for i in range(n):
            at = put(bits[0, i] - base, 4, out, at)
    else:
        for i in range(n):
            at = put(bits[0, i] - base, 8, out, at)
    return at


@compiled
def deal(rows, item, n, buckets, together, begin, end, order):  # type: ignore[no-untyped-def]
    """Order (n,) rows by home: order[begin[h] : end[h]] are those of series whose number modulo
    `buckets`, divided by `together`, is h, as they come. begin, end: (homes,), zeros before."""
    for i in range(n):
        begin[number_of_series(rows, i * item) % buckets // together] += 1
    before = 0
    for h in range(begin.shape[0]):
        end[h] = before
        before, begin[h] = before + begin[h], before
    for i in range(n):
        h = number_of_series(rows, i * item) % buckets // together
        order[end[h]] = i
        end[h] += 1


@compiled
def tally(rows, item, order, starts, counts, most):  # type: ignore[no-untyped-def]
    """Add rows to counts, by series; most: (parts,) how many a series of each part has then at
    most. starts: (parts + 1,) where the parts of the order begin, and its end."""
    for part in range(most.shape[0]):
        most[part] = 0
        for place in range(starts[part], starts[part + 1]):
            number = number_of_series(rows, order[place] * item)
            counts[number] += 1
        for place in range(starts[part], starts[part + 1]):
            number = number_of_series(rows, order[place] * item)
            most[part] = max(most[part], counts[number])
