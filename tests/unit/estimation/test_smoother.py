"""The smoothed history is that of the joint Gaussian of all measurements."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ingest.instant import SECOND
from ingest.recording import Recording
from tests.support.twins import HEART_RATE, PLAIN, SWINGING, T0, Sample, model_of
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.models import COV_DV, SPREAD2, VAR_D, VAR_V, ModelFile, base_model
from twin.estimation.smoother import smooth, transition

ROW = SIGNAL_ROW["heart_rate"]
END = T0 + 10_000_000 * SECOND


def recorded(samples: list[Sample]) -> Recording:
    n = len(samples)
    stamps = np.array([s.stamp for s in samples], np.int64)
    return Recording(
        ["p"] * n,
        [f"d{s.device}" for s in samples],
        ["heart_rate"] * n,
        np.array([s.value for s in samples], np.float64),
        stamps,
        stamps,
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.arange(n),
        0,
        {},
    )


def irregular(n: int, seed: int = 1) -> list[Sample]:
    rng = random.Random(seed)
    at, samples = 0.0, []
    for _ in range(n):
        at += rng.choice([0.5, 1.0, 5.0, 60.0, 900.0])
        samples.append(Sample(at, 75 + rng.gauss(0, 6)))
    return samples


def dense(model: ModelFile, samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of the true value at each stamp given all measurements: one big Gaussian."""
    bank, n = Bank(model), len(samples)
    p = bank.params
    first = np.zeros((3, 3))
    first[0, 0], first[1, 1], first[2, 2] = p[ROW, SPREAD2], p[ROW, VAR_D], p[ROW, VAR_V]
    first[1, 2] = first[2, 1] = p[ROW, COV_DV]
    joint = np.zeros((3 * n, 3 * n))
    joint[:3, :3] = first
    for i in range(1, n):
        F, Q = transition(p, ROW, samples[i].at - samples[i - 1].at)
        here, before = slice(3 * i, 3 * i + 3), slice(3 * i - 3, 3 * i)
        joint[here, : 3 * i] = F @ joint[before, : 3 * i]
        joint[: 3 * i, here] = joint[here, : 3 * i].T
        joint[here, here] = F @ joint[before, before] @ F.T + Q
    H = np.kron(np.eye(n), [[1.0, 1.0, 0.0]])
    prior = H @ joint @ H.T
    r = model.signals["heart_rate"].noise ** 2 + 1.0 / 12.0
    z = np.array([float(np.float32(s.value)) for s in samples])
    gain = np.linalg.solve(prior + float(np.float32(r)) * np.eye(n), prior).T
    level = model.signals["heart_rate"].mean
    after = prior - gain @ prior
    return level + gain @ (z - level), np.sqrt(np.diag(after))


@pytest.mark.parametrize("constants", [HEART_RATE, SWINGING], ids=["no velocity", "velocity"])
def test_it_is_the_dense_joint_gaussian(constants: dict[str, float]) -> None:
    model = model_of(**constants | PLAIN)
    samples = irregular(60)
    mean, std = dense(model, samples)
    found = smooth(recorded(samples), T0, END, model)
    np.testing.assert_allclose(found.mean, mean, atol=1e-6)
    np.testing.assert_allclose(found.std, std, rtol=1e-6)
    assert found.mean[-1] == found.filtered_mean[-1]
    assert np.abs(found.mean - found.filtered_mean).max() > 1.0


def wild(seed: int) -> list[Sample]:
    """Two devices, spikes and a true step."""
    rng = random.Random(seed)
    return [
        Sample(
            float(second),
            70 + 50 * (second > 200) + rng.gauss(0, 2) + 60 * (rng.random() < 0.05),
            device,
        )
        for second in range(400)
        for device in range(1 + (second % 3 == 0))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_nowhere_is_it_less_sure_than_the_filter_was(seed: int) -> None:
    found = smooth(recorded(wild(seed)), T0, END, base_model())
    assert (found.std <= found.filtered_std * (1 + 1e-9)).all()
    assert found.std[:-50].mean() < 0.9 * found.filtered_std[:-50].mean()


def test_a_true_step_is_not_smoothed_away() -> None:
    samples = [Sample(float(s), 70.0 + 50.0 * (s >= 200)) for s in range(400)]
    found = smooth(recorded(samples), T0, END, base_model())
    assert found.mean[190] == pytest.approx(70.0, abs=2.0)
    assert found.mean[210] == pytest.approx(120.0, abs=2.0)


def test_an_interval_is_that_part_of_the_whole() -> None:
    samples = irregular(120, seed=5)
    whole = smooth(recorded(samples), T0, END, base_model())
    start, end = samples[40].stamp, samples[80].stamp
    part = smooth(recorded(samples), start, end, base_model())
    assert part.at.tolist() == whole.at[40:80].tolist()
    np.testing.assert_allclose(part.filtered_mean, whole.filtered_mean[40:80])
    # What came more than three time constants after the end says next to nothing.
    np.testing.assert_allclose(part.mean, whole.mean[40:80], atol=0.5)


def test_what_cannot_be_smoothed_is_refused() -> None:
    samples = irregular(5)
    with pytest.raises(ValueError, match="no measurement that the twin accepts"):
        smooth(recorded(samples), END, END + 1, base_model())
    two = recorded(samples)
    two.patient[0] = "q"
    with pytest.raises(ValueError, match="expected the recording of one patient and signal"):
        smooth(two, T0, END, base_model())
