"""The compiled kernel, first part: the linear filter of one (patient, signal).

predict and correct, here → robust update and true steps, `robust.py` → several devices,
`devices.py` → ring and late data, `ring.py`, which `bank.py` calls with a batch of events. The
uncompiled functions (`.py_func`) are what unit tests step through. + − × / sqrt and exp are the
only arithmetic, one implementation of each, no fastmath, nothing in parallel: bit for bit.
Letters as in docs/models.md: state (m, d, v), covariance P, H = (1, 1, 0).
"""

from __future__ import annotations

import math

from twin.estimation.compiled import compiled, inlined
from twin.estimation.machine import natural
from twin.estimation.models import (
    CEILING,
    COV_DV,
    DEVIATION_NOISE,
    DEVIATION_TIME,
    LEVEL_TIME,
    MEAN,
    PER_MINUTE,
    SPREAD2,
    TREND_TIME,
    UPPER,
    VAR_D,
    VAR_V,
    VELOCITY_NOISE,
    VELOCITY_TIME,
    WANDER,
)

# 5-point Gauss–Legendre on [−1, 1].
_NODES = (0.0, 0.5384693101056831, -0.5384693101056831, 0.906179845938664, -0.906179845938664)
_WEIGHTS = (
    0.5688888888888889,
    0.47862867049936647,
    0.47862867049936647,
    0.23692688505618908,
    0.23692688505618908,
)

#: Density of the standard normal at 0, and √½.
_PHI0, _ROOT_HALF = 0.3989422804014327, 0.7071067811865476

# Columns of a state row. LAG: mean as it was, smoothed over the trend time.
M, D, V, PMM, PMD, PMV, PDD, PDV, PVV, LAG = range(10)
STATE = 10

#: Columns of the discretisation cache, valid for the step of cache_dt; of each signal STEPS rows (a
#: prime: whole seconds and minutes meet in few), as keys, and their bases, move by steps of their
#: own. FL: the share of `LAG` that is new.
FM, QM, FA, FK, FB, Q00, Q01, Q11, FL, DISCRETE = range(10)
STEPS = 17

#: Columns of an estimate as the kernel gives it. E_INTERVAL: mean seconds between the stamps in the
#: ring (0: fewer than 4), of events only. E_DIVERGED: 1 where it is the measurement (diverged).
E_MEAN, E_VAR, E_TREND, E_TREND_VAR, E_NIS, E_WEIGHT, E_INTERVAL, E_DIVERGED, ESTIMATE = range(9)

NEVER = -(2**63)

# Rows are named by (array, index) everywhere: a view would be a new array (see compiled.py).


@compiled
def discretise(p, row, dt, out, o):  # type: ignore[no-untyped-def]
    """Write F and Q of a step of dt seconds into out[o] (DISCRETE,), exactly.

    With al = 1/tg, be = 1/tv, k = 1/(al−be), a = e^(−al·dt), b = e^(−be·dt): F = [[a, k(b−a)],
    [0, b]]. Q of (d, v) is the integral of the squared impulse responses. 1 − a² is taken from
    expm1, so that it stays exact for short steps.
    """
    tg, tv = p[row, DEVIATION_TIME], p[row, VELOCITY_TIME]
    em = math.expm1(-dt / p[row, LEVEL_TIME])
    out[o, FL] = dt / (p[row, TREND_TIME] + dt)
    out[o, FM] = 1.0 + em
    out[o, QM] = -p[row, SPREAD2] * em * (2.0 + em)
    ea = math.expm1(-dt / tg)
    out[o, FA] = 1.0 + ea
    out[o, Q00] = -0.5 * p[row, DEVIATION_NOISE] * tg * ea * (2.0 + ea)
    if tv == 0.0:
        out[o, FK] = 0.0
        out[o, FB] = 0.0
        out[o, Q01] = 0.0
        out[o, Q11] = 0.0
    else:
        _discretise_velocity(p[row, VELOCITY_NOISE], 1.0 / tg, 1.0 / tv, dt, out, o)


@compiled
def _discretise_velocity(q, al, be, dt, out, o):  # type: ignore[no-untyped-def]
    """The velocity's part. Where the step is short the closed form of Q cancels, so there the
    integral is summed by 5-point Gauss–Legendre, which is exact to rounding."""
    b = math.exp(-be * dt)
    out[o, FB] = b
    slow, fast = min(al, be), max(al, be)
    out[o, FK] = -math.exp(-slow * dt) * math.expm1(-(fast - slow) * dt) / (fast - slow)
    b2 = -math.expm1(-2.0 * be * dt) / (2.0 * be)
    out[o, Q11] = q * b2
    if max(al, be) * dt < 0.2:
        q00, q01 = 0.0, 0.0
        for i in range(5):
            s = 0.5 * dt * (1.0 + _NODES[i])
            f = -math.exp(-slow * s) * math.expm1(-(fast - slow) * s) / (fast - slow)
            q00 += _WEIGHTS[i] * f * f
            q01 += _WEIGHTS[i] * f * math.exp(-be * s)
        out[o, Q00] += q * 0.5 * dt * q00
        out[o, Q01] = q * 0.5 * dt * q01
    else:
        k = 1.0 / (al - be)
        a2 = -math.expm1(-2.0 * al * dt) / (2.0 * al)
        ab = -math.expm1(-(al + be) * dt) / (al + be)
        out[o, Q00] += q * k * k * (b2 - 2.0 * ab + a2)
        out[o, Q01] = q * k * (b2 - ab)


