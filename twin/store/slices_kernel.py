"""The columns of hot slices, compiled: what each is packed as, and its bytes."""

from __future__ import annotations

from pathlib import Path

from numpy import rint, uint64

from ingest.compiled import kernels
from twin.store.columns import F4, F8, FLAGS, FORM, FROM_TIME, I8, PLACE
from twin.store.columns_kernel import (
    EXACT,
    SOURCES,
    divisible,
    less_time,
    load,
    put,
    same,
    shorten,
    size_of,
)
from twin.store.slices import SINGLE, STEPS, VERBATIM

compiled, inlined = kernels(
    Path(__file__).with_name(name) for name in (*SOURCES, "slices.py", "slices_kernel.py")
)

#: What is said of a packed column: bytes of a number, SINGLE or VERBATIM, exponent of ten, base
#: (of SINGLE the bits of its one number), bytes of each row.
KIND, EXPONENT, BASE, EACH = range(4)


@compiled
def measure(rows, item, n, columns, bits, number, said):  # type: ignore[no-untyped-def]
    """Write into bits (columns, n) what of each column is packed, into said (columns, 4) how."""
    for c in range(columns.shape[0]):
        form = columns[c, FORM]
        load(rows, item, n, columns[c, PLACE], form, bits, c)
        said[c, EXPONENT] = 0
        if form >= F4:
            if same(bits, c, n, form):
                said[c, KIND], said[c, BASE], said[c, EACH] = SINGLE, bits[c, 0], 0
                continue
            if form == F4 or not _steps(bits, number, c, n):
                said[c, KIND], said[c, BASE] = VERBATIM, 0
                said[c, EACH] = size_of(form)
                continue
        if columns[c, FLAGS] & FROM_TIME:
            less_time(rows, item, n, bits, c)
        _whole(bits, c, n, form in (I8, F8), said)


@compiled
def _steps(bits, number, c, n):  # type: ignore[no-untyped-def]
    """Whether all numbers are whole multiples of 1 / STEPS; then bits[c] are these."""
    fits = True
    for i in range(n):
        steps = rint(number[c, i] * STEPS)
        fits &= (steps / STEPS == number[c, i]) & (steps > -EXACT) & (steps < EXACT)
    if fits:
        for i in range(n):
            bits[c, i] = int(rint(number[c, i] * STEPS))
    return fits


@compiled
def _whole(bits, c, n, long, said):  # type: ignore[no-untyped-def]
    least = most = bits[c, 0]
    for i in range(n):
        least, most = min(least, bits[c, i]), max(most, bits[c, i])
    said[c, KIND], said[c, BASE], said[c, EACH] = 0, least, 0
    if least == most:
        return
    exponent = 0
    if long:
        for tried in (6, 4, 3):
            unit = 10**tried
            if least % unit == 0 and most % unit == 0 and divisible(bits, c, n, unit):
                shorten(bits, c, n, unit)
                exponent, least, most = tried, least // unit, most // unit
                break
    span, size = uint64(most) - uint64(least), 1
    while size < 8 and span >> uint64(8 * size) != 0:
        size *= 2
    said[c, KIND], said[c, EXPONENT], said[c, BASE], said[c, EACH] = size, exponent, least, size


@compiled
def write(bits, said, columns, a, b, out):  # type: ignore[no-untyped-def]
    """Write rows [a, b) of all columns into out, each behind its head; how many bytes."""
    at = uint64(0)
    for c in range(said.shape[0]):
        kind, base, each = said[c, KIND], said[c, BASE], said[c, EACH]
        at = put(kind, 1, out, at)
        at = put(said[c, EXPONENT], 1, out, at)
        at = put(0 if kind in (SINGLE, VERBATIM) else base, 8, out, at)
        if kind == SINGLE:
            at = put(base, size_of(columns[c, FORM]), out, at)
        elif each == 1:
            for i in range(a, b):
                at = put(bits[c, i] - base, 1, out, at)
        elif each == 2:
            for i in range(a, b):
                at = put(bits[c, i] - base, 2, out, at)
        elif each == 4:
            for i in range(a, b):
                at = put(bits[c, i] - base, 4, out, at)
        elif each == 8:
            for i in range(a, b):
                at = put(bits[c, i] - base, 8, out, at)
    return at
