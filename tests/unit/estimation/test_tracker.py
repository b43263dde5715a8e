"""Each person's forecasts get the width that they need; what that is made of, and its bounds."""

from __future__ import annotations

import random
from math import exp, log

import numpy as np
import pytest

from ingest.instant import SECOND
from tests.support.twins import HEART_RATE, Sample, fed, model_of
from twin.bands import bands
from twin.estimation.ahead import FOLLOWED
from twin.estimation.bank import Bank
from twin.estimation.kalman import STATE
from twin.estimation.models import base_model
from twin.estimation.tracker import LIMIT, TH, WIDTHS, widths


def walked(bank: Bank, step: float, seconds: int = 6_000, seed: int = 1) -> None:
    rng, level, samples = random.Random(seed), 75.0, []
    for at in range(0, seconds, 5):
        level += rng.gauss(0, step) - (level - 75.0) / 60
        samples.append(Sample(at, level + rng.gauss(0, 0.5)))
    fed(bank, samples)


def test_who_changes_more_than_the_class_gets_wider_bands_and_who_changes_less_narrower() -> None:
    wild, calm = Bank(model_of(**HEART_RATE)), Bank(model_of(**HEART_RATE))
    walked(wild, 6.0)
    walked(calm, 0.05)
    wide, narrow = (bank.forecast(bank.known(), 60.0) for bank in (wild, calm))
    assert (wide.scales[0] > 1.2).all()
    assert (narrow.scales[0] < 0.8).all()


def test_a_person_s_share_inside_the_band_comes_near_its_nominal() -> None:
    bank, rng, level = Bank(model_of(**HEART_RATE)), random.Random(4), 75.0
    said: list[tuple[int, float, float]] = []
    truth: dict[int, float] = {}
    for at in range(0, 30_000, 5):
        level += rng.gauss(0, 1.0) - (level - 75.0) / 60
        truth[at] = level + rng.gauss(0, 0.5)
        fed(bank, [Sample(at, truth[at])])
        if at % 60 == 0 and at > 10_000:
            ahead = bank.forecast(bank.known(), 60.0)
            band = bands(ahead.mean, ahead.std, *ahead.scales.T)
            said.append((at + 60, float(band.lo90[0]), float(band.hi90[0])))
    inside = [low <= truth[at] <= high for at, low, high in said if at in truth]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def test_the_bands_of_forecasts_stay_in_order_and_bounded() -> None:
    bank = Bank(base_model())
    walked(bank, 30.0)
    th = TH * bank.slots.of["waiting"][bank.known(), WIDTHS:]
    assert (np.abs(th) <= LIMIT).all()


def test_widths_are_linear_from_now_and_logarithmic_between_the_tracked_horizons() -> None:
    th = np.array([[0.2, 0.4, 0.6, 0.0, -0.4, 1.0]])
    assert widths(th, 0.0) == pytest.approx(np.ones((1, 3)))
    assert widths(th, 30.0)[0, 1] == pytest.approx(exp(0.2))
    assert widths(th, 60.0)[0] == pytest.approx(np.exp(th[0, :3]))
    assert widths(th, 1800.0)[0] == pytest.approx(np.exp(th[0, 3:]))
    assert widths(th, 36_000.0)[0] == pytest.approx(np.exp(th[0, 3:]))
    part = log(600 / 60) / log(1800 / 60)
    assert widths(th, 600.0)[0, 2] == pytest.approx(exp(0.6 + part * 0.4))


def test_the_state_knows_nothing_of_the_widths() -> None:
    bank = Bank(base_model())
    walked(bank, 2.0, 600)
    before = bank.slots.of["state"][bank.known()].copy()
    bank.forecast(bank.known(), 3600.0)
    np.testing.assert_array_equal(bank.slots.of["state"][bank.known()], before)
    assert FOLLOWED == STATE + 6 + 6 + 16


def test_a_forecast_names_its_target_and_the_chance_of_a_limit() -> None:
    bank = Bank(base_model())
    walked(bank, 2.0, 600)
    slots = bank.known()
    stamp = int(bank.slots.of["state_t"][slots][0])
    ahead = bank.forecast(slots, 60.0, at=stamp + 5 * SECOND)
    assert ahead.at.tolist() == [stamp + 65 * SECOND]
    below = [float(ahead.below(limit)[0]) for limit in (40.0, float(ahead.mean[0]), 140.0)]
    assert below[0] < 0.01
    assert below[1] == pytest.approx(0.5)
    assert below[2] > 0.99
    rising = [float(ahead.below(limit)[0]) for limit in np.arange(40.0, 140.0, 0.25)]
    assert (np.diff(rising) >= 0).all()
