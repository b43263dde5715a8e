"""Limits: what holds for whom, and what is refused."""

from __future__ import annotations

import pytest

from tests.support.assessed import Ward
from twin.judgement import AlarmEvent, Priority

OWN = {"signal": "heart_rate", "priority": "medium", "high": 100.0, "reason": "beta blocker"}


def raised(ward: Ward) -> list[tuple[str, float, Priority]]:
    return [(r.patient, r.limit, r.priority) for r in ward.alarms if r.event == AlarmEvent.RAISED]


def test_the_nearest_level_holds_and_the_alarm_names_who_set_it_and_why() -> None:
    ward = Ward()
    assert ward.give("limits", OWN | {"high": 120.0}, None).done  # the ward's
    assert ward.give("limits", OWN, "p1").done
    ward.run_all(60, lambda _: {"p1": {"heart_rate": 112.0}, "p2": {"heart_rate": 112.0}})
    assert raised(ward) == [("p1", 100.0, Priority.MEDIUM)]
    row = next(r for r in ward.alarms if r.event == AlarmEvent.RAISED)
    assert (row.limit_by, row.limit_reason) == ("I. Roux", "beta blocker")


def test_what_was_set_is_told_and_removing_it_brings_the_level_before_back() -> None:
    ward = Ward()
    ward.give("limits", OWN, "p1")
    (told,) = ward.said[-1].limits
    assert (told.patient, told.high, told.author, told.removed) == ("p1", 100.0, "I. Roux", False)
    assert told.review_at > told.at
    assert ward.give("limits", OWN | {"remove": True}, "p1").done
    ward.run(60, {"heart_rate": 112.0})
    assert raised(ward) == []


def test_a_profile_holds_for_the_patients_who_have_it() -> None:
    ward = Ward()
    assert ward.give("limits", OWN | {"profile": "cardiac"}, None).done
    assert ward.give("limits", {"profile": "cardiac"}, "p1").done
    ward.run_all(60, lambda _: {"p1": {"heart_rate": 112.0}, "p2": {"heart_rate": 112.0}})
    assert raised(ward) == [("p1", 100.0, Priority.MEDIUM)]


def test_scale_2_has_limits_of_its_own() -> None:
    ward = Ward()
    ward.enter("spo2_scale", 2)
    ward.run(90, {"spo2": 88.0})
    assert raised(ward) == []
    ward.enter("oxygen", "oxygen")
    ward.run(90, {"spo2": 99.0})
    assert raised(ward) == [("p1", 96.0, Priority.MEDIUM)]


def test_limits_that_change_while_a_vital_is_beyond_close_its_alarm_or_keep_it() -> None:
    ward = Ward()
    ward.run(60, {"heart_rate": 70.0})
    ward.run(60, {"heart_rate": 140.0})
    for priority in ("medium", "high"):
        ward.give("limits", {"signal": "heart_rate", "priority": priority, "reason": "x"}, "p1")
    ward.run(1, {"heart_rate": 140.0})
    row = ward.newest("heart_rate/high")
    assert (row.state.value, row.outcome) == ("closed", "limits_changed")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"low": 130.0}, "expected low < high, got 130 and 100"),
        ({"low": 100.0}, "expected low < high"),
        ({"unit": "kg"}, "expected unit: one of /min"),
        ({"signal": "mood"}, "expected signal: one of"),
        ({"priority": "low"}, "expected priority: high or medium"),
        ({"reason": " "}, "expected reason"),
        ({"high": 900.0}, "15 to 320 /min"),
        ({"high": "fast"}, "a number or nothing"),
        ({"delay_s": -1}, "expected delay_s"),
        ({"hysteresis": 1e6}, "expected hysteresis"),
        ({"review_at": 5}, "expected review_at"),
        ({"high": 30.0}, "of two priorities"),
        ({"profile": 3}, "expected profile"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_and_changes_nothing(
    change: dict[str, object], why: str
) -> None:
    ward = Ward()
    outcome = ward.give("limits", OWN | change, "p1")
    assert not outcome.done
    assert why in outcome.reason
    ward.run(60, {"heart_rate": 112.0})
    assert raised(ward) == []


def test_a_limit_in_another_unit_is_kept_in_the_canonical_one() -> None:
    ward = Ward()
    body = {"signal": "glucose", "priority": "medium", "low": 4.5, "unit": "mmol/L", "reason": "x"}
    assert ward.give("limits", body, "p1").done
    assert ward.said[-1].limits[0].low == pytest.approx(81.07, abs=0.01)


@pytest.mark.parametrize(("side", "limit", "value"), [("high", 100.0, 112.0), ("low", 60.0, 50.0)])
def test_a_high_limit_nearer_than_the_medium_one_raises(
    side: str, limit: float, value: float
) -> None:
    """The ward's medium limits are 41 and 130: who sets a high one at 100 means 100."""
    ward = Ward()
    ward.give("limits", OWN | {"priority": "high", "high": None, side: limit}, "p1")
    ward.run(60, {"heart_rate": 80.0})
    ward.run(60, {"heart_rate": value})
    assert raised(ward) == [("p1", limit, Priority.HIGH)]
    pending = next(row for row in ward.alarms if row.event == AlarmEvent.PENDING)
    assert pending.limit == limit
    ward.run(30, {"heart_rate": 80.0})
    assert ward.newest(f"heart_rate/{side}").event == AlarmEvent.LATCHED


def test_the_nearer_limit_is_looked_ahead_for_whichever_priority_it_is_of() -> None:
    ward = Ward()
    ward.give("limits", {"signal": "glucose", "priority": "high", "low": 160.0, "reason": "x"})
    ward.run(20 * 60, lambda second: {"glucose": 230.0 - second / 60 * 3.8}, every=300)
    assert "glucose/low/forecast" in {row.rule for row in ward.alarms}
