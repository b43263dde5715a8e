"""/api/v1/sparks: the last twelve hours of several patients' worst vital, for the ward's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from twin.care.api.bodies import answer, answers
from twin.care.parts import PartsOf
from twin.care.problem import Problem
from twin.care.rank import by_urgency
from twin.care.sparks import POINTS, SPAN, worst_vital

router = APIRouter(prefix="/api/v1")
_MOST = 60


class SparkBody(msgspec.Struct, frozen=True):
    """signal: the vital that is shown; line: its means, oldest first, null in a gap."""

    signal: str
    line: Sequence[float | None]


class SparksBody(msgspec.Struct, frozen=True):
    """patient → its line of `points` equal parts of the last span_s seconds."""

    span_s: float
    points: int
    sparks: Mapping[str, SparkBody]


BODIES = (SparksBody,)


@router.get("/sparks", responses=answers(SparksBody))
def sparks(
    parts: PartsOf,
    patient: Annotated[list[str], Query(description="at most 60")],
) -> Response:
    """Lines of these patients; who is not known is left out."""
    if len(patient) > _MOST:
        raise Problem(422, "too many", name="patient", expected=f"at most {_MOST}")
    now, found = parts.feed.now(), {}
    for each in patient:
        reading = parts.feed.reading_of(each)
        if each not in reading.labels:
            continue
        code = worst_vital(sorted(reading.alarms, key=by_urgency), reading.scores.get(each))
        found[each] = SparkBody(code, parts.sparks.line(parts.history, each, code, now))
    return answer(SparksBody(SPAN / 1e9, POINTS, found))
