"""The compiled kernel, fourth part: measurements of one stamp, one or of several devices.

What each device says is judged beside what the others say (docs/models.md, Several devices).
"""

from __future__ import annotations

import math

import numpy as np

from twin.estimation.compiled import compiled, inlined
from twin.estimation.consistency import note_nis
from twin.estimation.devices import (
    AGE,
    APART,
    BEHIND,
    DEVICES,
    DISTANCE,
    FLAGS,
    JUMPED,
    LAST,
    LEARNED,
    SLOW1,
    SLOW2,
    STEPPED,
    cleared,
    compare,
    doubt_other,
    entry,
    flag,
    forget,
    forgive,
    heard,
    join,
    jumped_together,
    lag_variance,
    note,
    one_lags,
    suspect,
    suspicion,
)
from twin.estimation.kalman import LAG, D, M, correct, normalised
from twin.estimation.members import place
from twin.estimation.models import EXPECTED, GATE, NOISE2, QUANTISATION2, SHARED
from twin.estimation.robust import (
    INSIDE,
    INSIDE_AGE,
    SEVERAL,
    came_back,
    doubted,
    step_back,
    update,
    update_of_several,
)

#: A signal quality of this or less weighs as this (exp(1/q² − 1) is cut at exp(20)).
LARGEST_EXPONENT = 20.0

# Rows are named by (array, index) everywhere: a view would be a new array (see compiled.py).


@inlined
def noise_variance(noise_std, quality, p, row):  # type: ignore[no-untyped-def]
    """Measurement variance, rounded to float32: device noise or the class's, quantisation, quality.

    Quality q multiplies it by exp(1/q² − 1) (Li, Mark & Clifford 2008), cut at exp(20).
    """
    r = noise_std * noise_std if noise_std > 0.0 and noise_std < 1e6 else p[row, NOISE2]
    r += p[row, QUANTISATION2]
    if quality < 1.0:
        exponent = LARGEST_EXPONENT
        if quality > 0.2:
            exponent = min(1.0 / (quality * quality) - 1.0, LARGEST_EXPONENT)
        r *= math.exp(exponent)
    return np.float32(r)


@compiled
def take_one(x, y, w, i, z, r, device, several, e, known, age, p, row):  # type: ignore[no-untyped-def]
    """Update with one measurement; returns (nis, weight).

    e: its device's entry (−1: none), what it said before is known, and age seconds old. Of several
    devices one may be wild for long while the estimate follows the other: whether the key is
    consistent is told only where one device reports.
    """
    if not several or x[i, LAG] != x[i, LAG]:
        nis, weight = update(x, y, i, z, r, p, row)
        note_nis(y, i, nis, p, row)
        if several:  # the first of a person
            y[i, INSIDE], y[i, INSIDE_AGE] = device, 0.0
        return nis, weight
    r = np.float32(r * (1.0 + p[row, SHARED]))  # an error that both make does not cancel
    if e >= 0:
        if normalised(x, i, z, r) <= p[row, GATE]:
            cleared(y, w, i, e)
        elif flag(w, i, e, JUMPED):
            if suspicion(w, i, e) == STEPPED and came_back(x, y, i, z, r, p, row):
                doubt_other(w, i, e)
                return step_back(x, y, i, z, r, device, p, row), 1.0
            suspect(y, w, i, e, z, r, age, p, row)
        if suspicion(w, i, e) > 0:
            join(w, i, e, z, r, z - x[i, M] - x[i, D], p, row)
    more = lag_variance(w, i, e)
    if more > 0.0:  # it follows the other: heard, but no witness for or against it
        nis = normalised(x, i, z, r + more)
        weight = 1.0 / doubted(nis, p, row)
        correct(x, i, z, (r + more) / weight)
        return nis, weight
    if one_lags(w, i):
        return update(x, y, i, z, r, p, row)
    recent = y[i, INSIDE_AGE] <= max(2.5, 1.25 * p[row, EXPECTED])
    another = y[i, INSIDE] != device and y[i, INSIDE] != SEVERAL and recent
    smooth = e >= 0 and known and suspicion(w, i, e) <= 0 and not another
    together = jumped_together(w, i)
    nis, weight, step = update_of_several(x, y, i, z, r, device, smooth, together, p, row)
    if step:
        forgive(w, i, together)
    return nis, weight


