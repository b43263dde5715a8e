"""Alarms and scores as bodies of answers and events: the same words for API, stream and pages.

Times are ISO-8601 or null; numbers in the signal's canonical unit, NaN leaves as null.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND, format_instant
from twin.care.rank import Standing, is_unanswered
from twin.judgement import PARAMETERS, Alarm, Score
from twin.personal import Change


class AlarmBody(msgspec.Struct, frozen=True):
    """One alarm as its newest transition says; in a story: one transition (docs/alarms.md).

    state: pending, active, acknowledged, latched, closed; shown: the same with its marks (paused,
    unverified, escalated). unanswered: it still needs somebody. joined: id of the alarm that calls
    for this one too, or "".
    """

    id: str
    patient: str
    label: str
    signal: str
    unit: str
    kind: str
    rule: str
    priority: str
    state: str
    shown: str
    event: str
    unanswered: bool
    at: str
    since: str
    value: float
    std: float
    worst: float
    limit: float
    side: str
    probability: float
    cause: str
    count: int
    taken_by: str
    actor: str
    reason: str
    paused_until: str | None
    unverified: bool
    escalation: int
    outcome: str
    model: str
    limit_by: str
    limit_reason: str
    joined: str


class ComponentBody(msgspec.Struct, frozen=True):
    """One parameter of a score; points null where it is missing or too old.

    value: what was scored; of consciousness a letter of ACVPU, of oxygen "air" or "oxygen".
    """

    parameter: str
    points: int | None
    value: float | str | None
    at: str | None
    age_s: float | None
    source: str
    actor: str


class ChancesBody(msgspec.Struct, frozen=True):
    """Expected score and chances, as the forecast has them."""

    expected: float
    p5: float
    p7: float
    p_any3: float


class ScoreBody(msgspec.Struct, frozen=True):
    """NEWS2: the sum of the known sub-scores, a lower bound where not complete.

    validated_by: "" for the computed, smoothed score; else who validated it as an observation.
    """

    at: str
    score: int
    complete: bool
    any3: bool
    spo2_scale: int
    expected: float
    p5: float
    p7: float
    p_any3: float
    in_one_hour: ChancesBody
    components: Sequence[ComponentBody]
    validated_by: str
    model: str


class DepartureBody(msgspec.Struct, frozen=True):
    """What one signal adds to a change index (`twin.personal.Departure`)."""

    signal: str
    unit: str
    departure: float
    contribution: float
    usual: float
    spread: float


class ChangeBody(msgspec.Struct, frozen=True):
    """How unusual the last day is for this person; index, low and high are null until known."""

    at: str
    known: bool
    index: float
    low: float
    high: float
    statistic: float
    samples: float
    unusual: bool
    departures: Sequence[DepartureBody]


class UsualBody(msgspec.Struct, frozen=True):
    """What is usual of a signal for this person at this hour: the middle half, in its unit; null
    where it is not known of the hour."""

    unit: str
    lo50: float | None
    hi50: float | None


class StandingBody(msgspec.Struct, frozen=True):
    """Where a patient stands in the ward; news2 null: no score yet. threes: sub-score 3.

    own_limits: other limits hold than the ward's.
    """

    urgency: int
    news2: int | None
    complete: bool
    any3: bool
    threes: Sequence[str]
    own_limits: bool = False


def alarm_body(alarm: Alarm, label: str) -> AlarmBody:
    """label: the patient's, "" where nobody gave one."""
    signal = SIGNALS.get(alarm.signal)
    return AlarmBody(
        id=alarm.id,
        patient=alarm.patient,
        label=label,
        signal=alarm.signal,
        unit="" if signal is None else signal.unit,
        kind=alarm.kind.value,
        rule=alarm.rule,
        priority=alarm.priority.value,
        state=alarm.state.value,
        shown=alarm.shown,
        event=alarm.event.value,
        unanswered=is_unanswered(alarm),
        at=format_instant(alarm.at),
        since=format_instant(alarm.since),
        value=alarm.value,
        std=alarm.std,
        worst=alarm.worst,
        limit=alarm.limit,
        side=alarm.side,
        probability=alarm.probability,
        cause=alarm.cause,
        count=alarm.count,
        taken_by=alarm.taken_by,
        actor=alarm.actor,
        reason=alarm.reason,
        paused_until=_time(alarm.paused_until),
        unverified=alarm.unverified,
        escalation=alarm.escalation,
        outcome=alarm.outcome,
        model=alarm.model,
        limit_by=alarm.limit_by,
        limit_reason=alarm.limit_reason,
        joined=alarm.joined,
    )


def score_body(score: Score, now: int) -> ScoreBody:
    """now: int64 ns UTC, for the ages."""
    parts = {part.parameter: part for part in score.components}
    components = []
    for name in PARAMETERS:
        part = parts.get(name)
        if part is None:
            components.append(ComponentBody(name, None, None, None, None, "", ""))
            continue
        known = part.at > 0
        components.append(
            ComponentBody(
                name,
                part.points if part.points >= 0 else None,
                _scored(name, part.value) if known else None,
                _time(part.at),
                max(0.0, (now - part.at) / SECOND) if known else None,
                part.source,
                part.actor,
            )
        )
    later = score.in_one_hour
    return ScoreBody(
        format_instant(score.at),
        score.score,
        score.complete,
        score.any3,
        score.spo2_scale,
        score.now.expected,
        score.now.p5,
        score.now.p7,
        score.now.p_any3,
        ChancesBody(later.expected, later.p5, later.p7, later.p_any3),
        components,
        score.validated_by,
        score.model,
    )


def change_body(change: Change) -> ChangeBody:
    """As answers have it."""
    return ChangeBody(
        format_instant(change.at),
        change.known,
        change.index,
        change.low,
        change.high,
        change.statistic,
        change.samples,
        change.unusual,
        [
            DepartureBody(
                part.signal,
                SIGNALS[part.signal].unit if part.signal in SIGNALS else "",
                part.departure,
                part.contribution,
                part.usual,
                part.spread,
            )
            for part in change.departures
        ],
    )


def usual_bodies(change: Change | None, now: int) -> dict[str, UsualBody]:
    """code → what is usual at `now` (ns), of the signals of which something is known."""
    made = {}
    for habit in () if change is None else change.habits:
        if habit.signal in SIGNALS:
            signal, ends = SIGNALS[habit.signal], habit.at(now) or (None, None)
            inside = [None if e is None else min(max(e, signal.lower), signal.upper) for e in ends]
            made[habit.signal] = UsualBody(signal.unit, *inside)
    return made


def standing_body(standing: Standing, own_limits: bool = False) -> StandingBody:
    """As streams and answers have it."""
    score = standing.score
    return StandingBody(
        standing.urgency,
        None if score is None else score.score,
        score is not None and score.complete,
        score is not None and score.any3,
        standing.threes,
        own_limits,
    )


def _time(instant: int) -> str | None:
    return format_instant(instant) if instant else None


def _scored(parameter: str, value: float) -> float | str | None:
    if value != value:
        return None
    if parameter == "consciousness":
        return "ACVPU"[int(value)]
    if parameter == "oxygen":
        return "oxygen" if value else "air"
    return value
