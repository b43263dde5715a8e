"""Two devices of one person: who jumped, who lags, whom the state follows."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.twins import Sample, fed
from twin.estimation.bank import Bank
from twin.estimation.devices import ENTRY, LAGS, NUMBER, flag, suspicion
from twin.estimation.events import Updated
from twin.estimation.kalman import E_MEAN
from twin.estimation.models import base_model

WATCH, BAND = 0, 1


def lagging(bank: Bank) -> dict[int, bool]:
    """Device → whether it was found to lag."""
    (slot,), w = bank.known(), bank.slots.of["entries"]
    return {int(w[slot, at + NUMBER]): flag.py_func(w, slot, at, LAGS) for at in (0, ENTRY)}


def suspect(bank: Bank) -> dict[int, bool]:
    """Device → whether it jumped and has not come back, or was followed."""
    (slot,), w = bank.known(), bank.slots.of["entries"]
    return {int(w[slot, at + NUMBER]): suspicion.py_func(w, slot, at) != 0 for at in (0, ENTRY)}


def course(seconds: int, seed: int = 1) -> NDArray[np.float64]:
    """A heart rate that goes up and down by tens within minutes."""
    at = np.arange(seconds)
    slow = 20 * np.sin(at / 55) + 12 * np.sin(at / 23 + seed)
    return np.asarray(85 + slow + np.random.default_rng(seed).normal(0, 0.4, seconds))


def delayed(value: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    return np.concatenate([np.full(by, value[0]), value[:-by]])


def both(bank: Bank, watch: NDArray[np.float64], band: NDArray[np.float64]) -> Updated:
    """A second apart, half a second between the devices."""
    samples = []
    for at, (one, other) in enumerate(zip(watch, band, strict=True)):
        samples += [Sample(at, float(one), WATCH), Sample(at + 0.5, float(other), BAND)]
    return fed(bank, samples)


def error(said: Updated, truth: NDArray[np.float64]) -> float:
    return float(np.abs(said.estimates[::2, E_MEAN] - truth)[len(truth) // 2 :].mean())


def test_a_device_that_repeats_the_other_half_a_minute_late_is_found_and_not_believed() -> None:
    true = course(1_800)
    band = delayed(true, 25)
    bank = Bank(base_model())
    said = both(bank, true, band)
    assert lagging(bank) == {WATCH: False, BAND: True}
    late = float(np.abs(band - true)[900:].mean())
    assert late > 8
    assert error(said, true) < 1.5


def test_it_is_found_whichever_device_was_heard_first() -> None:
    true = course(1_800)
    bank = Bank(base_model())
    both(bank, delayed(true, 25), true)
    assert lagging(bank) == {WATCH: True, BAND: False}


def test_a_lagging_device_is_believed_when_it_is_alone() -> None:
    true = course(1_800)
    bank = Bank(base_model())
    both(bank, true, delayed(true, 25))
    alone = fed(bank, [Sample(1_800 + n, 140.0, BAND) for n in range(60)])
    assert alone.estimates[-1, E_MEAN] == pytest.approx(140.0, abs=2.0)


@pytest.mark.parametrize("seed", range(4))
def test_devices_that_only_err_in_bursts_are_not_taken_for_lagging(seed: int) -> None:
    rng = random.Random(seed)
    devices = []
    for _ in (WATCH, BAND):
        value = 75 + np.random.default_rng(rng.randrange(99)).normal(0, 0.5, 1_200)
        for start in range(0, 1_200, 40):
            value[start : start + rng.randrange(5, 20)] += rng.choice([-40, 40])
        devices.append(value)
    bank = Bank(base_model())
    both(bank, *devices)
    assert not any(lagging(bank).values())


def test_who_jumps_is_suspect_until_it_is_back() -> None:
    rest = np.full(60, 75.0)
    bank = Bank(base_model())
    wild = rest.copy()
    wild[30:] = 130.0
    said = both(bank, rest, wild)
    assert suspect(bank) == {WATCH: False, BAND: True}
    assert (np.abs(said.estimates[:, E_MEAN] - 75.0) < 1.0).all()
    fed(bank, [Sample(60 + n / 2, 75.0, n % 2) for n in range(4)])
    assert not any(suspect(bank).values())


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.5])
def test_two_devices_that_begin_to_run_are_followed(slope: float) -> None:
    """A hard gate stays behind for good here: each sample is an outlier."""
    rng = np.random.default_rng(3)
    true = 70 + np.clip(slope * (np.arange(300) - 60), 0, 80)
    bank = Bank(base_model())
    said = both(bank, true + rng.normal(0, 0.8, 300), true + rng.normal(0, 0.8, 300))
    away = np.abs(said.estimates[1::2, E_MEAN] - true)
    assert away.max() < 8.0
    assert away.mean() < 2.0


def test_a_third_device_takes_the_place_of_the_one_that_is_silent_longest() -> None:
    bank = Bank(base_model())
    fed(bank, [Sample(n / 2, 75.0, n % 2) for n in range(40)])
    fed(bank, [Sample(20 + n / 2, 75.0, 1 + n % 2) for n in range(40)])
    assert set(lagging(bank)) == {1, 2}


def test_of_three_devices_two_carry_the_state_against_one_that_went_wild() -> None:
    bank = Bank(base_model())
    fed(bank, [Sample(n / 3, 75.0, n % 3) for n in range(180)])
    said = fed(bank, [Sample(60 + n / 3, 75.0 if n % 3 else 150.0, n % 3) for n in range(180)])
    assert (np.abs(said.estimates[:, E_MEAN] - 75.0) < 3.0).all()
