"""/api/v1/alarms: what is, and was, alarmed; who takes it, pauses it, closes it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from ingest.instant import format_instant
from twin.care.api.asked import Asked, body_of, body_schema, command
from twin.care.api.bodies import answer, answers
from twin.care.api.signals import WHEN, span_of
from twin.care.board import OPEN
from twin.care.judged import AlarmBody, alarm_body
from twin.care.kept import EVER, alarms_of, story_of
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.judgement import AlarmState, Priority
from twin.judgement_history import AlarmsAsked

router = APIRouter(prefix="/api/v1/alarms")
MOST = 1_000
#: What people may say why they pause an alarm, and for how long (minutes).
PAUSE_REASONS = ("care", "examination", "sensor_off", "limit_review", "palliative", "other")
PAUSE_MINUTES = (2, 5, 15, 30, 60)
OUTCOMES = ("acted", "watched", "false", "other")
_STATES = ("open", *(state.value for state in AlarmState))
_PRIORITIES = tuple(priority.value for priority in Priority)


class AlarmsBody(msgspec.Struct, frozen=True):
    """The alarms that were asked for; enabled: whether this installation raises any. complete
    false: the store is away, and what was over before may be missing."""

    time: str
    enabled: bool
    alarms: Sequence[AlarmBody]
    complete: bool = True


class AlarmStoryBody(msgspec.Struct, frozen=True):
    """An alarm as it stands, and all its transitions, oldest first."""

    time: str
    alarm: AlarmBody
    story: Sequence[AlarmBody]


class Acknowledge(Asked, frozen=True, kw_only=True):
    """Take the alarm: whoever does is responsible for it, and everybody sees the name."""


class Pause(Asked, frozen=True, kw_only=True):
    """A pause has a reason and an end. note: more words, needed where the reason is `other`."""

    minutes: Literal[2, 5, 15, 30, 60]
    reason: Literal["care", "examination", "sensor_off", "limit_review", "palliative", "other"]
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Close(Asked, frozen=True, kw_only=True):
    """What came of it."""

    outcome: Literal["acted", "watched", "false", "other"]
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Resume(Asked, frozen=True, kw_only=True):
    """End a pause before its time."""


class Seen(Asked, frozen=True, kw_only=True):
    """A receipt: whoever looks has seen it, and has not taken it."""


class Note(Asked, frozen=True, kw_only=True):
    """Words to an alarm."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


BODIES = (AlarmsBody, AlarmStoryBody, Acknowledge, Pause, Resume, Close, Seen, Note)


@router.get("", responses=answers(AlarmsBody))
def alarms(
    parts: PartsOf,
    state: str | None = Query(None, description="open, or one of an alarm's states, or several"),
    priority: str | None = Query(None, description="one of high, medium, low, none, or several"),
    patient: str | None = Query(None, description="only of this patient"),
    start: str | None = Query(None, alias="from", description=f"{WHEN}; lasted until then"),
    end: str | None = Query(None, alias="to", description=f"{WHEN}; raised before"),
    limit: int = Query(200, description=f"at most so many, 1 to {MOST}"),
) -> Response:
    """Alarms that were raised: those that are open by urgency, then those that are over."""
    if not 1 <= limit <= MOST:
        raise Problem(422, "limit", name="limit", got=str(limit), expected=f"1 to {MOST}")
    since, to = span_of(start, end, EVER)
    asked = AlarmsAsked(
        since,
        to,
        states_of(_of("state", state, _STATES)),
        _of("priority", priority, _PRIORITIES),
        patient or "",
        limit,
    )
    found = alarms_of(parts, asked)
    labels = parts.feed.labels
    bodies = [alarm_body(alarm, labels.get(alarm.patient, "")) for alarm in found.rows]
    now = format_instant(parts.feed.now())
    return answer(AlarmsBody(now, parts.feed.alarms_on, bodies, found.complete))


@router.get("/{alarm}", responses=answers(AlarmStoryBody))
def one_alarm(alarm: str, parts: PartsOf) -> Response:
    """One alarm with its story."""
    return answer(_story_of(parts, alarm))


@router.post("/{alarm}/acknowledge", openapi_extra=body_schema(Acknowledge))
def acknowledge(
    alarm: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Acknowledge, Depends(body_of(Acknowledge))],
) -> Response:
    """Take it. 409 if somebody else already has."""
    return _act(request, parts, alarm, asked, "acknowledge")


@router.post("/{alarm}/pause", openapi_extra=body_schema(Pause))
def pause(
    alarm: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Pause, Depends(body_of(Pause))],
) -> Response:
    """Pause it, with a reason and an end."""
    if asked.reason == "other" and not asked.note.strip():
        raise Problem(422, "a pause for another reason needs words", name="note", expected="words")
    reason = f"{asked.reason}: {asked.note.strip()}" if asked.note.strip() else asked.reason
    return _act(request, parts, alarm, asked, "pause", minutes=asked.minutes, reason=reason)


@router.post("/{alarm}/resume", openapi_extra=body_schema(Resume))
def resume(
    alarm: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Resume, Depends(body_of(Resume))],
) -> Response:
    """End its pause."""
    return _act(request, parts, alarm, asked, "resume")


@router.post("/{alarm}/close", openapi_extra=body_schema(Close))
def close(
    alarm: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Close, Depends(body_of(Close))],
) -> Response:
    """Close it with what came of it."""
    return _act(request, parts, alarm, asked, "close", outcome=asked.outcome, reason=asked.note)


@router.post("/{alarm}/seen", openapi_extra=body_schema(Seen))
def seen(
    alarm: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Seen, Depends(body_of(Seen))],
) -> Response:
    """Say that it was seen. 409 if the same person has said so since it called last."""
    return _act(request, parts, alarm, asked, "seen")


@router.post("/{alarm}/note", openapi_extra=body_schema(Note))
def note(
    alarm: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Note, Depends(body_of(Note))],
) -> Response:
    """Write something to it."""
    return _act(request, parts, alarm, asked, "note", reason=asked.text)


def states_of(asked: Set[str]) -> frozenset[str]:
    """States of alarms, of words among which may be `open`."""
    opened = OPEN if "open" in asked else frozenset()
    return frozenset(str(state) for state in (*(asked - {"open"}), *opened))


def _act(
    request: Request, parts: Parts, alarm: str, asked: Asked, kind: str, **body: object
) -> Response:
    story = story_of(parts, alarm)
    if not story:
        raise Problem(404, "no such alarm")
    patient = story[-1].patient or None
    command(request, parts, asked, kind, {"alarm": alarm, **body}, patient)
    return answer(_story_of(parts, alarm))


def _story_of(parts: Parts, alarm: str) -> AlarmStoryBody:
    story = story_of(parts, alarm)
    if not story:
        raise Problem(404, "no such alarm")
    label = parts.feed.labels.get(story[-1].patient, "")
    bodies = [alarm_body(row, label) for row in story]
    return AlarmStoryBody(format_instant(parts.feed.now()), bodies[-1], bodies)


def _of(name: str, asked: str | None, allowed: Sequence[str]) -> frozenset[str]:
    chosen = frozenset(asked.split(",")) if asked else frozenset[str]()
    wrong = chosen - set(allowed)
    if wrong:
        got, expected = min(wrong), " or ".join(allowed)
        raise Problem(422, f"no such {name}", name=name, got=got, expected=expected)
    return chosen
