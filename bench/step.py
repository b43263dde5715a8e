"""The bank's update against a filterpy loop in the same run, one core: `python -m bench.step`.

A sweep brings one observation of every (patient, signal) in key order, as far from the population's
mean as the model says of a device's noise; the rings are full, so each event also folds the oldest
measurement into the base. Random order beside it.

Two loops of filterpy. The bare one (`ratio_…`): one filter, predict and update and no more. The one
alike (`ratio_alike_…`): a filter for each of some thousand keys, one after another, F and Q set for
its own step, and before its update nis and from it the robust weight. Of the bank's work it leaves
out the third state, the ring and the base behind it, the trend, what is learnt and the records.

All is CPU time, and a short loop of each stands on either side of every sweep: a ratio is of
neighbours in time, and the median of all of them is the result, as a machine with other work
changes its speed within seconds. Prints one JSON object; `spread` is the lowest and the highest
bare ratio of the largest bank in key order.
"""

from __future__ import annotations

import argparse
import json
import math
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
from twin.estimation.slots import SLOT

VITALS = (
    "heart_rate", "respiratory_rate", "spo2", "body_temperature", "systolic_bp", "diastolic_bp",
)  # fmt: skip
#: Filters of the loop alike.
KEYS = 3_000
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


@dataclass(slots=True)
class Alike:
    """Filterpy filters of so many keys' slow level and deviation (docs/models.md), their stamps."""

    filters: list[Any]
    stamps: list[float]
    rng: np.random.Generator
    at: int = 0

    @classmethod
    def of(cls, keys: int) -> Alike:
        from filterpy.kalman import KalmanFilter

        rng = np.random.default_rng(2)
        filters = [KalmanFilter(2, 1) for _ in range(keys)]
        for one in filters:
            one.H = np.array([[1.0, 1.0]])
            one.x = np.array([[80.0], [0.0]])
            one.P = np.diag([300.0, 2.0])
        return cls(filters, rng.uniform(0.0, 1.0, keys).tolist(), rng)

    def ns(self, updates: int = 250) -> float:
        """CPU ns per event, of the next so many keys."""
        values = self.rng.normal(80.0, 1.0, updates).tolist()
        keys = [(self.at + n) % len(self.filters) for n in range(updates)]
        now = 1.0 + (self.at + updates) // len(self.filters)
        self.at += updates
        began = time.process_time()
        for key, value in zip(keys, values, strict=True):
            self._take(key, now, value)
        return (time.process_time() - began) / updates * 1e9

    def _take(self, key: int, stamp: float, value: float) -> None:
        one, dt = self.filters[key], stamp - self.stamps[key]
        self.stamps[key] = stamp
        level, deviation = math.exp(-dt / 65_000.0), math.exp(-dt / 16.0)
        one.F = np.array([[level, 0.0], [0.0, deviation]])
        one.Q = np.array(
            [[300.0 * (1.0 - level * level), 0.0], [0.0, 1.4 * (1.0 - deviation * deviation)]]
        )
        one.predict()
        e = value - (one.x[0, 0] + one.x[1, 0])
        nis = e * e / (one.P[0, 0] + 2.0 * one.P[0, 1] + one.P[1, 1] + 0.3)
        one.update(np.array([[value]]), R=0.3 * (1.0 + nis / 2.25))


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
    """Sweeps with filterpy on either side: ns per event, of filterpy's loops; their ratios."""

    sweep: list[float]
    filterpy: list[float]
    alike: list[float]
    ratio: list[float]
    ratio_alike: list[float]


def beside_filterpy(sweep: Callable[[int], float], sweeps: int, keys: Alike) -> Beside:
    """sweep: the ns per event of the n-th."""
    took: list[float] = []
    base, alike = [filterpy_ns()], [keys.ns()]
    for n in range(sweeps):
        took.append(sweep(n))
        base.append(filterpy_ns())
        alike.append(keys.ns())
    return Beside(took, base, alike, _ratios(took, base), _ratios(took, alike))


def _ratios(took: list[float], beside: list[float]) -> list[float]:
    """How many times as long as each sweep its two neighbours took."""
    pairs = zip(took, pairwise(beside), strict=True)
    return [(before + after) / 2 / ns for ns, (before, after) in pairs]


def measured(patients: int, sweeps: int) -> dict[str, Any]:
    """Medians with full rings, and bytes per patient."""
    rng = np.random.default_rng(1)
    ward = ward_of(patients)
    full = max(model.ring for model in base_model().signals.values()) + 1
    for second in range(full):
        sweep_ns(ward, second, rng, False)
    keys = Alike.of(KEYS)
    in_order = beside_filterpy(lambda n: sweep_ns(ward, full + n, rng, False), sweeps, keys)
    random = beside_filterpy(lambda n: sweep_ns(ward, full + sweeps + n, rng, True), sweeps, keys)
    width = {
        name: x.itemsize * (x.shape[1] if x.ndim == 2 else 1)
        for name, x in ward.bank.slots.of.items()
    }
    width["rests_until"] = ward.bank.slots.rests_until.itemsize
    width["padding"] = SLOT.itemsize - sum(SLOT[name].itemsize for name in SLOT.names or ())
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
        "filterpy_alike_ns": statistics.median([*in_order.alike, *random.alike]),
        "ratio_key_order": statistics.median(in_order.ratio),
        "ratio_random_order": statistics.median(random.ratio),
        "ratio_alike_key_order": statistics.median(in_order.ratio_alike),
        "ratio_alike_random_order": statistics.median(random.ratio_alike),
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
                "baseline": "filterpy loop, 2 states; alike: own step, nis and weight of each key",
                "sizes": sizes,
                "ratio_key_order": largest["ratio_key_order"],
                "ratio_random_order": largest["ratio_random_order"],
                "ratio_alike_key_order": largest["ratio_alike_key_order"],
                "ratio_alike_random_order": largest["ratio_alike_random_order"],
                "spread": largest["spread"],
                # By the ratios: of the largest bank's ns other work took its part at another time.
                "flat": sizes[0]["ratio_key_order"] / largest["ratio_key_order"],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
