"""The compiled kernel, second part: one measurement against the state, weighed and not gated.

IMQ weight 1/(1 + nis/c²) on the noise (Duran-Martin 2024). Outliers that agree with each other are
a true step: after enough of them the state jumps there (docs/models.md, A true step).
"""

from __future__ import annotations

import math

import numpy as np

from twin.estimation.compiled import compiled, inlined
from twin.estimation.kalman import (
    FA,
    FM,
    LAG,
    PDD,
    PDV,
    PMD,
    PMM,
    PMV,
    PVV,
    D,
    M,
    V,
    correct,
    correct_place,
    normalised,
    predict,
    spoken,
)
from twin.estimation.models import (
    DEVIATION_TIME,
    GATE,
    JUMP,
    MEAN,
    MOTION,
    OVER_ROBUST2,
    SPREAD2,
    STEP_DISTANCE,
    STEP_SAMPLES,
    STEP_SAMPLES_SEVERAL,
    TREND_TIME,
    VAR_D,
    VAR_V,
)

# Columns of a memory row (float32), beside each state row. OUT_COUNT: consecutive outliers that
# agree with each other, n, or FOLLOWING − n while a true step is held; OUT_LEVEL: the last of them,
# or while a step is held the last measurement. DEVICE: who
# reported last (−1: nobody yet, SEVERAL: more than one at the same stamp); OTHER: seconds since
# that changed. INSIDE: who reported last what was no outlier, INSIDE_AGE seconds ago. OUT_AGE:
# seconds since the first of the outliers, of several devices. SPREAD, TROUBLE: consistency.py.
OUT_LEVEL, OUT_COUNT, DEVICE, OTHER, INSIDE, INSIDE_AGE, OUT_AGE, SPREAD, TROUBLE, MEMORY = range(
    10
)
SEVERAL = -2.0
FOLLOWING = -1.0
#: c of the weight of a device that moved smoothly away while the state stayed behind.
SMOOTH2 = 15.0 * 15.0
#: Several devices: fewest agreeing outliers that make a step, and longest time (s) to wait.
FEWEST, LONGEST = 4.0, 15.0
#: A step of several devices is taken back within so many seconds, if at all.
TAKEN_BACK = 30.0
#: Velocity after a jump by d: a standard deviation of this many d/tg.
CARRIED = 0.1
#: A deviation that is held becomes the level's with a time constant of so many tg.
HELD = 16.0
#: A level more than 3 spreads from the population's mean is one that the population is no guide to.
FAR2 = 9.0
#: A gate that nothing passes: the model is asked for the linear filter, without doubt.
LINEAR = 1e9


