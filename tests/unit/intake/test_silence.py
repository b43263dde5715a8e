"""Typed silence: judged on ticks, by what is known of the device."""

from __future__ import annotations

import pytest

from tests.support.intake_line import IntakeLine
from twin.device_report import SystemCause


def heard(seconds: int = 30, device: str = "watch") -> IntakeLine:
    """A line whose device has sent once a second for so long."""
    line = IntakeLine()
    line.tick()
    for _ in range(seconds):
        line.send(device=device)
        line.tick()
    return line


def test_a_device_that_stops_is_late_after_a_minute_and_is_heard_again() -> None:
    line = heard()
    line.run(59)
    assert line.silences() == []
    line.run(3)
    assert line.silences() == ["late"]
    line.send()
    line.tick()
    assert line.silences() == ["late", ""]


def test_a_slow_device_may_be_silent_for_three_of_its_intervals() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(device="cgm", expected_interval_s={"glucose": 300})
    line.send(device="cgm", signal="glucose", value=110)
    line.run(895)
    assert line.silences("cgm") == []
    line.run(10)
    assert line.silences("cgm") == ["late"]


def test_the_interval_is_learned_where_nothing_is_declared() -> None:
    line = IntakeLine()
    line.tick()
    for _ in range(30):
        line.send(signal="glucose", value=110.0)
        line.tick()
    line.run(70)
    assert line.silences() == ["late"]


def test_a_cuff_that_was_bound_before_it_measured_may_be_silent_for_hours() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(device="cuff", kind="binding", **{"from": None, "to": None})
    line.say(device="cuff", battery=0.8)
    line.send(device="cuff", signal="systolic_bp", value=120.0)
    line.run(1_000)
    assert line.silences("cuff") == []


def test_a_bound_device_that_never_spoke_is_never_seen() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(kind="binding", **{"from": None, "to": None})
    line.run(65)
    assert line.silences() == ["never_seen"]


def test_a_device_whose_binding_has_ended_is_not_waited_for() -> None:
    line = heard()
    line.declare(kind="binding", **{"from": None, "to": 0 + line.records[-1].record.at})
    line.run(120)
    assert line.silences() == []


def test_off_the_body_is_said_at_once_and_taken_back_at_once() -> None:
    line = heard()
    line.say(contact=False)
    line.tick()
    assert line.silences() == ["body_off"]
    line.say(contact=True)
    line.tick()
    assert line.silences() == ["body_off", ""]


def test_the_last_will_makes_it_the_radio_sooner() -> None:
    line = heard()
    line.say(online=False)
    line.run(14)
    assert line.silences() == ["radio"]


def test_an_empty_battery_explains_silence() -> None:
    line = heard()
    line.say(battery=0.03)
    line.run(65)
    assert line.silences() == ["battery"]
    assert line.reports()[-1]["battery"] == pytest.approx(0.03)


def test_a_gateway_that_is_offline_silences_its_devices() -> None:
    line = heard(device="gw/watch")
    line.say("gw", patient="", online=False)
    line.run(14)
    assert line.silences("gw/watch") == ["gateway"]
    line.say("gw", patient="", online=True)
    line.send(device="gw/watch")
    line.tick()
    assert line.silences("gw/watch") == ["gateway", ""]


def test_a_device_whose_stamps_are_refused_is_silent_for_its_clock() -> None:
    line = heard()
    for _ in range(70):
        line.say(stamps_refused=True)
        line.tick()
    assert line.silences() == ["clock"]


def test_a_device_of_which_everything_is_refused_speaks_in_vain_and_was_not_never_seen() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(kind="binding", **{"from": None, "to": None})
    line.say(refused=True)
    line.run(65)
    assert line.silences() == ["unusable"]
    line.run(600)
    line.send()
    line.tick()
    assert line.silences() == ["unusable", ""]


def test_a_device_that_was_heard_and_then_only_refused_is_not_late_but_unusable() -> None:
    line = heard()
    for _ in range(70):
        line.say(refused=True, battery=0.02)  # its own word of a battery makes nothing usable
        line.tick()
    assert line.silences() == ["unusable"]
    line.run(120)
    assert line.silences() == ["unusable", "battery"]


def test_one_refusal_before_a_silence_does_not_explain_it() -> None:
    line = heard()
    line.say(refused=True)
    line.run(65)
    assert line.silences() == ["late"]


def test_without_a_broker_it_is_the_broker() -> None:
    line = heard()
    line.broker = False
    line.run(65)
    assert line.silences() == ["broker"]
    line.broker = True
    line.run(2)
    causes = [event.cause for event in line.events]
    assert causes == [SystemCause.BROKER_LOST, SystemCause.BROKER_BACK]


def test_after_a_gap_in_the_ticks_nobody_falls_silent_for_half_a_minute() -> None:
    line = heard()
    line.run(50)
    line.tick(3_600)
    line.run(20)
    assert line.silences() == []
    line.run(15)
    assert line.silences() == ["late"]
    (gap,) = line.events
    assert (gap.cause, gap.seconds) == (SystemCause.INGEST_GAP, 3_600)


def test_a_gap_is_no_silence_of_devices_that_speak_after_it() -> None:
    line = heard()
    line.tick(3_600)
    for _ in range(100):
        line.send()
        line.tick()
    assert line.silences() == []


def test_a_stepped_clock_is_an_event_with_its_size() -> None:
    line = heard()
    line.tick(121, stepped=True)
    line.tick(-59, stepped=True)
    steps = [(event.cause, event.seconds) for event in line.events]
    assert steps == [(SystemCause.CLOCK_STEPPED, 120.0), (SystemCause.CLOCK_STEPPED, -60.0)]


def test_a_wrong_command_is_refused_with_what_was_expected() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(delay_s="soon")
    line.declare(expected_interval_s={"heart_rate": -1})
    reasons = [o.reason for o in line.outputs if hasattr(o, "done") and not o.done]
    assert "delay_s" in reasons[0]
    assert "above 0 s" in reasons[1]
