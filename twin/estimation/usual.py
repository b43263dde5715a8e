"""The compiled kernel, eighth part: what is usual for a person at an hour of the day.

The slow personal layer of a (patient, signal): a mean and a daily rhythm, learnt from one value of
the filter an hour, of measured time (the base, as anchors are put out: `ring.py`). Forecasts return
to it; estimates do not know it. docs/models.md, What is usual for a person.

With w = 2π · (time of day) / 24 h:   usual u = b · h,   h = (1, cos w, sin w, cos 2w, sin 2w)
b is a regression by recursive least squares with a memory of four weeks, from what is usual in
people; P its covariance, s² the variance of the hours about u.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.estimation.compiled import compiled, inlined
from twin.estimation.kalman import (
    PDD,
    PDV,
    PMD,
    PMM,
    PMV,
    PVV,
    STATE,
    D,
    M,
    V,
    predict,
    spoken,
)
from twin.estimation.machine import fetch
from twin.estimation.models import (
    DAILY_SWING2,
    MEAN,
    NOISE2,
    QUANTISATION2,
    SPREAD2,
    USUAL_TIME,
    VAR_D,
)

#: Coefficients of u; columns of a row of what is learnt: the coefficients, then s².
TERMS = 5
RESIDUAL2 = TERMS
USUAL = TERMS + 1
#: Columns of a row of its doubt (int16): the lower triangle of the Cholesky root of P, row by row,
#: in 1/UNIT of the spread of people, then how many hours were learnt.
HOURS = TERMS * (TERMS + 1) // 2
ROOT = HOURS + 1
UNIT, MOST_HOURS = 32767.0, 32767
#: Of an hour's value nothing is said before so many were learnt.
LEAST_HOURS = 48
#: Hours. What is longer ago than MEMORY_H counts less than 1/e; a gap counts as a day at most.
MEMORY_H, GAP_H = 672.0, 24.0
#: One hour of a person is like the next: so many count as one (times its variance).
ALIKE = 3.0
#: Share of the population's spread within a person, until the person's own is learnt, which counts
#: as so many hours; s² is a mean over at most so many.
WITHIN2, ASSUMED_H, VARIANCE_H = 0.09, 10.0, 400.0
#: An hour further than so many standard deviations away teaches as much as one there.
FARTHEST = 3.0
DAY_NS, HOUR_NS = 86_400_000_000_000, 3_600_000_000_000
#: Rows of the scratch array (ROOM, TERMS): P, then h and P·h.
_H, _G = TERMS, TERMS + 1
ROOM = TERMS + 2
#: The memory of so many rows on is asked for while one is projected.
SOON = 8


@compiled
def rhythm(t, room):  # type: ignore[no-untyped-def]
    """Write h of a stamp (ns) into the scratch array."""
    w = 2.0 * math.pi * ((t % DAY_NS) / DAY_NS)
    room[_H, 0] = 1.0
    room[_H, 1], room[_H, 2] = math.cos(w), math.sin(w)
    room[_H, 3], room[_H, 4] = math.cos(2.0 * w), math.sin(2.0 * w)


@compiled
def learn(usual, root, learnt_at, k, y, t, p, row, room):  # type: ignore[no-untyped-def]
    """Take in value y of stamp t (ns) of slot k: once an hour, in order of time.

    usual (slots, USUAL) float32, root (slots, ROOT) int16, learnt_at (slots,) the hour last learnt.
    """
    hour = t // HOUR_NS
    if root[k, HOURS] == 0:
        for i in range(TERMS):
            usual[k, i] = 0.0
            for j in range(TERMS):
                room[i, j] = 0.0
            room[i, i] = p[row, DAILY_SWING2]
        usual[k, 0] = p[row, MEAN]
        room[0, 0] = p[row, SPREAD2]
        usual[k, RESIDUAL2] = p[row, VAR_D] + WITHIN2 * p[row, SPREAD2]
    else:
        unpack(root, k, math.sqrt(p[row, SPREAD2]), room)
        forget(min(np.float64(hour - learnt_at[k]), GAP_H), p, row, room)
    rhythm(t, room)
    expected, doubt = 0.0, 0.0
    for i in range(TERMS):
        g = 0.0
        for j in range(TERMS):
            g += room[i, j] * room[_H, j]
        room[_G, i] = g
        expected += room[_H, i] * usual[k, i]
        doubt += room[_H, i] * g
    s2 = np.float64(usual[k, RESIDUAL2])
    farthest = FARTHEST * math.sqrt(s2 + doubt)
    e = min(max(y - expected, -farthest), farthest)
    over_s = 1.0 / (doubt + ALIKE * s2)
    for i in range(TERMS):
        usual[k, i] += room[_G, i] * e * over_s
        for j in range(TERMS):
            room[i, j] -= room[_G, i] * room[_G, j] * over_s
    share = 1.0 / min(root[k, HOURS] + ASSUMED_H, VARIANCE_H)
    s2 += share * (e * e * s2 / (s2 + doubt) - s2)
    usual[k, RESIDUAL2] = max(s2, p[row, NOISE2] + p[row, QUANTISATION2])
    pack(root, k, math.sqrt(p[row, SPREAD2]), room)
    learnt_at[k] = hour
    root[k, HOURS] = min(root[k, HOURS] + 1, MOST_HOURS)


@compiled
def forget(hours, p, row, room):  # type: ignore[no-untyped-def]
    """P of so many hours later: what is known fades, and never below what is known of people."""
    grown = math.exp(hours / MEMORY_H)
    for i in range(TERMS):
        for j in range(TERMS):
            room[i, j] *= grown
    for i in range(TERMS):
        most = p[row, SPREAD2] if i == 0 else p[row, DAILY_SWING2]
        if room[i, i] > most:
            shrunk = math.sqrt(most / room[i, i])
            for j in range(TERMS):
                room[i, j] *= shrunk
                room[j, i] *= shrunk


@compiled
def unpack(root, k, spread, room):  # type: ignore[no-untyped-def]
    """P of slot k into the scratch array."""
    unit = spread / UNIT
    for i in range(TERMS):
        for j in range(i + 1):
            total = 0.0
            for n in range(j + 1):
                total += np.float64(root[k, i * (i + 1) // 2 + n]) * root[k, j * (j + 1) // 2 + n]
            room[i, j] = room[j, i] = total * unit * unit


@compiled
def pack(root, k, spread, room):  # type: ignore[no-untyped-def]
    """The Cholesky root of P in the scratch array (lower triangle, in place) into slot k.

    Kept as a root, so that rounding leaves P positive definite.
    """
    for i in range(TERMS):
        for j in range(i + 1):
            total = room[i, j]
            for n in range(j):
                total -= room[i, n] * room[j, n]
            if i == j:
                room[i, i] = math.sqrt(max(total, (spread / UNIT) ** 2))
            else:
                room[i, j] = total / room[j, j]
    for i in range(TERMS):
        for j in range(i + 1):
            whole = round(room[i, j] / spread * UNIT)
            least = 1 if i == j else -MOST_HOURS
            root[k, i * (i + 1) // 2 + j] = min(max(whole, least), MOST_HOURS)


@compiled
def usual_at(usual, root, k, t, spread, room):  # type: ignore[no-untyped-def]
    """(u, variance of u) of row k at a stamp (ns); spread of people in the signal's unit."""
    rhythm(t, room)
    mean, doubt = 0.0, 0.0
    for j in range(TERMS):
        mean += room[_H, j] * usual[k, j]
        total = 0.0
        for i in range(j, TERMS):
            total += room[_H, i] * root[k, i * (i + 1) // 2 + j]
        doubt += total * total
    return mean, doubt * (spread / UNIT) ** 2


@inlined
def return_to_usual(x, i, usual, root, k, t, dt, p, row, room):  # type: ignore[no-untyped-def]
    """`returned`, where enough is known of the usual: of most nothing is, and the call costs more
    than all else that is done for them."""
    if root[k, HOURS] >= LEAST_HOURS and p[row, USUAL_TIME] != 0.0:
        returned(x, i, usual, root, k, t, dt, p, row, room)


@compiled
def returned(x, i, usual, root, k, t, dt, p, row, room):  # type: ignore[no-untyped-def]
    """x[i], as it was moved on by dt (s) to t (ns), on its way back to the usual of that hour.

    An Ornstein–Uhlenbeck process about u of variance s² and time constant `usual_time`; as much of
    it as u is known: g = s²/(s² + var u) · (1 − e^(−dt/usual_time)), and

        mean ← mean + g·(u − mean)      var ← (1 − g)²·var + g·(2 − g)·(s² + var u)
    """
    u, doubt = usual_at(usual, root, k, t, math.sqrt(p[row, SPREAD2]), room)
    s2 = np.float64(usual[k, RESIDUAL2])
    g = -math.expm1(-dt / p[row, USUAL_TIME]) * s2 / (s2 + doubt)
    for column in (M, D, V):
        x[i, column] *= 1.0 - g
    for column in (PMM, PMD, PMV, PDD, PDV, PVV):
        x[i, column] *= (1.0 - g) * (1.0 - g)
    x[i, M] += g * u
    x[i, PMM] += g * (2.0 - g) * (s2 + doubt)


@inlined
def foresee(x, i, step, t, usual, root, k, p, row, cache, cache_dt, room):  # type: ignore[no-untyped-def]
    """x[i], `step` ns (> 0) later, at stamp t, as it is forecast: `predict`, then the usual."""
    predict(x, i, step, p, row, cache, cache_dt)
    return_to_usual(x, i, usual, root, k, t, step * 1e-9, p, row, room)


@compiled
def project(  # type: ignore[no-untyped-def]
    state, at, usual, root, slot, params, model, seconds, core, x, cache, cache_dt, room, mean, var
):  # fmt: skip
    """Mean and variance of each listed slot, so many seconds after its state's time.

    state (slots, STATE), at (slots,) its time (ns), usual (slots, USUAL), root (slots, ROOT), slot
    (n,), params (signals, PARAMETERS), model (slots,), seconds (n,) and core (n,) as `spoken` has
    it; x (1, STATE), cache, cache_dt (`discretised`) and room (ROOM, TERMS) are
    scratch; mean, var (n,) are written. The states stay as they are.
    """
    for n in range(slot.shape[0]):
        if n + SOON < slot.shape[0]:
            fetch(state, slot[n + SOON])
            fetch(root, slot[n + SOON])
        k = slot[n]
        row = model[k]
        for j in range(STATE):
            x[0, j] = state[k, j]
        step = np.int64(seconds[n] * 1e9)
        if step > 0:
            foresee(
                x, 0, step, at[k] + step, usual, root, k, params, row, cache, cache_dt, room
            )  # fmt: skip
        mean[n], var[n] = spoken(x, 0, core[n], params, row)


def rescale(
    root: NDArray[np.int16],
    model: NDArray[np.int16],
    before: NDArray[np.float64],
    now: NDArray[np.float64],
) -> None:
    """Write root (slots, ROOT) in units of the spreads `now` (signals,), 0: of no model yet.

    Where people are said to differ less than before, a person's doubt is cut to what they do.
    """
    for row in np.flatnonzero((before > 0) & (now > 0) & (before != now)).tolist():
        mine = np.flatnonzero(model == row)
        scaled = np.rint(root[mine, :HOURS] * (before[row] / now[row]))
        root[mine, :HOURS] = np.clip(scaled, -MOST_HOURS, MOST_HOURS)
