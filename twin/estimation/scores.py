"""Scores of forecasts against what was measured later: pure functions of arrays.

Everywhere truth is the reference, mean and std the forecast's, error = mean − truth. Without a
single reading a score is NaN, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.bands import Z50, Z90, Z95
from twin.forecast import normal_cdf

Numbers = NDArray[np.float64]
#: Nominal levels of the reliability curve.
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_RESAMPLES, _SEED = 1000, 20_261_125
_CLIP = 5.0


def rmse(error: Numbers) -> float:
    """Root of the mean square of the errors (n,)."""
    return math.sqrt(float(np.mean(error**2))) if len(error) else math.nan


def mae(error: Numbers) -> float:
    """Mean of the absolute errors (n,)."""
    return float(np.mean(np.abs(error))) if len(error) else math.nan


def skill(score: float, baseline: float) -> float:
    """1 − score/baseline: the share by which a score is below the baseline's; 0 = no better."""
    return 1.0 - score / baseline if baseline > 0 else math.nan


def crps(truth: Numbers, mean: Numbers, std: Numbers) -> Numbers:
    """Continuous ranked probability score (n,) of Gaussian forecasts, in the signal's unit.

    s·(w(2Φ(w) − 1) + 2φ(w) − 1/√π), w = (truth − mean)/s (Gneiting & Raftery 2007, JASA 102, 359).
    A forecast without spread scores its absolute error.
    """
    error = np.abs(truth - mean)
    spread = std > 0
    w = np.divide(error, std, out=np.zeros_like(error), where=spread)
    density = np.exp(-0.5 * w**2) / math.sqrt(2.0 * math.pi)
    shape = w * (2.0 * normal_cdf(w) - 1.0) + 2.0 * density - 1.0 / math.sqrt(math.pi)
    return np.where(spread, std * shape, error)


def pit(truth: Numbers, mean: Numbers, low: Numbers, high: Numbers) -> Numbers:
    """Probability integral transform (n,) under the reported bands: uniform if they are right.

    low, high (3, n): ends of the 50, 90 and 95 % bands. Between the ends that a forecast gives, its
    distribution is taken as the one whose normal score is linear in the value, and beyond the
    widest as a Gaussian with that end; where bands are mean ± z·std, it is that Gaussian.
    """
    score = np.zeros(len(truth))
    for side, ends in ((-1.0, low), (1.0, high)):
        away = side * (truth - mean)
        inner, z_inner = np.zeros(len(truth)), 0.0
        found = np.zeros(len(truth))
        for end, z in zip(side * (ends - mean), (Z50, Z90, Z95), strict=True):
            width = end - inner
            part = np.divide(away - inner, width, out=np.ones_like(away), where=width > 0)
            found = np.where(away > inner, z_inner + (z - z_inner) * np.minimum(part, 1.0), found)
            inner, z_inner = end, z
        beyond = np.divide(Z95 * away, inner, out=np.full_like(away, np.inf), where=inner > 0)
        found = np.where(away > inner, beyond, found)
        score = np.where(away > 0, side * found, score)
    return normal_cdf(score)


def pit_shares(transformed: Numbers, bins: int = 10) -> Numbers:
    """Share of the values in each of `bins` equal bins of [0, 1]; 1/bins each if calibrated."""
    if not len(transformed):
        return np.full(bins, np.nan)
    place = np.minimum((transformed * bins).astype(np.int64), bins - 1)
    return np.bincount(place, minlength=bins) / len(transformed)


def reliability(transformed: Numbers, levels: Sequence[float] = LEVELS) -> Numbers:
    """Share of the readings inside the central band of each nominal level."""
    if not len(transformed):
        return np.full(len(levels), np.nan)
    central = np.abs(2.0 * transformed - 1.0)
    return np.array([np.mean(central <= level) for level in levels])


def share(inside: NDArray[np.bool_]) -> float:
    """Share of true ones."""
    return float(np.mean(inside)) if len(inside) else math.nan


def lag1(runs: Sequence[Numbers]) -> float:
    """Correlation of neighbours in the runs (one for each key) of standardised innovations.

    About zero, not about their mean, for a filter whose innovations have a mean is wrong. Cut at
    ±5, so that one artefact does not decide it.
    """
    cut = [np.clip(run, -_CLIP, _CLIP) for run in runs]
    power = sum(float(run @ run) for run in cut)
    if power == 0:
        return math.nan
    return sum(float(run[1:] @ run[:-1]) for run in cut) / power


def non_overlapping(at: NDArray[np.int64], horizon: int) -> int:
    """How many of the stamps (ascending, ns) can be chosen at least `horizon` (ns) apart."""
    if horizon <= 0 or not len(at):
        return len(at)
    count, place = 0, 0
    while place < len(at):
        count += 1
        place = max(place + 1, int(np.searchsorted(at, at[place] + horizon)))
    return count


def skill_interval(
    square: Numbers, baseline: Numbers, person: NDArray[np.int64]
) -> tuple[float, float] | None:
    """95 % interval of the pooled RMSE skill by resampling persons; None below 5 persons.

    square, baseline (n,): squared errors of forecast and baseline. Readings of one person hang
    together, so persons are drawn, with a fixed seed.
    """
    seen = np.unique(person)
    if len(seen) < 5:
        return None
    ours = np.bincount(person, weights=square)[seen]
    theirs = np.bincount(person, weights=baseline)[seen]
    drawn = np.random.default_rng(_SEED).integers(0, len(seen), (_RESAMPLES, len(seen)))
    ours, theirs = ours[drawn].sum(axis=1), theirs[drawn].sum(axis=1)
    ratio = np.divide(ours, theirs, out=np.full(_RESAMPLES, np.nan), where=theirs > 0)
    low, high = np.nanquantile(1.0 - np.sqrt(ratio), (0.025, 0.975))
    return float(low), float(high)
