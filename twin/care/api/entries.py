"""/api/v1/patients/{id}/entries: what people saw and measured themselves.

Wearables tell neither consciousness nor oxygen: without these entries NEWS2 is a lower bound.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from twin.care.api.asked import Asked, actor_of, body_of, body_schema, command
from twin.care.api.bodies import answer, answers
from twin.care.api.signals import instant_of
from twin.care.parts import PartsOf
from twin.care.problem import Problem

router = APIRouter(prefix="/api/v1/patients")
#: Names that the interface has beside those of the twin.
_KINDS = {"scale": "spo2_scale", "cuff": "systolic_bp", "body_temperature": "temperature"}


class Entry(Asked, frozen=True, kw_only=True):
    """kind: consciousness (A C V P U), oxygen (air, oxygen), scale (1, 2), cuff (systolic
    pressure), temperature, validated (the set as it stands: a NEWS2 of whoever validates it).

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


BODIES = (Entry, EntryBody)


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
    outcome = command(request, parts, "entry", actor, said, patient)
    return answer(EntryBody(outcome.id, kind, actor))