@compiled
def begin(x, i, p, row):  # type: ignore[no-untyped-def]
    """x (STATE,) becomes what is known of a person of whom nothing was measured."""
    for j in range(STATE):
        x[i, j] = 0.0
    x[i, M] = p[row, MEAN]
    x[i, PMM] = p[row, SPREAD2]
    x[i, PDD], x[i, PDV], x[i, PVV] = p[row, VAR_D], p[row, COV_DV], p[row, VAR_V]
    x[i, LAG] = math.nan


@inlined
def taken_up(x, i):  # type: ignore[no-untyped-def]
    """The numbers of x[i], in order: into registers."""
    return (
        x[i, M], x[i, D], x[i, V], x[i, PMM], x[i, PMD], x[i, PMV], x[i, PDD], x[i, PDV],
        x[i, PVV], x[i, LAG],
    )  # fmt: skip


@inlined
def put_down(x, i, s):  # type: ignore[no-untyped-def]
    """The inverse of `taken_up`."""
    (
        x[i, M], x[i, D], x[i, V], x[i, PMM], x[i, PMD], x[i, PMV], x[i, PDD], x[i, PDV],
        x[i, PVV], x[i, LAG],
    ) = s  # fmt: skip


@inlined
def discretised(step, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """The row of the cache (signals · STEPS, DISCRETE) that is of a step of so many ns (> 0)."""
    c = natural(row * STEPS + natural(step) % STEPS)
    if cache_dt[c] != step:
        discretise(p, row, step * 1e-9, cache, c)
        cache_dt[c] = step
    return c


@inlined
def predicted(s, p, row, cache, c):  # type: ignore[no-untyped-def]
    """The numbers of a state (`taken_up`), one step of row c of the cache later."""
    m, d, v, pmm, pmd, pmv, pdd, pdv, pvv, lag = s
    fm, a, k, b = cache[c, FM], cache[c, FA], cache[c, FK], cache[c, FB]
    m = p[row, MEAN] + fm * (m - p[row, MEAN])
    if p[row, VELOCITY_TIME] == 0.0:  # most signals: k, b and what is added to a velocity are 0
        d *= a
        return (
            m,
            d,
            0.0,
            fm * fm * pmm + cache[c, QM],
            fm * (a * pmd),
            0.0,
            a * (a * pdd) + cache[c, Q00],
            0.0,
            0.0,
            lag + cache[c, FL] * (m + d - lag),
        )
    d = a * d + k * v
    return (
        m,
        d,
        b * v,
        fm * fm * pmm + cache[c, QM],
        fm * (a * pmd + k * pmv),
        fm * b * pmv,
        a * (a * pdd + 2.0 * k * pdv) + k * k * pvv + cache[c, Q00],
        b * (a * pdv + k * pvv) + cache[c, Q01],
        b * b * pvv + cache[c, Q11],
        lag + cache[c, FL] * (m + d - lag),
    )


@inlined
def predict(x, i, step, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """x, `step` ns (> 0) later; returns the row of the cache that this step has."""
    c = discretised(step, p, row, cache, cache_dt)
    put_down(x, i, predicted(taken_up(x, i), p, row, cache, c))
    return c


@inlined
def innovation(s, z, r):  # type: ignore[no-untyped-def]
    """nis of measurement z of variance r of a state (`taken_up`): its squared innovation over S."""
    m, d, _, pmm, pmd, _, pdd, _, _, _ = s
    e = z - m - d
    return e * e * (1.0 / ((pmm + pmd) + (pmd + pdd) + r))


@inlined
def corrected(s, z, r):  # type: ignore[no-untyped-def]
    """Scalar Kalman update of a state (`taken_up`) with measurement z of variance r.

    S = H P H' + r, H = (1, 1, 0).
    """
    m, d, v, pmm, pmd, pmv, pdd, pdv, pvv, lag = s
    g0, g1, g2 = pmm + pmd, pmd + pdd, pmv + pdv
    over_s = 1.0 / (g0 + g1 + r)
    k0, k1 = g0 * over_s, g1 * over_s
    e = z - m - d
    if g2 == 0.0:  # nothing is said of the velocity
        m, d = m + k0 * e, d + k1 * e
        return m, d, v, pmm - k0 * g0, pmd - k0 * g1, pmv, pdd - k1 * g1, pdv, pvv, lag
    k2 = g2 * over_s
    return (
        m + k0 * e,
        d + k1 * e,
        v + k2 * e,
        pmm - k0 * g0,
        pmd - k0 * g1,
        pmv - k0 * g2,
        pdd - k1 * g1,
        pdv - k1 * g2,
        pvv - k2 * g2,
        lag,
    )


@inlined
def correct(x, i, z, r):  # type: ignore[no-untyped-def]
    """Update x[i] with measurement z of variance r (`corrected`)."""
    put_down(x, i, corrected(taken_up(x, i), z, r))


@compiled
def correct_place(x, i, z, r):  # type: ignore[no-untyped-def]
    """As `correct`, but nothing is learned of the velocity (its gain is 0; Schmidt 1966).

    What an outlier says may be where a person is, never where the person goes.
    """
    g0, g1, g2 = x[i, PMM] + x[i, PMD], x[i, PMD] + x[i, PDD], x[i, PMV] + x[i, PDV]
    over_s = 1.0 / (g0 + g1 + r)
    k0, k1 = g0 * over_s, g1 * over_s
    e = z - x[i, M] - x[i, D]
    x[i, M] += k0 * e
    x[i, D] += k1 * e
    x[i, PMM] -= k0 * g0
    x[i, PMD] -= k0 * g1
    x[i, PMV] -= k0 * g2
    x[i, PDD] -= k1 * g1
    x[i, PDV] -= k1 * g2


@inlined
def normalised(x, i, z, r):  # type: ignore[no-untyped-def]
    """nis: squared innovation over its variance, if z of variance r were taken in now."""
    return innovation(taken_up(x, i), z, r)


@inlined
def spoken(x, i, core, p, row):  # type: ignore[no-untyped-def]
    """Mean and variance of m + d; of a signal with a ceiling c, of the Gaussian cut off there.

    core: standard deviation of the middle of the distribution in units of that of the state (the
    factor on a forecast's 50 % band). With s = core·std, b = (c − mean)/s and g = φ(b)/Φ(b) it is
    mean − s·g and var·(1 − b·g − g²) (Johnson, Kotz & Balakrishnan 1994, 13.10); c is half a digit
    above the upper limit, where a reading still rounds to it. The state itself stays Gaussian.
    """
    mean = x[i, M] + x[i, D]
    var = max(x[i, PMM] + 2.0 * x[i, PMD] + x[i, PDD], 0.0)
    room = p[row, CEILING] - mean
    if room > 0.0 and room * room > 64.0 * core * core * var:  # no ceiling, or far below it
        return mean, var
    b = room / max(core * math.sqrt(var), 1e-9)
    if b < -6.0:  # beyond it: the tail is exponential, and the general form cancels
        return p[row, UPPER], var / (b * b)
    g = 2.0 * _PHI0 * math.exp(-0.5 * b * b) / math.erfc(-b * _ROOT_HALF)
    return min(mean - core * math.sqrt(var) * g, p[row, UPPER]), var * (1.0 - b * g - g * g)


@compiled
def unspoken(mean, std, ceiling):  # type: ignore[no-untyped-def]
    """Mean and std of the Gaussian that, cut off at the ceiling, has this mean and std.

    The way back from what `spoken` said. With b = (ceiling − its mean)/its std and g = φ(b)/Φ(b),
    (ceiling − mean)/std is (b + g)/√(1 − b·g − g²), which grows with b: bisected between −6, where
    the cut tail is exponential, and 8, where nothing is cut.
    """
    room = ceiling - mean
    if room * room > 64.0 * std * std:
        return mean, std
    low, high = -6.0, 8.0
    g = 0.0
    for _ in range(32):
        b = 0.5 * (low + high)
        g = 2.0 * _PHI0 * math.exp(-0.5 * b * b) / math.erfc(-b * _ROOT_HALF)
        if (b + g) * (b + g) * std * std < room * room * (1.0 - b * g - g * g):
            low = b
        else:
            high = b
    wide = room / (b + g)
    return ceiling - b * wide, wide


@compiled
def normal_below(x, mean, std):  # type: ignore[no-untyped-def]
    """P(value < x) of a Gaussian."""
    return 0.5 * math.erfc((mean - x) / std * _ROOT_HALF)


@compiled
def spoken_below(x, mean, std, ceiling):  # type: ignore[no-untyped-def]
    """P(true value < x), of a mean and std as they are said; ceiling: inf where there is none."""
    if x >= ceiling:
        return 1.0
    m, s = unspoken(mean, std, ceiling)
    return normal_below(x, m, s) / normal_below(ceiling, m, s)


@inlined
def estimate(x, i, p, row, out, o, nis, weight):  # type: ignore[no-untyped-def]
    """Write the estimate of x into out[o] (ESTIMATE,). Trend per minute (docs/models.md)."""
    per_minute, wander = p[row, PER_MINUTE], p[row, WANDER]
    mean = x[i, M] + x[i, D]
    var = max(x[i, PMM] + 2.0 * x[i, PMD] + x[i, PDD], 0.0)
    trend = (mean - x[i, LAG]) * per_minute
    out[o, E_MEAN], out[o, E_VAR] = spoken(x, i, 1.0, p, row)
    out[o, E_TREND] = trend
    out[o, E_TREND_VAR] = (wander + var) * per_minute * per_minute
    out[o, E_NIS] = nis
    out[o, E_WEIGHT] = weight
