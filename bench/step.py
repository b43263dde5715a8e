"""The bank's update against a filterpy loop in the same run, one core: `python -m bench.step`.

A sweep brings one observation of every (patient, signal) in key order, as far from the population's
mean as the model says of a device's noise; the rings are full, so each event also folds the oldest
measurement into the base. Random order beside it.

Both are CPU time, and a short loop of filterpy stands on either side of every sweep: a ratio is of
neighbours in time, and the median of all of them is the result, as a machine with other work
changes its speed within seconds. Prints one JSON object; `spread` is the lowest and the highest
ratio of the largest bank in key order.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events
from twin.estimation.models import base_model
from twin.estimation.robust import MEMORY, SPREAD

VITALS = (
    "heart_rate", "respiratory_rate", "spo2", "body_temperature", "systolic_bp", "diastolic_bp",
)  # fmt: skip
START = 1_790_000_000 * 10**9


def filterpy_ns(updates: int = 500) -> float:
    """CPU ns per predict and update of a filterpy filter with two states."""
    from filterpy.kalman import KalmanFilter

    one = KalmanFilter(2, 1)
    one.H = np.array([[1.0, 1.0]])
    one.Q = np.eye(2) * 0.01
    measured = np.array([[0.5]])
    began = time.process_time()
    for _ in range(updates):
        one.predict()
        one.update(measured)
    return (time.process_time() - began) / updates * 1e9


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
    """CPU ns per event of one sweep."""
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
    began = time.process_time()
    ward.bank.update(events)
    return (time.process_time() - began) / n * 1e9


@dataclass(frozen=True, slots=True)
class Beside:
    """Sweeps with filterpy on either side: ns per event, of filterpy's update; their ratios."""

    sweep: list[float]
    filterpy: list[float]
    ratio: list[float]


def beside_filterpy(sweep: Callable[[int], float], sweeps: int) -> Beside:
    """sweep: the ns per event of the n-th."""
    took, base = [], [filterpy_ns()]
    for n in range(sweeps):
        took.append(sweep(n))
        base.append(filterpy_ns())
    pairs = zip(took, pairwise(base), strict=True)
    return Beside(took, base, [(before + after) / 2 / ns for ns, (before, after) in pairs])


def measured(patients: int, sweeps: int) -> dict[str, Any]:
    """Medians with full rings, and bytes per patient."""
    rng = np.random.default_rng(1)
    ward = ward_of(patients)
    full = max(model.ring for model in base_model().signals.values()) + 1
    for second in range(full):
        sweep_ns(ward, second, rng, False)
    in_order = beside_filterpy(lambda n: sweep_ns(ward, full + n, rng, False), sweeps)
    random = beside_filterpy(lambda n: sweep_ns(ward, full + sweeps + n, rng, True), sweeps)
    width = {
        name: x.itemsize * (x.shape[1] if x.ndim == 2 else 1)
        for name, x in ward.bank.slots.of.items()
    }
    width["rests_until"] = ward.bank.slots.rests_until.itemsize
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
        "key_order_ns": statistics.median(in_order.sweep),
        "random_order_ns": statistics.median(random.sweep),
        "filterpy_ns": statistics.median([*in_order.filterpy, *random.filterpy]),
        "ratio_key_order": statistics.median(in_order.ratio),
        "ratio_random_order": statistics.median(random.ratio),
        "spread": [min(in_order.ratio), max(in_order.ratio)],
        "bytes_per_patient": sum(width.values()) * len(VITALS) + member * rings,
        "bytes_learned": learned * len(VITALS),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    options.add_argument("--sweeps", type=int, default=9)
    given = options.parse_args()
    sizes = [measured(patients, given.sweeps) for patients in given.patients]
    largest = sizes[-1]
    print(
        json.dumps(
            {
                "baseline": "filterpy loop, 2 states",
                "sizes": sizes,
                "ratio_key_order": largest["ratio_key_order"],
                "ratio_random_order": largest["ratio_random_order"],
                "spread": largest["spread"],
                # By the ratios: of the largest bank's ns other work took its part at another time.
                "flat": sizes[0]["ratio_key_order"] / largest["ratio_key_order"],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
