"""What is said of a patient's state and of an alarm: topics and payloads. Pure.

Ids are the pseudonymous ones. No label, no person's name and nothing that a person wrote leaves:
who took an alarm, who set its limit and why stay here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote, unquote

import msgspec
import numpy as np

from ingest.catalogue import CODES, ROWS, SIGNALS
from ingest.instant import format_instant
from ingest.mqtt_publish import Outgoing
from twin.estimate import Status, bands, reach_of
from twin.judgement import Alarm, AlarmState

#: In the patient's place of an alarm that concerns no patient.
NOBODY = "-"
_DIGITS = 6
_STATUS = {int(status): status.name.lower() for status in Status}


class Held(msgspec.Struct, frozen=True, array_like=True):
    """The newest estimate of one signal, in its unit; trend per minute, stamps ns UTC."""

    as_of: int
    mean: float
    std: float
    scale95: float
    trend: float
    status: int
    model: str


def state_messages(prefix: str, states: Sequence[tuple[str, Mapping[str, Held]]]) -> list[Outgoing]:
    """The retained states of these patients, in this order; each has a signal, all catalogued."""
    told = [(patient, sorted(held), held) for patient, held in states]
    places = [ROWS[code] for _patient, codes, _held in told for code in codes]
    numbers = [
        (h.mean, h.std, h.scale95)
        for _patient, codes, held in told
        for h in map(held.__getitem__, codes)
    ]
    mean, std, scale95 = np.array(numbers, np.float64).reshape(-1, 3).T
    made = bands(mean, std, scale95=scale95, reach=reach_of(CODES, np.array(places, np.int64)))
    ends = zip(made.lo95.tolist(), made.hi95.tolist(), strict=True)
    instants: dict[int, str] = {}
    return [_state(prefix, patient, codes, held, ends, instants) for patient, codes, held in told]


def _state(
    prefix: str,
    patient: str,
    codes: Sequence[str],
    held: Mapping[str, Held],
    ends: Iterator[tuple[float, float]],
    instants: dict[int, str],
) -> Outgoing:
    """instants: stamps in words, many of which are alike."""

    def said(stamp: int) -> str:
        if stamp not in instants:
            instants[stamp] = format_instant(stamp)
        return instants[stamp]

    newest = max(held.values(), key=lambda each: each.as_of)
    body = {
        "patient": patient,
        "model": newest.model,
        "as_of": said(newest.as_of),
        "signals": {code: _signal(code, held[code], *next(ends), said) for code in codes},
    }
    return Outgoing(f"{prefix}/{_level(patient)}/state", msgspec.json.encode(body), True)


def no_state(prefix: str, patient: str) -> Outgoing:
    """Takes the retained state away."""
    return Outgoing(f"{prefix}/{_level(patient)}/state", b"", True)


def patient_of(prefix: str, topic: str) -> str:
    """Whom a topic of ours is about."""
    return unquote(topic.removeprefix(f"{prefix}/").partition("/")[0])


def alarm_topic(prefix: str, alarm: Alarm) -> str:
    """Where an alarm's transitions are said."""
    return f"{prefix}/{_level(alarm.patient) or NOBODY}/alarm/{_level(alarm.id)}"


def alarm_messages(prefix: str, alarm: Alarm) -> list[Outgoing]:
    """One transition: retained while the alarm stands; its last one, then nothing is retained."""
    topic = alarm_topic(prefix, alarm)
    body = msgspec.json.encode(_transition(alarm))
    if alarm.state == AlarmState.CLOSED:
        return [Outgoing(topic, body, False), Outgoing(topic, b"", True)]
    return [Outgoing(topic, body, True)]


def _signal(
    code: str, held: Held, low: float, high: float, said: Callable[[int], str]
) -> dict[str, object]:
    return {
        "as_of": said(held.as_of),
        "mean": _number(held.mean),
        "std": _number(held.std),
        "lo95": _number(low),
        "hi95": _number(high),
        "trend": _number(held.trend),
        "unit": SIGNALS[code].unit,
        "status": _STATUS[held.status],
    }


def _transition(alarm: Alarm) -> dict[str, object]:
    signal = SIGNALS.get(alarm.signal)
    return {
        # The same for the same transition, however often it is sent.
        "id": f"{alarm.id}-{alarm.event}-{alarm.at}",
        "alarm": alarm.id,
        "patient": alarm.patient,
        "signal": alarm.signal,
        "kind": alarm.kind,
        "priority": alarm.priority,
        "state": alarm.state,
        "event": alarm.event,
        "at": format_instant(alarm.at),
        "since": format_instant(alarm.since),
        "value": _number(alarm.value),
        "std": _number(alarm.std),
        "worst": _number(alarm.worst),
        "limit": _number(alarm.limit),
        "unit": "" if signal is None else signal.unit,
        "side": alarm.side,
        "probability": _number(alarm.probability),
        "cause": alarm.cause,
        "devices": alarm.count,
        "unverified": alarm.unverified,
        "paused_until": format_instant(alarm.paused_until) if alarm.paused_until else None,
        "escalation": alarm.escalation,
        "outcome": alarm.outcome,
        "joined": alarm.joined,
        "model": alarm.model,
    }


def _number(value: float) -> float | None:
    """Six digits; none where there is none."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _level(name: str) -> str:
    """One level of a topic, whatever the id: what MQTT forbids there is written %2B and so on."""
    return quote(name, safe=":@")
