"""Blood pressure from rare cuffs: what one reading is worth, and for how long."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from tests.support.twins import Sample, events_of
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.kalman import E_MEAN, E_VAR
from twin.estimation.models import base_model

HOUR = 3600.0


@pytest.mark.parametrize("code", ["systolic_bp", "diastolic_bp", "mean_bp"])
def test_one_cuff_is_taken_at_its_noise(code: str) -> None:
    """The posterior of a first reading is that of prior and noise by Bayes, nothing else."""
    model = base_model().signals[code]
    bank = Bank(base_model())
    reading = model.mean + 20.0
    said = bank.update(events_of(bank, [Sample(0, reading, noise_std=7.0)], code)).estimates[0]

    prior = model.spread**2 + model.stationary()[0]
    noise = 7.0**2 + 1 / 12
    weight = prior / (prior + noise)
    assert said[E_MEAN] == pytest.approx(model.mean + weight * 20.0, rel=1e-6)
    assert said[E_VAR] == pytest.approx(weight * noise, rel=1e-6)


def test_the_band_widens_between_cuffs_and_ends_at_the_population() -> None:
    model = base_model().signals["systolic_bp"]
    bank = Bank(base_model())
    bank.update(events_of(bank, [Sample(4 * HOUR * n, 130.0) for n in range(3)], "systolic_bp"))
    slots = bank.find(np.array([0]), np.array([SIGNAL_ROW["systolic_bp"]]))
    widths = [
        bank.forecast(slots, HOUR * h).std[0] for h in (0, 0.25, 0.5, 1, 2, 4, 8, 24, 24 * 60)
    ]

    assert all(a < b for a, b in pairwise(widths))
    assert widths[0] < model.noise
    assert widths[-1] == pytest.approx(math.sqrt(model.spread**2 + model.stationary()[0]), rel=1e-3)
