"""Technical alarms of silent devices, from what the intake says at a tick."""

from __future__ import annotations

from tests.support.assessed import CALM, Ward, story
from twin.judgement import AlarmKind, Priority


def test_a_device_that_falls_silent_is_a_technical_alarm_with_its_cause_until_it_is_heard() -> None:
    ward = Ward()
    ward.run(60, CALM)
    rows = [row for row in ward.wait(90) if row.kind == AlarmKind.TECHNICAL]
    assert story(rows) == ["raised"]
    (raised,) = rows
    assert (raised.rule, raised.cause, raised.priority) == ("device/late", "late", Priority.LOW)
    assert (raised.patient, raised.count) == ("p1", 1)
    ward.run(2, CALM)
    closed = ward.newest("device/late")
    assert (closed.state.value, closed.outcome) == ("closed", "cleared")


def test_while_alarms_are_off_a_silent_device_is_none_and_it_is_one_when_they_are_on() -> None:
    ward = Ward(alarms_on=False)
    ward.run(60, CALM)
    assert ward.wait(90) == []
    ward.give("alarm_settings", {"alarms": True}, None)
    assert [row.rule for row in ward.wait(1)] == ["device/late"]
