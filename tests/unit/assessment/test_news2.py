"""The chart: every boundary, both SpO2 scales, by the function and through the whole step."""

from __future__ import annotations

import pytest

from tests.support.assessed import CALM, Ward
from tests.support.news2_vectors import VECTORS
from tests.support.twins import T0
from twin.assessment.news2 import VITALS, Set, points_of, sub_scores

_SIGNALS = ("respiratory_rate", "spo2", "systolic_bp", "heart_rate", "body_temperature")


@pytest.mark.parametrize(("vital", "value", "points", "scale", "oxygen"), VECTORS)
def test_a_value_has_the_points_of_its_band(
    vital: int, value: float, points: int, scale: int, oxygen: bool
) -> None:
    assert points_of(vital, value, scale, oxygen) == points


def test_every_boundary_is_the_same_through_the_whole_step() -> None:
    """One patient a vector, constant values at 1 Hz: after half a minute each is scored exactly."""
    ward = Ward(alarms_on=False)
    told = {}
    for n, (vital, value, points, scale, oxygen) in enumerate(VECTORS):
        patient = f"{n:03d}"
        told[patient] = (CALM | {_SIGNALS[vital]: float(value)}, vital, points)
        ward.enter("spo2_scale", scale, patient)
        ward.enter("oxygen", "oxygen" if oxygen else "air", patient)
        ward.enter("consciousness", "A", patient)
    ward.run_all(30, lambda _: {patient: values for patient, (values, _, _) in told.items()})
    place = {"respiratory_rate": 0, "spo2": 1, "systolic_bp": 3, "pulse": 4, "temperature": 6}
    scores = {row.patient: row for row in ward.scores}
    for patient, (_, vital, points) in told.items():
        row = scores[patient]
        assert row.components[place[VITALS[vital]]].points == points, (patient, told[patient])
        assert row.complete
        assert row.score == sum(part.points for part in row.components)


def test_oxygen_scores_two_and_not_alert_scores_three() -> None:
    read = Set(16, 97, True, 120, 70, "A", 37.0)
    assert sub_scores(read) == (0, 0, 2, 0, 0, 0, 0)
    for letter in "CVPU":
        assert sub_scores(Set(16, 97, False, 120, 70, letter, 37.0)) == (0, 0, 0, 0, 0, 3, 0)


def test_a_missing_parameter_is_missing_not_normal() -> None:
    assert sub_scores(Set(spo2=91)) == (None, 3, None, None, None, None, None)


@pytest.mark.parametrize(
    ("vital", "value", "points"),
    [(0, 8.4, 3), (0, 8.5, 1), (1, 91.4, 3), (1, 95.5, 0), (4, 38.04, 0), (4, 38.06, 1)],
)
def test_a_value_is_rounded_as_it_is_reported_before_it_is_scored(
    vital: int, value: float, points: int
) -> None:
    assert points_of(vital, value) == points


def test_without_entries_the_score_is_a_lower_bound() -> None:
    ward = Ward(alarms_on=False)
    ward.run(5, CALM | {"spo2": 90.0, "heart_rate": 115.0})
    row = ward.scores[-1]
    assert (row.score, row.complete, row.any3) == (5, False, True)
    assert [part.points for part in row.components] == [0, 3, -1, 0, 2, -1, 0]


def test_an_entry_counts_from_its_second_until_it_is_too_old() -> None:
    ward = Ward(alarms_on=False)
    ward.enter("oxygen", "oxygen")
    ward.enter("consciousness", "C", valid_s=20)
    ward.run(10, CALM)
    row = ward.scores[-1]
    assert (row.score, row.complete) == (5, True)
    assert (row.components[5].source, row.components[5].actor) == ("entry", "I. Roux")
    assert row.components[5].at == T0
    ward.run(20, CALM)
    row = ward.scores[-1]
    assert (row.score, row.complete) == (2, False)
    assert row.components[5].points == -1
    assert row.components[5].at == T0  # its age is still told


def test_a_cuff_of_a_person_counts_before_an_older_device() -> None:
    ward = Ward(alarms_on=False)
    ward.run(5, CALM)
    assert ward.enter("systolic_bp", 90).done
    ward.wait(1)
    part = ward.scores[-1].components[3]
    assert (part.points, part.value, part.source) == (3, 90.0, "entry")
    ward.run(1, CALM)  # and a newer device counts again
    assert ward.scores[-1].components[3].source == "device"


