"""Hot slices back into rows, and rows in the order in which they are sealed, compiled: for what is
moved on, which is read as a whole."""

from __future__ import annotations

from pathlib import Path

from numpy import uint64

from ingest.compiled import kernels
from twin.store.columns import F4, F8, FLAGS, FORM, FROM_TIME, I8, PLACE, U1, U2, U4
from twin.store.columns_kernel import SOURCES, TIME, load, number_of_series, put, size_of, stamp
from twin.store.slices import SINGLE, STEPS, VERBATIM

compiled, inlined = kernels(
    Path(__file__).with_name(name) for name in (*SOURCES, "slices.py", "unpack_kernel.py")
)

#: Bytes in front of the columns, and in front of each.
_SLICE_HEAD, _COLUMN_HEAD = 8, 10
#: Rows of the scratch memory: a column, the same as numbers, the rows' times.
_WHOLE, _NUMBERS, _TIMES = range(3)
#: Rows that came so far out of order are sorted elsewhere: steps for each of them.
_STEPS_OF_ROW = 16


@compiled
def unpack(body, n, item, columns, bits, numbers, rows, begin):  # type: ignore[no-untyped-def]
    """Write the n rows of a packed slice into rows, from row `begin` on; False: this is unusual,
    and nothing of what was written counts.

    body: of the slice, without its checksum; rows: bytes of rows of `item` bytes; columns: (k, 3)
    as `columns` describes them, with the series. bits, numbers: (3, ≥ n), the same memory as int64
    and float64.
    """
    at = _SLICE_HEAD
    for c in range(columns.shape[0]):
        if at + _COLUMN_HEAD > body.shape[0]:
            return False
        form, kind, exponent = columns[c, FORM], body[at], body[at + 1]
        load(body, 0, 1, at + 2, I8, bits, _WHOLE)
        base, at = bits[_WHOLE, 0], at + _COLUMN_HEAD
        size = size_of(form) if kind in (SINGLE, VERBATIM) else kind
        many = 1 if kind == SINGLE else n
        if size > 8 or exponent > 18 or at + size * many > body.shape[0]:
            return False
        found = _WHOLE
        if kind == SINGLE:
            load(body, 0, n, at, form, bits, _WHOLE)
        elif kind == VERBATIM:
            load(body, size, n, at, form, bits, _WHOLE)
        elif form == F4 or not _whole(body, n, at, size, exponent, base, bits):
            return False
        elif form == F8:
            found = _NUMBERS
            for i in range(n):
                numbers[_NUMBERS, i] = bits[_WHOLE, i] / STEPS
        at += size * many
        if columns[c, FLAGS] & FROM_TIME:
            for i in range(n):
                bits[_WHOLE, i] += bits[_TIMES, i]
        elif columns[c, PLACE] == TIME:
            for i in range(n):
                bits[_TIMES, i] = bits[_WHOLE, i]
        _store(bits, found, n, form, rows, item, begin * item + columns[c, PLACE])
    return True


@compiled
def _whole(body, n, at, size, exponent, base, bits):  # type: ignore[no-untyped-def]
    """bits[_WHOLE] become the whole numbers of `size` bytes from `at` on; whether there are such.

    Each size is loaded by itself, so that its form is known when it is compiled."""
    if size == 0:
        for i in range(n):
            bits[_WHOLE, i] = 0
    elif size == 1:
        load(body, 1, n, at, U1, bits, _WHOLE)
    elif size == 2:
        load(body, 2, n, at, U2, bits, _WHOLE)
    elif size == 4:
        load(body, 4, n, at, U4, bits, _WHOLE)
    elif size == 8:
        load(body, 8, n, at, I8, bits, _WHOLE)
    else:
        return False
    unit = 1
    if size != 0:
        for _ in range(exponent):
            unit *= 10
    for i in range(n):
        bits[_WHOLE, i] = (bits[_WHOLE, i] + base) * unit
    return True


@compiled
def _store(bits, c, n, form, rows, item, place):  # type: ignore[no-untyped-def]
    """bits[c] become a column of rows; `place`: of its first number."""
    at, step = uint64(place), uint64(item)
    if form == U1:
        for i in range(n):
            put(bits[c, i], 1, rows, at)
            at += step
    elif form == U2:
        for i in range(n):
            put(bits[c, i], 2, rows, at)
            at += step
    elif form in (U4, F4):
        for i in range(n):
            put(bits[c, i], 4, rows, at)
            at += step
    else:
        for i in range(n):
            put(bits[c, i], 8, rows, at)
            at += step


@compiled
def span_of(rows, item, n):  # type: ignore[no-untyped-def]
    """The smallest and the largest number of a series of n ≥ 1 rows of `item` bytes."""
    least = most = number_of_series(rows, 0)
    for i in range(1, n):
        number = number_of_series(rows, i * item)
        least, most = min(least, number), max(most, number)
    return least, most


@compiled
def in_order(rows, item, n, least, begin, end, order):  # type: ignore[no-untyped-def]
    """Write into order (n,) the rows by series and time, of each time of a series the last one; how
    many. −1: they came too much out of order, and nothing of what is written counts.

    least: the smallest number of a series; begin, end: (largest − least + 1,), begin of zeros.
    """
    for i in range(n):
        begin[number_of_series(rows, i * item) - least] += 1
    before = 0
    for s in range(begin.shape[0]):
        end[s] = before
        before, begin[s] = before + begin[s], before
    left = _STEPS_OF_ROW * n
    for i in range(n):
        s, time = number_of_series(rows, i * item) - least, stamp(rows, i * item)
        place = end[s]
        end[s] += 1
        while place > begin[s] and stamp(rows, order[place - 1] * item) > time:
            order[place] = order[place - 1]
            place -= 1
            left -= 1
        if left < 0:
            return -1
        order[place] = i
    kept = 0
    for s in range(begin.shape[0]):
        for place in range(begin[s], end[s]):
            own = order[place]
            if place + 1 < end[s]:
                following = order[place + 1]
                if stamp(rows, following * item) == stamp(rows, own * item):
                    continue
            order[kept] = own
            kept += 1
    return kept
