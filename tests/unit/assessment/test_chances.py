"""The score as a probability: against a direct sum over all combinations, and at its borders."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import root
from scipy.stats import truncnorm

from tests.support.assessed import CALM, Ward
from twin.assessment.kernel import chances
from twin.assessment.news2 import HIGHEST, LOWEST, PER_UNIT, POINTS, UPPER, chart_of, points_of

CEILING = np.array([math.inf, 100.5, math.inf, math.inf, math.inf])


def parent(mean: float, std: float) -> tuple[float, float]:
    """The Gaussian that, cut off at 100.5, has this mean and std: sought in both at once."""

    def wrong(guess: list[float]) -> list[float]:
        wide = math.exp(guess[1])
        cut = truncnorm(-math.inf, (100.5 - guess[0]) / wide, loc=guess[0], scale=wide)
        return [cut.mean() - mean, cut.std() - std]

    found = root(wrong, [mean, math.log(std)], tol=1e-13).x
    return float(found[0]), math.exp(float(found[1]))


def by_hand(mean: list[float], std: list[float], fixed: int) -> tuple[float, float, float, float]:
    """The same from the definition: all readings of each vital, all combinations."""
    mean, std, parts = list(mean), list(std), []
    mean[1], std[1] = parent(mean[1], std[1])
    for v in range(5):
        part = [0.0] * 4
        total = 0.0
        for reading in range(int(LOWEST[v]), int(HIGHEST[v]) + 1):
            z = [(reading + s - mean[v]) / std[v] / math.sqrt(2) for s in (-0.5, 0.5)]
            weight = 0.5 * (math.erf(z[1]) - math.erf(z[0]))
            part[points_of(v, reading / PER_UNIT[v])] += weight
            total += weight
        parts.append([p / total for p in part])
    expected = p5 = p7 = any3 = 0.0
    for combination in itertools.product(range(4), repeat=5):
        weight = math.prod(parts[v][k] for v, k in enumerate(combination))
        score = sum(combination) + fixed
        expected += weight * score
        p5 += weight * (score >= 5)
        p7 += weight * (score >= 7)
        any3 += weight * (3 in combination)
    return expected, p5, p7, any3


@pytest.mark.parametrize(
    ("mean", "std", "fixed"),
    [
        ([16, 97, 120, 70, 370], [1, 1, 8, 3, 2], 0),
        ([21, 93.5, 105, 112, 384], [2, 2, 10, 6, 4], 2),
        ([8.5, 91.5, 90.5, 40.5, 350.5], [1, 1, 1, 1, 1], 0),
        ([25, 98.4, 219.5, 131, 391], [5, 1.6, 30, 25, 9], 2),
        ([25, 96.9, 219.5, 131, 391], [5, 2.6, 30, 25, 9], 2),
    ],
)
def test_convolved_distributions_are_the_sum_over_all_combinations(
    mean: list[float], std: list[float], fixed: int
) -> None:
    out = np.empty((1, 4))
    charts = np.array([[chart_of(v, 1, False) for v in range(5)]])
    chances(
        np.array([mean], float), np.array([std], float), np.ones((1, 5), bool), charts, LOWEST,
        HIGHEST, CEILING, UPPER, POINTS, np.array([fixed]), np.zeros(1, bool), np.empty(21),
        np.empty(4), out,
    )  # fmt: skip
    assert out[0] == pytest.approx(by_hand(mean, std, fixed), abs=1e-7)


def test_what_is_known_exactly_has_no_doubt() -> None:
    ward = Ward(alarms_on=False)
    ward.enter("consciousness", "V")
    ward.enter("oxygen", "oxygen")
    ward.run(60, CALM)
    now = ward.scores[-1].now
    assert (now.p_any3, now.p5) == (1.0, 1.0)
    assert now.expected == pytest.approx(5.0, abs=0.2)
    assert now.p7 < 0.05


def test_a_stale_vital_widens_instead_of_vanishing() -> None:
    ward = Ward(alarms_on=False)
    ward.run(30, {"respiratory_rate": 16.0})
    fresh = ward.scores[-1]
    ward.wait(600)
    stale = ward.scores[-1]
    assert (fresh.components[0].points, stale.components[0].points) == (0, -1)
    assert stale.now.p_any3 > fresh.now.p_any3
    assert 0 < stale.now.expected < 1.5


def test_in_one_hour_more_is_possible_than_now() -> None:
    ward = Ward(alarms_on=False)
    ward.run(300, CALM | {"heart_rate": 84.0})
    row = ward.scores[-1]
    assert row.in_one_hour.p5 > row.now.p5
    assert row.in_one_hour.expected > row.now.expected


def test_between_two_readings_a_vital_that_stepped_is_not_taken_to_be_well() -> None:
    ward = Ward()
    ward.run(15 * 30, {"respiratory_rate": 16.0}, every=30)
    ward.run(4 * 30, {"respiratory_rate": 32.0}, every=30)
    before = len(ward.scores)
    ward.run(10 * 30, {"respiratory_rate": 32.0}, every=30)
    assert len(rows := ward.scores[before:]) >= 5
    assert min(row.now.p_any3 for row in rows) > 0.8
