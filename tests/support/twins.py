"""Models, samples and records for tests of the estimation core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND, parse_instant
from ingest.observation import DeviceId, Observation, PatientId, SignalCode
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events, Updated
from twin.estimation.kalman import PDD, PDV, PMD, PMM, PMV, PVV
from twin.estimation.models import ModelFile, parse_model

T0 = parse_instant("2026-11-25T08:00:00Z")

HEART_RATE = {
    "mean": 80.0,
    "spread": 18.0,
    "level_time": 65000.0,
    "deviation_time": 20.0,
    "deviation_noise": 0.25,
    "noise": 0.8,
    "ring": 32,
}
#: A made-up signal with a velocity.
SWINGING = {
    "mean": 80.0,
    "spread": 15.0,
    "level_time": 5000.0,
    "deviation_time": 60.0,
    "velocity_time": 20.0,
    "deviation_noise": 0.02,
    "velocity_noise": 0.01,
    "noise": 1.2,
    "expected_interval": 60.0,
}
#: Most of what a reading differs from the one before by is the device's noise.
STEADY = HEART_RATE | {"deviation_noise": 0.0025, "ring": 16, "expected_interval": 60.0}
NOISE = 0.8
#: A linear filter: no weight, no jump.
PLAIN = {"robust": 1e9, "gate": 1e12}


def model_text(code: str = "heart_rate", **constants: object) -> str:
    """A model file with one signal."""
    lines = ['name = "test"', 'version = "1"', f"[signal.{code}]"]
    lines += [f"{key} = {value!r}" for key, value in ({"source": "test"} | constants).items()]
    return "\n".join(lines).replace("'", '"').replace("True", "true")


def model_of(code: str = "heart_rate", **constants: object) -> ModelFile:
    return parse_model(model_text(code, **constants))


@dataclass(frozen=True, slots=True)
class Sample:
    """A measurement `at` seconds after T0 by device 0, 1, …"""

    at: float
    value: float
    device: int = 0
    noise_std: float = nan
    quality: float = nan

    @property
    def stamp(self) -> int:
        return T0 + round(self.at * SECOND)


def noisy(
    seconds: int, times: float, seed: int = 1, start: int = 0
) -> tuple[list[Sample], list[float]]:
    """A person as STEADY has it, measured each second with so many times its noise; the truth."""
    rng, d, samples, truth = np.random.default_rng(seed), 0.0, [], []
    a, var_d = (
        exp(-1.0 / STEADY["deviation_time"]),
        0.5 * STEADY["deviation_noise"] * STEADY["deviation_time"],
    )
    for n in range(start, start + seconds):
        d = a * d + rng.normal(0.0, sqrt(var_d * (1 - a * a)))
        truth.append(75.0 + d)
        samples.append(Sample(float(n), round(75.0 + d + rng.normal(0.0, times * NOISE), 2)))
    return samples, truth


def events_of(bank: Bank, samples: Sequence[Sample], code: str = "heart_rate") -> Events:
    """Events of one patient's key, in the order given."""
    n = len(samples)
    patient = np.full(n, bank.number_of("p"), np.int64)
    return Events(
        bank.find(patient, np.full(n, SIGNAL_ROW[code], np.int64)),
        np.array([s.stamp for s in samples], np.int64),
        np.array([s.value for s in samples], np.float64),
        np.array([s.noise_std for s in samples], np.float64),
        np.array([s.quality for s in samples], np.float64),
        np.array([s.device for s in samples], np.int32),
    )


def fed(
    bank: Bank, samples: Sequence[Sample], code: str = "heart_rate", cuts: Iterable[int] = ()
) -> Updated:
    """What the bank says to the samples, given in batches cut at `cuts`."""
    borders = [0, *sorted(set(cuts)), len(samples)]
    parts = [
        (first, bank.update(events_of(bank, samples[first:last], code)))
        for first, last in pairwise(borders)
        if last > first
    ]
    return Updated(
        np.concatenate([u.verdict for _, u in parts]),
        np.concatenate([u.as_of for _, u in parts]),
        np.concatenate([u.estimates for _, u in parts]),
        np.concatenate([u.revised_by + first for first, u in parts]),
        np.concatenate([u.revised_at for _, u in parts]),
        np.concatenate([u.revised for _, u in parts]),
    )


def state_of(bank: Bank) -> NDArray[np.float64]:
    """(STATE,) of the only key."""
    (slot,) = bank.known()
    return np.array(bank.slots.of["state"][slot], np.float64)


def covariance_of(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) of a state row."""
    return np.array(
        [
            [x[PMM], x[PMD], x[PMV]],
            [x[PMD], x[PDD], x[PDV]],
            [x[PMV], x[PDV], x[PVV]],
        ]
    )


def observation(
    at: float,
    value: float,
    patient: str = "p1",
    device: str = "watch",
    signal: str = "heart_rate",
    lag: float = 0.5,
) -> Observation:
    """Measured `at` seconds after T0, received `lag` seconds later."""
    stamp = T0 + round(at * SECOND)
    return Observation(
        PatientId(patient),
        DeviceId(device),
        SignalCode(signal),
        value,
        stamp,
        stamp + round(lag * SECOND),
        stamp,
    )
