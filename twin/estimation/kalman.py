"""The compiled kernel: one observation after another, in the order a reader would tell it.

predict → robust update → re-acquisition → ring. Called by `bank.py` with events sorted by key; the
uncompiled function (`.py_func`) is what unit tests step through. + − × / sqrt and this module's own
exp are the only arithmetic, one implementation of each, no fastmath, nothing in parallel: replay is
bit for bit. Letters as in docs/models.md: state (m, d, v), covariance P, H = (1, 1, 0).

One file on purpose, though a long one: it is one algorithm, read from top to bottom.
"""

from __future__ import annotations

import math

import numpy as np

from twin.estimation.compiled import compiled
from twin.estimation.models import (
    COV_DV,
    DEVIATION_NOISE,
    DEVIATION_TIME,
    GATE,
    HORIZON,
    LEVEL_TIME,
    MEAN,
    NOISE2,
    PER_MINUTE,
    QUANTISATION2,
    ROBUST2,
    SPREAD2,
    STEP_SAMPLES,
    STEP_SAMPLES_SEVERAL,
    TREND_TIME,
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

# Columns of a state row. LAG: mean as it was, smoothed over the trend time. OUT_COUNT: consecutive
# outliers that agree with each other (FOLLOWING: they made a step); OUT_LEVEL: the last of them.
# DEVICE: who reported last (−1: nobody yet, SEVERAL: more than one at the same stamp); OTHER:
# seconds since that changed.
M, D, V, PMM, PMD, PMV, PDD, PDV, PVV, LAG, OUT_LEVEL, OUT_COUNT, DEVICE, OTHER = range(14)
STATE = 14
SEVERAL = -2.0
FOLLOWING = -1.0

#: Columns of the discretisation cache, a row for each signal, valid for the step cache_dt[row].
FM, QM, FA, FK, FB, Q00, Q01, Q11, DISCRETE = range(9)

#: Columns of an estimate as the kernel gives it. E_INTERVAL: mean seconds between the stamps in the
#: ring (0: fewer than 4), of events only.
E_MEAN, E_VAR, E_TREND, E_TREND_VAR, E_NIS, E_WEIGHT, E_INTERVAL, ESTIMATE = range(8)

ACCEPTED, BELATED, DUPLICATE, CONFLICT = 1, 2, 3, 4
NEVER = -(2**63)
#: Seconds after the last change of device for which a key counts as reported by several.
SEVERAL_WITHIN = 30.0
#: A signal quality of this or less weighs as this (exp(1/q² − 1) is cut at exp(20)).
LARGEST_EXPONENT = 20.0

# Rows are named by (array, index) everywhere: a view would be a new array (see compiled.py).


@compiled
def discretise(p, row, dt, out):  # type: ignore[no-untyped-def]
    """Write F and Q of a step of dt seconds into out[row] (DISCRETE,), exactly.

    With al = 1/tg, be = 1/tv, k = 1/(al−be), a = e^(−al·dt), b = e^(−be·dt): F = [[a, k(b−a)],
    [0, b]]. Q of (d, v) is the integral of the squared impulse responses. 1 − a² is taken from
    expm1, so that it stays exact for short steps.
    """
    tg, tv = p[row, DEVIATION_TIME], p[row, VELOCITY_TIME]
    em = math.expm1(-dt / p[row, LEVEL_TIME])
    out[row, FM] = 1.0 + em
    out[row, QM] = -p[row, SPREAD2] * em * (2.0 + em)
    ea = math.expm1(-dt / tg)
    out[row, FA] = 1.0 + ea
    out[row, Q00] = -0.5 * p[row, DEVIATION_NOISE] * tg * ea * (2.0 + ea)
    if tv == 0.0:
        out[row, FK] = 0.0
        out[row, FB] = 0.0
        out[row, Q01] = 0.0
        out[row, Q11] = 0.0
    else:
        _discretise_velocity(p[row, VELOCITY_NOISE], 1.0 / tg, 1.0 / tv, dt, out, row)


@compiled
def _discretise_velocity(q, al, be, dt, out, row):  # type: ignore[no-untyped-def]
    """The velocity's part. Where be·dt is small the closed form of Q cancels, so there the integral
    is summed by 5-point Gauss–Legendre, which is exact to rounding."""
    b = math.exp(-be * dt)
    out[row, FB] = b
    out[row, FK] = -math.exp(-al * dt) * math.expm1(-(be - al) * dt) / (be - al)
    b2 = -math.expm1(-2.0 * be * dt) / (2.0 * be)
    out[row, Q11] = q * b2
    if be * dt < 0.2:
        q00, q01 = 0.0, 0.0
        for i in range(5):
            s = 0.5 * dt * (1.0 + _NODES[i])
            f = -math.exp(-al * s) * math.expm1(-(be - al) * s) / (be - al)
            q00 += _WEIGHTS[i] * f * f
            q01 += _WEIGHTS[i] * f * math.exp(-be * s)
        out[row, Q00] += q * 0.5 * dt * q00
        out[row, Q01] = q * 0.5 * dt * q01
    else:
        k = 1.0 / (al - be)
        a2 = -math.expm1(-2.0 * al * dt) / (2.0 * al)
        ab = -math.expm1(-(al + be) * dt) / (al + be)
        out[row, Q00] += q * k * k * (b2 - 2.0 * ab + a2)
        out[row, Q01] = q * k * (b2 - ab)


@compiled
def begin(x, i, p, row):  # type: ignore[no-untyped-def]
    """x (STATE,) becomes what is known of a person of whom nothing was measured."""
    for j in range(STATE):
        x[i, j] = 0.0
    x[i, M] = p[row, MEAN]
    x[i, PMM] = p[row, SPREAD2]
    x[i, PDD], x[i, PDV], x[i, PVV] = p[row, VAR_D], p[row, COV_DV], p[row, VAR_V]
    x[i, LAG] = math.nan
    x[i, DEVICE] = -1.0
    x[i, OTHER] = 1e9


@compiled
def predict(x, i, step, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """x, `step` ns (> 0) later. Row `row` of the cache keeps the last discretisation."""
    dt = step * 1e-9
    if cache_dt[row] != step:
        discretise(p, row, dt, cache)
        cache_dt[row] = step
    fm, a, k, b = cache[row, FM], cache[row, FA], cache[row, FK], cache[row, FB]
    m, d, v = x[i, M], x[i, D], x[i, V]
    pmm, pmd, pmv, pdd, pdv, pvv = x[i, PMM], x[i, PMD], x[i, PMV], x[i, PDD], x[i, PDV], x[i, PVV]
    q00, q01, q11 = cache[row, Q00], cache[row, Q01], cache[row, Q11]
    m = p[row, MEAN] + fm * (m - p[row, MEAN])
    d = a * d + k * v
    lag, other = x[i, LAG], x[i, OTHER]
    x[i, PMM] = fm * fm * pmm + cache[row, QM]
    x[i, PMD] = fm * (a * pmd + k * pmv)
    x[i, PMV] = fm * b * pmv
    x[i, PDD] = a * (a * pdd + 2.0 * k * pdv) + k * k * pvv + q00
    x[i, PDV] = b * (a * pdv + k * pvv) + q01
    x[i, PVV] = b * b * pvv + q11
    x[i, M], x[i, D], x[i, V] = m, d, b * v
    x[i, LAG] = lag + dt / (p[row, TREND_TIME] + dt) * (m + d - lag)
    x[i, OTHER] = min(other + dt, 1e9)


@compiled
def correct(x, i, z, r):  # type: ignore[no-untyped-def]
    """Scalar Kalman update with measurement z of variance r; S = H P H' + r, H = (1, 1, 0)."""
    m, d, v = x[i, M], x[i, D], x[i, V]
    pmm, pmd, pmv, pdd, pdv, pvv = x[i, PMM], x[i, PMD], x[i, PMV], x[i, PDD], x[i, PDV], x[i, PVV]
    g0, g1, g2 = pmm + pmd, pmd + pdd, pmv + pdv
    over_s = 1.0 / (g0 + g1 + r)
    k0, k1, k2 = g0 * over_s, g1 * over_s, g2 * over_s
    e = z - m - d
    x[i, M], x[i, D], x[i, V] = m + k0 * e, d + k1 * e, v + k2 * e
    x[i, PMM], x[i, PMD], x[i, PMV] = pmm - k0 * g0, pmd - k0 * g1, pmv - k0 * g2
    x[i, PDD], x[i, PDV], x[i, PVV] = pdd - k1 * g1, pdv - k1 * g2, pvv - k2 * g2


@compiled
def normalised(x, i, z, r):  # type: ignore[no-untyped-def]
    """nis: squared innovation over its variance, if z of variance r were taken in now."""
    e = z - x[i, M] - x[i, D]
    return e * e / (x[i, PMM] + 2.0 * x[i, PMD] + x[i, PDD] + r)


@compiled
def heard(x, i, device):  # type: ignore[no-untyped-def]
    """Note who reports now."""
    if device != x[i, DEVICE]:
        x[i, OTHER] = 1e9 if x[i, DEVICE] == -1.0 else 0.0
        x[i, DEVICE] = device


@compiled
def update(x, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Robust update; returns (nis, weight).

    IMQ weight 1/(1 + nis/c²) on the noise (Duran-Martin 2024). Outliers that agree with each other
    are a true step: after enough of them the state jumps there.
    """
    nis = normalised(x, i, z, r)
    if x[i, LAG] != x[i, LAG]:  # the first of a person: the population is no reason to doubt it
        correct(x, i, z, r)
        x[i, LAG] = x[i, M] + x[i, D]
        return nis, 1.0
    weight = 1.0 / (1.0 + nis / p[row, ROBUST2])
    if nis > p[row, GATE]:
        if jumps(x, i, z, r, p, row):
            weight = 1.0
        else:
            correct(x, i, z, r / weight)
    else:
        correct(x, i, z, r / weight)
        settle(x, i, z, r, p, row)
    return nis, weight


@compiled
def agrees(x, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Whether z and the outlier before it may be two measurements of one person at rest."""
    apart = z - x[i, OUT_LEVEL]
    return apart * apart <= p[row, GATE] * (2.0 * r + p[row, VAR_D])


@compiled
def settle(x, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """No outlier: forget those before. After a step, once the deviation is usual again."""
    if x[i, OUT_COUNT] > 0.0 or x[i, D] * x[i, D] <= p[row, GATE] * p[row, VAR_D]:
        x[i, OUT_COUNT] = 0.0
    elif x[i, OUT_COUNT] < 0.0 and agrees(x, i, z, r, p, row):
        x[i, OUT_LEVEL] = z


@compiled
def jumps(x, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Count an outlier; if enough of them agree, the deviation jumps to the last of them: True.

    The slow level stays: a person who jumps by 50 usually comes back (on ICU recordings, beginning
    the whole state anew costs half of the forecast's skill). So the model expects a quick return,
    and who stays up is an outlier again and again: until the deviation is usual, each one that
    agrees with the one before is followed at once.
    """
    agree = x[i, OUT_COUNT] != 0.0 and agrees(x, i, z, r, p, row)
    x[i, OUT_LEVEL] = z
    if not agree:
        x[i, OUT_COUNT] = 1.0
    elif x[i, OUT_COUNT] > 0.0:
        x[i, OUT_COUNT] += 1.0
    need = p[row, STEP_SAMPLES_SEVERAL] if x[i, OTHER] <= SEVERAL_WITHIN else p[row, STEP_SAMPLES]
    if 0.0 < x[i, OUT_COUNT] < need:
        return False
    x[i, D] = x[i, OUT_LEVEL] - x[i, M]
    x[i, V], x[i, PMD], x[i, PMV] = 0.0, 0.0, 0.0
    x[i, PDD], x[i, PDV], x[i, PVV] = p[row, SPREAD2], 0.0, p[row, VAR_V]
    x[i, OUT_COUNT] = FOLLOWING
    correct(x, i, x[i, OUT_LEVEL], r)
    return True


@compiled
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
def estimate(x, i, p, row, out, o, nis, weight):  # type: ignore[no-untyped-def]
    """Write the estimate of x into out[o] (ESTIMATE,). Trend per minute (docs/models.md)."""
    mean = x[i, M] + x[i, D]
    var = max(x[i, PMM] + 2.0 * x[i, PMD] + x[i, PDD], 0.0)
    out[o, E_MEAN] = mean
    out[o, E_VAR] = var
    out[o, E_TREND] = (mean - x[i, LAG]) * p[row, PER_MINUTE]
    out[o, E_TREND_VAR] = (p[row, WANDER] + var) * p[row, PER_MINUTE] * p[row, PER_MINUTE]
    out[o, E_NIS] = nis
    out[o, E_WEIGHT] = weight


@compiled
def place(start, head, size, j):  # type: ignore[no-untyped-def]
    """Where the j-th oldest member is, of the ring at `start` whose oldest is at `head`."""
    j += head
    return start + (j if j < size else j - size)


@compiled
def group_end(ring_t, start, head, size, j, n):  # type: ignore[no-untyped-def]
    """Number after the last of the n members that has the stamp of member j."""
    stamp = ring_t[place(start, head, size, j)]
    j += 1
    while j < n and ring_t[place(start, head, size, j)] == stamp:
        j += 1
    return j


@compiled
def take_group(  # type: ignore[no-untyped-def]
    x, i, ring_z, ring_r, ring_device, start, head, size, first, last, p, row, taken
):  # fmt: skip
    """Update x[i] with the ring members first..last−1 (one stamp), smallest |e|/√S first.

    Equal ones by value, then by variance: their order in the ring is the order of arrival.
    taken (3, ≥ ring): of member j, [0, j−first] is a mark, [1, …] its nis, [2, …] its weight.
    Returns the (nis, weight) of the last one taken in.
    """
    n = last - first
    if n == 1:
        m = place(start, head, size, first)
        heard(x, i, ring_device[m])
        nis, weight = update(x, i, ring_z[m], ring_r[m], p, row)
        taken[1, 0] = nis
        taken[2, 0] = weight
        return nis, weight
    nis, weight = 0.0, 0.0
    heard(x, i, SEVERAL)
    x[i, OTHER] = 0.0
    for j in range(n):
        taken[0, j] = 0.0
    for _ in range(n):
        best, least, chosen = -1, math.inf, 0
        for j in range(n):
            if taken[0, j] == 0.0:
                m = place(start, head, size, first + j)
                score = normalised(x, i, ring_z[m], ring_r[m])
                if (
                    best < 0
                    or score < least
                    or (
                        score == least
                        and (
                            ring_z[m] < ring_z[chosen]
                            or (ring_z[m] == ring_z[chosen] and ring_r[m] < ring_r[chosen])
                        )
                    )
                ):
                    best, least, chosen = j, score, m
        nis, weight = update(x, i, ring_z[chosen], ring_r[chosen], p, row)
        taken[0, best] = 1.0
        taken[1, best] = nis
        taken[2, best] = weight
    return nis, weight


@compiled
def move_to(x, i, known_t, stamp, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """x[i] from known_t (NEVER: nothing known) to stamp."""
    if known_t == NEVER:
        begin(x, i, p, row)
    elif stamp > known_t:
        predict(x, i, stamp - known_t, p, row, cache, cache_dt)


@compiled
def keep(states, n, state, k):  # type: ignore[no-untyped-def]
    """Copy the state after event n, if asked for."""
    if n < states.shape[0]:
        for j in range(STATE):
            states[n, j] = state[k, j]


@compiled
def process(  # type: ignore[no-untyped-def]
    order, slot, stamp, value, noise_std, quality, device,
    state, state_t, base, base_t, model, ring_at, ring_size, ring_n,
    ring_t, ring_z, ring_r, ring_device, params, cache, cache_dt,
    verdict, as_of, out, states, rev_event, rev_t, rev_out, scratch, taken,
):  # fmt: skip
    """Take in events order[0], order[1], …; returns (events taken, revisions written).

    Per event n: slot, stamp (ns), value, noise_std, quality (NaN = not said), device (number).
    Per slot k: state/base (slots, STATE) now and before the ring, state_t/base_t their stamps,
    model[k] its row of params; ring_at[k] (start in the ring arrays, index of the oldest member),
    ring_size[k], ring_n[k]: a circular ring in order of stamp. Written: verdict, as_of (n,), out
    (n, ESTIMATE), states (n or 0, STATE) the state after; revisions rev_event (which event caused
    it), rev_t (the stamp revised), rev_out.
    Stops early when fewer than 64 revisions would fit.
    """
    revisions = 0
    for position in range(order.shape[0]):
        if revisions + 64 > rev_t.shape[0]:
            return position, revisions
        n = order[position]
        k = slot[n]
        row = model[k]
        t = stamp[n]
        start, head = ring_at[k, 0], ring_at[k, 1]
        size = ring_size[k]
        members = ring_n[k]
        z = np.float32(value[n])
        r = noise_variance(noise_std[n], quality[n], params, row)
        as_of[n] = state_t[k]
        # Identity: the same stamp of the same device inside the ring.
        where = members
        said = ACCEPTED
        while where > 0:
            j = place(start, head, size, where - 1)
            if ring_t[j] < t:
                break
            if ring_t[j] == t and ring_device[j] == device[n]:
                said = DUPLICATE if ring_z[j] == z else CONFLICT
                break
            where -= 1
        if said == ACCEPTED and members > 0:
            oldest = ring_t[place(start, head, size, 0)]
            if (
                t <= base_t[k]
                or (members == size and t <= oldest)
                or t < state_t[k] - np.int64(params[row, HORIZON])
            ):
                said = BELATED
        verdict[n] = said
        out[n, E_INTERVAL] = 0.0
        if members >= 4:
            span = state_t[k] - ring_t[place(start, head, size, 0)]
            out[n, E_INTERVAL] = span * 1e-9 / (members - 1)
        if said != ACCEPTED:
            estimate(state, k, params, row, out, n, math.nan, 0.0)
            keep(states, n, state, k)
            continue
        if members == size:  # the oldest stamp goes into the base
            end = group_end(ring_t, start, head, size, 0, members)
            oldest = ring_t[place(start, head, size, 0)]
            move_to(base, k, base_t[k], oldest, params, row, cache, cache_dt)
            take_group(
                base, k, ring_z, ring_r, ring_device, start, head, size, 0, end, params, row, taken
            )
            base_t[k] = oldest
            head = (head + end) % size
            ring_at[k, 1] = head
            members -= end
            where -= end
        for j in range(members, where, -1):
            to, frm = place(start, head, size, j), place(start, head, size, j - 1)
            ring_t[to] = ring_t[frm]
            ring_z[to] = ring_z[frm]
            ring_r[to] = ring_r[frm]
            ring_device[to] = ring_device[frm]
        j = place(start, head, size, where)
        ring_t[j], ring_z[j], ring_r[j], ring_device[j] = t, z, r, device[n]
        members += 1
        ring_n[k] = members
        if members == 1 or t > state_t[k]:
            move_to(state, k, state_t[k], t, params, row, cache, cache_dt)
            heard(state, k, device[n])
            nis, weight = update(state, k, z, r, params, row)
            state_t[k] = t
            as_of[n] = t
            estimate(state, k, params, row, out, n, nis, weight)
            keep(states, n, state, k)
            continue
        # Late, or a second device at the newest stamp: filter again from the base.
        for j in range(STATE):
            scratch[0, j] = base[k, j]
        known = base_t[k]
        own_nis, own_weight = 0.0, 0.0
        i = 0
        while i < members:
            end = group_end(ring_t, start, head, size, i, members)
            now = ring_t[place(start, head, size, i)]
            move_to(scratch, 0, known, now, params, row, cache, cache_dt)
            nis, weight = take_group(
                scratch, 0, ring_z, ring_r, ring_device, start, head, size, i, end, params, row,
                taken,
            )  # fmt: skip
            known = now
            if i <= where < end:
                own_nis, own_weight = taken[1, where - i], taken[2, where - i]
            if t <= known < state_t[k]:
                rev_event[revisions] = n
                rev_t[revisions] = known
                estimate(scratch, 0, params, row, rev_out, revisions, nis, weight)
                revisions += 1
            i = end
        for j in range(STATE):
            state[k, j] = scratch[0, j]
        estimate(state, k, params, row, out, n, own_nis, own_weight)
        keep(states, n, state, k)
    return order.shape[0], revisions


@compiled
def project(state, slot, params, model, seconds, x, cache, cache_dt, mean, var):  # type: ignore[no-untyped-def]
    """Mean and variance of each listed slot, so many seconds after its state's time.

    state (slots, STATE), slot (n,), params (signals, PARAMETERS), model (slots,), seconds (n,);
    x (1, STATE), cache (signals, DISCRETE) and cache_dt (signals,) are scratch; mean, var (n,) are
    written. The states stay as they are.
    """
    for n in range(slot.shape[0]):
        k = slot[n]
        row = model[k]
        for j in range(STATE):
            x[0, j] = state[k, j]
        step = np.int64(seconds[n] * 1e9)
        if step > 0:
            predict(x, 0, step, params, row, cache, cache_dt)
        mean[n] = x[0, M] + x[0, D]
        var[n] = max(x[0, PMM] + 2.0 * x[0, PMD] + x[0, PDD], 0.0)
