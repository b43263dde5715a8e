"""The compiled kernel, fifth part: how wide a person's forecasts have to be.

For two horizons a few forecasts of each key wait for their reading; each that misses its band
widens the 50, 90 or 95 % band, each that is inside narrows it a little, so that in the long run the
share inside is the nominal one (docs/models.md, Calibration of forecasts). It depends on the order
of arrival, as what was known when; mean and std do not, and are untouched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.estimate import Z50
from twin.estimation.compiled import compiled
from twin.estimation.kalman import NEVER, STATE, spoken
from twin.estimation.models import EXPECTED, HALF_WIDTH, TRACKED
from twin.estimation.usual import foresee

#: Forecasts of one horizon that wait at once, spaced by a third of it.
WAITING = 3
#: th += GAIN · (miss − (1 − p)), within ±LIMIT: half-widths are multiplied by exp(th).
GAIN, LIMIT = 0.05, 1.5
#: 1 − p of the three bands.
OUTSIDE = (0.5, 0.1, 0.05)
BANDS = 3
HORIZONS = len(TRACKED)
_AHEAD = tuple(int(seconds * 1e9) for seconds in TRACKED)
_FAR = 2**62

#: Columns of a row of forecasts: mean and std of each that waits (std < 0: none), then th of each
#: horizon and band, from WIDTHS on.
WIDTHS = 2 * WAITING * HORIZONS
FORECASTS = WIDTHS + BANDS * HORIZONS


@compiled
def track(  # type: ignore[no-untyped-def]
    k, t, z, state, due, target, waiting, usual, root, p, row, x, cache, cache_dt, room
):  # fmt: skip
    """Judge what waited for t, make new forecasts, write due[k], the next stamp to come here.

    target (slots, WAITING · HORIZONS) ns and waiting (slots, FORECASTS) are of slot k, whose state
    is as of t and whose newest reading is z. usual and root: what it returns to (usual.py). x
    (1, STATE), cache, cache_dt and room are scratch.
    """
    soon = _FAR
    early = np.int64(0.25e9 * p[row, EXPECTED])
    for h in range(HORIZONS):
        ahead = _AHEAD[h]
        if ahead * 1e-9 < p[row, EXPECTED]:
            continue
        newest, free = NEVER, h * WAITING
        for j in range(h * WAITING, (h + 1) * WAITING):
            if waiting[k, 2 * j + 1] > 0.0 and t >= target[k, j] - early:
                if t <= target[k, j] + ahead // 4:
                    judge(k, z, waiting, j, h, p, row)
                waiting[k, 2 * j + 1] = 0.0
            newest = max(newest, target[k, j])
            if target[k, j] < target[k, free]:
                free = j
        if newest < t + ahead - ahead // WAITING and waiting[k, 2 * free + 1] <= 0.0:
            for j in range(STATE):
                x[0, j] = state[k, j]
            foresee(
                x, np.int64(0), ahead, t + ahead, usual, root, k, p, row, cache, cache_dt, room
            )  # fmt: skip
            core = p[row, HALF_WIDTH + BANDS * h] / Z50 * math.exp(waiting[k, WIDTHS + BANDS * h])
            mean, variance = spoken(x, np.int64(0), core, p, row)
            waiting[k, 2 * free], waiting[k, 2 * free + 1] = mean, math.sqrt(variance)
            newest = target[k, free] = t + ahead
        soon = min(soon, newest - ahead + ahead // WAITING)
        for j in range(h * WAITING, (h + 1) * WAITING):
            if waiting[k, 2 * j + 1] > 0.0:
                soon = min(soon, target[k, j] - early)
    due[k] = max(soon, t + 1)


@compiled
def judge(k, z, waiting, j, h, p, row):  # type: ignore[no-untyped-def]
    """Reading z against the bands of forecast j of horizon h."""
    away = abs(z - float(waiting[k, 2 * j]))
    std = float(waiting[k, 2 * j + 1])
    for band in range(BANDS):
        c = WIDTHS + BANDS * h + band
        width = float(waiting[k, c])
        miss = 1.0 if away > p[row, HALF_WIDTH + BANDS * h + band] * std * math.exp(width) else 0.0
        width += GAIN * (miss - OUTSIDE[band])
        waiting[k, c] = min(max(width, -LIMIT), LIMIT)


def widths(th: NDArray[np.floating[Any]], seconds: float) -> NDArray[np.float64]:
    """(n, 3) factors on the three bands at a horizon of so many seconds, from th (n, 6).

    th is 0 at horizon 0, linear in the horizon up to the first that is tracked, linear in its
    logarithm between two, and the last one's beyond.
    """
    first, last = TRACKED
    near, far = np.split(th.astype(np.float64), 2, axis=1)
    if seconds <= first:
        return np.asarray(np.exp(near * (seconds / first)))
    part = min(math.log(seconds / first) / math.log(last / first), 1.0)
    return np.asarray(np.exp(near + part * (far - near)))
