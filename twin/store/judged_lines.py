"""Alarms, scores and change indexes as InfluxDB line protocol.

alarm,patient=,signal=,kind=,rule=,event= id="",state="",priority="",cause="",outcome="",model="",
 value=,value_known=,std=,worst=,worst_known=,limit=,limit_known=,probability=,since=,taken=,
 paused_until=,unverified=,escalation=,count= <at>: one transition
score,patient=,set= score=,complete=,any3=,spo2_scale=,expected=,p5=,p7=,p_any3=,expected_1h=,
 p5_1h=,p7_1h=,p_any3_1h=,<the seven parameters>=,model="" <at>; set: auto or validated
change,patient= known=,index=,low=,high=,statistic=,samples=,unusual=,most="" <at>; most: the signal
 that adds most

As in `line_protocol`: every point has all fields of its measurement, numbers are floats, yes is 1,
stamps in fields are milliseconds (0: none), and what is unknown is −1 where a true value cannot be
negative. value, worst and limit can be, so a flag says whether they are known (0 stands for them).
A tag that is empty is left out, as InfluxDB has none: an alarm of no patient, of no one signal.
rule and event are tags, because two rules of a signal may change at one moment.

Names of people and their words are not written: they are in the embedded file beside the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from twin.judgement import PARAMETERS, Alarm, Judgements, Score
from twin.personal import Change
from twin.store.line_protocol import UNKNOWN, prefix_of
from twin.store.line_text import Lines, lines_of

_MILLISECOND = 1_000_000
_NOT_A_TAG = "an id that cannot be a tag"


def judged_lines(judgements: Sequence[Judgements]) -> Lines:
    """The lines of all of them, in order; `rejected` has those whose ids no line can express."""
    made: list[str] = []
    rejected: list[tuple[int, str]] = []
    total = 0
    for total, line in enumerate(_each(judgements), 1):
        if line is None:
            rejected.append((total - 1, _NOT_A_TAG))
        else:
            made.append(line)
    return lines_of(made, range(len(made)), rejected, total)


def _each(judgements: Sequence[Judgements]) -> Iterator[str | None]:
    for one in judgements:
        yield from map(_alarm, one.alarms)
        yield from map(_score, one.scores)
        yield from map(_change, one.changes)


def _alarm(alarm: Alarm) -> str | None:
    tags = {
        "patient": alarm.patient,
        "signal": alarm.signal,
        "kind": alarm.kind.value,
        "rule": alarm.rule,
        "event": alarm.event.value,
    }
    return _line(
        "alarm",
        tags,
        {
            "id": alarm.id,
            "state": alarm.state.value,
            "priority": alarm.priority.value,
            "cause": alarm.cause,
            "outcome": alarm.outcome,
            "model": alarm.model,
            **_flagged("value", alarm.value),
            "std": _known(alarm.std),
            **_flagged("worst", alarm.worst),
            **_flagged("limit", alarm.limit),
            "probability": _known(alarm.probability),
            "since": alarm.since // _MILLISECOND,
            "taken": bool(alarm.taken_by),
            "paused_until": alarm.paused_until // _MILLISECOND,
            "unverified": alarm.unverified,
            "escalation": alarm.escalation,
            "count": alarm.count,
        },
        alarm.at,
    )


def _score(score: Score) -> str | None:
    points = {part.parameter: part.points for part in score.components}
    chances = {
        f"{name}{when}": _known(getattr(of, name))
        for of, when in ((score.now, ""), (score.in_one_hour, "_1h"))
        for name in ("expected", "p5", "p7", "p_any3")
    }
    return _line(
        "score",
        {"patient": score.patient, "set": "validated" if score.validated_by else "auto"},
        {
            "score": score.score,
            "complete": score.complete,
            "any3": score.any3,
            "spo2_scale": score.spo2_scale,
            **chances,
            **{name: points.get(name, UNKNOWN) for name in PARAMETERS},
            "model": score.model,
        },
        score.at,
    )


def _change(change: Change) -> str | None:
    numbers = ("index", "low", "high", "statistic", "samples")
    return _line(
        "change",
        {"patient": change.patient},
        {
            "known": change.known,
            **{name: _known(getattr(change, name)) for name in numbers},
            "unusual": change.unusual,
            "most": change.departures[0].signal if change.departures else "",
        },
        change.at,
    )


def _line(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, float | str], at: int
) -> str | None:
    prefix = prefix_of(measurement, *((name, text) for name, text in tags.items() if text))
    if prefix is None:
        return None
    said = ",".join(f"{name}={_field(value)}" for name, value in fields.items())
    return f"{prefix} {said} {at}"


def _field(value: float | str) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{" ".join(escaped.splitlines())}"'
    return repr(float(value))


def _flagged(name: str, value: float) -> dict[str, float]:
    known = value == value
    return {name: value if known else 0.0, f"{name}_known": known}


def _known(value: float) -> float:
    return value if value == value else UNKNOWN
