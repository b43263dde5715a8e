"""/api/v1/patients/{id}/entries: what people saw and measured themselves.

Wearables tell neither consciousness nor oxygen: without these entries NEWS2 is a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from ingest.instant import MILLISECOND, format_instant
from twin.care.api.asked import Asked, actor_of, body_of, body_schema, command
from twin.care.api.bodies import answer, answers
from twin.care.api.signals import instant_of
from twin.care.kept import EVER, stories_of
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.judgement import AlarmEvent, AlarmKind
from twin.judgement_history import AlarmsAsked

router = APIRouter(prefix="/api/v1/patients")
#: Names that the interface has beside those of the twin.
_TOLD = {AlarmEvent.RAISED, AlarmEvent.ACKNOWLEDGED, AlarmEvent.PAUSED, AlarmEvent.CLOSED}
_KINDS = {"scale": "spo2_scale", "cuff": "systolic_bp", "body_temperature": "temperature"}


class Entry(Asked, frozen=True, kw_only=True):
    """kind: consciousness (A C V P U), oxygen (air, oxygen), scale (1, 2), cuff (systolic
    pressure), temperature, validated (the set as it stands: a NEWS2 of whoever validates it), note
    (value: words, at most 1 000 characters).

    at: ISO-8601 or epoch ms, now if absent; unit: the canonical one if absent; valid_s: for how
    long it counts.
    """

    kind: str
    value: str | float | None = None
    unit: str | None = None
    at: str | int | None = None
    valid_s: float | None = None


class EntryBody(msgspec.Struct, frozen=True):
    """id: of the command in the journal, which the entry now is."""

    id: str
    kind: str
    actor: str


class EventBody(msgspec.Struct, frozen=True):
    """Something in a patient's journal; at: epoch ms.

    kind: entry (what: its kind, text: the note or the value), alarm (what: the event, text: the
    rule), note (of an alarm: what: its rule, text: the words), sensor (what: `bound` or `unbound`,
    text: the device).
    """

    at: int
    kind: str
    what: str
    text: str
    actor: str


class JournalBody(msgspec.Struct, frozen=True):
    """A patient's journal in [from, to), newest first; at is epoch ms."""

    time: str
    events: Sequence[EventBody]


BODIES = (Entry, EntryBody, JournalBody)


@router.get("/{patient}/journal", responses=answers(JournalBody))
def journal(
    patient: str,
    parts: PartsOf,
    start: str | None = Query(None, alias="from", description="default: everything kept"),
    end: str | None = Query(None, alias="to", description="default: now"),
) -> Response:
    """What people entered, what was alarmed, and which sensors were put on and taken off."""
    if patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
    since = 0 if start is None else instant_of("from", start) // MILLISECOND
    to = parts.feed.now() if end is None else instant_of("to", end)
    found = [one for one in events_of(parts, patient) if since <= one.at < to // MILLISECOND + 1]
    return answer(JournalBody(format_instant(parts.feed.now()), found))


def events_of(parts: Parts, patient: str) -> list[EventBody]:
    """The whole journal of a patient as far as is kept, newest first."""
    found = [
        EventBody(one.at // MILLISECOND, "entry", one.kind, one.value, one.actor)
        for one in parts.feed.entries(patient)
    ]
    for story in stories_of(parts, AlarmsAsked(*EVER, patient=patient)):
        if story[-1].kind != AlarmKind.ADVISORY:
            found += [
                EventBody(row.at // MILLISECOND, "alarm", row.event.value, row.rule, row.actor)
                for row in story
                if row.event in _TOLD
            ]
            found += [
                EventBody(row.at // MILLISECOND, "note", row.rule, row.reason, row.actor)
                for row in story
                if row.event == AlarmEvent.NOTE
            ]
    if parts.onboarding is not None:
        for binding in parts.onboarding.registry.bindings():
            if binding.patient == patient:
                found += _worn(binding.device, binding.start, binding.end)
    return sorted(found, key=lambda one: -one.at)


def _worn(device: str, start: int | None, end: int | None) -> list[EventBody]:
    """A device was bound, and taken."""
    times = (("bound", start), ("unbound", end))
    return [
        EventBody(at // MILLISECOND, "sensor", what, device, "")
        for what, at in times
        if at is not None
    ]


@router.post("/{patient}/entries", responses=answers(EntryBody), openapi_extra=body_schema(Entry))
def enter(
    patient: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[Entry, Depends(body_of(Entry))],
) -> Response:
    """Enter it, by name; it counts from its time on."""
    if patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
    actor = actor_of(request, parts, asked)
    kind = _KINDS.get(asked.kind, asked.kind)
    value = asked.value
    if kind == "spo2_scale" and isinstance(value, float):
        value = f"{value:g}"
    body = {
        "kind": kind,
        "value": value,
        "unit": asked.unit,
        "valid_s": asked.valid_s,
        "at": None if asked.at is None else instant_of("at", str(asked.at)),
    }
    said = {name: each for name, each in body.items() if each is not None}
    outcome = command(request, parts, asked, "entry", said, patient)
    return answer(EntryBody(outcome.id, kind, actor))
