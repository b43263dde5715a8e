"""What the model says of a later time: the state moved on, nothing measured."""

from __future__ import annotations

import numpy as np

from twin.estimation.compiled import compiled
from twin.estimation.kalman import PDD, PMD, PMM, STATE, D, M, predict


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
