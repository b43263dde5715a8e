"""What other systems are told: topics, numbers, and nobody's name."""

from __future__ import annotations

import json
import math

import pytest

from ingest.instant import MINUTE, SECOND
from tests.support.estimates import T0, aged, batch, coasting, observed, revised
from tests.support.judged import alarm, technical
from twin.estimate import Status, Verdict
from twin.judgement import AlarmEvent, AlarmState
from twin.outward.messages import alarm_messages
from twin.outward.present import Present

PREFIX = "twin-out/v1"
CLOSED = {"state": AlarmState.CLOSED, "event": AlarmEvent.CLOSED, "outcome": "acted"}


def told(present: Present, now: float = 0.0) -> dict[str, dict[str, object]]:
    """Bodies of the states that are due, by topic."""
    return {each.topic: json.loads(each.payload) for each in present.take_due(now)}


def test_a_state_has_each_signals_estimate_band_unit_and_status() -> None:
    present = Present(PREFIX)
    present.take_estimates(
        batch(
            observed(T0, 72.0, std=2.0, trend=0.25, scale95=1.5),
            observed(T0 + SECOND, 99.5, signal="spo2", status=Status.LATE),
            model="m7",
        )
    )

    body = told(present)["twin-out/v1/p1/state"]

    assert (body["patient"], body["model"]) == ("p1", "m7")
    signals = body["signals"]
    assert isinstance(signals, dict)
    rate = signals["heart_rate"]
    assert rate["as_of"] == "2025-11-24T16:00:00.000000000Z"
    assert (rate["mean"], rate["std"], rate["trend"]) == (72.0, 2.0, 0.25)
    assert (rate["lo95"], rate["hi95"]) == (pytest.approx(66.1201), pytest.approx(77.8799))
    assert (rate["unit"], rate["status"]) == ("/min", "fresh")
    assert signals["spo2"]["status"] == "late"
    assert signals["spo2"]["hi95"] == 100.0  # no band reaches where the signal cannot be


def test_a_number_that_is_none_is_null() -> None:
    present = Present(PREFIX)
    present.take_estimates(batch(observed(T0, 72.0, trend=math.nan)))
    (body,) = told(present).values()
    assert body["signals"]["heart_rate"]["trend"] is None  # type: ignore[index]


def test_a_patients_state_is_told_once_a_second_at_most_and_only_when_it_changed() -> None:
    present = Present(PREFIX)
    present.take_estimates(batch(observed(T0, 72.0)))
    assert len(told(present, 10.0)) == 1
    present.take_estimates(batch(observed(T0 + SECOND, 73.0), observed(T0, 60.0, "p2")))
    assert list(told(present, 10.5)) == ["twin-out/v1/p2/state"]
    assert list(told(present, 11.0)) == ["twin-out/v1/p1/state"]
    present.take_estimates(batch(observed(T0 + SECOND, 73.0), coasting(T0 + MINUTE)))
    assert told(present, 20.0) == {}
    present.take_estimates(batch(aged(T0 + MINUTE, Status.STALE)))
    (body,) = told(present, 30.0).values()
    assert body["signals"]["heart_rate"]["status"] == "stale"  # type: ignore[index]


def test_what_moved_less_than_is_shown_waits_ten_seconds() -> None:
    present = Present(PREFIX)
    present.take_estimates(batch(observed(T0, 72.0), observed(T0, 37.0, signal="body_temperature")))
    assert len(told(present, 10.0)) == 1
    present.take_estimates(batch(observed(T0 + SECOND, 72.9)))
    assert told(present, 11.0) == {}
    present.take_estimates(batch(observed(T0 + 2 * SECOND, 73.1)))  # by steps, still: from 72
    (body,) = told(present, 12.0).values()
    assert body["signals"]["heart_rate"]["mean"] == 73.1  # type: ignore[index]
    present.take_estimates(batch(observed(T0 + 3 * SECOND, 37.15, signal="body_temperature")))
    assert len(told(present, 13.0)) == 1  # its step is 0.1
    present.take_estimates(batch(observed(T0 + 4 * SECOND, 73.2, std=1.6)))
    assert len(told(present, 14.0)) == 1  # surer or less sure by a unit
    present.take_estimates(batch(observed(T0 + 5 * SECOND, 73.3, std=1.6)))
    assert told(present, 23.9) == {}
    assert len(told(present, 24.0)) == 1
    assert told(present, 40.0) == {}  # nothing new


