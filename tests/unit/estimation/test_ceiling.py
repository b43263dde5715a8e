"""Saturation ends at 100: mean, bands and chances are those of the Gaussian cut off there."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from tests.support.twins import Sample, fed
from twin.assessment.kernel import HIGH_SIDE, LOW_SIDE
from twin.assessment.rules import chance_beyond
from twin.bands import bands
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.kalman import E_MEAN, E_VAR, PDD, PMM, STATE, D, M, spoken, spoken_below
from twin.estimation.models import base_model


def cut(mean: float, std: float, core: float = 1.0, code: str = "spo2") -> tuple[float, float]:
    """Mean and standard deviation that are said of a state."""
    x = np.zeros((1, STATE))
    x[0, M], x[0, D], x[0, PMM], x[0, PDD] = mean - 1.0, 1.0, 0.4 * std**2, 0.6 * std**2
    said, var = spoken(x, 0, core, Bank(base_model()).params, SIGNAL_ROW[code])
    return float(said), float(var) ** 0.5


@pytest.mark.parametrize("core", [1.0, 0.4])
@pytest.mark.parametrize("std", [0.1, 0.6, 3.0])
@pytest.mark.parametrize("mean", [92.0, 97.0, 99.5, 100.2])
def test_mean_and_std_are_the_moments_of_the_truncated_gaussian(
    mean: float, std: float, core: float
) -> None:
    exact = truncnorm(-inf, (100.5 - mean) / (core * std), loc=mean, scale=core * std)
    said, spread = cut(mean, std, core)
    assert said == pytest.approx(min(exact.mean(), 100.0), rel=1e-9)
    assert spread == pytest.approx(exact.std() / core, rel=1e-6)


@pytest.mark.parametrize("std", [0.1, 0.6, 3.0])
@pytest.mark.parametrize("mean", [92.0, 97.0, 99.5, 100.2, 101.0])
def test_the_chance_of_a_limit_is_that_of_the_truncated_gaussian_not_of_one_with_its_moments(
    mean: float, std: float
) -> None:
    exact = truncnorm(-inf, (100.5 - mean) / std, loc=mean, scale=std)
    said, spread = float(exact.mean()), float(exact.std())
    for limit in (exact.ppf(0.01), exact.ppf(0.3), exact.ppf(0.8), exact.ppf(0.999)):
        assert spoken_below(limit, said, spread, 100.5) == pytest.approx(exact.cdf(limit), abs=1e-6)
        low = chance_beyond(said, spread, float(limit), LOW_SIDE, 100.5)
        high = chance_beyond(said, spread, float(limit), HIGH_SIDE, 100.5)
        assert low == pytest.approx(exact.cdf(limit), abs=1e-6)
        assert low + high == pytest.approx(1.0, abs=1e-12)
    assert spoken_below(100.5, said, spread, 100.5) == 1.0


@given(mean=st.floats(40.0, 100.0), std=st.floats(1e-4, 40.0), limit=st.floats(30.0, 101.0))
def test_a_chance_is_one_whatever_is_said_and_grows_with_the_limit(
    mean: float, std: float, limit: float
) -> None:
    chance = float(spoken_below(limit, mean, std, 100.5))
    assert 0.0 <= chance <= 1.0
    assert chance <= float(spoken_below(limit + 0.5, mean, std, 100.5)) + 1e-12


def test_without_a_ceiling_a_chance_is_that_of_the_gaussian() -> None:
    assert chance_beyond(70.0, 2.0, 72.0, HIGH_SIDE) == pytest.approx(norm.sf(1.0), rel=1e-12)
    assert chance_beyond(70.0, 2.0, 68.0, LOW_SIDE) == pytest.approx(norm.cdf(-1.0), rel=1e-12)


def test_far_below_the_ceiling_and_for_other_signals_nothing_is_cut() -> None:
    assert cut(90.0, 1.0) == pytest.approx((90.0, 1.0), rel=1e-12)
    assert cut(320.0, 5.0, code="heart_rate") == pytest.approx((320.0, 5.0), rel=1e-12)


@pytest.mark.parametrize("mean", [100.4, 101.0, 105.0, 140.0])
def test_a_state_beyond_the_ceiling_is_said_to_be_at_it(mean: float) -> None:
    said, spread = cut(mean, 0.5)
    assert 99.0 < said <= 100.0
    assert 0.0 < spread < 0.5


def test_bands_stay_ordered_and_the_chance_of_a_limit_grows_with_the_limit() -> None:
    bank = Bank(base_model())
    said = fed(bank, [Sample(n, 100.0) for n in range(200)], "spo2")
    assert (said.estimates[:, E_MEAN] <= 100.0).all()
    assert (said.estimates[:, E_VAR] > 0).all()
    ahead = bank.forecast(bank.known(), 60.0)
    band = bands(ahead.mean, ahead.std, *ahead.scales.T)
    edges = [band.lo95, band.lo90, band.lo50, ahead.mean, band.hi50, band.hi90, band.hi95]
    assert (np.diff(np.concatenate(edges)) > 0).all()
    chances = [float(ahead.below(limit)[0]) for limit in np.arange(85.0, 100.5, 0.25)]
    assert (np.diff(chances) >= 0).all()
    assert ahead.below(band.lo95)[0] == pytest.approx(0.025, abs=1e-6)
