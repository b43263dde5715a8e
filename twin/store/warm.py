"""Compile, or load from the cache, what rows are shaped and packed with, before one is written."""

from __future__ import annotations

import numpy as np

from twin.estimate import ESTIMATE_ROW
from twin.store.blocks import ESTIMATES, OBSERVATIONS, encode
from twin.store.rows_kernel import all_newer, estimates, numbers, observations
from twin.store.slices import slice_of

#: Enough to be packed.
_MANY = 256


def warm_up() -> None:
    """Takes a moment, or seconds where it must compile."""
    source, chosen = np.zeros(1, ESTIMATE_ROW), np.zeros(1, np.intp)
    series, known = np.zeros(1, np.uint32), np.zeros((1, 1), np.int64)
    models, none = np.zeros(1, np.uint16), np.zeros(1, np.int64)
    numbers(
        source, chosen, none, none, none, True, known.astype(np.uint32), known, series, none.copy()
    )  # fmt: skip
    estimate, observation = np.zeros(_MANY, ESTIMATES.rows), np.zeros(_MANY, OBSERVATIONS.rows)
    estimates(source, chosen, series, np.ones(1), 1.0, models, models, estimate)
    observations(source, chosen, series, observation)
    all_newer(observation, none, np.zeros(_MANY, np.int64))
    encode(estimate, ESTIMATES, 1)
    slice_of(estimate, ESTIMATES)
