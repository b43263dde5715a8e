"""The compiled kernel: the short way of an ordinary measurement, which most are.

One device for long, no outlier before it, no step held, nothing suspect: what was known, moved on
and updated, from the row into registers and back once. The arithmetic is that of the long way
(`ring.move_to`, then `robust.update`), in the same functions and order, so that it does not matter
bit for bit which of both a measurement went.
"""

from __future__ import annotations

from twin.estimation.compiled import inlined
from twin.estimation.consistency import note_nis
from twin.estimation.devices import alone, pass_time
from twin.estimation.kalman import (
    LAG,
    NEVER,
    M,
    corrected,
    discretised,
    innovation,
    predicted,
    put_down,
    taken_up,
)
from twin.estimation.models import GATE, MEAN, SPREAD2
from twin.estimation.robust import FAR2, OUT_COUNT, TROUBLE, doubted


@inlined
def take_ordinary(x, y, w, i, known_t, stamp, z, r, device, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """Take z into x[i], y[i], w[i], known at known_t, at the later stamp; (True, nis, weight).

    (False, 0, 0), and nothing changed, where it is not ordinary.
    """
    far = x[i, M] - p[row, MEAN]
    if (
        known_t == NEVER
        or stamp <= known_t
        or not alone(y, i, device)
        or y[i, OUT_COUNT] != 0.0
        or y[i, TROUBLE] != 0.0
        or x[i, LAG] != x[i, LAG]
        or far * far > FAR2 * p[row, SPREAD2]
    ):
        return False, 0.0, 0.0
    step = stamp - known_t
    s = predicted(taken_up(x, i), p, row, cache, discretised(step, p, row, cache, cache_dt))
    nis = innovation(s, z, r)
    if not nis <= p[row, GATE]:
        return False, 0.0, 0.0
    doubt = doubted(nis, p, row)
    put_down(x, i, corrected(s, z, r * doubt))
    pass_time(y, w, i, step * 1e-9)
    note_nis(y, i, nis, p, row)
    return True, nis, 1.0 / doubt
