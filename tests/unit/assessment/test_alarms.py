"""Alarms through the whole step: delay, hysteresis, latching, people, time; what raises none."""

from __future__ import annotations

import random
from math import nan

import pytest

from ingest.instant import MINUTE, SECOND
from tests.support.assessed import CALM, Ward, story
from tests.support.twins import T0
from twin.judgement import AlarmEvent, AlarmKind, AlarmState, Priority
from twin.notify.notice import notices

FAIR = {"heart_rate": 70.0}
NEARLY = {"heart_rate": 140.0}  # beyond the outer limit
FAST = {"heart_rate": 170.0}  # beyond the sharper one
RULE = "heart_rate/high"


def settled(values: dict[str, float] | None = None) -> Ward:
    ward = Ward()
    ward.run(60, values or FAIR)
    return ward


def alarmed() -> Ward:
    ward = settled()
    ward.run(20, FAST)
    return ward


def test_a_vital_beyond_its_limit_is_pending_then_active_with_value_and_limit() -> None:
    rows = settled().run(40, FAST)
    assert story(rows) == ["pending", "raised"]
    pending, raised = rows
    assert pending.id == raised.id
    assert (raised.state, raised.priority) == (AlarmState.ACTIVE, Priority.HIGH)
    assert (raised.rule, raised.cause, raised.side) == (RULE, "above_limit", "high")
    assert raised.limit == 150.0
    assert raised.value == pytest.approx(170.0, abs=3.0)
    assert raised.probability >= 0.8
    assert raised.model.startswith("base-")
    assert 4 <= (raised.at - T0) / SECOND - 60 <= 12


def test_the_delay_is_shorter_the_further_a_vital_is_beyond() -> None:
    def after(value: float) -> int:
        row = settled().run(50, {"heart_rate": value})[-1]
        assert row.event == AlarmEvent.RAISED
        return (row.at - T0) // SECOND - 60

    assert after(180.0) < after(162.0) < after(136.0)


def test_beyond_the_outer_limit_alone_it_is_medium_and_rises_when_it_gets_worse() -> None:
    ward = settled()
    (_, raised) = ward.run(60, NEARLY)
    assert (raised.priority, raised.limit) == (Priority.MEDIUM, 130.0)
    rows = ward.run(60, FAST)
    assert story(rows) == ["alarmed_again"]
    assert (rows[0].priority, rows[0].limit, rows[0].id) == (Priority.HIGH, 150.0, raised.id)


def test_a_condition_that_goes_before_its_delay_subsides() -> None:
    ward = settled()
    rows = ward.run(7, NEARLY) + ward.run(60, FAIR)
    if rows:
        assert story(rows) == ["pending", "closed"]
        assert rows[-1].outcome == "subsided"
    assert not [row for row in rows if row.event == AlarmEvent.RAISED]


@pytest.mark.parametrize("every", [1, 5, 60])
def test_a_single_spike_raises_nothing(every: int) -> None:
    ward = Ward()
    ward.run(10 * every, CALM, every=every)
    for signal, value in (("spo2", 50.0), ("heart_rate", 200.0), ("respiratory_rate", 60.0)):
        ward.run(every, CALM | {signal: value}, every=every)
        ward.run(3 * every, CALM, every=every)
    assert not [row for row in ward.alarms if row.event == AlarmEvent.RAISED]


def test_bad_quality_raises_nothing_about_the_patient_but_itself_after_two_minutes() -> None:
    ward = settled()
    rows = ward.run(180, FAST, quality=0.2)
    assert story(rows) == ["raised"]
    raised = rows[-1]
    assert (raised.kind, raised.priority) == (AlarmKind.TECHNICAL, Priority.LOW)
    assert (raised.rule, raised.signal) == ("signal_quality", "")
    assert 118 <= (raised.at - T0) / SECOND - 60 <= 125
    assert story(ward.run(5, FAIR)) == ["closed"]


def test_an_active_alarm_does_not_clear_on_bad_data_it_becomes_unverified() -> None:
    ward = alarmed()
    rows = ward.run(20, FAIR, quality=0.1)
    assert story(rows) == ["unverified"]
    assert (rows[0].state, rows[0].shown) == (AlarmState.ACTIVE, "unverified")
    rows = ward.run(3, FAST)
    assert story(rows) == ["verified"]


def test_without_any_data_an_active_alarm_becomes_unverified_after_a_minute() -> None:
    ward = alarmed()
    assert "unverified" not in story(ward.wait(55))
    assert "unverified" in story(ward.wait(20))


