"""A person who changes for good is followed and held there; a spike is nothing. Every signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from tests.support.twins import T0, Sample, fed
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events
from twin.estimation.kalman import E_MEAN, E_NIS, E_VAR
from twin.estimation.models import base_model

MODELS = base_model().signals
CADENCES = (1, 5, 15, 60, 300)
BEFORE, AFTER = 60, 500


@dataclass(frozen=True)
class Course:
    """One key: every so many seconds a constant, and from sample BEFORE on another one."""

    code: str
    every: int
    value: NDArray[np.float64]
    devices: int = 1

    @property
    def sigma(self) -> float:
        """Standard deviation of one measurement."""
        return float(np.hypot(MODELS[self.code].noise, SIGNALS[self.code].resolution / 12**0.5))


def stepped(code: str, every: int, away: float, devices: int = 1) -> Course:
    """From the middle of the range that has room, by `away` noises, within what can be measured."""
    signal, model = SIGNALS[code], MODELS[code]
    start = 96.0 if code == "spo2" else max(model.mean, signal.lower)
    end = float(np.clip(start + away * model.noise, signal.lower, signal.upper))
    return Course(code, every, np.repeat([start, end], [BEFORE, AFTER]), devices)


def said_to(courses: Sequence[Course]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(courses, BEFORE + AFTER) means and nis, all courses in one call."""
    bank, n = Bank(base_model()), BEFORE + AFTER
    patients = np.array([bank.number_of(str(k)) for k in range(len(courses))], np.int64)
    slots = bank.find(patients, np.array([SIGNAL_ROW[c.code] for c in courses], np.int64))
    at = [np.arange(n) * c.every * SECOND for c in courses]
    none = np.full(n * len(courses), np.nan)
    updated = bank.update(
        Events(
            np.repeat(slots, n),
            T0 + np.concatenate(at),
            np.concatenate([c.value for c in courses]),
            none,
            none,
            np.concatenate([np.arange(n) % c.devices for c in courses]).astype(np.int32),
        )
    )
    estimates = updated.estimates.reshape(len(courses), n, -1)
    return estimates[:, :, E_MEAN], estimates[:, :, E_NIS]


@given(away=st.floats(2.0, 250.0), sign=st.sampled_from([-1.0, 1.0]))
@settings(max_examples=25, deadline=None)
def test_after_a_lasting_step_the_estimate_stays_within_a_sigma_and_a_half_of_the_data(
    away: float, sign: float
) -> None:
    """From the tenth sample on, as long as the data stay, for every signal and cadence.

    A step that is hardly an outlier is come to smoothly, and then not left by 1.5 sigma.
    """
    courses = [stepped(code, every, sign * away) for code in MODELS for every in CADENCES]
    means, nis = said_to(courses)
    for course, mean, first in zip(courses, means, nis[:, BEFORE], strict=True):
        error = np.abs(mean[BEFORE:] - course.value[-1])
        where = (course.code, course.every, away)
        if first > 2.0 * MODELS[course.code].gate:
            assert error[9:].max() <= 1.5 * course.sigma, where
        near = max(int(np.argmax(error <= course.sigma)), 9)
        assert error[near] <= course.sigma, where
        assert error[near:].max() <= 1.5 * course.sigma, where


@given(away=st.floats(20.0, 150.0), sign=st.sampled_from([-1.0, 1.0]))
@settings(max_examples=15, deadline=None)
def test_a_step_that_two_devices_report_is_held_too(away: float, sign: float) -> None:
    """In turn, from the 25th sample on."""
    courses = [stepped("heart_rate", every, sign * away, 2) for every in CADENCES]
    means, _ = said_to(courses)
    for course, mean in zip(courses, means, strict=True):
        error = np.abs(mean[BEFORE:] - course.value[-1])
        assert error[25:].max() <= 1.5 * course.sigma, (course.every, away)


@pytest.mark.parametrize("code", MODELS)
def test_after_a_step_a_spike_is_a_spike_and_the_hold_is_not_lost(code: str) -> None:
    courses = [stepped(code, every, -60.0) for every in CADENCES]
    for course in courses:
        course.value[BEFORE + 40 :: 40] = course.value[0]
    means, _ = said_to(courses)
    for course, mean in zip(courses, means, strict=True):
        error = np.abs(mean - course.value[-1])
        for spike in range(BEFORE + 40, BEFORE + AFTER, 40):
            assert error[spike + 9 : spike + 40].max() <= 1.5 * course.sigma, (code, course.every)


def test_a_forecast_expects_the_return_that_the_estimate_does_not() -> None:
    """Who jumped usually comes back: until the level has taken over, a minute ahead says so."""
    bank = Bank(base_model())
    course = stepped("heart_rate", 1, 60.0)
    slot = bank.find(np.array([bank.number_of("p")]), np.array([SIGNAL_ROW["heart_rate"]]))
    ahead = []
    for first, last in ((0, BEFORE + 10), (BEFORE + 10, BEFORE + AFTER)):
        n = last - first
        none = np.full(n, np.nan)
        at = T0 + np.arange(first, last) * SECOND
        value = course.value[first:last]
        device = np.zeros(n, np.int32)
        bank.update(Events(np.repeat(slot, n), at, value, none, none, device))
        ahead.append(bank.forecast(slot, 60.0).mean[0])
    start, end = course.value[0], course.value[-1]
    assert ahead[0] - start < 0.3 * (end - start)
    assert ahead[1] - start > 0.7 * (end - start)


@pytest.mark.parametrize("away", [4.0, 60.0])
@pytest.mark.parametrize("code", ["heart_rate", "respiratory_rate", "spo2", "glucose"])
def test_what_is_expected_next_is_what_the_filter_expects(code: str, away: float) -> None:
    """At every moment after a step: as the state is after a measurement that weighs nothing."""
    start, end = np.unique(stepped(code, 1, away).value)[:: -1 if code == "spo2" else 1]
    samples = [Sample(n, start if n < 60 else end) for n in range(80)]
    for ahead in (1.0, 7.0, 60.0):
        bank = Bank(base_model())
        fed(bank, samples, code)
        mean, std = bank.next_reading(bank.known(), np.array([ahead]))
        nothing = Sample(79 + ahead, float(mean[0]), noise_std=9e5)
        said = fed(bank, [nothing], code).estimates[-1]
        assert mean[0] == pytest.approx(said[E_MEAN], rel=1e-6)
        assert std[0] == pytest.approx(said[E_VAR] ** 0.5, rel=1e-3)


def test_who_stepped_and_is_measured_no_more_is_not_said_to_be_as_before() -> None:
    bank = Bank(base_model())
    fed(bank, [Sample(n, 72.0 if n < 300 else 172.0) for n in range(375)])
    slots, minute = bank.known(), np.array([60.0])
    assert bank.next_reading(slots, minute)[0][0] == pytest.approx(172.0, abs=1.0)
    assert bank.forecast(slots, 60.0).mean[0] < 110.0  # most come back, and a forecast expects it
