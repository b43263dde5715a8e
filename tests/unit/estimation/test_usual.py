"""What is usual for a person at an hour: learnt from hours, known with its doubt, returned to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from math import cos, pi, sin, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.instant import HOUR
from tests.support.twins import HEART_RATE, T0, Sample, events_of, fed, model_of
from twin.estimate import Verdict
from twin.estimation.bank import Bank
from twin.estimation.usual import (
    DAY_NS,
    HOURS,
    LEAST_HOURS,
    RESIDUAL2,
    ROOM,
    ROOT,
    TERMS,
    UNIT,
    USUAL,
    learn,
    pack,
    return_to_usual,
    unpack,
    usual_at,
)

RETURNING = HEART_RATE | {"ring": 16, "usual_time": 7200.0, "expected_interval": 300.0}
LEARNT = ("usual", "usual_root", "usual_hour")


def rhythm(t: int) -> float:
    """A person of mean 62 who is at 70 in the afternoon and at 54 at night."""
    return 62.0 + 8.0 * cos(2 * pi * (t % DAY_NS) / DAY_NS - 4.0)


def days(n: float, seed: int = 3, night: bool = True) -> list[Sample]:
    rng, mood, samples = random.Random(seed), 0.0, []
    for at in range(0, int(n * 86_400), 300):
        mood += rng.gauss(0, 1.0) - mood / 24
        if night or 8 <= (T0 // HOUR + at // 3600) % 24 < 20:
            samples.append(Sample(at, rhythm(T0 + at * 10**9) + mood + rng.gauss(0, 0.5)))
    return samples


def learnt(bank: Bank) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    a, (slot,) = bank.slots.of, bank.known()
    return a["usual"][[slot]].copy(), a["usual_root"][[slot]].copy()


def said(bank: Bank, t: int) -> tuple[float, float]:
    """(usual, its standard deviation) at a stamp."""
    usual, root = learnt(bank)
    mean, var = usual_at(usual, root, 0, t, 18.0, np.empty((ROOM, TERMS)))
    return mean, sqrt(var)


def covariance(root: NDArray[np.int16], spread: float) -> NDArray[np.float64]:
    low = np.zeros((TERMS, TERMS))
    low[np.tril_indices(TERMS)] = root[:HOURS] * spread / UNIT
    return np.asarray(low @ low.T)


def test_a_daily_rhythm_is_learnt_and_known_with_its_doubt() -> None:
    bank = Bank(model_of(**RETURNING))
    fed(bank, days(14))
    for hour in range(24):
        t = T0 + hour * HOUR
        mean, std = said(bank, t)
        assert abs(mean - rhythm(t)) < 3.5 * std
        assert std < 2.0


def test_of_hours_that_were_never_measured_the_doubt_stays() -> None:
    bank = Bank(model_of(**RETURNING))
    fed(bank, days(14, night=False))
    midnight, noon = DAY_NS * (T0 // DAY_NS + 15), DAY_NS * (T0 // DAY_NS + 15) + 14 * HOUR
    assert said(bank, midnight)[1] > 2 * said(bank, noon)[1]


def test_the_recursion_is_the_regression_of_all_hours_at_once() -> None:
    """Without forgetting or clipping: the Gaussian posterior, solved as one dense system."""
    bank = Bank(model_of(**RETURNING))
    p, room = bank.params, np.empty((ROOM, TERMS))
    row = int(np.flatnonzero(bank.modelled)[0])
    usual, root = np.zeros((1, USUAL), np.float32), np.zeros((1, ROOT), np.int16)
    at, rng = np.zeros(1, np.int32), random.Random(5)
    information = np.diag([1 / 18.0**2] + [1 / 3.6**2] * 4)
    seen = information @ np.array([80.0, 0, 0, 0, 0])
    before = T0
    for n in range(60):
        t = T0 + n * HOUR
        y = rhythm(t) + rng.gauss(0, 2)
        w = 2 * pi * (t % DAY_NS) / DAY_NS
        h = np.array([1, cos(w), sin(w), cos(2 * w), sin(2 * w)])
        r = 3.0 * float(usual[0, RESIDUAL2]) if n else 3.0 * (2.5 + 0.09 * 18.0**2)
        fade = np.exp(-((t - before) / HOUR) / 672.0)
        information, seen = information * fade, seen * fade
        before = t
        information = information + np.outer(h, h) / r
        seen = seen + h * y / r
        learn.py_func(usual, root, at, 0, y, t, p, row, room)
    found = np.linalg.solve(information, seen)
    np.testing.assert_allclose(usual[0, :TERMS], found, atol=0.05)
    np.testing.assert_allclose(
        covariance(root[0], 18.0), np.linalg.solve(information, np.eye(TERMS)), atol=0.02
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_root_that_was_rounded_is_still_of_a_covariance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(TERMS, TERMS)) * 10.0 ** rng.uniform(-6, 0, TERMS)
    P = factor @ factor.T
    P *= (18.0**2) / max(P.diagonal().max(), 18.0**2)
    root, room = np.zeros((1, ROOT), np.int16), np.empty((ROOM, TERMS))
    room[:TERMS] = P
    pack(root, 0, 18.0, room)
    unpack(root, 0, 18.0, room)
    assert (np.linalg.eigvalsh(room[:TERMS]) > 0).all()
    np.testing.assert_allclose(room[:TERMS], P, atol=18.0**2 * 2e-4)


def test_before_two_days_of_hours_a_forecast_is_the_population_s_to_the_last_bit() -> None:
    returning, other = Bank(model_of(**RETURNING)), Bank(model_of(**RETURNING | {"usual_time": 0}))
    samples = days(1.9)
    for bank in (returning, other):
        fed(bank, samples)
    assert learnt(returning)[1][0, HOURS] < LEAST_HOURS
    ours, theirs = (bank.forecast(bank.known(), 3600.0) for bank in (returning, other))
    assert (ours.mean, ours.std) == (theirs.mean, theirs.std)


def test_a_forecast_returns_to_the_usual_by_the_share_that_is_known() -> None:
    returning, other = Bank(model_of(**RETURNING)), Bank(model_of(**RETURNING | {"usual_time": 0}))
    samples = days(10)
    last = int(samples[-1].at)
    samples += [Sample(last + n * 300, 95.0) for n in range(1, 8)]  # far above what is usual
    for bank in (returning, other):
        fed(bank, samples)
        # A person's own width learns from each bank's own forecasts: not what is compared here.
        bank.slots.of["waiting"][:] = 0
    for seconds in (60.0, 900.0, 3600.0, 86_400.0):
        ours, theirs = (bank.forecast(bank.known(), seconds) for bank in (returning, other))
        u, doubt = said(returning, int(ours.at[0]))
        s2 = float(learnt(returning)[0][0, RESIDUAL2])
        g = s2 / (s2 + doubt**2) * (1 - np.exp(-seconds / 7200.0))
        assert ours.mean[0] == pytest.approx((1 - g) * theirs.mean[0] + g * u, abs=1e-3)
        var = (1 - g) ** 2 * theirs.std[0] ** 2 + g * (2 - g) * (s2 + doubt**2)
        assert ours.std[0] ** 2 == pytest.approx(var, rel=1e-4)


def test_forecasts_an_hour_ahead_of_a_person_with_a_rhythm_are_nearer() -> None:
    returning, other = Bank(model_of(**RETURNING)), Bank(model_of(**RETURNING | {"usual_time": 0}))
    samples = days(12)
    truth = {s.stamp: s.value for s in samples}
    errors: dict[int, list[float]] = {0: [], 1: []}
    begun = 6 * 288
    for first in range(0, len(samples), 12):
        for n, bank in enumerate((returning, other)):
            fed(bank, samples[first : first + 12])
            if first > begun:
                ahead = bank.forecast(bank.known(), 3600.0)
                if int(ahead.at[0]) in truth:
                    errors[n].append((ahead.mean[0] - truth[int(ahead.at[0])]) ** 2)
    assert len(errors[0]) > 100
    assert np.mean(errors[0]) < 0.95 * np.mean(errors[1])


def shuffled(samples: Sequence[Sample], within: int, seed: int) -> list[Sample]:
    rng = random.Random(seed)
    keys = [(n + rng.uniform(0, within), n) for n in range(len(samples))]
    order = [n for _, n in sorted(keys)]
    given = [samples[n] for n in order]
    return given + rng.sample(given[-8:], 3)  # and some of them again


def test_it_is_a_function_of_the_set_wherever_batches_are_cut() -> None:
    samples = days(4)
    bank, other = Bank(model_of(**RETURNING)), Bank(model_of(**RETURNING))
    fed(bank, samples)
    verdicts = fed(other, shuffled(samples, 6, 1), cuts=range(0, len(samples), 37)).verdict
    assert not (verdicts == Verdict.BELATED).any()
    for name in LEARNT:
        np.testing.assert_array_equal(
            bank.slots.of[name][bank.known()], other.slots.of[name][other.known()]
        )


def test_what_is_usual_fades_and_comes_back_to_what_is_known_of_people() -> None:
    bank = Bank(model_of(**RETURNING))
    samples = days(10)
    fed(bank, samples)
    _, known = said(bank, T0)
    later = samples[-1].at + 200 * 86_400
    fed(bank, [Sample(later + n * 300, 62.0) for n in range(20)])
    assert said(bank, T0)[1] < 2 * known  # a gap counts as a day at most
    p, room = bank.params, np.empty((ROOM, TERMS))
    row = int(np.flatnonzero(bank.modelled)[0])
    usual, root = learnt(bank)
    at = np.zeros(1, np.int32)
    for n in range(3000):  # days alone, always at the same hour
        learn(usual, root, at, 0, 62.0, T0 + n * DAY_NS, p, row, room)
    P = covariance(root[0], 18.0)
    assert (P.diagonal() <= np.array([18.0**2] + [3.6**2] * 4) * 1.001).all()
    assert (np.linalg.eigvalsh(P) > 0).all()


@pytest.mark.parametrize("value", [0.0, 300.0, 1e6])
def test_an_absurd_hour_teaches_as_much_as_one_three_standard_deviations_away(value: float) -> None:
    bank = Bank(model_of(**RETURNING))
    fed(bank, days(6))
    p, room = bank.params, np.empty((ROOM, TERMS))
    row = int(np.flatnonzero(bank.modelled)[0])
    usual, root = learnt(bank)
    before, s2 = usual[0, 0], usual[0, RESIDUAL2]
    hour = np.array([T0 // HOUR + 6 * 24], np.int32)
    learn(usual, root, hour, 0, value, T0 + 6 * DAY_NS + HOUR, p, row, room)
    assert abs(usual[0, 0] - before) < 0.2 * sqrt(s2)
    assert usual[0, RESIDUAL2] < 1.3 * s2


def test_a_model_with_another_spread_keeps_what_is_known() -> None:
    bank = Bank(model_of(**RETURNING))
    fed(bank, days(6))
    usual, root = learnt(bank)
    before = covariance(root[0], 18.0)
    bank.adopt(model_of(**RETURNING | {"spread": 25.0}))
    usual_now, root_now = learnt(bank)
    np.testing.assert_array_equal(usual_now, usual)
    np.testing.assert_allclose(covariance(root_now[0], 25.0), before, atol=0.02)


def test_the_state_knows_nothing_of_it() -> None:
    returning, other = Bank(model_of(**RETURNING)), Bank(model_of(**RETURNING | {"usual_time": 0}))
    for bank in (returning, other):
        updated = bank.update(events_of(bank, days(5)))
        assert (updated.verdict == Verdict.ACCEPTED).all()
    np.testing.assert_array_equal(
        returning.slots.of["state"][returning.known()], other.slots.of["state"][other.known()]
    )


def test_it_returns_to_nothing_where_nothing_is_learnt_and_there_is_no_way_back_at_once() -> None:
    bank = Bank(model_of(**RETURNING))
    fed(bank, days(5))
    usual, root = learnt(bank)
    (slot,) = bank.known()
    row = bank.slots.of["model"][slot]
    state = bank.slots.of["state"][[slot]].copy()
    for learnt_root, dt in ((np.zeros_like(root), 3600.0), (root, 0.0)):
        x = state.copy()
        room = np.empty((ROOM, TERMS))
        return_to_usual(x, 0, usual, learnt_root, 0, T0, dt, bank.params, row, room)
        np.testing.assert_array_equal(x, state)


def test_a_night_and_a_day_are_apart_in_the_usual_by_the_swing() -> None:
    bank = Bank(model_of(**RETURNING))
    fed(bank, days(14))
    spoken = [said(bank, T0 + hour * HOUR)[0] for hour in range(24)]
    assert max(spoken) - min(spoken) == pytest.approx(16.0, abs=5.0)
    assert max(abs(b - a) for a, b in pairwise(spoken)) < 4.0