def test_data_received_a_minute_after_their_stamp_raise_no_live_alarm() -> None:
    ward = Ward()
    assert ward.run(200, FAST, late=90.0) == []


def test_it_clears_only_well_inside_the_limit_and_after_ten_seconds() -> None:
    ward = settled({"heart_rate": 70.0})
    ward.run(60, {"heart_rate": 140.0})
    assert story(ward.run(60, {"heart_rate": 128.0})) == []  # inside, but not by the hysteresis
    rows = ward.run(60, {"heart_rate": 110.0})
    assert story(rows) == ["closed"]  # medium does not latch
    assert (rows[0].outcome, rows[0].taken_by) == ("cleared", "")


def test_a_high_alarm_that_nobody_took_latches_until_somebody_has_seen_it() -> None:
    ward = alarmed()
    assert story(ward.run(60, FAIR)) == ["latched"]
    latched = ward.newest(RULE)
    assert ward.give("acknowledge", {"alarm": latched.id}).done
    assert story(ward.alarms[-2:]) == ["acknowledged", "closed"]
    assert ward.alarms[-1].taken_by == "I. Roux"


def test_what_comes_again_before_anybody_has_seen_it_is_the_same_alarm_and_calls_again() -> None:
    ward = alarmed()
    ward.run(60, FAIR)
    latched = ward.newest(RULE)
    rows = ward.run(20, FAST)
    assert story(rows) == ["pending", "closed", "alarmed_again"]
    assert (rows[1].id, rows[1].outcome) == (rows[0].id, "replaced")
    again = rows[2]
    assert (again.id, again.since, again.reason) == (latched.id, latched.since, "recurred")
    assert (again.state, again.priority) == (AlarmState.ACTIVE, Priority.HIGH)
    climbed = ward.run(90, FAST)
    assert story(climbed) == ["escalated"]  # nobody comes: by time, from the new call on
    assert 55 <= (climbed[0].at - again.at) / SECOND <= 65
    assert ward.give("acknowledge", {"alarm": latched.id}).done
    assert ward.newest(RULE).taken_by == "I. Roux"


def test_taking_it_names_who_has_it_and_it_closes_when_the_condition_is_gone() -> None:
    ward = alarmed()
    taken = ward.newest(RULE)
    assert ward.give("acknowledge", {"alarm": taken.id}).done
    row = ward.newest(RULE)
    assert (row.state, row.taken_by, row.actor) == (AlarmState.ACKNOWLEDGED, "I. Roux", "I. Roux")
    gone = ward.second
    rows = ward.run(240, FAIR)
    assert story(rows) == ["closed"]
    assert (rows[0].outcome, rows[0].taken_by) == ("cleared", "I. Roux")
    assert 190 <= (rows[0].at - T0) / SECOND - gone <= 215  # 10 s clear it, 3 min it rests


def test_what_comes_again_within_three_minutes_stays_with_who_has_it_and_calls_nobody() -> None:
    ward = settled()
    ward.run(60, NEARLY)
    taken = ward.newest(RULE)
    ward.give("acknowledge", {"alarm": taken.id})
    rows = ward.run(90, FAIR) + ward.run(90, NEARLY) + ward.run(90, FAIR) + ward.run(60, NEARLY)
    assert [row for row in rows if row.rule == RULE] == []
    assert ward.newest(RULE).id == taken.id
    ward.run(60, {"heart_rate": 200.0})
    worse = ward.newest(RULE)
    assert (worse.id, worse.event) == (taken.id, AlarmEvent.ALARMED_AGAIN)
    assert (worse.priority, worse.taken_by) == (Priority.HIGH, "")
    assert ward.give("acknowledge", {"alarm": taken.id}).done
    rows = ward.run(240, FAIR)
    assert [row.event for row in rows if row.rule == RULE] == [AlarmEvent.CLOSED]
    ward.run(60, NEARLY)
    again = ward.newest(RULE)  # and after that it is a new one
    assert (again.event, again.id != taken.id) == (AlarmEvent.RAISED, True)


def test_a_taken_alarm_that_rests_over_a_snapshot_still_closes() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(RULE).id})
    ward.run(60, FAIR)
    kept = ward.twin.assessment.capture(0)
    ward.twin.assessment.restore(0, kept)
    rows = ward.run(180, FAIR)
    assert [(row.event, row.outcome) for row in rows] == [(AlarmEvent.CLOSED, "cleared")]


