"""Alarms through the whole step: delay, hysteresis, latching, time; what raises none."""

from __future__ import annotations

import random

import pytest

from ingest.instant import SECOND
from tests.support.assessed import (
    CALM,
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
from twin.judgement import AlarmEvent, AlarmKind, AlarmState, Priority


def test_a_vital_beyond_its_limit_is_pending_then_active_with_value_and_limit() -> None:
    rows = settled().run(40, FAST)
    assert story(rows) == ["pending", "raised"]
    pending, raised = rows
    assert pending.id == raised.id
    assert (raised.state, raised.priority) == (AlarmState.ACTIVE, Priority.HIGH)
    assert (raised.rule, raised.cause, raised.side) == (FAST_RULE, "above_limit", "high")
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


def test_an_alarm_says_what_was_measured_and_not_what_the_filter_expects_by_now() -> None:
    ward = settled()
    assert "raised" in story(ward.run(40, FAST))
    rows = [row for row in ward.wait(600) if row.rule == FAST_RULE]
    assert {"unverified", "escalated"} <= set(story(rows))
    for row in rows:  # of someone whose pulse was usual a minute before
        assert row.value == pytest.approx(FAST["heart_rate"], abs=1.5)
        assert row.worst >= row.value > row.limit
        assert row.probability >= 0.8


@pytest.mark.parametrize("every", [5, 15, 30, 60])
def test_a_pulse_that_stays_beyond_its_limit_alarms_within_a_few_readings_however_rare(
    every: int,
) -> None:
    """Between two readings the filter does not take it that the person is well again."""
    ward = Ward()
    ward.run(15 * every, {"heart_rate": 72.0}, every=every)
    rows = ward.run(max(60, 4 * every), {"heart_rate": 140.0}, every=every)
    assert "raised" in story(rows)


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
    latched = ward.newest(FAST_RULE)
    assert ward.give("acknowledge", {"alarm": latched.id}).done
    assert story(ward.alarms[-2:]) == ["acknowledged", "closed"]
    assert ward.alarms[-1].taken_by == "I. Roux"


def test_what_comes_again_before_anybody_has_seen_it_is_the_same_alarm_and_calls_again() -> None:
    ward = alarmed()
    ward.run(60, FAIR)
    latched = ward.newest(FAST_RULE)
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
    assert ward.newest(FAST_RULE).taken_by == "I. Roux"


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
