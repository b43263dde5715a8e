"""Weights, steps, noise and what stays true of every state."""

from __future__ import annotations

import random
from math import exp, inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.instant import DAY, SECOND
from tests.support.twins import (
    HEART_RATE,
    SWINGING,
    Sample,
    covariance_of,
    events_of,
    fed,
    model_of,
    state_of,
)
from twin.bands import bands
from twin.estimate import Verdict
from twin.estimation.bank import Bank
from twin.estimation.group import noise_variance
from twin.estimation.kalman import (
    E_MEAN,
    E_NIS,
    E_TREND,
    E_TREND_VAR,
    E_VAR,
    E_WEIGHT,
)
from twin.estimation.models import base_model

MODEL = base_model().signals["heart_rate"]


def steady(seconds: int, devices: int = 1, value: float = 70.0) -> list[Sample]:
    rng = random.Random(3)
    return [Sample(t, value + rng.gauss(0, 0.8), t % devices) for t in range(seconds)]


@pytest.mark.parametrize("interval", [1, 2, 5, 10, 30])
def test_a_true_step_of_50_is_followed_at_the_third_sample_of_one_device_and_held(
    interval: int,
) -> None:
    """The model expects a quick return to the level; who stays up is followed all the same."""
    bank = Bank(base_model())
    fed(bank, [Sample(s.at * interval, s.value) for s in steady(120)])
    said = fed(bank, [Sample((120 + n) * interval, 120.0) for n in range(60)])
    means = said.estimates[:, E_MEAN]
    assert (means[:2] < 72.5).all()
    assert means[2] == pytest.approx(120.0, abs=0.5)
    assert (np.abs(means[2:] - 120.0) < 2.5).all()


@pytest.mark.parametrize("interval", [1, 5])
def test_who_starts_to_run_is_followed_up_and_down(interval: int) -> None:
    """50 beats in a minute, five minutes there, and back in two."""
    bank, rng = Bank(base_model()), random.Random(8)
    fed(bank, [Sample(s.at * interval, s.value) for s in steady(120)])
    start = 120 * interval
    ats = np.arange(start, start + 600, interval)
    true = 70 + 50 * np.interp(ats - start, [0, 60, 360, 480], [0, 1, 1, 0])
    run = [Sample(float(at), v + rng.gauss(0, 0.8)) for at, v in zip(ats, true, strict=True)]
    error = fed(bank, run).estimates[:, E_MEAN] - true
    assert np.sqrt(np.mean(error**2)) < 2.0
    assert np.abs(error).max() < 7.0


def test_back_at_rest_a_spike_is_a_spike_again() -> None:
    bank = Bank(base_model())
    fed(bank, steady(120))
    fed(bank, [Sample(120 + n, 120.0) for n in range(10)])
    said = fed(bank, [Sample(130 + s.at, s.value) for s in steady(60)])
    assert said.estimates[-1, E_MEAN] == pytest.approx(70.0, abs=1.5)
    before = said.estimates[-1, E_MEAN]
    for spike in (78.0, 120.0):
        after = fed(bank, [Sample(190 + spike / 1000, spike)]).estimates[0, E_MEAN]
        assert abs(after - before) < 1.0


def _one_after_the_other(interval: float) -> tuple[list[float], NDArray[np.float32]]:
    """Stamps and means. Of two devices in turn the first jumps to 120, after six the second."""
    bank = Bank(base_model())
    fed(bank, [Sample(interval * s.at, s.value, s.device) for s in steady(120, devices=2)])
    ats = [interval * (120 + n) for n in range(46)]
    values = [70.0 if n % 2 and n < 6 else 120.0 for n in range(46)]
    samples = [Sample(at, z, n % 2) for n, (at, z) in enumerate(zip(ats, values, strict=True))]
    return ats, fed(bank, samples).estimates[:, E_MEAN]


def test_two_devices_that_jump_at_different_times_must_agree_for_eight_samples_and_15_seconds() -> (
    None
):
    """Wild bursts of two devices agree by chance, but not for so long."""
    ats, mean = _one_after_the_other(1.0)
    assert (np.abs(mean[:6] - 70.0) < 3.0).all()
    there = int(np.argmax(mean > 110))
    assert there >= 6 + MODEL.step_samples_several - 1
    assert 12.0 <= ats[there] - ats[6] <= 16.0
    assert mean[there:] == pytest.approx(120.0, abs=5.0)