@compiled
def take_group(  # type: ignore[no-untyped-def]
    x, y, w, i, ring_z, ring_r, ring_device, start, head, size, first, last, p, row, taken
):  # fmt: skip
    """Update x[i] with the ring members first..last−1 (one stamp), smallest |e|/√S first.

    Equal ones as `before` has it: their order in the ring is the order of arrival.
    taken (6, ≥ ring): of member j, [0, j−first] is a mark, [1, …] its nis, [2, …] its weight,
    [3, …] whether its device's last value is known, [4, …] how old, [5, …] its rank by `before`.
    Returns the (nis, weight) of the last one taken in.
    """
    n = last - first
    m = place(start, head, size, first)
    several = heard(y, w, i, ring_device[m], n)
    if n == 1:
        e, known, age = -1, False, 0.0
        if several:
            e, known, age = note(w, i, ring_z[m], ring_device[m], p, row)
            if e >= 0:
                compare(w, i, e, age, p, row)
        nis, weight = take_one(
            x, y, w, i, ring_z[m], ring_r[m], ring_device[m], several, e, known, age, p, row
        )
        taken[1, 0] = nis
        taken[2, 0] = weight
        return nis, weight
    nis, weight = 0.0, 0.0
    note_group(y, w, i, ring_z, ring_r, ring_device, start, head, size, first, n, p, row, taken)
    for j in range(n):
        taken[0, j] = 0.0
    for _ in range(n):
        best, least, chosen = -1, math.inf, 0
        for j in range(n):
            if taken[0, j] == 0.0:
                m = place(start, head, size, first + j)
                e = entry(w, i, ring_device[m])
                score = normalised(x, i, ring_z[m], ring_r[m] + lag_variance(w, i, e))
                if best < 0 or score < least or (score == least and taken[5, j] < taken[5, best]):
                    best, least, chosen = j, score, m
        e = entry(w, i, ring_device[chosen])
        nis, weight = take_one(
            x, y, w, i, ring_z[chosen], ring_r[chosen], ring_device[chosen], n > 1, e,
            taken[3, best] > 0.0, taken[4, best], p, row,
        )  # fmt: skip
        taken[0, best] = 1.0
        taken[1, best] = nis
        taken[2, best] = weight
        if y[i, INSIDE_AGE] == 0.0:
            for j in range(n):  # who says the same: which of them was last is by arrival
                m = place(start, head, size, first + j)
                alike = ring_z[m] == ring_z[chosen] and ring_r[m] == ring_r[chosen]
                last = y[i, INSIDE] == ring_device[m] or y[i, INSIDE] == ring_device[chosen]
                if j != best and taken[0, j] > 0.0 and alike and last:
                    y[i, INSIDE] = SEVERAL
    return nis, weight


@compiled
def before(y, w, i, ring_z, ring_r, ring_device, m, chosen):  # type: ignore[no-untyped-def]
    """Whether member m comes before the chosen one, of equal stamp.

    By value, variance, then all that is remembered of its device; not by the device's number, which
    is given in order of arrival. Two members alike in all of it change the state alike.
    """
    if ring_z[m] != ring_z[chosen]:
        return ring_z[m] < ring_z[chosen]
    if ring_r[m] != ring_r[chosen]:
        return ring_r[m] < ring_r[chosen]
    one, other = entry(w, i, ring_device[m]), entry(w, i, ring_device[chosen])
    if one < 0 or other < 0:
        if one != other:
            return one > other
    else:
        if w[i, one + LAST] != w[i, other + LAST]:
            return w[i, one + LAST] < w[i, other + LAST]
        if suspicion(w, i, one) != suspicion(w, i, other):
            return suspicion(w, i, one) < suspicion(w, i, other)
        for column in (BEHIND, AGE, FLAGS, SLOW1, SLOW2, APART, DISTANCE, LEARNED):
            if w[i, one + column] != w[i, other + column]:
                return w[i, one + column] < w[i, other + column]
    return ring_device[m] == y[i, INSIDE] and ring_device[chosen] != y[i, INSIDE]


@compiled
def leave_out(w, i, ring_z, ring_r, ring_device, start, head, size, first, n, taken):  # type: ignore[no-untyped-def]
    """Of new devices that say the same at one stamp all have a place or none: arrival alone would
    tell who has."""
    for j in range(n):
        m = place(start, head, size, first + j)
        e = entry(w, i, ring_device[m])
        if e < 0 or taken[3, j] > 0.0:
            continue
        for k in range(n):
            o = place(start, head, size, first + k)
            alike = ring_z[o] == ring_z[m] and ring_r[o] == ring_r[m]
            if alike and entry(w, i, ring_device[o]) < 0:
                forget(w, i, e)
                break


@compiled
def note_group(  # type: ignore[no-untyped-def]
    y, w, i, ring_z, ring_r, ring_device, start, head, size, first, n, p, row, taken
):  # fmt: skip
    """Remember what n devices said at one stamp, by value, so that arrival has no say."""
    for j in range(n):
        taken[0, j] = 0.0
    for rank in range(n):
        best, chosen = -1, np.int64(0)
        for j in range(n):
            if taken[0, j] == 0.0:
                m = place(start, head, size, first + j)
                if best < 0 or before(y, w, i, ring_z, ring_r, ring_device, m, chosen):
                    best, chosen = j, m
        taken[0, best] = 1.0
        _, known, age = note(w, i, ring_z[chosen], ring_device[chosen], p, row)
        taken[3, best] = 1.0 if known else 0.0
        taken[4, best] = age
        taken[5, best] = rank
    if n > DEVICES:
        leave_out(w, i, ring_z, ring_r, ring_device, start, head, size, first, n, taken)
    for rank in range(n):
        j = 0
        while taken[5, j] != rank:
            j += 1
        e = entry(w, i, ring_device[place(start, head, size, first + j)])
        if e >= 0:
            compare(w, i, e, taken[4, j], p, row)