def test_a_single_spot_pressure_is_scored_as_it_was_read() -> None:
    ward = Ward(alarms_on=False)
    ward.run(2, {"systolic_bp": 90.0}, every=2)
    part = ward.scores[-1].components[3]
    assert (part.points, part.value) == (3, 90.0)


def test_a_vital_of_bad_quality_is_not_scored() -> None:
    ward = Ward(alarms_on=False)
    ward.run(10, CALM)
    ward.run(10, CALM | {"spo2": 80.0}, quality=0.2)
    assert ward.scores[-1].components[1].points == 0


def test_a_set_becomes_an_observation_when_a_person_validates_it() -> None:
    ward = Ward(alarms_on=False)
    ward.run(5, CALM)
    refused = ward.enter("validated", None)
    assert (refused.done, refused.reason) == (
        False,
        "not complete: oxygen, consciousness missing",
    )
    ward.enter("oxygen", "air")
    ward.enter("consciousness", "A")
    ward.run(1, CALM)
    assert ward.enter("validated", None).done
    row = ward.scores[-1]
    assert (row.validated_by, row.score, row.complete) == ("I. Roux", 0, True)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"kind": "mood", "value": 1}, "expected kind"),
        ({"kind": "consciousness", "value": "a"}, "A, C, V, P or U"),
        ({"kind": "oxygen", "value": True}, "air or oxygen"),
        ({"kind": "spo2_scale", "value": 3}, "1 or 2"),
        ({"kind": "systolic_bp", "value": "120"}, "a number"),
        ({"kind": "systolic_bp", "value": 900}, "30 to 320"),
        ({"kind": "systolic_bp", "value": 120, "unit": "kg"}, "a unit of systolic_bp"),
        ({"kind": "temperature", "value": float("nan")}, "a number"),
        ({"kind": "oxygen", "value": "air", "at": T0 + 10**12}, "not in the future, got 20"),
        ({"kind": "oxygen", "value": "air", "at": 2**62}, "got 2116-02-20T23:53:38.427387904Z"),
        ({"kind": "oxygen", "value": "air", "at": 2**70}, f"got {2**70}"),
        ({"kind": "oxygen", "value": "air", "at": "now"}, "got 'now'"),
        ({"kind": "oxygen", "value": "air", "at": -(2**62)}, "a time since 1970"),
        ({"kind": "oxygen", "value": "air", "valid_s": 0}, "expected valid_s"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_in_words(body: dict[str, object], why: str) -> None:
    outcome = Ward(alarms_on=False).give("entry", body)
    assert not outcome.done
    assert why in outcome.reason
    assert outcome.reason.startswith("expected")


def test_an_entry_for_everybody_is_refused() -> None:
    outcome = Ward(alarms_on=False).give("entry", {"kind": "oxygen", "value": "air"}, None)
    assert outcome.reason == "expected a patient: this is never done for all at once"


def test_an_older_entry_does_not_replace_a_newer_one() -> None:
    ward = Ward(alarms_on=False)
    ward.run(10, CALM)
    ward.enter("consciousness", "V")
    outcome = ward.enter("consciousness", "A", at=T0)
    assert (outcome.done, outcome.reason) == (False, "there is a newer one of its kind")


def test_entries_and_notes_are_said_for_the_patients_journal() -> None:
    ward = Ward(alarms_on=False)
    ward.enter("consciousness", "V")
    ward.enter("temperature", 100.4, unit="[degF]")
    assert ward.give("entry", {"kind": "note", "value": " seen\nasleep "}).done
    said = [(one.kind, one.value, one.actor) for told in ward.said for one in told.entries]
    assert said == [
        ("consciousness", "V", "I. Roux"),
        ("temperature", "38", "I. Roux"),
        ("note", "seen\nasleep", "I. Roux"),
    ]


@pytest.mark.parametrize("value", ["", "  ", None, 7, "x" * 1_001, "bell \x07"])
def test_a_note_that_is_none_is_refused(value: object) -> None:
    ward = Ward(alarms_on=False)
    outcome = ward.give("entry", {"kind": "note", "value": value})
    assert not outcome.done
    assert outcome.reason.startswith("expected value:")
    assert not any(told.entries for told in ward.said)
