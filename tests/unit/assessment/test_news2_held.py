"""Sub-scores are held at band edges: noise makes no score flicker, a change is followed."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.support.assessed import CALM, Ward

EDGES = {"heart_rate": 90, "respiratory_rate": 20, "spo2": 95, "systolic_bp": 110}


PLACES = {"heart_rate": 4, "respiratory_rate": 0, "spo2": 1, "systolic_bp": 3}


def changes(ward: Ward, place: int) -> int:
    points = [row.components[place].points for row in ward.scores]
    return sum(a != b for a, b in pairwise(points))


@pytest.mark.parametrize("steps", [(-1, 0, 1), (0, 1), (-0.5, 0.5, 1.0)])
def test_noise_of_one_at_an_edge_for_ten_minutes_changes_a_score_twice_at_most(
    steps: tuple[float, ...],
) -> None:
    rng = random.Random(str(steps))
    ward = Ward(alarms_on=False)
    ward.run(600, lambda _: {s: edge + rng.choice(steps) for s, edge in EDGES.items()})
    assert [changes(ward, place) for place in PLACES.values() if changes(ward, place) > 2] == []


def test_a_rise_counts_after_a_quarter_of_a_minute_and_a_fall_after_two() -> None:
    ward = Ward(alarms_on=False)
    ward.run(120, CALM)
    ward.run(120, CALM | {"heart_rate": 120.0})
    rose = next(row for row in ward.scores if row.components[4].points == 2)
    assert 15 <= (rose.at - ward.scores[0].at) / 1e9 - 119 <= 90
    begin = len(ward.scores)
    ward.run(300, CALM)
    fell = next(row for row in ward.scores[begin:] if row.components[4].points == 0)
    assert fell.at - rose.at >= 120e9


def test_the_score_of_a_change_of_scale_is_new_at_once() -> None:
    ward = Ward(alarms_on=False)
    ward.run(30, {"spo2": 90.0})
    assert ward.scores[-1].components[1].points == 3
    ward.enter("spo2_scale", 2)
    ward.run(1, {"spo2": 90.0})
    row = ward.scores[-1]
    assert (row.spo2_scale, row.components[1].points) == (2, 0)


def test_an_outlier_is_not_scored() -> None:
    ward = Ward(alarms_on=False)
    ward.run(120, CALM)
    ward.run(1, CALM | {"heart_rate": 190.0})
    ward.run(60, CALM)
    assert {row.components[4].points for row in ward.scores} == {0}
