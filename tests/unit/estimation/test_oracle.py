"""The kernel against filterpy's Kalman filter with the same F, Q, H and noise."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray

from tests.support.twins import (
    HEART_RATE,
    PLAIN,
    SWINGING,
    Sample,
    covariance_of,
    fed,
    model_of,
    state_of,
)
from twin.estimate import Verdict
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.kalman import DISCRETE, E_MEAN, E_VAR, discretise
from twin.estimation.models import SignalModel

H = np.array([[1.0, 1.0, 0.0]])
ROW = SIGNAL_ROW["heart_rate"]
MODELS = {
    "ou": HEART_RATE,
    "with velocity": SWINGING,
}


class Oracle:
    """(m − mean, d, v) by filterpy, one sample after another in order of stamp."""

    def __init__(self, bank: Bank, robust: float | None) -> None:
        self.bank, self.robust = bank, robust
        self.model: SignalModel = bank.model_file.signals["heart_rate"]
        self.filter = KalmanFilter(dim_x=3, dim_z=1)
        self.filter.H = H
        self.filter.x = np.zeros((3, 1))
        var_d, cov_dv, var_v = self.model.stationary()
        self.filter.P = np.array(
            [[self.model.spread**2, 0, 0], [0, var_d, cov_dv], [0, cov_dv, var_v]]
        )
        self.stamp: int | None = None

    def take(self, sample: Sample) -> None:
        kf = self.filter
        first = self.stamp is None
        if self.stamp is not None and sample.stamp > self.stamp:
            kf.F, kf.Q = self.transition((sample.stamp - self.stamp) * 1e-9)
            kf.predict()
        self.stamp = sample.stamp
        r = sample.noise_std if sample.noise_std > 0 else self.model.noise
        r = float(np.float32(r * r + 1 / 12))
        z = float(np.float32(sample.value)) - self.model.mean
        if self.robust is not None and not first:
            e = z - float((H @ kf.x)[0, 0])
            nis = e * e / (float((H @ kf.P @ H.T)[0, 0]) + r)
            r *= 1 + nis / self.robust**2
        kf.update(np.array([[z]]), R=np.array([[r]]))

    def transition(self, dt: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        out = np.zeros((ROW + 1, DISCRETE))
        discretise(self.bank.params, ROW, dt, out, ROW)
        fm, qm, a, k, b, q00, q01, q11, _ = out[ROW]
        F = np.array([[fm, 0, 0], [0, a, k], [0, 0, b]])
        return F, np.array([[qm, 0, 0], [0, q00, q01], [0, q01, q11]])

    @property
    def state(self) -> NDArray[np.float64]:
        return self.filter.x[:, 0] + [self.model.mean, 0, 0]


def irregular(steps: int, rng: random.Random) -> list[Sample]:
    """A wandering signal at irregular steps, a tenth of them missing, some with their own noise."""
    at, level, samples = 0.0, 75.0, []
    for _ in range(steps):
        at += rng.choice([0.001, 0.2, 1.0, 1.0, 3.0, 40.0, 900.0])
        level += rng.gauss(0, 2)
        if rng.random() > 0.1:
            noise = rng.choice([float("nan"), 0.5, 4.0])
            samples.append(Sample(round(at, 3), level + rng.gauss(0, 1), 0, noise))
    return samples


def out_of_order_with_duplicates(samples: Sequence[Sample], rng: random.Random) -> list[Sample]:
    keyed = [(i + rng.uniform(0, 6), s) for i, s in enumerate(samples)]
    keyed += [(key + rng.uniform(0, 4), s) for key, s in keyed if rng.random() < 0.2]
    return [s for _, s in sorted(keyed, key=lambda pair: pair[0])]


@pytest.mark.parametrize("robust", [None, 1.5], ids=["linear", "robust weight"])
@pytest.mark.parametrize("constants", MODELS.values(), ids=MODELS)
def test_500_irregular_steps_missing_repeated_and_out_of_order_agree_with_filterpy(
    constants: dict[str, float], robust: float | None
) -> None:
    settings = PLAIN if robust is None else {"robust": robust, "gate": 1e12}
    # A long horizon: only the ring decides what is belated.
    model = model_of(**constants | settings | {"ring": 16, "expected_interval": 1e6})
    bank, rng = Bank(model), random.Random(7)
    oracle = Oracle(bank, robust)
    samples = irregular(500, rng)
    said = fed(bank, out_of_order_with_duplicates(samples, rng))
    assert (said.verdict == Verdict.ACCEPTED).sum() == len(samples)
    assert (said.verdict == Verdict.DUPLICATE).sum() > 50
    assert len(set(said.revised_at.tolist())) > 100
    revised = dict(zip(said.revised_at.tolist(), said.revised, strict=True))
    for sample in samples:
        oracle.take(sample)
        if sample.stamp in revised:
            ours, P = revised[sample.stamp], oracle.filter.P
            assert ours[E_MEAN] == pytest.approx(float((H @ oracle.state)[0]), rel=1e-10)
            assert ours[E_VAR] == pytest.approx(float((H @ P @ H.T)[0, 0]), rel=1e-10)
    x = state_of(bank)
    np.testing.assert_allclose(x[:3], oracle.state, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(covariance_of(x), oracle.filter.P, rtol=1e-10, atol=1e-10)


def test_a_state_moved_on_without_measurement_is_filterpys_prediction() -> None:
    bank = Bank(model_of(**SWINGING | PLAIN))
    oracle = Oracle(bank, None)
    samples = [Sample(7.5 * n, 70.0 + n) for n in range(40)]
    fed(bank, samples)
    for sample in samples:
        oracle.take(sample)
    slot = bank.known()
    for seconds in (0.25, 60.0, 3600.0, 30 * 86400.0):
        mean, std = bank.ahead(slot, np.array([seconds]))
        F, Q = oracle.transition(seconds)
        expected = float((H @ F @ oracle.filter.x)[0, 0]) + 80.0
        var = float((H @ (F @ oracle.filter.P @ F.T + Q) @ H.T)[0, 0])
        assert mean[0] == pytest.approx(expected, rel=1e-10)
        assert std[0] == pytest.approx(var**0.5, rel=1e-10)
