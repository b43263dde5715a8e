"""Devices that err alike: their fused band is as wide as what both get wrong together."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.twins import Sample, fed, model_of
from twin.bands import Z50, Z90, Z95
from twin.estimation.bank import Bank
from twin.estimation.kalman import E_MEAN, E_VAR
from twin.estimation.models import ModelError, ModelFile

NOISE, LEVEL, SD, TIME = 2.0, 75.0, 4.0, 120.0
SECONDS = 20_000
Numbers = NDArray[np.float64]


def model(shared: float, **more: float) -> ModelFile:
    """An Ornstein–Uhlenbeck heart rate, without robust weights: all of it is as assumed."""
    return model_of(
        mean=LEVEL, spread=1.0, level_time=1e6, deviation_time=TIME, noise=NOISE,
        deviation_noise=2 * SD**2 / TIME, robust=1e6, gate=1e9, shared_error=shared, **more,
    )  # fmt: skip


@cache
def truth() -> Numbers:
    rng, a = np.random.default_rng(5), np.exp(-1 / TIME)
    x = np.empty(SECONDS)
    x[0] = rng.normal(0, SD)
    for n, step in enumerate(rng.normal(0, SD * np.sqrt(1 - a * a), SECONDS - 1)):
        x[n + 1] = a * x[n] + step
    return LEVEL + x


def covered(
    correlation: float, assumed: float, noises: tuple[float, float] = (NOISE, NOISE)
) -> list[float]:
    """Shares of the truth in the 50, 90 and 95 % bands of two devices whose errors correlate so."""
    rng, x = np.random.default_rng(6), truth()
    both = rng.normal(size=SECONDS)
    samples = []
    for device, noise in enumerate(noises):
        own = rng.normal(size=SECONDS)
        error = np.sqrt(correlation) * both + np.sqrt(1 - correlation) * own
        values = x + noise * error
        samples += [Sample(at, float(z), device, noise_std=noise) for at, z in enumerate(values)]
    samples.sort(key=lambda sample: (sample.at, sample.device))
    said = fed(Bank(model(assumed)), samples).estimates[1::2][100:]
    away = np.abs(said[:, E_MEAN] - x[100:]) / np.sqrt(said[:, E_VAR])
    return [float((away <= z).mean()) for z in (Z50, Z90, Z95)]


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8, 1.0])
def test_the_fused_bands_hold_what_they_say_where_the_correlation_is_declared(
    correlation: float,
) -> None:
    assert covered(correlation, correlation) == pytest.approx([0.5, 0.9, 0.95], abs=0.025)


def test_without_it_they_would_be_too_narrow() -> None:
    half, most, nearly_all = covered(0.8, 0.0)
    assert half < 0.45
    assert most < 0.84
    assert nearly_all < 0.91


def test_of_devices_that_are_not_equally_exact_the_bands_are_never_too_narrow() -> None:
    half, most, nearly_all = covered(0.6, 0.6, (1.0, 3.0))
    assert half > 0.475
    assert most > 0.875
    assert nearly_all > 0.925


def test_one_device_alone_is_as_sure_as_ever() -> None:
    samples = [Sample(at, float(z)) for at, z in enumerate(truth()[:300])]
    alone, told = (fed(Bank(model(shared)), samples).estimates for shared in (0.0, 0.9))
    np.testing.assert_array_equal(alone, told)


def test_it_does_not_depend_on_which_device_was_heard_first() -> None:
    samples = [
        Sample(at, float(z) + device, device)
        for at, z in enumerate(truth()[:200])
        for device in range(2)
    ]
    swapped = [samples[n + 1 - 2 * (n % 2)] for n in range(len(samples))]
    first, second = (fed(Bank(model(0.5)), order).estimates[1::2] for order in (samples, swapped))
    np.testing.assert_array_equal(first[:, [E_MEAN, E_VAR]], second[:, [E_MEAN, E_VAR]])


@pytest.mark.parametrize("shared", [-0.1, 1.1])
def test_a_correlation_that_cannot_be_is_refused(shared: float) -> None:
    with pytest.raises(ModelError, match="shared_error"):
        model(shared)
