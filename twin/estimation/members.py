"""The compiled kernel: members of a ring, by their place, and what is said of a key with them."""

from __future__ import annotations

from twin.estimation.compiled import compiled, inlined
from twin.estimation.consistency import diverged, fall_back
from twin.estimation.kalman import E_DIVERGED, estimate
from twin.estimation.machine import natural


@inlined
def place(start, head, size, j):  # type: ignore[no-untyped-def]
    """Where the j-th oldest member is, of the ring at `start` whose oldest is at `head`."""
    j += head
    return natural(start + (j if j < size else j - size))


@inlined
def group_end(ring_t, start, head, size, j, n):  # type: ignore[no-untyped-def]
    """Number after the last of the n members that has the stamp of member j."""
    stamp = ring_t[place(start, head, size, j)]
    j += 1
    while j < n and ring_t[place(start, head, size, j)] == stamp:
        j += 1
    return j


@compiled
def newest_group(ring_t, start, head, size, members):  # type: ignore[no-untyped-def]
    """Number of the first of the ring's members that have its newest stamp."""
    first = members - 1
    while (
        first > 0
        and ring_t[place(start, head, size, first - 1)] == ring_t[place(start, head, size, first)]
    ):
        first -= 1
    return first


@inlined
def say(  # type: ignore[no-untyped-def]
    x, y, i, p, row, out, o, nis, weight, ring_z, ring_r, start, head, size, first, last
):  # fmt: skip
    """Write the estimate of x[i] into out[o]; of a diverged key the measurement of its stamp, which
    is that of the ring's members first..last−1: the most exact one, of equal ones the lowest."""
    estimate(x, i, p, row, out, o, nis, weight)
    out[o, E_DIVERGED] = 0.0
    if diverged(y, i) and first < last:
        best = place(start, head, size, first)
        for j in range(first + 1, last):
            m = place(start, head, size, j)
            if ring_r[m] < ring_r[best] or (ring_r[m] == ring_r[best] and ring_z[m] < ring_z[best]):
                best = m
        fall_back(out, o, y, i, ring_z[best], ring_r[best], p, row)