# --- one cause, one alarm -----------------------------------------------------------------------

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
    head, joined = ward.newest(SPO2), ward.newest(RULE)
    assert (head.priority, head.joined) == (Priority.HIGH, "")
    assert (joined.state, joined.priority) == (AlarmState.ACTIVE, Priority.MEDIUM)
    assert joined.joined == head.id
    called = list(notices(ward.alarms, ["high", "medium"], ""))
    assert {each.alarm for each in called} == {head.id}


def test_who_takes_an_alarm_takes_what_joined_it() -> None:
    ward = desaturated_then_fast()
    head, joined = ward.newest(SPO2), ward.newest(RULE)
    assert ward.give("acknowledge", {"alarm": head.id}).done
    for rule in (SPO2, RULE):
        assert ward.newest(rule).state == AlarmState.ACKNOWLEDGED
        assert ward.newest(rule).taken_by == "I. Roux"
    assert ward.newest(RULE).id == joined.id
    assert "already taken" in ward.give("acknowledge", {"alarm": joined.id}).reason
    rows = ward.run(60, BOTH | {"heart_rate": 175.0})
    assert {(r.rule, r.event) for r in rows} == {(RULE, AlarmEvent.ALARMED_AGAIN)}  # worse: calls
    assert {row.joined for row in rows} == {""}


def test_nobody_comes_and_the_first_alarm_climbs_for_both() -> None:
    ward = desaturated_then_fast()
    ward.run(400, BOTH)
    climbed = [row.rule for row in ward.alarms if row.event == AlarmEvent.ESCALATED]
    assert climbed == [SPO2] * 3


def test_when_the_first_is_gone_and_nobody_came_the_joined_one_calls_by_itself() -> None:
    ward = desaturated_then_fast()
    joined = ward.newest(RULE)
    rows = ward.run(60, SLOW | {"heart_rate": 142.0})
    (alone,) = [row for row in rows if row.rule == RULE]
    assert alone.event == AlarmEvent.ALARMED_AGAIN
    assert (alone.id, alone.reason, alone.joined) == (joined.id, "alone", "")
    assert ward.newest(SPO2).state == AlarmState.LATCHED
    later = ward.run(320, SLOW | {"heart_rate": 142.0})
    assert [row.rule for row in later if row.event == AlarmEvent.ESCALATED] == [RULE]


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
    assert {row.rule for row in ward.alarms if row.event == AlarmEvent.RAISED} == {SPO2, RULE}


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


def test_of_two_people_the_first_in_the_journal_has_it() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(RULE).id}
    assert ward.give("acknowledge", named, actor="A. Blanc").done
    second = ward.give("acknowledge", named, actor="B. Noir")
    assert (second.done, second.reason) == (False, "already taken by A. Blanc")
    assert ward.newest(RULE).taken_by == "A. Blanc"


def test_a_closed_alarm_cannot_be_taken() -> None:
    ward = settled({"heart_rate": 70.0})
    ward.run(60, {"heart_rate": 140.0})
    ward.run(60, {"heart_rate": 110.0})
    closed = ward.newest("heart_rate/high")
    outcome = ward.give("acknowledge", {"alarm": closed.id})
    assert (outcome.done, outcome.reason) == (False, "the alarm is closed already (cleared)")


def test_a_taken_alarm_calls_again_when_it_gets_worse() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(RULE).id})
    rows = ward.run(60, {"heart_rate": 200.0})
    assert story(rows)[0] == "alarmed_again"
    assert (rows[0].reason, rows[0].taken_by) == ("worse", "")


def test_a_taken_alarm_calls_again_after_ten_minutes() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(RULE).id})
    rows = ward.run(620, FAST)
    assert story(rows)[0] == "alarmed_again"
    assert rows[0].reason == "not_handled"
    assert 595 <= (rows[0].at - T0) / SECOND - 80 <= 605


