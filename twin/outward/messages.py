"""What is said of a patient's state and of an alarm: topics and payloads. Pure.

Ids are the pseudonymous ones. No label, no person's name and nothing that a person wrote leaves:
who took an alarm, who set its limit and why stay here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from urllib.parse import quote, unquote

import msgspec
import numpy as np

from ingest.catalogue import SIGNALS
from ingest.instant import format_instant
from ingest.mqtt_publish import Outgoing
from twin.bands import bands, reach_of
from twin.estimate import Status
from twin.judgement import Alarm, AlarmState
from twin.outward.states import Chosen

#: In the patient's place of an alarm that concerns no patient.
NOBODY = "-"
_DIGITS = "%.6g"
_STATUS = {int(status): status.name.lower() for status in Status}


def state_messages(prefix: str, patients: Sequence[str], chosen: Chosen) -> list[Outgoing]:
    """The retained states of these patients, whose rows they are; each has a signal."""
    codes, models, rows, there = chosen
    reach = reach_of(codes, np.arange(len(codes)))
    made = bands(rows["mean"], rows["std"], scale95=rows["scale95"], reach=reach)
    numbers = np.stack((rows["mean"], rows["std"], made.lo95, made.hi95, rows["trend"]), axis=-1)
    finite = np.isfinite(numbers).all(axis=-1)
    newest = np.where(there, rows["as_of"], np.iinfo(np.int64).min).argmax(axis=1)
    # Written here, not by an encoder of objects: of 10 000 patients a second each object counts.
    whole = [_signal(code, _DIGITS) for code in codes]
    holed = [_signal(code, "%s") for code in codes]
    said = _Instants()
    messages = []
    for patient, first, stamps, statuses, of_model, values, plain, here in zip(
        patients,
        newest.tolist(),
        rows["as_of"].tolist(),
        rows["status"].tolist(),
        rows["model"].tolist(),
        numbers.tolist(),
        finite.tolist(),
        there.tolist(),
        strict=True,
    ):
        signals = [
            whole[n] % (said[stamps[n]], *values[n], _STATUS[statuses[n]])
            if plain[n]
            else holed[n] % (said[stamps[n]], *map(_digits, values[n]), _STATUS[statuses[n]])
            for n, is_here in enumerate(here)
            if is_here
        ]
        body = (
            f'{{"patient":{_text(patient)},"model":{_text(models[of_model[first]])},'
            f'"as_of":"{said[stamps[first]]}","signals":{{{",".join(signals)}}}}}'
        )
        messages.append(Outgoing(f"{prefix}/{_level(patient)}/state", body.encode(), True, 0))
    return messages


def _signal(code: str, number: str) -> str:
    """A signal of a state, to be filled with its stamp, five numbers and the status."""
    unit = _text(SIGNALS[code].unit).replace("%", "%%")
    names = ("mean", "std", "lo95", "hi95", "trend")
    numbers = ",".join(f'"{name}":{number}' for name in names)
    return f'{_text(code)}:{{"as_of":"%s",{numbers},"unit":{unit},"status":"%s"}}'


def _digits(value: float) -> str:
    return _DIGITS % value if math.isfinite(value) else "null"


def _text(words: str) -> str:
    return msgspec.json.encode(words).decode()


class _Instants(dict[int, str]):
    """Stamps in words, many of which are alike."""

    def __missing__(self, stamp: int) -> str:
        said = self[stamp] = format_instant(stamp)
        return said


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
    return float(_DIGITS % value) if math.isfinite(value) else None


def _level(name: str) -> str:
    """One level of a topic, whatever the id: what MQTT forbids there is written %2B and so on."""
    return quote(name, safe=":@")
