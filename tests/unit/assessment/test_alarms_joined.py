"""One cause, one alarm: what joins another, and the score beside the vitals that make it."""

from __future__ import annotations

import pytest

from tests.support.assessed import (
    CALM,
    FAST_RULE,
    NEARLY,
    Ward,
    settled,
)
from twin.judgement import AlarmEvent, AlarmState, Priority
from twin.notify.notice import notices

SLOW = {"heart_rate": 72.0, "spo2": 97.0}
DESATURATED = {"heart_rate": 72.0, "spo2": 80.0}
BOTH = {"heart_rate": 142.0, "spo2": 80.0}
SPO2 = "spo2/low"


def desaturated_then_fast() -> Ward:
    ward = settled(SLOW)
    ward.run(20, DESATURATED)
    ward.run(50, BOTH)
    return ward


def test_a_tachycardia_of_the_same_event_joins_the_desaturation_and_calls_nobody() -> None:
    ward = desaturated_then_fast()
    head, joined = ward.newest(SPO2), ward.newest(FAST_RULE)
    assert (head.priority, head.joined) == (Priority.HIGH, "")
    assert (joined.state, joined.priority) == (AlarmState.ACTIVE, Priority.MEDIUM)
    assert joined.joined == head.id
    called = list(notices(ward.alarms, ["high", "medium"], ""))
    assert {each.alarm for each in called} == {head.id}


def test_who_takes_an_alarm_takes_what_joined_it() -> None:
    ward = desaturated_then_fast()
    head, joined = ward.newest(SPO2), ward.newest(FAST_RULE)
    assert ward.give("acknowledge", {"alarm": head.id}).done
    for rule in (SPO2, FAST_RULE):
        assert ward.newest(rule).state == AlarmState.ACKNOWLEDGED
        assert ward.newest(rule).taken_by == "I. Roux"
    assert ward.newest(FAST_RULE).id == joined.id
    assert "already taken" in ward.give("acknowledge", {"alarm": joined.id}).reason
    rows = ward.run(60, BOTH | {"heart_rate": 175.0})
    assert {(r.rule, r.event) for r in rows} == {
        (FAST_RULE, AlarmEvent.ALARMED_AGAIN)
    }  # worse: calls
    assert {row.joined for row in rows} == {""}


def test_nobody_comes_and_the_first_alarm_climbs_for_both() -> None:
    ward = desaturated_then_fast()
    ward.run(400, BOTH)
    climbed = [row.rule for row in ward.alarms if row.event == AlarmEvent.ESCALATED]
    assert climbed == [SPO2] * 3


def test_when_the_first_is_gone_and_nobody_came_the_joined_one_calls_by_itself() -> None:
    ward = desaturated_then_fast()
    joined = ward.newest(FAST_RULE)
    rows = ward.run(60, SLOW | {"heart_rate": 142.0})
    (alone,) = [row for row in rows if row.rule == FAST_RULE]
    assert alone.event == AlarmEvent.ALARMED_AGAIN
    assert (alone.id, alone.reason, alone.joined) == (joined.id, "alone", "")
    assert ward.newest(SPO2).state == AlarmState.LATCHED
    later = ward.run(320, SLOW | {"heart_rate": 142.0})
    assert [row.rule for row in later if row.event == AlarmEvent.ESCALATED] == [FAST_RULE]


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        (NEARLY | {"spo2": 97.0}, {"heart_rate": 142.0, "spo2": 80.0}, 0),  # a more urgent one
        (DESATURATED, BOTH, 330),  # long after the call
    ],
)
def test_what_is_more_urgent_or_comes_much_later_calls_by_itself(
    first: dict[str, float], second: dict[str, float], apart: int
) -> None:
    ward = settled(SLOW)
    ward.run(60, first)
    ward.run(apart, first)
    for row in ward.run(60, second):
        assert row.joined == ""
    assert {row.rule for row in ward.alarms if row.event == AlarmEvent.RAISED} == {SPO2, FAST_RULE}


def test_what_another_patient_has_joins_nothing() -> None:
    ward = Ward()
    ward.run_all(60, lambda _second: {"p1": SLOW, "p2": SLOW})
    ward.run_all(60, lambda _second: {"p1": DESATURATED, "p2": {"heart_rate": 142.0}})
    assert len([row for row in ward.alarms if row.event == AlarmEvent.RAISED]) == 2
    assert {row.joined for row in ward.alarms} == {""}


def test_a_score_of_nothing_but_vitals_that_alarm_already_raises_no_second_alarm() -> None:
    ward = settled(SLOW | {"respiratory_rate": 16.0})
    ward.run(420, {"heart_rate": 80.0, "spo2": 87.0, "respiratory_rate": 28.0})  # 3 + 3
    assert ward.twin.assessment.known.memory.of["total"].max() == 6
    raised = {row.rule for row in ward.alarms if row.event == AlarmEvent.RAISED}
    assert raised == {SPO2, "respiratory_rate/high"}
    ward.run(420, {"heart_rate": 100.0, "spo2": 87.0, "respiratory_rate": 28.0})  # 3 + 3 + 1
    assert ward.newest("news2/high").priority == Priority.HIGH


def test_the_score_alarms_after_five_minutes_but_not_beside_the_vital_that_makes_it() -> None:
    ward = settled(CALM)
    rows = ward.run(420, CALM | {"spo2": 84.0})
    assert {row.rule for row in rows} == {"spo2/low"}  # a single 3 that has its alarm: one cause
    ward = settled(CALM)
    rows = ward.run(420, CALM | {"heart_rate": 125.0, "respiratory_rate": 22.0, "spo2": 95.0})
    raised = next(row for row in rows if row.event == AlarmEvent.RAISED)
    assert (raised.rule, raised.priority, raised.value) == ("news2/high", Priority.MEDIUM, 5.0)
