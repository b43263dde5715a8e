"""Compile, or load from the cache, what rows are shaped and packed with, before one is written."""

from __future__ import annotations

import numpy as np

from twin.bytewise import octets, readable
from twin.estimate import ESTIMATE_ROW
from twin.store.blocks import ESTIMATES, OBSERVATIONS, encode
from twin.store.merged_kernel import warm_up as warm_up_merged
from twin.store.rows_kernel import all_newer, count, estimates, in_another, numbers, observations
from twin.store.sealing import newest_by_series
from twin.store.slices import slice_of, unpacked
from twin.store.slices_kernel import deal, tally

#: Enough to be packed.
_MANY = 256


def warm_up() -> None:
    """Takes a moment, or seconds where it must compile."""
    source, chosen = readable(np.zeros(1, ESTIMATE_ROW)), np.zeros(1, np.intp)
    series, known = np.zeros(1, np.uint32), np.zeros((1, 1), np.int64)
    models, none = np.zeros(1, np.uint16), np.zeros(1, np.int64)
    numbers(
        source, chosen, none, none, none, True, known.astype(np.uint32), known, series, none.copy()
    )  # fmt: skip
    estimate, observation = np.zeros(_MANY, ESTIMATES.rows), np.zeros(_MANY, OBSERVATIONS.rows)
    estimates(source, chosen, series, np.ones(1), 1.0, models, models, estimate)
    observations(source, chosen, series, observation)
    whole, item = octets(observation), observation.dtype.itemsize
    all_newer(whole, item, none, np.zeros(_MANY, np.int64))
    count(whole, item, _MANY, none, none.copy())
    in_another(whole, item, none, 1, np.zeros(_MANY, np.int64))
    warm_up_merged()
    encode(estimate, ESTIMATES, 1)
    deal(whole, item, _MANY, 1, 1, *np.zeros((2, 1), np.int64), np.zeros(_MANY, np.int64))
    tally(whole, item, none, none, none.copy(), none[:0].copy())
    newest_by_series(unpacked([slice_of(estimate, ESTIMATES)], ESTIMATES))
