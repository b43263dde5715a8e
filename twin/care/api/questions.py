"""POST …/scenario and GET …/smoothed: what would be, and what was, seen from afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from ingest.catalogue import SIGNALS
from ingest.instant import HOUR, MILLISECOND, format_instant
from twin.care.api.bodies import Numbers, answer, answers
from twin.care.api.signals import instant_of
from twin.care.parts import PartsOf
from twin.care.problem import Problem
from twin.care.questions import Unanswerable
from twin.forecast import WATERMARK

router = APIRouter(prefix="/api/v1/patients/{patient}")
_MOST_BYTES = 16_384
#: One at a time: each filters a day's record or restores the twin's snapshots.
_busy = threading.Lock()
T = TypeVar("T")


class ScenarioCurve(msgspec.Struct, frozen=True):
    """One signal: time in epoch ms; mean, std and bands of the true value as seen from now;
    known_std: how sure the twin will be of it by then."""

    unit: str
    time: Sequence[int]
    mean: Numbers
    std: Numbers
    lo50: Numbers
    hi50: Numbers
    lo90: Numbers
    hi90: Numbers
    lo95: Numbers
    hi95: Numbers
    known_std: Numbers


class ScenarioBody(msgspec.Struct, frozen=True):
    """What would be, if the declared effects were true. watermark: to be shown with every curve."""

    watermark: Mapping[str, str]
    time: str
    patient: str
    signals: Mapping[str, ScenarioCurve]


class SmoothedBody(msgspec.Struct, frozen=True):
    """A signal as it looks afterwards: time in epoch ms; mean, std and bands from all measurements,
    filtered_mean and filtered_std as they were known at the time."""

    unit: str
    time: Sequence[int]
    mean: Numbers
    std: Numbers
    lo50: Numbers
    hi50: Numbers
    lo95: Numbers
    hi95: Numbers
    filtered_mean: Numbers
    filtered_std: Numbers


BODIES = (ScenarioBody, SmoothedBody)


@router.post("/scenario", responses=answers(ScenarioBody))
async def scenario(patient: str, request: Request, parts: PartsOf) -> Response:
    """Ask a copy of the patient's twin, of about a minute ago. Nothing is journalled or stored.

    Body: the file of `twin scenario` as JSON (docs/operations.md).
    """
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MOST_BYTES:
            raise Problem(413, "body", expected=f"at most {_MOST_BYTES} bytes")
    if patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
    found = await run_in_threadpool(_asked, lambda: parts.questions.scenario(patient, raw or b"{}"))
    signals = {
        code: ScenarioCurve(
            SIGNALS[code].unit,
            [at // MILLISECOND for at in columns.time],
            **columns.numbers,
        )
        for code, columns in found.items()
    }
    return answer(ScenarioBody(WATERMARK, format_instant(parts.feed.now()), patient, signals))


@router.get("/signals/{code}/smoothed", responses=answers(SmoothedBody))
def smoothed(
    patient: str,
    code: str,
    parts: PartsOf,
    start: str | None = Query(None, alias="from", description="default: to − 1 h"),
    end: str | None = Query(None, alias="to", description="default: now"),
) -> Response:
    """The signal in [from, to), each estimate knowing also what was measured later."""
    signal = SIGNALS.get(code)
    if signal is None or patient not in parts.feed.labels:
        raise Problem(404, "no such signal" if signal is None else "no such patient")
    to = parts.feed.now() if end is None else instant_of("to", end)
    since = to - HOUR if start is None else instant_of("from", start)
    if since >= to:
        raise Problem(422, "an empty interval", name="from", got=str(start), expected="before to")
    found = _asked(lambda: parts.questions.smoothed(patient, code, since, to))
    times = [at // MILLISECOND for at in found.time]
    return answer(SmoothedBody(signal.unit, times, **found.numbers))


def _asked(question: Callable[[], T]) -> T:
    if not _busy.acquire(timeout=20):
        raise Problem(503, "somebody else's question takes long; ask again")
    try:
        return question()
    except Unanswerable as error:
        raise Problem(422, "it cannot be asked so", expected=str(error)) from error
    finally:
        _busy.release()
