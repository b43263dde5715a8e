"""The pages of alarms: what is and was alarmed, one alarm's story, what alarms cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from ingest.instant import DAY
from twin.care.alarm_words import SYMBOLS, AlarmCell, one_cell, what_of
from twin.care.api.alarms import states_of
from twin.care.api.limits import limits_of
from twin.care.board import OPEN
from twin.care.burden import GOALS, burden
from twin.care.cells import unit_of
from twin.care.kept import EVER, alarms_of, stories_of, story_of
from twin.care.parts import Parts, PartsOf
from twin.care.rank import is_unanswered
from twin.care.reader import reader_of
from twin.care.rendering import render
from twin.care.vitals import VITALS
from twin.care.words import Words, catalogue
from twin.judgement import Alarm, AlarmEvent, AlarmKind, AlarmState
from twin.judgement_history import AlarmsAsked

router = APIRouter(include_in_schema=False)
_MOST = 300
#: Alarms of a day: five times the 187 for each bed that the literature has, of a hundred beds.
_MOST_COUNTED = 100_000
#: Name → what is listed; the names are also words (alarms.open, …).
_CHOICES = {
    "open": "/alarms",
    "waiting": "/alarms?state=active",
    "closed": "/alarms?state=closed",
    "all": "/alarms?state=all",
}
_SHARES = ("nuisance", "technical", "actionable")


@dataclass(frozen=True, slots=True)
class Listed:
    """An alarm of the list; acts: what can be done to it now."""

    cell: AlarmCell
    patient: str
    label: str
    since: str
    how: str
    acts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Step:
    """A transition in words: when, which, by whom, and what was known then. other: id of the alarm
    that this one joined, or that joined it."""

    at: str
    event: str
    by: str
    said: str
    other: str = ""


@router.get("/alarms")
def alarms(
    request: Request, parts: PartsOf, state: str = "open", priority: str | None = None
) -> Response:
    """Those that are open by urgency; what is over when asked for."""
    reader = reader_of(request, parts.settings)
    states = states_of(set() if state == "all" else {state})
    priorities = frozenset() if priority is None else frozenset({priority})
    found = alarms_of(parts, AlarmsAsked(*EVER, states, priorities, limit=_MOST))
    chosen = {"active": "waiting"}.get(state, state)
    return render(
        request,
        parts,
        reader,
        "alarms.html",
        rows=[listed(alarm, parts, reader.words) for alarm in found.rows],
        choices=_CHOICES.items(),
        chosen=None if priority else chosen,
    )


@router.get("/alarms/{alarm}")
def alarm(alarm: str, request: Request, parts: PartsOf) -> Response:
    """One alarm: what it is, what can be done, and everything that was done, by whom and when."""
    reader = reader_of(request, parts.settings)
    story = story_of(parts, alarm)
    if not story:
        return render(request, parts, reader, "absent.html", status=404)
    now = story[-1]
    return render(
        request,
        parts,
        reader,
        "alarm.html",
        row=listed(now, parts, reader.words),
        unit=unit_of(now.signal, reader.words) if now.signal in VITALS else "",
        facts=_facts(story, parts.feed.now(), reader.words),
        story=_steps(story, _joiners(parts, story), parts.feed.now(), reader.words),
        unseen=is_unanswered(now),
        calls=[
            (
                reader.words.moment(call.at, parts.feed.now()),
                call.channel,
                reader.words(f"call.{call.state}"),
            )
            for call in parts.receipts(alarm)
        ],
    )


@router.get("/metrics/alarms")
def metrics(request: Request, parts: PartsOf) -> Response:
    """What the last day's alarms cost."""
    reader = reader_of(request, parts.settings)
    words, labels = reader.words, parts.feed.labels
    now = parts.feed.now()
    stories = stories_of(parts, AlarmsAsked(now - DAY, now + 1, limit=_MOST_COUNTED))
    cost = burden(stories, len(labels), now)
    rates = {**cost.each_day, "all": sum(cost.each_day.values())}
    figures = [
        (
            f"rate_{name}",
            words.number(rates[name], 2),
            words("burden.goal", goal=words.number(GOALS[name], 1)) if name in GOALS else "",
        )
        for name in ("all", "high", "medium", "low")
    ]
    figures += [
        ("flood", percent(cost.flood, words), words("burden.goal", goal=percent(0.01, words))),
        ("median", _seconds(cost.median_s, words), ""),
        ("p90", _seconds(cost.p90_s, words), ""),
        *((name, percent(getattr(cost, name), words), "") for name in _SHARES),
        ("chattering", str(cost.chattering), ""),
        ("stale", str(cost.stale), ""),
    ]
    named = [(labels.get(patient) or patient, n) for patient, n in cost.patients]
    pauses = [(words(f"reason.{reason}"), n) for reason, n in cost.pauses]
    tables = (("patients", named), ("rules", cost.rules), ("pauses", pauses))
    hours = words.number(cost.hours, 0)
    return render(
        request, parts, reader, "burden.html", figures=figures, tables=tables, hours=hours
    )


@router.get("/limits")
def ward_limits(request: Request, parts: PartsOf) -> Response:
    """The ward's limits, and a form that sets them."""
    return _limits(request, parts, None)


@router.get("/p/{patient}/limits")
def patient_limits(patient: str, request: Request, parts: PartsOf) -> Response:
    """One patient's limits, each with where it was set, by whom and why."""
    return _limits(request, parts, patient)


