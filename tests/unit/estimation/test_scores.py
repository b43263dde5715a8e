"""Scores against values worked out by hand, numerical integration and other definitions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.bands import Z50, Z90, Z95
from twin.estimation import scores

numbers = st.floats(-50, 50)
widths = st.floats(0.05, 20)


def array(*values: float) -> np.ndarray:
    return np.array(values, float)


def gaussian(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = np.stack([z * std for z in (Z50, Z90, Z95)])
    return mean - half, mean + half


def test_errors_by_hand() -> None:
    assert scores.rmse(array(3, -4)) == pytest.approx(math.sqrt(12.5))
    assert scores.mae(array(3, -4)) == 3.5
    assert math.isnan(scores.rmse(array()))
    assert math.isnan(scores.mae(array()))


def test_skill_is_the_share_saved_and_unknown_against_a_perfect_baseline() -> None:
    assert scores.skill(8, 10) == pytest.approx(0.2)
    assert scores.skill(12, 10) == pytest.approx(-0.2)
    assert math.isnan(scores.skill(1, 0))
    assert math.isnan(scores.skill(1, math.nan))


def test_crps_at_the_centre_is_the_known_constant() -> None:
    # 2φ(0) − 1/√π = 0.2337
    found = scores.crps(array(5), array(5), array(2))
    assert found[0] == pytest.approx(2 * (2 / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi)))


@given(numbers, numbers, widths)
def test_crps_is_the_integral_of_the_squared_distance_of_distributions(
    truth: float, mean: float, std: float
) -> None:
    low, high = min(truth, mean - 9 * std), max(truth, mean + 9 * std)

    def integral(start: float, end: float, above: float) -> float:
        x = np.linspace(start, end, 4001)
        return float(np.trapezoid((scores.normal_cdf((x - mean) / std) - above) ** 2, x))

    expected = integral(low, truth, 0.0) + integral(truth, high, 1.0)
    found = scores.crps(array(truth), array(mean), array(std))[0]
    assert found == pytest.approx(expected, rel=2e-3, abs=2e-3 * std)


@given(numbers, numbers)
def test_crps_without_a_spread_is_the_absolute_error(truth: float, mean: float) -> None:
    assert scores.crps(array(truth), array(mean), array(0))[0] == abs(truth - mean)


@given(numbers, numbers, widths)
def test_pit_of_uncalibrated_bands_is_that_of_the_gaussian(
    truth: float, mean: float, std: float
) -> None:
    low, high = gaussian(array(mean), array(std))
    found = scores.pit(array(truth), array(mean), low, high)[0]
    assert found == pytest.approx(0.5 * math.erfc(-(truth - mean) / std / math.sqrt(2)), abs=1e-9)


@given(st.tuples(widths, widths, widths, widths, widths, widths), st.lists(numbers, min_size=2))
def test_pit_is_the_level_at_each_end_of_a_band_and_never_falls(
    steps: tuple[float, ...], values: list[float]
) -> None:
    low, high = -np.cumsum(steps[:3])[:, None], np.cumsum(steps[3:])[:, None]

    def at(value: float) -> float:
        return float(scores.pit(array(value), array(0), low, high)[0])

    for n, level in enumerate((0.5, 0.9, 0.95)):
        assert at(float(low[n, 0])) == pytest.approx((1 - level) / 2, abs=1e-9)
        assert at(float(high[n, 0])) == pytest.approx((1 + level) / 2, abs=1e-9)
    assert at(0) == pytest.approx(0.5)
    found = [at(value) for value in sorted(values)]
    assert all(a <= b + 1e-12 for a, b in pairwise(found))


def test_pit_of_a_forecast_without_a_band_is_at_the_ends() -> None:
    none = np.zeros((3, 3))
    assert scores.pit(array(-1, 0, 1), array(0, 0, 0), none, none).tolist() == [0, 0.5, 1]


def test_pit_histogram_and_reliability_by_hand() -> None:
    values = array(0.05, 0.15, 0.5, 0.95, 1.0)
    assert scores.pit_shares(values).tolist() == [0.2, 0.2, 0, 0, 0, 0.2, 0, 0, 0, 0.4]
    # distances from the middle, doubled: 0.9, 0.7, 0, 0.9, 1
    assert scores.reliability(values, (0.5, 0.8, 0.95)).tolist() == [0.2, 0.4, 0.8]
    assert np.isnan(scores.pit_shares(array())).all()
    assert np.isnan(scores.reliability(array())).all()


def test_calibrated_forecasts_are_flat_and_on_the_diagonal() -> None:
    rng = np.random.default_rng(1)
    mean, std = rng.normal(70, 10, 40_000), rng.uniform(1, 5, 40_000)
    low, high = gaussian(mean, std)
    transformed = scores.pit(rng.normal(mean, std), mean, low, high)

    np.testing.assert_allclose(scores.pit_shares(transformed), 0.1, atol=0.006)
    np.testing.assert_allclose(scores.reliability(transformed), scores.LEVELS, atol=0.01)


def test_lag_one_correlation_by_hand_and_not_across_runs() -> None:
    assert scores.lag1([array(1, 1, 1, 1)]) == pytest.approx(3 / 4)
    assert scores.lag1([array(1, -1), array(1, -1)]) == pytest.approx(-2 / 4)
    assert scores.lag1([array(100, 1)]) == pytest.approx(5 / 26)
    assert math.isnan(scores.lag1([]))


def test_non_overlapping_horizons_by_hand() -> None:
    at = np.array([0, 10, 29, 30, 31, 61, 200], np.int64)
    assert scores.non_overlapping(at, 30) == 4  # 0, 30, 61, 200
    assert scores.non_overlapping(at, 0) == 7
    assert scores.non_overlapping(at[:0], 30) == 0


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 300))
def test_non_overlapping_is_what_a_plain_loop_counts(stamps: list[int], horizon: int) -> None:
    count, free = 0, -1
    for stamp in sorted(stamps):
        if stamp >= free:
            count, free = count + 1, stamp + horizon
    assert scores.non_overlapping(np.array(sorted(stamps), np.int64), horizon) == count


def test_interval_of_skill_holds_the_skill_and_needs_five_persons() -> None:
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(20), 50)
    spread = rng.uniform(1, 3, 20)[person]
    baseline = (spread * rng.normal(size=1000)) ** 2
    square = 0.64 * baseline * rng.uniform(0.5, 1.5, 1000)

    low, high = scores.skill_interval(square, baseline, person) or (1, 0)

    assert low < scores.skill(math.sqrt(square.mean()), math.sqrt(baseline.mean())) < high
    assert high - low < 0.2
    assert scores.skill_interval(square, baseline, person) == (low, high)
    assert scores.skill_interval(square[:200], baseline[:200], person[:200]) is None


def test_everybody_alike_gives_an_interval_of_one_point() -> None:
    person = np.arange(6)
    found = scores.skill_interval(np.full(6, 0.25), np.ones(6), person)
    assert found == (pytest.approx(0.5), pytest.approx(0.5))