def test_nobody_takes_a_high_alarm_so_it_climbs_step_by_step() -> None:
    ward = settled()
    rows = ward.run(400, FAST)
    raised = rows[1]
    steps = [(r.escalation, (r.at - raised.at) // SECOND) for r in rows if r.escalation]
    assert steps == [(1, 60), (2, 180), (3, 300)]


def test_a_pause_needs_a_reason_and_an_end_and_ends_by_itself() -> None:
    ward = settled({"heart_rate": 70.0})
    ward.run(60, {"heart_rate": 140.0})
    named = {"alarm": ward.newest("heart_rate/high").id}
    for body, why in (
        ({"reason": "care"}, "expected minutes or until: a pause has an end"),
        ({"minutes": 5}, "expected reason: a pause has a reason"),
        ({"minutes": 90, "reason": "care"}, "at most 60 min"),
        ({"until": T0, "reason": "care"}, "ends after now"),
    ):
        outcome = ward.give("pause", named | body)
        assert not outcome.done
        assert why in outcome.reason
    assert ward.give("pause", named | {"minutes": 2, "reason": "care"}).done
    row = ward.newest("heart_rate/high")
    assert (row.shown, row.reason) == ("paused", "care")
    assert row.paused_until == T0 + ward.second * SECOND + 2 * MINUTE
    rows = ward.run(130, {"heart_rate": 140.0})
    assert story(rows) == ["resumed"]
    assert rows[0].shown == "active"


def test_a_worse_condition_breaks_through_a_pause_unless_a_physician_made_it() -> None:
    for role, events in (("nurse", ["alarmed_again"]), ("physician", ["alarmed_again"])):
        ward = settled({"heart_rate": 70.0})
        ward.run(60, {"heart_rate": 140.0})
        named = {"alarm": ward.newest("heart_rate/high").id, "role": role}
        ward.give("pause", named | {"minutes": 5, "reason": "palliative"})
        rows = ward.run(60, {"heart_rate": 170.0})
        assert story(rows) == events
        assert rows[0].shown == ("active" if role == "nurse" else "paused")


def test_a_pause_of_a_signal_holds_for_what_is_raised_later() -> None:
    ward = settled({"heart_rate": 70.0})
    body = {"signal": "heart_rate", "minutes": 5, "reason": "examination"}
    assert ward.give("pause", body).done
    rows = ward.run(60, {"heart_rate": 140.0})
    assert [row.shown for row in rows] == ["pending", "paused"]
    assert ward.give("resume", {"signal": "heart_rate"}).done
    assert ward.newest("heart_rate/high").shown == "active"
    assert ward.give("resume", {"signal": "heart_rate"}).reason == "no pause is in force"


def test_a_person_closes_it_with_what_came_of_it() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(RULE).id}
    assert "take it first" in ward.give("close", named | {"outcome": "false"}).reason
    ward.give("acknowledge", named)
    assert "expected outcome" in ward.give("close", named | {"outcome": "fine"}).reason
    assert ward.give("close", named | {"outcome": "false", "reason": "probe off"}).done
    row = ward.newest(RULE)
    assert (row.state, row.outcome, row.reason) == (AlarmState.CLOSED, "false", "probe off")
    assert story(ward.run(40, FAST)) == ["pending", "raised"]  # it still holds: a new one


def test_a_note_stands_in_the_story() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(RULE).id}
    assert "expected reason" in ward.give("note", named).reason
    assert ward.give("note", named | {"reason": "nail polish"}).done
    assert ward.newest(RULE).event == AlarmEvent.NOTE


@pytest.mark.parametrize("named", [{}, {"alarm": 7}, {"alarm": "nowhere"}])
def test_an_act_on_no_alarm_is_refused(named: dict[str, object]) -> None:
    outcome = Ward().give("acknowledge", named)
    assert not outcome.done
    assert "alarm" in outcome.reason


def test_an_act_of_nobody_is_refused() -> None:
    ward = alarmed()
    outcome = ward.give("acknowledge", {"alarm": ward.newest(RULE).id}, actor=" ")
    assert outcome.reason == "expected actor: who does it"


def test_the_score_alarms_after_five_minutes_but_not_beside_the_vital_that_makes_it() -> None:
    ward = settled(CALM)
    rows = ward.run(420, CALM | {"spo2": 84.0})
    assert {row.rule for row in rows} == {"spo2/low"}  # a single 3 that has its alarm: one cause
    ward = settled(CALM)
    rows = ward.run(420, CALM | {"heart_rate": 125.0, "respiratory_rate": 22.0, "spo2": 95.0})
    raised = next(row for row in rows if row.event == AlarmEvent.RAISED)
    assert (raised.rule, raised.priority, raised.value) == ("news2/high", Priority.MEDIUM, 5.0)


def test_two_cuff_readings_are_needed() -> None:
    ward = Ward()
    ward.run(1, {"systolic_bp": 82.0})
    ward.wait(300)
    assert AlarmEvent.RAISED not in [r.event for r in ward.alarms if r.signal == "systolic_bp"]
    ward.run(1, {"systolic_bp": 81.0})
    ward.wait(2)
    assert ward.newest("systolic_bp/low").event == AlarmEvent.RAISED