@inlined
def update(x, y, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Robust update with the only device, or the only one to rely on; returns (nis, weight)."""
    nis = normalised(x, i, z, r)
    if x[i, LAG] != x[i, LAG]:  # the first of a person: the population is no reason to doubt it
        correct(x, i, z, r)
        x[i, LAG] = x[i, M] + x[i, D]
        return nis, 1.0
    doubt = doubted(nis, p, row)
    weight = 1.0 / doubt
    if nis > p[row, GATE]:
        if jumps(x, y, i, z, r, p, row):
            weight = 1.0
        else:
            correct(x, i, z, r * doubt)
    else:
        correct(x, i, z, r * doubt)
        settle(x, y, i, z, p, row)
    return nis, weight


@inlined
def doubted(nis, p, row):  # type: ignore[no-untyped-def]
    """1/weight: by how much the variance of a measurement of this nis is multiplied."""
    return 1.0 + nis * p[row, OVER_ROBUST2]


@compiled
def agrees(y, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Whether z and the outlier before it may be two measurements of one person at rest."""
    apart = z - float(y[i, OUT_LEVEL])
    return apart * apart <= p[row, GATE] * (2.0 * r + p[row, VAR_D])


@inlined
def settle(x, y, i, z, p, row):  # type: ignore[no-untyped-def]
    """No outlier: forget those before. A step is held until the deviation is an ordinary one."""
    if y[i, OUT_COUNT] == 0.0:  # the usual case writes nothing: a sweep waits for memory
        return
    if y[i, OUT_COUNT] > 0.0 or x[i, D] * x[i, D] <= p[row, VAR_D]:
        y[i, OUT_COUNT] = 0.0
    else:
        y[i, OUT_COUNT], y[i, OUT_LEVEL] = FOLLOWING, z


@compiled
def hold(x, i, before, a, dt, p, row):  # type: ignore[no-untyped-def]
    """The prediction dt seconds on from the deviation `before`, of which the model leaves a·before.

    After a true step the person may as well stay: the deviation does, what the model would have
    taken off is doubt (cut at var_d, so that a spike remains one), and as it lasts the level takes
    it over, by a share whose standard deviation is the share.
    """
    stay = (1.0 - a) * before
    x[i, D] += stay
    x[i, LAG] += dt / (p[row, TREND_TIME] + dt) * stay
    moved = -math.expm1(-dt / (HELD * p[row, DEVIATION_TIME])) * x[i, D]
    x[i, M] += moved
    x[i, D] -= moved
    doubt = min(moved * moved, p[row, SPREAD2])
    x[i, PMM] += doubt
    x[i, PMD] -= doubt
    x[i, PDD] += doubt + min(stay * stay, p[row, VAR_D])


@compiled
def doubt_return(x, i, far, fm, p, row):  # type: ignore[no-untyped-def]
    """The level was `far` from the mean, and the model let it go back to fm·far.

    Beyond 3 spreads that is doubted: otherwise who stays there, and is measured every few minutes,
    would be drawn back by the population at each step.
    """
    pull = (1.0 - fm) * (far - math.sqrt(FAR2 * p[row, SPREAD2]))
    x[i, PMM] += pull * pull


@inlined
def expect(x, i, step, held, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """x[i] as its next measurement is expected, step ns later. held: a step is."""
    before, level = x[i, D], x[i, M]
    c = predict(x, i, step, p, row, cache, cache_dt)
    far = abs(level - p[row, MEAN])
    if far * far > FAR2 * p[row, SPREAD2] and p[row, GATE] < LINEAR:
        doubt_return(x, i, far, cache[c, FM], p, row)
    if held:
        hold(x, i, before, cache[c, FA], step * 1e-9, p, row)


@compiled
def expect_all(x, held, step, signal, p, cache, cache_dt, mean, var):  # type: ignore[no-untyped-def]
    """`expect` of each row of x (n, STATE), of signal rows, step (n,) ns later; mean, var (n,)."""
    for i in range(x.shape[0]):
        row = np.int64(signal[i])
        if step[i] > 0:
            expect(x, i, step[i], held[i], p, row, cache, cache_dt)
        mean[i], var[i] = spoken(x, i, 1.0, p, row)


@compiled
def count(y, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Count the outlier z; returns how many in a row agree with each other."""
    agree = y[i, OUT_COUNT] != 0.0 and y[i, OUT_COUNT] != FOLLOWING and agrees(y, i, z, r, p, row)
    y[i, OUT_LEVEL] = z
    if y[i, OUT_COUNT] >= 0.0:
        y[i, OUT_COUNT] = y[i, OUT_COUNT] + 1.0 if agree else 1.0
        return float(y[i, OUT_COUNT])
    y[i, OUT_COUNT] = y[i, OUT_COUNT] - 1.0 if agree else FOLLOWING - 1.0
    return FOLLOWING - float(y[i, OUT_COUNT])


@compiled
def jumps(x, y, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Count an outlier; if enough of them agree, the deviation jumps to the last of them: True.

    The slow level stays: a person who jumps by 50 usually comes back (on ICU recordings, beginning
    the whole state anew costs half of the forecast's skill), so a forecast expects the return. The
    estimate does not: it is held (`hold`), and an outlier that agrees with the one before is
    followed at once.
    """
    follow = y[i, OUT_COUNT] == FOLLOWING and agrees(y, i, z, r, p, row)
    if count(y, i, z, r, p, row) < p[row, STEP_SAMPLES] and not follow:
        return False
    begin_at(x, i, z, r, p[row, SPREAD2], 0.0, p[row, VAR_V])
    y[i, OUT_COUNT] = FOLLOWING
    return True


@compiled
def begin_at(x, i, z, r, spread2, velocity, var_v):  # type: ignore[no-untyped-def]
    """The deviation begins anew at z, the level stays."""
    x[i, D] = z - x[i, M]
    x[i, V], x[i, PMD], x[i, PMV] = velocity, 0.0, 0.0
    x[i, PDD], x[i, PDV], x[i, PVV] = spread2, 0.0, var_v
    correct(x, i, z, r)


@compiled
def came_back(x, y, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Whether z, of a device that has just jumped, is the level from which a held step went off."""
    away = z - x[i, M]
    fresh = y[i, OUT_COUNT] < 0.0 and y[i, OUT_AGE] < TAKEN_BACK
    return fresh and away * away <= p[row, GATE] * (p[row, VAR_D] + r)


@compiled
def step_back(x, y, i, z, r, device, p, row):  # type: ignore[no-untyped-def]
    """Take a step back: two that go wild at once may agree, and the first to recover tells.

    Returns the nis of z against the step.
    """
    nis = normalised(x, i, z, r)
    begin_at(x, i, z, r, p[row, VAR_D], 0.0, p[row, VAR_V])
    y[i, OUT_COUNT] = 0.0
    y[i, INSIDE], y[i, INSIDE_AGE] = device, 0.0
    return nis


@compiled
def update_of_several(x, y, i, z, r, device, smooth, together, p, row):  # type: ignore[no-untyped-def]
    """Robust update where several devices report; returns (nis, weight, whether it was a step).

    smooth: this device's own series has come here without a jump. A device that goes wild jumps
    first; a person who begins to run does not. So a smooth outlier is followed, and the velocity
    may change, unless another device has just said that the state is right. together: two devices
    have jumped at one time to one place: as good as one device that nobody contradicts.
    """
    nis = normalised(x, i, z, r)
    weight = 1.0 / doubted(nis, p, row)
    if nis <= p[row, GATE]:
        correct(x, i, z, r / weight)
        settle(x, y, i, z, p, row)
        y[i, INSIDE], y[i, INSIDE_AGE] = device, 0.0
        return nis, weight, False
    away = z - x[i, M] - x[i, D]
    if smooth:
        cut = min(away * away, p[row, JUMP] * p[row, JUMP])
        x[i, PVV] += p[row, MOTION] * cut / (p[row, DEVIATION_TIME] * p[row, DEVIATION_TIME])
        weight = 1.0 / (1.0 + nis / SMOOTH2)
        correct(x, i, z, r / weight)
        settle(x, y, i, z, p, row)
        return nis, weight, False
    agreeing = count(y, i, z, r, p, row)
    if agreeing == 1.0:
        y[i, OUT_AGE] = 0.0
    # The further away, the more have to say so, and the longer: two devices that go wild together
    # agree by chance.
    steps = abs(away) / p[row, STEP_DISTANCE]
    need = min(max(steps, FEWEST), p[row, STEP_SAMPLES_SEVERAL])
    long = min(0.5 * steps, LONGEST)
    if together:
        need, long = p[row, STEP_SAMPLES], 0.0
    if agreeing < need or y[i, OUT_AGE] < long:
        correct_place(x, i, z, r / weight)
        return nis, weight, False
    carried = CARRIED * (z - x[i, M]) / p[row, DEVIATION_TIME]
    var_v = max(x[i, PVV], carried * carried) if p[row, MOTION] > 0.0 else p[row, VAR_V]
    velocity = x[i, V] if p[row, MOTION] > 0.0 else 0.0
    begin_at(x, i, z, r, p[row, SPREAD2], velocity, var_v)
    y[i, OUT_COUNT] = FOLLOWING
    return nis, 1.0, True
