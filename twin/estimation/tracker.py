"""The compiled kernel, sixth part: how wide a person's forecasts have to be.

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

from ingest.instant import SECOND
from twin.bands import Z50
from twin.estimation.compiled import compiled
from twin.estimation.kalman import NEVER, STATE, spoken
from twin.estimation.models import EXPECTED, HALF_WIDTH, MEAN, SPREAD2, TRACKED
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
_FAR, _LAST = 2**62, 2**32 - 1

#: Columns of a row of forecasts (int16): how far the mean of each that waits is from the
#: population's and its std (0: none waits), in 1/FINE of the population's spread; then th of each
#: horizon and band, from WIDTHS on, in units of TH, of which each step of th is a whole number.
WIDTHS = 2 * WAITING * HORIZONS
FORECASTS = WIDTHS + BANDS * HORIZONS
FINE, TH, _MOST = 500.0, 1.0 / 20_000, 32_767.0


@compiled
def track(  # type: ignore[no-untyped-def]
    k, t, z, state, due, target, waiting, usual, root, p, row, x, cache, cache_dt, room
):  # fmt: skip
    """Judge what waited for t, make new forecasts, write due[k], the second to come here again.

    target (slots, WAITING · HORIZONS), whole seconds, and waiting (slots, FORECASTS) are of slot k,
    whose state is as of t and whose newest reading is z. usual and root: what it returns to
    (usual.py). x (1, STATE), cache, cache_dt and room are scratch.
    """
    unit = math.sqrt(p[row, SPREAD2]) / FINE
    soon: Any = _FAR
    early = np.int64(0.25e9 * p[row, EXPECTED])
    for h in range(HORIZONS):
        ahead = _AHEAD[h]
        if ahead * 1e-9 < p[row, EXPECTED]:
            continue
        newest: Any = NEVER
        free = h * WAITING
        for j in range(h * WAITING, (h + 1) * WAITING):
            due_at = np.int64(target[k, j]) * SECOND
            if waiting[k, 2 * j + 1] > 0 and t >= due_at - early:
                if t <= due_at + ahead // 4:
                    judge(k, z, unit, waiting, j, h, p, row)
                waiting[k, 2 * j + 1] = 0
            newest = max(newest, due_at)
            if target[k, j] < target[k, free]:
                free = j
        if newest < t + ahead - ahead // WAITING and waiting[k, 2 * free + 1] <= 0:
            for j in range(STATE):
                x[0, j] = state[k, j]
            foresee(
                x, np.int64(0), ahead, t + ahead, usual, root, k, p, row, cache, cache_dt, room
            )  # fmt: skip
            core = (
                p[row, HALF_WIDTH + BANDS * h] / Z50 * math.exp(TH * waiting[k, WIDTHS + BANDS * h])
            )
            mean, variance = spoken(x, np.int64(0), core, p, row)
            away, std = (mean - p[row, MEAN]) / unit, math.sqrt(variance) / unit
            waiting[k, 2 * free] = np.int16(math.floor(min(max(away, -_MOST), _MOST) + 0.5))
            waiting[k, 2 * free + 1] = np.int16(math.floor(min(max(std, 1.0), _MOST) + 0.5))
            target[k, free] = np.uint32((t + ahead) // SECOND)
            newest = np.int64(target[k, free]) * SECOND
        soon = min(soon, newest - ahead + ahead // WAITING)
        for j in range(h * WAITING, (h + 1) * WAITING):
            if waiting[k, 2 * j + 1] > 0:
                soon = min(soon, np.int64(target[k, j]) * SECOND - early)
    soon = (max(soon, t + 1) + SECOND - 1) // SECOND
    due[k] = np.uint32(min(max(soon, 0), _LAST))


@compiled
def judge(k, z, unit, waiting, j, h, p, row):  # type: ignore[no-untyped-def]
    """Reading z against the bands of forecast j of horizon h."""
    away = abs(z - p[row, MEAN] - unit * waiting[k, 2 * j])
    std = unit * waiting[k, 2 * j + 1]
    for band in range(BANDS):
        c = WIDTHS + BANDS * h + band
        width = TH * waiting[k, c]
        miss = 1.0 if away > p[row, HALF_WIDTH + BANDS * h + band] * std * math.exp(width) else 0.0
        width = min(max(width + GAIN * (miss - OUTSIDE[band]), -LIMIT), LIMIT)
        waiting[k, c] = np.int16(math.floor(width / TH + 0.5))


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
