"""What people do with alarms: taken, paused, closed, seen, noted; what calls again."""

from __future__ import annotations

from math import nan

import pytest

from ingest.instant import MINUTE, SECOND
from tests.support.assessed import (
    FAIR,
    FAST,
    FAST_RULE,
    NEARLY,
    Ward,
    alarmed,
    settled,
    story,
)
from tests.support.twins import T0
from twin.judgement import AlarmEvent, AlarmState, Priority


def test_taking_it_names_who_has_it_and_it_closes_when_the_condition_is_gone() -> None:
    ward = alarmed()
    taken = ward.newest(FAST_RULE)
    assert ward.give("acknowledge", {"alarm": taken.id}).done
    row = ward.newest(FAST_RULE)
    assert (row.state, row.taken_by, row.actor) == (AlarmState.ACKNOWLEDGED, "I. Roux", "I. Roux")
    gone = ward.second
    rows = ward.run(240, FAIR)
    assert story(rows) == ["closed"]
    assert (rows[0].outcome, rows[0].taken_by) == ("cleared", "I. Roux")
    assert 190 <= (rows[0].at - T0) / SECOND - gone <= 215  # 10 s clear it, 3 min it rests


def test_what_comes_again_within_three_minutes_stays_with_who_has_it_and_calls_nobody() -> None:
    ward = settled()
    ward.run(60, NEARLY)
    taken = ward.newest(FAST_RULE)
    ward.give("acknowledge", {"alarm": taken.id})
    rows = ward.run(90, FAIR) + ward.run(90, NEARLY) + ward.run(90, FAIR) + ward.run(60, NEARLY)
    assert [row for row in rows if row.rule == FAST_RULE] == []
    assert ward.newest(FAST_RULE).id == taken.id
    ward.run(60, {"heart_rate": 200.0})
    worse = ward.newest(FAST_RULE)
    assert (worse.id, worse.event) == (taken.id, AlarmEvent.ALARMED_AGAIN)
    assert (worse.priority, worse.taken_by) == (Priority.HIGH, "")
    assert ward.give("acknowledge", {"alarm": taken.id}).done
    rows = ward.run(240, FAIR)
    assert [row.event for row in rows if row.rule == FAST_RULE] == [AlarmEvent.CLOSED]
    ward.run(60, NEARLY)
    again = ward.newest(FAST_RULE)  # and after that it is a new one
    assert (again.event, again.id != taken.id) == (AlarmEvent.RAISED, True)


def test_a_taken_alarm_that_rests_over_a_snapshot_still_closes() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(FAST_RULE).id})
    ward.run(60, FAIR)
    kept = ward.twin.assessment.capture(0)
    ward.twin.assessment.restore(0, kept)
    rows = ward.run(180, FAIR)
    assert [(row.event, row.outcome) for row in rows] == [(AlarmEvent.CLOSED, "cleared")]


def test_of_two_people_the_first_in_the_journal_has_it() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(FAST_RULE).id}
    assert ward.give("acknowledge", named, actor="A. Blanc").done
    second = ward.give("acknowledge", named, actor="B. Noir")
    assert (second.done, second.reason) == (False, "already taken by A. Blanc")
    assert ward.newest(FAST_RULE).taken_by == "A. Blanc"


def test_a_closed_alarm_cannot_be_taken() -> None:
    ward = settled({"heart_rate": 70.0})
    ward.run(60, {"heart_rate": 140.0})
    ward.run(60, {"heart_rate": 110.0})
    closed = ward.newest("heart_rate/high")
    outcome = ward.give("acknowledge", {"alarm": closed.id})
    assert (outcome.done, outcome.reason) == (False, "the alarm is closed already (cleared)")


def test_a_taken_alarm_calls_again_when_it_gets_worse() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(FAST_RULE).id})
    rows = ward.run(60, {"heart_rate": 200.0})
    assert story(rows)[0] == "alarmed_again"
    assert (rows[0].reason, rows[0].taken_by) == ("worse", "")


def test_a_taken_alarm_calls_again_after_ten_minutes() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(FAST_RULE).id})
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
    named = {"alarm": ward.newest(FAST_RULE).id}
    assert "take it first" in ward.give("close", named | {"outcome": "false"}).reason
    ward.give("acknowledge", named)
    assert "expected outcome" in ward.give("close", named | {"outcome": "fine"}).reason
    assert ward.give("close", named | {"outcome": "false", "reason": "probe off"}).done
    row = ward.newest(FAST_RULE)
    assert (row.state, row.outcome, row.reason) == (AlarmState.CLOSED, "false", "probe off")
    assert story(ward.run(40, FAST)) == ["pending", "raised"]  # it still holds: a new one


def test_a_note_stands_in_the_story() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(FAST_RULE).id}
    assert "expected reason" in ward.give("note", named).reason
    assert ward.give("note", named | {"reason": "nail polish"}).done
    assert ward.newest(FAST_RULE).event == AlarmEvent.NOTE


@pytest.mark.parametrize("named", [{}, {"alarm": 7}, {"alarm": "nowhere"}])
def test_an_act_on_no_alarm_is_refused(named: dict[str, object]) -> None:
    outcome = Ward().give("acknowledge", named)
    assert not outcome.done
    assert "alarm" in outcome.reason


def test_an_act_of_nobody_is_refused() -> None:
    ward = alarmed()
    outcome = ward.give("acknowledge", {"alarm": ward.newest(FAST_RULE).id}, actor=" ")
    assert outcome.reason == "expected actor: who does it"


def test_a_value_that_is_nothing_is_no_worst_value() -> None:
    ward = alarmed()
    ward.give("acknowledge", {"alarm": ward.newest(FAST_RULE).id})
    row = ward.newest(FAST_RULE)
    assert row.worst == row.worst != nan
    assert row.worst >= row.value


def test_who_opens_an_alarm_has_seen_it_once_a_call_and_it_climbs_all_the_same() -> None:
    ward = alarmed()
    named = {"alarm": ward.newest(FAST_RULE).id}
    assert ward.give("seen", named).done
    row = ward.newest(FAST_RULE)
    assert (row.event, row.actor, row.taken_by) == (AlarmEvent.SEEN, "I. Roux", "")
    assert row.state == AlarmState.ACTIVE
    again = ward.give("seen", named)
    assert (again.done, again.reason) == (False, "already seen by I. Roux")
    assert ward.give("seen", named, actor="A. Blanc").done
    ward.run(70, FAST)
    assert ward.newest(FAST_RULE).event == AlarmEvent.ESCALATED
    assert ward.give("acknowledge", named).done
    assert "nobody waits" in ward.give("seen", named, actor="C. Vert").reason
    ward.run(60, {"heart_rate": 200.0})  # worse: it calls again, and is seen again
    assert ward.give("seen", named).done
    assert ward.newest(FAST_RULE).shown == "active"


def test_an_escalated_alarm_stays_so_to_the_eye_when_somebody_sees_it() -> None:
    ward = alarmed()
    ward.run(70, FAST)
    assert ward.give("seen", {"alarm": ward.newest(FAST_RULE).id}).done
    assert ward.newest(FAST_RULE).shown == "escalated"