def _limits(request: Request, parts: Parts, patient: str | None) -> Response:
    reader, labels = reader_of(request, parts.settings), parts.feed.labels
    if patient is not None and patient not in labels:
        return render(request, parts, reader, "absent.html", status=404)

    def bound(signal: str, limit: float, sign: str) -> str:
        if limit != limit:
            return "—"
        return f"{sign}\u202f{reader.words.number(limit, VITALS[signal].decimals)}"

    return render(
        request,
        parts,
        reader,
        "limits.html",
        patient=patient,
        label=labels.get(patient or "") or patient,
        rows=limits_of(parts, patient).limits,
        codes=tuple(VITALS),
        bound=bound,
    )


def acts_of(alarm: Alarm) -> tuple[str, ...]:
    """What people can do to an alarm as it is now."""
    if alarm.state not in OPEN:
        return ()
    if alarm.kind == AlarmKind.ADVISORY:
        return ("note",)
    if alarm.state == AlarmState.LATCHED:
        return ("acknowledge", "note")
    pause = "resume" if alarm.paused_until else "pause"
    if alarm.state == AlarmState.ACTIVE:
        return ("acknowledge", pause, "note")
    return (pause, "close", "note")


def listed(alarm: Alarm, parts: Parts, words: Words) -> Listed:
    """An alarm as lists show it."""
    cell = one_cell(alarm, parts.feed.now(), words)
    over = alarm.state not in OPEN
    return Listed(
        cell,
        alarm.patient,
        parts.feed.labels.get(alarm.patient, ""),
        words.moment(alarm.since, parts.feed.now()),
        _outcome(alarm, words) if over else cell.how,
        acts_of(alarm),
    )


def _facts(story: Sequence[Alarm], now: int, words: Words) -> list[tuple[str, str]]:
    """What an alarm is, beside its headline; its probability when it was raised."""
    alarm = story[-1]
    raised = next((row for row in story if row.event == AlarmEvent.RAISED), story[0])
    facts = [("since", words.moment(alarm.since, now)), ("rule", alarm.rule)]
    if raised.probability == raised.probability:
        facts.append(("probability", _chance(raised.probability, words)))
    if alarm.limit_by or alarm.limit_reason:
        facts.append(("limit_by", " · ".join(filter(None, (alarm.limit_by, alarm.limit_reason)))))
    if alarm.model:
        facts.append(("model", alarm.model))
    return [*facts, ("id", alarm.id)]


def _joiners(parts: Parts, story: Sequence[Alarm]) -> list[Alarm]:
    """The rows with which other alarms of the patient joined this one while it called."""
    now = story[-1]
    if not now.patient or now.kind != AlarmKind.PHYSIOLOGICAL:
        return []
    end = parts.feed.now() if now.state in OPEN else now.at
    asked = AlarmsAsked(story[0].at, end + 1, patient=now.patient, limit=_MOST)
    rows = [row for other in stories_of(parts, asked) for row in other]
    return [row for row in rows if row.joined == now.id and row.event == AlarmEvent.RAISED]


def _steps(story: Sequence[Alarm], joiners: Sequence[Alarm], now: int, words: Words) -> list[Step]:
    """What happened in its order; joiners: see `_joiners`."""
    steps = [(row.at, _step(row, now, words)) for row in story]
    for row in joiners:
        said = f"{SYMBOLS[row.priority.value]} {what_of(row, words)}"
        steps.append((row.at, Step(words.moment(row.at, now), "joined", "", said, row.id)))
    return [step for _at, step in sorted(steps, key=lambda each: each[0])]


def _chance(chance: float, words: Words) -> str:
    """As whole percent; of an estimate nothing is certain."""
    return percent(chance, words) if chance < 0.995 else f"> {percent(0.99, words)}"


def _step(row: Alarm, now: int, words: Words) -> Step:
    parts = []
    vital = VITALS.get(row.signal)
    if row.value == row.value:
        number = words.number(row.value, vital.decimals if vital else 0)
        unit = unit_of(row.signal, words) if vital else ""
        spread = ""
        if row.std == row.std and vital:
            spread = f"\u202f± {words.number(1.96 * row.std, vital.decimals + 1)}"
        parts.append(f"{number}{spread} {unit}".strip())
    if row.event == AlarmEvent.PAUSED:
        parts.append(words("alarm.paused", time=words.clock(row.paused_until)[:5]))
    if row.event == AlarmEvent.ESCALATED:
        parts.append(words(f"escalation.{row.escalation}"))
    if row.event == AlarmEvent.CLOSED:
        parts.append(_outcome(row, words))
    other = row.joined if row.event == AlarmEvent.RAISED else ""
    if other:
        parts.append(words("alarm.joined"))
    if row.reason:
        parts.append(reason_of(row.reason, words))
    return Step(words.moment(row.at, now), row.event.value, row.actor, " · ".join(parts), other)


def _outcome(alarm: Alarm, words: Words) -> str:
    key = f"outcome.{alarm.outcome}"
    return words(key) if key in catalogue(words.language) else alarm.outcome


def reason_of(reason: str, words: Words) -> str:
    """A reason as given; its code, if it begins with one, in words."""
    code, colon, rest = reason.partition(": ")
    key = f"reason.{code}"
    return words(key) + colon + rest if key in catalogue(words.language) else reason


def percent(share: float, words: Words) -> str:
    """A share as whole percent; a dash for NaN."""
    space = "\u202f" if words.language == "fr" else ""
    return "—" if share != share else f"{words.number(share * 100, 0)}{space}%"


def _seconds(seconds: float, words: Words) -> str:
    return "—" if seconds != seconds else words.age(seconds)
