"""The compiled kernel, seventh part: whether innovations are as large as the filter expects them.

Of each key a running mean of g = nis/(1 + nis), in order of stamp like the state: a function of the
set. Where it says for long that innovations are far larger than expected, the key has diverged: its
estimates are the measurements, until it is consistent again (docs/models.md, Consistency). Of each
device of a key the same, the correlation of neighbouring innovations and the coverage of the bands
predicted for its readings: these say how it went, in order of arrival, and change nothing.
"""

from __future__ import annotations

import math

import numpy as np

from twin.estimation.compiled import compiled, inlined
from twin.estimation.kalman import E_DIVERGED, E_MEAN, E_TREND, E_TREND_VAR, E_VAR
from twin.estimation.models import GATE, PER_MINUTE, SPREAD2
from twin.estimation.robust import LINEAR, SPREAD, TROUBLE

#: Share of the newest innovation in the running means.
SHARE = 1.0 / 64.0
#: Mean of g where nis is chi-squared with one degree of freedom (`spread_of(1.0)`).
USUAL = 0.3443204576
#: Mean of g where innovations are 4 times as large as expected (16 times the variance): bands of
#: 95 % hold 38 %; and where they have 6 times the variance, from which on it is back.
OUTSIDE, INSIDE_AGAIN = 0.7405438560, 0.6201130833
#: A key has diverged after it was outside for so long (s) and so many measurements; and back alike.
LONG, MANY = 120.0, 40.0
#: TROUBLE where the way out, or the way back from −1, has begun.
BEGUN = 1e-3
#: Largest factor on the variance that is told from a mean of g.
LARGEST = 1e4

#: Columns of a device's shares (int16, 1/32767): u = e/√(S + e²) of its last innovation, mean of u²
#: (which is g), mean of the product of neighbouring u, shares inside the 50, 90 and 95 % band.
LAST_U, SQUARE, PRODUCT, IN50, IN90, IN95, TALLY = range(7)
TALLIED = 2
UNIT, WHOLE = 32767.0, 32767
#: Squared half-widths of the three bands, in variances.
_BANDS2 = (0.45493642311957305, 2.705543454095404, 3.8414588206941245)


@inlined
def note_nis(y, i, nis, p, row):  # type: ignore[no-untyped-def]
    """The innovation of one measurement had this nis. The first of a person only begins it: it says
    how far the person is from the population."""
    spread = float(y[i, SPREAD])
    if spread == 0.0:
        y[i, SPREAD] = USUAL
        return
    spread += SHARE * (nis / (1.0 + nis) - spread)
    y[i, SPREAD] = spread
    if spread > OUTSIDE or y[i, TROUBLE] != 0.0:
        judge_spread(y, i, spread, p, row)


@compiled
def judge_spread(y, i, spread, p, row):  # type: ignore[no-untyped-def]
    """Move TROUBLE on: 0 consistent; up to 1, outside for that part of what is long; −1 diverged;
    down to −2, back for that part. A linear filter (see LINEAR) never diverges."""
    trouble = y[i, TROUBLE]
    if trouble >= 0.0:
        if spread <= OUTSIDE or p[row, GATE] >= LINEAR:
            y[i, TROUBLE] = 0.0
        elif trouble == 0.0:
            y[i, TROUBLE] = BEGUN
        elif trouble >= 1.0:
            y[i, TROUBLE] = -1.0
    elif spread >= INSIDE_AGAIN:
        y[i, TROUBLE] = -1.0
    elif trouble == -1.0:
        y[i, TROUBLE] = -1.0 - BEGUN
    elif trouble <= -2.0:
        y[i, TROUBLE] = 0.0


@inlined
def pass_trouble(y, i, dt):  # type: ignore[no-untyped-def]
    """A measurement comes dt seconds after the one before."""
    if y[i, TROUBLE] != 0.0 and y[i, TROUBLE] != -1.0:
        step = min(dt / LONG, 1.0 / MANY)
        y[i, TROUBLE] += step if y[i, TROUBLE] > 0.0 else -step


