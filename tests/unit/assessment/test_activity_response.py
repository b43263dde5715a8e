"""How a person's heart answers activity: learnt with its uncertainty, used by scenarios alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.observation import ObservationBatch, batch_of
from tests.support.twins import observation
from twin.assessment.activity_response import SOURCES, ActivityResponse
from twin.estimation.bank import SIGNAL_ROW
from twin.estimation.models import base_model, parse_model
from twin.estimation.scenario import Activity, Response, Scenario, ScenarioError, personal
from twin.step import Placed, TwinState, new_state, step

MODEL = base_model().signals["activity"]


def part_of(state: TwinState) -> ActivityResponse:
    return next(part for part in state.parts if isinstance(part, ActivityResponse))


def felt_of(level: NDArray[np.float64], every: float) -> NDArray[np.float64]:
    felt = level.copy()
    for i in range(1, len(level)):
        lag = 45.0 if level[i] > felt[i - 1] else 90.0
        felt[i] = level[i] + (felt[i - 1] - level[i]) * np.exp(-every / lag)
    return felt


def lived(
    minutes: int, resting: float = 62.0, gain: float = 90.0, seed: int = 1, first: int = 0
) -> list[ObservationBatch]:
    """Every 10 s activity in bouts and the heart's answer to it."""
    rng = np.random.default_rng(seed)
    n = minutes * 6
    level = np.repeat(rng.choice([0.02, 0.05, 0.3, 0.6], n // 18 + 1, p=[0.5, 0.2, 0.2, 0.1]), 18)
    heart = resting + gain * felt_of(level[:n], 10.0) + np.cumsum(rng.normal(0, 0.3, n)) * 0.5
    return [
        batch_of(
            [
                observation(first + 10.0 * i, float(heart[i] + rng.normal(0, 0.5))),
                observation(first + 10.0 * i, float(level[i]), signal="activity"),
            ]
        )
        for i in range(n)
    ]


def after(
    batches: list[ObservationBatch], state: TwinState | None = None, first: int = 1
) -> TwinState:
    state = state or new_state(1)
    step(state, [Placed(0, n, batch) for n, batch in enumerate(batches, first)])
    return state


def answered(state: TwinState) -> Mapping[str, Response]:
    return part_of(state).of_patient("p1")


def test_resting_rate_and_gain_of_a_person_are_learnt_with_their_uncertainty() -> None:
    found = answered(after(lived(600)))["activity"]
    assert found.minutes == pytest.approx(600, abs=2)
    assert found.gain_std < 0.4 * MODEL.heart_gain_std
    assert abs(found.gain - 90.0) < 3 * found.gain_std
    assert abs(found.resting - 62.0) < 3 * max(found.resting_std, 1.5)


def test_the_recursion_is_the_regression_with_what_is_assumed() -> None:
    """Few minutes, s² fixed by what is assumed nearly: the Gaussian posterior, at once."""
    state = after(lived(20))
    found = answered(state)["activity"]
    learnt = part_of(state).of["learnt"][0, 0]
    assert found.gain_std**2 == pytest.approx(learnt[4])
    # P stays a covariance, smaller than before.
    assert learnt[2] * learnt[4] > learnt[3] ** 2
    assert found.gain_std < MODEL.heart_gain_std
    assert found.resting_std < base_model().signals["heart_rate"].spread


def test_of_somebody_who_sits_the_gain_stays_what_people_s_is() -> None:
    batches = [
        batch_of(
            [
                observation(10.0 * i, 62.0 + i % 2),
                observation(10.0 * i, 0.02, signal="activity"),
            ]
        )
        for i in range(2000)
    ]
    found = answered(after(batches))["activity"]
    assert found.gain_std > 0.9 * MODEL.heart_gain_std
    assert found.gain == pytest.approx(MODEL.heart_gain, abs=MODEL.heart_gain_std / 3)


def test_of_a_person_without_activity_or_unknown_people_s_answer_is_given() -> None:
    state = after([batch_of([observation(1.0 * i, 70.0)]) for i in range(100)])
    for patient in ("p1", "nobody"):
        found = part_of(state).of_patient(patient)
        assert set(found) == set(SOURCES)
        assert found["activity"].gain == MODEL.heart_gain
        assert found["activity"].gain_std == MODEL.heart_gain_std
        assert found["activity"].minutes == 0


def test_wherever_batches_are_cut_and_over_a_snapshot_it_is_the_same() -> None:
    batches = lived(60)
    whole, cut = after(batches), new_state(1)
    for n, batch in enumerate(batches, 1):
        step(cut, [Placed(0, n, batch)])
    half = after(batches[:180])
    other = new_state(1)
    other.bank.numbers_of(["somebody else"])  # numbers are its own
    part_of(other).restore(0, part_of(half).capture(0))
    assert part_of(other).of_patient("p1") == answered(half)
    assert answered(cut) == answered(whole)
    with pytest.raises(ValueError, match="layout"):
        part_of(other).restore(0, b"\x80")
    part_of(other).forget(0)
    assert part_of(other).of_patient("p1")["activity"].minutes == 0


def test_an_old_activity_a_gap_and_a_heart_rate_of_another_time_teach_nothing() -> None:
    state = after(lived(5))
    before = answered(state)
    again = batch_of([observation(100.0, 0.9, signal="activity")])
    gap = batch_of([observation(5000.0, 0.9, signal="activity")])
    alone = batch_of([observation(5060.0, 0.9, signal="activity")])
    assert answered(after([again, gap, alone], state, 10_000)) == before


def test_a_model_file_says_what_is_assumed_and_without_it_there_is_no_source() -> None:
    text = (
        'name = "x"\nversion = "1"\nextends = "base"\n[signal.activity]\nsource = "test"\n'
        "heart_gain = 200.0\nheart_gain_std = 10.0\n"
        '[signal.step_count]\nsource = "test"\nheart_gain_std = 0.0\n'
    )
    found = part_of(new_state(1, parse_model(text))).of_patient("p1")
    assert list(found) == ["activity"]
    assert (found["activity"].gain, found["activity"].gain_std) == (200.0, 10.0)


def test_a_scenario_takes_the_person_s_gain_where_none_is_declared() -> None:
    known = {"activity": Response(60.0, 1.0, 95.0, 6.0, 300.0)}
    own = Activity(600.0, 0.4)
    said = Activity(600.0, 0.4, 50.0, 5.0)
    made = personal(Scenario(activity=[own, said]), known)
    assert [(a.gain, a.gain_std) for a in made.activity] == [(95.0, 6.0), (50.0, 5.0)]


@pytest.mark.parametrize(
    ("activity", "place"),
    [
        (Activity(600.0, 100.0, measured="step_count"), r"activity\[0\].measured"),
        (Activity(600.0, 0.4, signal="respiratory_rate"), r"activity\[0\].gain"),
        (Activity(600.0, 0.4, gain=3.0), r"activity\[0\].gain_std"),
    ],
)
def test_what_no_gain_is_known_of_is_refused_with_its_place(activity: Activity, place: str) -> None:
    known = {"activity": Response(60.0, 1.0, 95.0, 6.0, 300.0)}
    with pytest.raises(ScenarioError, match=place):
        personal(Scenario(activity=[activity]), known)


def test_the_estimates_know_nothing_of_it() -> None:
    rates = [observation(10.0 * i, 70.0 + 10 * np.sin(i / 30)) for i in range(200)]
    walks = [observation(10.0 * i, 0.3 + i / 1000, signal="activity") for i in range(200)]
    both = after([batch_of([a, b]) for a, b in zip(rates, walks, strict=True)])
    alone = after([batch_of([a]) for a in rates])
    row = SIGNAL_ROW["heart_rate"]
    one, other = (s.bank.slots.of["state"][s.bank.slot_of[0, row]] for s in (both, alone))
    np.testing.assert_array_equal(one, other)
    assert answered(both)["activity"].minutes > 30