@pytest.mark.parametrize("interval", [2.0, 5.0])
def test_who_has_stayed_for_longer_than_bursts_last_is_believed_once_the_other_comes_there(
    interval: float,
) -> None:
    ats, mean = _one_after_the_other(interval)
    assert (np.abs(mean[:7] - 70.0) < 3.0).all()
    there = int(np.argmax(mean > 110))
    assert there >= 8  # the second's first there is the eighth: one more of either
    assert ats[there] - ats[0] >= 23.0
    assert ats[there] - ats[6] <= 16.0
    assert mean[there:] == pytest.approx(120.0, abs=5.0)


def test_one_of_two_devices_gone_wild_is_not_followed() -> None:
    bank = Bank(base_model())
    fed(bank, steady(120, devices=2))
    wild = [Sample(120 + n, 70.0 if n % 2 else 150.0, n % 2) for n in range(60)]
    means = fed(bank, wild).estimates[:, E_MEAN]
    assert (np.abs(means - 70.0) < 1.5).all()


def test_outliers_that_do_not_agree_are_no_step() -> None:
    bank = Bank(base_model())
    fed(bank, steady(120))
    scattered = [Sample(120 + n, value) for n, value in enumerate([120.0, 180.0, 40.0] * 10)]
    assert (np.abs(fed(bank, scattered).estimates[:, E_MEAN] - 70.0) < 4.0).all()