def test_while_alarms_are_off_there_are_none_and_switching_off_closes_all() -> None:
    ward = Ward(alarms_on=False)
    assert ward.run(200, FAST) == []
    ward = alarmed()
    assert ward.give("alarm_settings", {"alarms": False}, None).done
    rows = ward.run(2, FAST)
    assert (story(rows), rows[0].outcome) == (["closed"], "limits_changed")
    assert ward.run(60, FAST) == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "expected alarms"),
        ({"alarms": 1}, "expected alarms"),
        ({"alarms": True, "mode": "hospital"}, "expected mode"),
        ({"alarms": True, "mode": "wellness"}, "in wellness mode there are no clinical alarms"),
    ],
)
def test_settings_that_cannot_be_are_refused(body: dict[str, object], why: str) -> None:
    outcome = Ward(alarms_on=False).give("alarm_settings", body, None)
    assert not outcome.done
    assert why in outcome.reason


def test_a_vital_that_will_probably_cross_is_a_silent_advisory() -> None:
    ward = Ward()

    def falling(second: int) -> dict[str, float]:
        return {"glucose": 230.0 - second / 60 * 3.8}

    ward.run(44 * 60, falling, every=300)
    advised = [row for row in ward.alarms if row.kind == AlarmKind.ADVISORY]
    assert advised
    row = next(row for row in advised if row.event == AlarmEvent.RAISED)
    assert (row.priority, row.rule, row.escalation) == (
        Priority.NONE,
        "glucose/low/forecast",
        0,
    )
    assert "calls nobody" in ward.give("acknowledge", {"alarm": row.id}).reason


def test_after_a_gap_in_the_ticks_no_delay_has_passed() -> None:
    ward = settled()
    ward.run(6, NEARLY)
    ward.second += 600
    assert AlarmEvent.RAISED not in {row.event for row in ward.run(2, NEARLY)}


def test_noise_round_a_limit_gives_one_alarm_at_most() -> None:
    rng = random.Random(3)
    ward = settled()
    ward.run(900, lambda _: {"spo2": 89.5 + rng.gauss(0, 1)})
    assert story(ward.alarms).count("raised") <= 1


def test_a_value_that_is_nothing_is_no_worst_value() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(RULE).id})
    row = ward.newest(RULE)
    assert row.worst == row.worst != nan
    assert row.worst >= row.value


@pytest.mark.parametrize(
    ("kind", "body", "patient"),
    [
        ("limits", {"signal": "spo2", "priority": "medium", "low": 88.0, "reason": "known"}, "p1"),
        ("limits", {"signal": "spo2", "priority": "medium", "low": 88.0}, None),
        ("limits", {"profile": "copd"}, "p1"),
        ("limits", {"signal": "spo2", "priority": "high", "remove": True}, None),
        ("pause", {"signal": "spo2", "minutes": 5, "reason": "care"}, "p1"),
        ("alarm_settings", {"alarms": True, "mode": "wellness"}, None),
    ],
)
def test_in_wellness_no_command_configures_an_alarm(
    kind: str, body: dict[str, object], patient: str | None
) -> None:
    ward = settled()
    assert ward.give("alarm_settings", {"alarms": False, "mode": "wellness"}, None).done
    outcome = ward.give(kind, body, patient)
    assert not outcome.done
    assert "in wellness mode there are no clinical alarms" in outcome.reason
    assert ward.run(60, FAST) == []
    assert ward.give("alarm_settings", {"alarms": True, "mode": "research"}, None).done
    ward.run(90, {"spo2": 89.0})
    assert ward.newest("spo2/low").limit == 90.0  # nothing of it was kept


def test_who_opens_an_alarm_has_seen_it_once_a_call_and_it_climbs_all_the_same() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(RULE).id}
    assert ward.give("seen", named).done
    row = ward.newest(RULE)
    assert (row.event, row.actor, row.taken_by) == (AlarmEvent.SEEN, "I. Roux", "")
    assert row.state == AlarmState.ACTIVE
    again = ward.give("seen", named)
    assert (again.done, again.reason) == (False, "already seen by I. Roux")
    assert ward.give("seen", named, actor="A. Blanc").done
    ward.run(70, FAST)
    assert ward.newest(RULE).event == AlarmEvent.ESCALATED
    assert ward.give("acknowledge", named).done
    assert "nobody waits" in ward.give("seen", named, actor="C. Vert").reason
    ward.run(60, {"heart_rate": 200.0})  # worse: it calls again, and is seen again
    assert ward.give("seen", named).done
    assert ward.newest(RULE).shown == "active"


def test_an_escalated_alarm_stays_so_to_the_eye_when_somebody_sees_it() -> None:
    ward = alarmed()
    ward.run(70, FAST)
    assert ward.give("seen", {"alarm": ward.newest(RULE).id}).done
    assert ward.newest(RULE).shown == "escalated"
