"""/api/v1/patients/{id}/scores and …/changes: what the twin concluded, from the store, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Query, Response

from ingest.instant import DAY, format_instant
from twin.care.api.bodies import answer, answers
from twin.care.api.signals import WHEN, span_of
from twin.care.judged import ChangeBody, ScoreBody, change_body, score_body
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem

router = APIRouter(prefix="/api/v1/patients")
#: Scores of a page: a score a minute is a day and a half.
MOST = 2_000
_START = Query(None, alias="from", description=f"{WHEN}; default: to − 24 h")
_END = Query(None, alias="to", description=f"{WHEN}; default: now")
_LIMIT = Query(MOST, description=f"at most so many, 10 to {MOST}")


class ScoresBody(msgspec.Struct, frozen=True):
    """NEWS2 scores as they were written (when one changes, and once a minute), oldest first; ages
    are those of the score's moment. next: path and query of the next page, or null."""

    scores: Sequence[ScoreBody]
    next: str | None


class ChangesBody(msgspec.Struct, frozen=True):
    """Change indexes, hourly, oldest first. next: path and query of the next page, or null."""

    changes: Sequence[ChangeBody]
    next: str | None


BODIES = (ScoresBody, ChangesBody)


@router.get("/{patient}/scores", responses=answers(ScoresBody))
def scores(
    patient: str,
    parts: PartsOf,
    start: str | None = _START,
    end: str | None = _END,
    limit: int = _LIMIT,
) -> Response:
    """Scores of [from, to), as far as the store has them (about a second ago)."""
    since, to = _asked(parts, patient, start, end, limit)
    page = parts.judged.scores(patient, since, to, limit)
    bodies = [score_body(score, score.at) for score in page.items]
    return answer(ScoresBody(bodies, _next(patient, "scores", page.following, to, limit)))


@router.get("/{patient}/changes", responses=answers(ChangesBody))
def changes(
    patient: str,
    parts: PartsOf,
    start: str | None = _START,
    end: str | None = _END,
    limit: int = _LIMIT,
) -> Response:
    """Change indexes of [from, to)."""
    since, to = _asked(parts, patient, start, end, limit)
    page = parts.judged.changes(patient, since, to, limit)
    bodies = [change_body(change) for change in page.items]
    return answer(ChangesBody(bodies, _next(patient, "changes", page.following, to, limit)))


def _asked(
    parts: Parts, patient: str, start: str | None, end: str | None, limit: int
) -> tuple[int, int]:
    if patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
    if not 10 <= limit <= MOST:
        raise Problem(422, "limit", name="limit", got=str(limit), expected=f"10 to {MOST}")
    _, to = span_of(None, end, (0, parts.feed.now()))
    return span_of(start, None, (to - DAY, to))


def _next(patient: str, what: str, following: int | None, to: int, limit: int) -> str | None:
    if following is None:
        return None
    path = f"/api/v1/patients/{quote(patient, safe='')}/{what}"
    query = {"from": format_instant(following), "to": format_instant(to), "limit": limit}
    return f"{path}?{urlencode(query)}"