def test_a_new_signal_is_told_at_once_and_the_longest_unsaid_first() -> None:
    present = Present(PREFIX)
    present.take_estimates(batch(observed(T0, 72.0), observed(T0, 80.0, "p2")))
    told(present, 10.0)
    present.take_estimates(batch(observed(T0 + SECOND, 90.0, "p2")))
    told(present, 11.0)
    present.take_estimates(
        batch(observed(T0 + SECOND, 97.0, signal="spo2"), observed(T0 + 2 * SECOND, 95.0, "p2"))
    )
    assert list(told(present, 12.0)) == ["twin-out/v1/p1/state", "twin-out/v1/p2/state"]


def test_many_patients_of_odd_names_with_different_signals_are_each_themselves() -> None:
    present = Present(PREFIX)
    names = [f'p{n} "\\ é%s' for n in range(300)]
    rows = [observed(T0, 60.0 + n / 10, name) for n, name in enumerate(names)]
    rows += [observed(T0 + n, 95.0, name, "spo2") for n, name in enumerate(names) if n % 2]
    present.take_estimates(batch(*rows))
    bodies = {str(body["patient"]): body["signals"] for body in told(present, 10.0).values()}
    assert set(bodies) == set(names)
    for n, name in enumerate(names):
        signals = bodies[name]
        assert isinstance(signals, dict)
        assert signals["heart_rate"]["mean"] == pytest.approx(60.0 + n / 10)
        assert ("spo2" in signals) == (n % 2 == 1)


def test_neither_what_is_older_nor_what_was_refused_nor_an_unknown_signal_is_told() -> None:
    present = Present(PREFIX)
    present.take_estimates(batch(revised(T0, 50.0), observed(T0, 1.0, signal="nobody_knows")))
    assert told(present) == {}
    present.take_estimates(batch(observed(T0, 72.0)))
    told(present)
    present.take_estimates(
        batch(
            revised(T0 - SECOND, 50.0),
            observed(T0 + SECOND, 190.0, verdict=Verdict.REFUSED),
            observed(T0 - MINUTE, 60.0),
        )
    )
    assert told(present, 9.0) == {}
    present.take_estimates(batch(revised(T0, 71.0)))
    (body,) = told(present, 10.0).values()
    assert body["signals"]["heart_rate"]["mean"] == 71.0  # type: ignore[index]


def test_an_alarm_is_retained_until_it_closes() -> None:
    present = Present(PREFIX)
    (raised,) = present.take_alarm(alarm())
    assert (raised.topic, raised.retain) == ("twin-out/v1/p1/alarm/a1", True)
    body = json.loads(raised.payload)
    assert (body["event"], body["state"], body["priority"]) == ("raised", "active", "high")
    assert (body["value"], body["limit"], body["unit"]) == (83.0, 85.0, "%")
    assert present.say_all() == [raised]

    closed, removed = present.take_alarm(alarm(at=60, **CLOSED))
    assert not closed.retain
    assert json.loads(closed.payload)["outcome"] == "acted"
    assert (removed.topic, removed.payload, removed.retain) == (raised.topic, b"", True)
    assert present.say_all() == []


def test_no_persons_name_and_nothing_that_a_person_wrote_is_told() -> None:
    said = alarm(
        actor="I. Roux",
        taken_by="J. Blanc",
        reason="family is here",
        limit_by="Dr. Noir",
        limit_reason="COPD",
    )
    (message,) = alarm_messages(PREFIX, said)
    for words in ("Roux", "Blanc", "Noir", "family", "COPD"):
        assert words not in message.payload.decode()


def test_a_technical_alarm_of_nobody_and_an_odd_id_have_topics_too() -> None:
    (of_nobody,) = alarm_messages(PREFIX, technical(patient=""))
    assert of_nobody.topic == "twin-out/v1/-/alarm/t1"
    assert json.loads(of_nobody.payload)["limit"] is None
    (odd,) = alarm_messages(PREFIX, alarm(patient="ward/+ #3"))
    assert odd.topic == "twin-out/v1/ward%2F%2B%20%233/alarm/a1"
