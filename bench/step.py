"""The bank's update against a filterpy loop in the same run, one core: `python -m bench.step`.

A sweep brings one observation of every (patient, signal) in key order, as far from the population's
mean as the model says of a device's noise; the rings are full, so each event also folds the oldest
measurement into the base. Random order beside it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.estimation.bank import SIGNAL_ROW, Bank, Events
from twin.estimation.models import base_model
from twin.estimation.robust import MEMORY, SPREAD

VITALS = (
    "heart_rate", "respiratory_rate", "spo2", "body_temperature", "systolic_bp", "diastolic_bp",
)  # fmt: skip
START = 1_790_000_000 * 10**9


def filterpy_ns(updates: int = 3_000) -> float:
    """ns per predict and update of a filterpy filter with two states."""
    from filterpy.kalman import KalmanFilter

    one = KalmanFilter(2, 1)
    one.H = np.array([[1.0, 1.0]])
    one.Q = np.eye(2) * 0.01
    measured = np.array([[0.5]])
    began = time.perf_counter()
    for _ in range(updates):
        one.predict()
        one.update(measured)
    return (time.perf_counter() - began) / updates * 1e9


@dataclass(frozen=True, slots=True)
class Ward:
    """A bank, its slots in key order; mean and device noise of each slot's signal."""

    bank: Bank
    slots: NDArray[np.int64]
    mean: NDArray[np.float64]
    noise: NDArray[np.float64]


def ward_of(patients: int) -> Ward:
    """So many patients with six signals."""
    bank = Bank(base_model())
    numbers = np.array([bank.number_of(f"patient-{n}") for n in range(patients)], np.int64)
    rows = np.array([SIGNAL_ROW[code] for code in VITALS], np.int64)
    slots = bank.find(np.repeat(numbers, len(rows)), np.tile(rows, patients))
    models = [base_model().signals[code] for code in VITALS]
    means, noises = (
        np.tile([getattr(m, of) for m in models], patients) for of in ("mean", "noise")
    )
    order = np.argsort(slots)
    return Ward(bank, slots[order], means[order], noises[order])


def sweep_ns(ward: Ward, second: int, rng: np.random.Generator, shuffled: bool) -> float:
    """ns per event of one sweep."""
    n = len(ward.slots)
    order = rng.permutation(n) if shuffled else np.arange(n)
    none = np.full(n, np.nan)
    events = Events(
        ward.slots[order],
        np.full(n, START + second * 10**9, np.int64),
        rng.normal(ward.mean, ward.noise)[order],
        none,
        none,
        np.zeros(n, np.int32),
    )
    began = time.perf_counter()
    ward.bank.update(events)
    return (time.perf_counter() - began) / n * 1e9


def measured(patients: int, sweeps: int) -> dict[str, float]:
    """Medians in ns per event, with full rings, and bytes per patient."""
    rng = np.random.default_rng(1)
    ward = ward_of(patients)
    full = max(model.ring for model in base_model().signals.values()) + 1
    for second in range(full):
        sweep_ns(ward, second, rng, False)
    in_order = [sweep_ns(ward, full + n, rng, False) for n in range(sweeps)]
    random = [sweep_ns(ward, full + sweeps + n, rng, True) for n in range(sweeps)]
    width = {
        name: x.itemsize * (x.shape[1] if x.ndim == 2 else 1)
        for name, x in ward.bank.slots.of.items()
    }
    member = sum(width.pop(name) for name in ("ring_t", "ring_z", "ring_r", "ring_device"))
    learners = (
        "entries", "base_entries", "due", "target", "waiting", "shares", "share_device",
        "usual", "usual_root", "usual_hour",
    )  # fmt: skip
    learned = sum(width.pop(name) for name in learners)
    for name in ("memory", "base_memory"):  # how innovations were is learned, the rest is not
        learned += (moved := (MEMORY - SPREAD) * 4)
        width[name] -= moved
    rings = sum(base_model().signals[code].ring for code in VITALS)
    return {
        "patients": patients,
        "key_order_ns": statistics.median(in_order),
        "random_order_ns": statistics.median(random),
        "bytes_per_patient": sum(width.values()) * len(VITALS) + member * rings,
        "bytes_learned": learned * len(VITALS),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    options.add_argument("--sweeps", type=int, default=5)
    given = options.parse_args()
    before = filterpy_ns()
    sizes = [measured(patients, given.sweeps) for patients in given.patients]
    baseline = statistics.median([before, filterpy_ns()])
    largest = sizes[-1]
    print(
        json.dumps(
            {
                "baseline": "filterpy loop, 2 states",
                "filterpy_ns": baseline,
                "sizes": sizes,
                "ratio_key_order": baseline / largest["key_order_ns"],
                "ratio_random_order": baseline / largest["random_order_ns"],
                "flat": largest["key_order_ns"] / sizes[0]["key_order_ns"],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
