"""POST …/limits/backtest: what limits would have raised in the last days, before they are set."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response

from ingest.instant import DAY, HOUR, format_instant
from ingest.observation import Command
from twin.assessment.limits import Rule, Rules, conflict, read_change
from twin.care.api.asked import Asked, body_of, body_schema
from twin.care.api.bodies import answer, answers
from twin.care.backtest import STEP_S, Trial, Tried, try_limits
from twin.care.burden import GOALS
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem
from twin.judgement import Priority

router = APIRouter(prefix="/api/v1")
#: One at a time: each reads days of the record.
_busy = threading.Lock()
_GIVEN = ("signal", "priority", "low", "high", "unit", "delay_s", "hysteresis")


class Proposed(Asked, frozen=True, kw_only=True):
    """Limits of one signal at one priority, as they would be set."""

    signal: str
    priority: str
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    delay_s: float | None = None
    hysteresis: float | None = None


class Backtest(Asked, frozen=True, kw_only=True):
    """limits: what would change, nothing: the limits in force as they are. days: up to now."""

    limits: Annotated[Sequence[Proposed], msgspec.Meta(max_length=50)] = ()
    days: Annotated[float, msgspec.Meta(gt=0, le=7)] = 1.0


class TallyBody(msgspec.Struct, frozen=True):
    """What one set of limits would have raised. hours: of each hour from `begin` on; each_day: for
    each patient and day; signals: [signal, priority, how many]; patients: labels of the ten with
    most."""

    raised: int
    high: int
    each_day: float
    each_day_high: float
    within_budget: bool
    hours: Sequence[int]
    signals: Sequence[tuple[str, str, int]]
    patients: Sequence[tuple[str, int]]


class BacktestBody(msgspec.Struct, frozen=True):
    """The limits in force and those proposed, on the same estimates of [begin, end).

    signals: those tried (that change, or all with limits); covered: patients that were done in
    time; step_s: how far apart the estimates are, the result is as rough as that. budget_*: alarms
    for each patient and day that a ward can answer.
    """

    begin: str
    end: str
    signals: Sequence[str]
    patients: int
    covered: int
    patient_days: float
    step_s: float
    budget_each_day: float
    budget_each_day_high: float
    in_force: TallyBody
    proposed: TallyBody


BODIES = (Backtest, BacktestBody)
_SAYS: dict[str, Any] = {
    "responses": answers(BacktestBody),
    "openapi_extra": body_schema(Backtest),
}


@router.post("/limits/backtest", **_SAYS)
def try_ward_limits(
    parts: PartsOf, asked: Annotated[Backtest, Depends(body_of(Backtest))]
) -> Response:
    """Limits of the ward on everybody, where nobody's own hold."""
    return answer(tried(parts, asked, None))


@router.post("/patients/{patient}/limits/backtest", **_SAYS)
def try_patient_limits(
    patient: str, parts: PartsOf, asked: Annotated[Backtest, Depends(body_of(Backtest))]
) -> Response:
    """A patient's own limits."""
    if patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
    return answer(tried(parts, asked, patient))


def tried(parts: Parts, asked: Backtest, patient: str | None) -> BacktestBody:
    """Both sets, tried. Blocks for 20 s at most. Raises Problem 409, 422, 429, 503."""
    if not parts.feed.alarms_on:
        raise Problem(409, "there are no clinical alarms in this mode")
    changes = [_change(parts, one, patient) for one in asked.limits]
    whom = [patient] if patient is not None else sorted(parts.feed.labels)
    sets = {each: _sets(parts, each, changes, patient) for each in whom}
    changed = {key[0] for key, _rule in changes}
    signals = sorted(changed or {key[0] for rules, _ in sets.values() for key in rules})
    end = parts.feed.now()
    begin = (end - round(asked.days * DAY)) // HOUR * HOUR
    if not _busy.acquire(blocking=False):
        raise Problem(429, "another back-test is running; try again in a few seconds")
    try:
        trial = try_limits(parts.history, sets, signals, begin, end)
    finally:
        _busy.release()
    both = trial.sets or (Tried(), Tried())
    now, then = (_tally(one, trial, parts.feed.labels) for one in both)
    return BacktestBody(
        format_instant(begin), format_instant(end), signals, len(whom), trial.covered,
        trial.patient_days, STEP_S, GOALS["all"], GOALS["high"], now, then,
    )  # fmt: skip


def _change(parts: Parts, one: Proposed, patient: str | None) -> tuple[tuple[str, str], Rule]:
    """The proposed change, checked by the worker's own rule. Raises Problem 422."""
    body = {name: value for name in _GIVEN if (value := getattr(one, name)) is not None}
    command = Command(
        "back-test",
        "limits",
        "back-test",
        parts.feed.now(),
        {**body, "reason": "back-test"},
        patient,
    )
    read = read_change(command)
    if isinstance(read, str) or read.rule is None:
        raise Problem(422, "these limits cannot be set", name="limits", expected=str(read))
    return (one.signal, one.priority), read.rule


def _sets(
    parts: Parts,
    patient: str,
    changes: Sequence[tuple[tuple[str, str], Rule]],
    owner: str | None,
) -> tuple[Rules, Rules]:
    """(in force, proposed) of one patient; the ward's change leaves what is nearer to him."""
    rules, levels, _profile = parts.feed.limits(patient)
    proposed = dict(rules)
    for key, rule in changes:
        if owner is None and levels.get(key) in ("patient", "profile"):
            continue
        proposed[key] = rule
        if why := conflict(proposed, key[0]):
            raise Problem(422, "these limits cannot be set", name="limits", expected=why)
    return rules, proposed


def _tally(found: Tried, trial: Trial, labels: Mapping[str, str]) -> TallyBody:
    days = max(trial.patient_days, HOUR / DAY)
    each, high = found.each_day(days), found.each_day(days, Priority.HIGH)
    counts = Counter((one.signal, one.priority.value) for one in found.raised)
    return TallyBody(
        len(found.raised),
        sum(one.priority == Priority.HIGH for one in found.raised),
        each,
        high,
        each <= GOALS["all"] and high <= GOALS["high"],
        found.hours(trial.begin, trial.end),
        [(*key, n) for key, n in sorted(counts.items())],
        [(labels.get(patient) or patient, n) for patient, n in found.of_patients()],
    )