@inlined
def diverged(y, i):  # type: ignore[no-untyped-def]
    """Whether the key's estimates are its measurements."""
    return y[i, TROUBLE] < 0.0


@compiled
def spread_of(factor):  # type: ignore[no-untyped-def]
    """Mean of g = nis/(1 + nis) where nis is `factor` times chi-squared with one degree of freedom.

    1 − √(π/2s)·e^(1/2s)·erfc(1/√2s) for a factor s ≥ 0.01.
    """
    half = 0.5 / factor
    return 1.0 - math.sqrt(math.pi * half) * math.exp(half) * math.erfc(math.sqrt(half))


@compiled
def factor_of(spread):  # type: ignore[no-untyped-def]
    """The inverse of `spread_of`, 0.01 to `LARGEST`: by what factor the variance of innovations is
    not what the filter expects. 1 is consistent."""
    low, high = math.log(0.01), math.log(LARGEST)
    for _ in range(40):
        middle = 0.5 * (low + high)
        if spread_of(math.exp(middle)) < spread:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))


@compiled
def fall_back(out, o, y, i, z, r, p, row):  # type: ignore[no-untyped-def]
    """Estimate o of a diverged key: the measurement z, with its noise and the filter's variance as
    much larger as the innovations were found. Of its trend nothing is known."""
    factor = max(factor_of(float(y[i, SPREAD])), 1.0)
    out[o, E_MEAN] = z
    out[o, E_VAR] = factor * (r + out[o, E_VAR])
    out[o, E_TREND] = 0.0
    out[o, E_TREND_VAR] = (
        (p[row, SPREAD2] + out[o, E_VAR]) * p[row, PER_MINUTE] * p[row, PER_MINUTE]
    )
    out[o, E_DIVERGED] = 1.0


@compiled
def begin_tally(shares, share_device, k, d, device):  # type: ignore[no-untyped-def]
    """Place d of slot k is this device's from now on, consistent until it says otherwise."""
    share_device[k, d] = device
    c = d * TALLY
    shares[k, c + LAST_U] = 0
    shares[k, c + SQUARE] = np.int16(USUAL * UNIT)
    shares[k, c + PRODUCT] = 0
    shares[k, c + IN50] = np.int16(0.5 * UNIT)
    shares[k, c + IN90] = np.int16(0.9 * UNIT)
    shares[k, c + IN95] = np.int16(0.95 * UNIT)


@inlined
def tally(shares, share_device, k, device, nis, residual):  # type: ignore[no-untyped-def]
    """Count an innovation of the device: its nis, and what is left of it after the update, which
    has its sign. A third device takes the second's place."""
    d = 0
    if share_device[k, 0] != device:
        d = 0 if share_device[k, 0] < 0 else 1
        if share_device[k, d] != device:
            begin_tally(shares, share_device, k, d, device)
            return
    c = d * TALLY
    square = nis / (1.0 + nis)
    u = math.copysign(math.sqrt(square), residual)
    blend(shares, k, c + PRODUCT, u * shares[k, c + LAST_U])
    shares[k, c + LAST_U] = np.int16(u * UNIT)
    blend(shares, k, c + SQUARE, square * UNIT)
    for band in range(3):
        old = np.int64(shares[k, c + IN50 + band])
        new = WHOLE if nis <= _BANDS2[band] else 0
        # As `blend` has it, to the bit: SHARE is a power of two.
        shares[k, c + IN50 + band] = np.int16((63 * old + new + 32) >> 6)


@inlined
def blend(shares, k, c, new):  # type: ignore[no-untyped-def]
    """A running mean moves towards `new` (both in 1/32767), rounded to the nearest."""
    old = float(shares[k, c])
    shares[k, c] = np.int16(math.floor(old + SHARE * (new - old) + 0.5))