@given(spike=st.floats(15, 320), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_single_spike_after_a_steady_minute_moves_heart_rate_by_less_than_one(
    spike: float, seed: int
) -> None:
    """The IMQ weight bounds what one sample can do, whatever it says (worst case: about 4 S^½)."""
    bank = Bank(base_model())
    rng = random.Random(seed)
    said = fed(bank, [Sample(t, 70.0 + rng.gauss(0, 0.8)) for t in range(60)])
    before = said.estimates[-1, E_MEAN]
    after = fed(bank, [Sample(60, spike)]).estimates[0, E_MEAN]
    assert abs(after - before) < 1.0


def test_weight_is_one_over_one_plus_nis_over_c_squared() -> None:
    said = fed(Bank(base_model()), steady(60))
    nis, weight = said.estimates[:, E_NIS], said.estimates[:, E_WEIGHT]
    assert nis.max() > 1.0
    assert weight[0] == 1.0
    np.testing.assert_allclose(weight[1:], 1 / (1 + nis[1:] / 1.5**2), rtol=1e-14)


@pytest.mark.parametrize("value", [40.0, 72.0, 187.0, 250.0])
def test_the_first_measurement_of_a_person_is_not_doubted(value: float) -> None:
    mean = fed(Bank(base_model()), [Sample(0, value)]).estimates[0, E_MEAN]
    assert mean == pytest.approx(value, abs=0.5)


@pytest.mark.parametrize("noise", [nan, inf, -inf, -1.0, 0.0, 1e7])
def test_a_noise_that_cannot_be_is_the_class_noise(noise: float) -> None:
    p = model_of(**HEART_RATE).table()
    assert noise_variance(noise, nan, p, 0) == np.float32(0.8**2 + 1 / 12)


def test_a_declared_noise_counts_beside_the_quantisation() -> None:
    p = model_of(**HEART_RATE).table()
    assert noise_variance(3.0, nan, p, 0) == np.float32(9 + 1 / 12)


@pytest.mark.parametrize(
    ("quality", "factor"),
    [
        (nan, 1.0),
        (1.0, 1.0),
        (2.0, 1.0),
        (0.8, exp(1 / 0.64 - 1)),
        (0.3, exp(1 / 0.09 - 1)),
        (0.2, exp(20)),
        (0.1, exp(20)),
        (0.0, exp(20)),
        (-1.0, exp(20)),
    ],
)
def test_a_low_quality_multiplies_the_noise_and_is_cut(quality: float, factor: float) -> None:
    p = model_of(**HEART_RATE).table()
    expected = (0.8**2 + 1 / 12) * factor
    assert noise_variance(nan, quality, p, 0) == pytest.approx(expected, rel=1e-6)


def test_a_measurement_of_quality_zero_is_accepted_and_moves_nothing() -> None:
    bank = Bank(base_model())
    fed(bank, steady(60))
    before = state_of(bank)[:2].sum()
    said = fed(bank, [Sample(60, 90.0, quality=0.0)])
    assert said.verdict.tolist() == [Verdict.ACCEPTED]
    assert said.estimates[0, E_MEAN] == pytest.approx(before, abs=0.1)


def test_a_month_of_silence_leaves_the_population_and_its_spread() -> None:
    bank = Bank(base_model())
    fed(bank, steady(60, value=120.0))
    mean, std = bank.ahead(bank.known(), np.array([30.0 * DAY / SECOND]))
    assert mean[0] == pytest.approx(MODEL.mean, abs=1e-6)
    assert std[0] == pytest.approx((MODEL.spread**2 + MODEL.stationary()[0]) ** 0.5, rel=1e-6)
    said = fed(bank, [Sample(30 * 86400.0, 70.0)])
    assert said.verdict.tolist() == [Verdict.ACCEPTED]
    assert said.estimates[0, E_MEAN] == pytest.approx(70.0, abs=0.2)


def test_one_nanosecond_later_is_another_measurement_of_the_same_level() -> None:
    bank, events = Bank(base_model()), None
    fed(bank, [Sample(0, 70.0)])
    first = state_of(bank)
    events = events_of(bank, [Sample(0, 70.0)])
    events.stamp[0] += 1
    said = bank.update(events)
    assert said.verdict.tolist() == [Verdict.ACCEPTED]
    assert said.estimates[0, E_VAR] < covariance_of(first)[:2, :2].sum()


def test_the_trend_of_a_ramp_has_its_sign_and_of_rest_stays_within_its_own_band() -> None:
    rising = fed(Bank(base_model()), [Sample(10 * n, 70.0 + n / 10) for n in range(300)])
    last = rising.estimates[-1]
    assert last[E_TREND] > 2 * last[E_TREND_VAR] ** 0.5
    assert last[E_TREND] == pytest.approx(0.6, rel=0.25)  # a lag of 15 min sees the slope, settled
    resting = fed(Bank(base_model()), steady(3000)).estimates[600:]
    z = resting[:, E_TREND] / np.sqrt(resting[:, E_TREND_VAR])
    assert (np.abs(z) < 1.96).mean() > 0.95


samples = st.lists(
    st.builds(
        Sample,
        st.one_of(st.integers(0, 50), st.floats(0, 1e-6), st.floats(0, 3e6)),
        st.floats(15, 320),
        st.integers(0, 2),
        st.one_of(st.just(nan), st.floats(1e-3, 100)),
        st.one_of(st.just(nan), st.floats(0, 1)),
    ),
    min_size=1,
    max_size=40,
)


@given(arrived=samples)
@settings(max_examples=80, deadline=None)
def test_covariances_stay_positive_definite_and_bands_ordered(arrived: list[Sample]) -> None:
    bank = Bank(model_of(**SWINGING))
    said = fed(bank, arrived)
    assert np.isfinite(state_of(bank)).all()
    assert np.linalg.eigvalsh(covariance_of(state_of(bank))).min() > 0
    for estimates in (said.estimates, said.revised):
        assert (estimates[:, E_VAR] > 0).all()
        assert (estimates[:, E_TREND_VAR] > 0).all()
        band = bands(estimates[:, E_MEAN], np.sqrt(estimates[:, E_VAR]))
        rising = [band.lo95, band.lo90, band.lo50, estimates[:, E_MEAN]]
        rising += [band.hi50, band.hi90, band.hi95]
        assert (np.diff(np.stack(rising), axis=0) > 0).all()
    accepted = said.verdict == Verdict.ACCEPTED
    assert (said.estimates[accepted, E_WEIGHT] > 0).all()
    assert (said.estimates[accepted, E_WEIGHT] <= 1).all()


def test_covariances_stay_positive_definite_over_a_day_at_one_hertz() -> None:
    """86 400 updates without the Joseph form."""
    bank, rng = Bank(base_model()), random.Random(5)
    for start in range(0, 86_400, 10_800):
        fed(bank, [Sample(start + n, 70.0 + rng.gauss(0, 3)) for n in range(10_800)])
    block = covariance_of(state_of(bank))[:2, :2]
    assert np.linalg.eigvalsh(block).min() > 1e-3
