"""/api/v1/limits and /api/v1/patients/{id}/limits: which alarm limits hold, and who set them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from ingest.catalogue import SIGNALS
from ingest.instant import DAY, format_instant
from twin.assessment.limits import Rule
from twin.care.api.asked import Asked, body_of, body_schema, command
from twin.care.api.bodies import answer, answers
from twin.care.parts import Parts, PartsOf
from twin.care.problem import Problem

router = APIRouter(prefix="/api/v1")


class LimitBody(msgspec.Struct, frozen=True):
    """Limits of one signal at one priority, in its canonical unit; null: no limit on that side.

    level: default (of the product, a proposal), ward, profile or patient: where they were set.
    """

    signal: str
    unit: str
    priority: str
    low: float
    high: float
    delay_s: float
    hysteresis: float
    level: str
    author: str
    reason: str
    review_at: str | None
    at: str | None


class LimitsBody(msgspec.Struct, frozen=True):
    """The limits in force for a patient (null: in the ward, where nobody's own are set)."""

    time: str
    enabled: bool
    patient: str | None
    profile: str
    limits: Sequence[LimitBody]


class SetLimits(Asked, frozen=True, kw_only=True):
    """New limits of one signal at one priority (high, medium); low and high null: none.

    unit: the canonical one if absent. A patient's own need a reason. review_days: until somebody
    looks at them again. remove: back to the level before. profile, without signal: the profile that
    the patient has from now on.
    """

    signal: str | None = None
    priority: str | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    delay_s: float | None = None
    hysteresis: float | None = None
    reason: str | None = None
    review_days: Annotated[float, msgspec.Meta(gt=0, le=365)] | None = None
    profile: str | None = None
    remove: bool = False


BODIES = (LimitsBody, SetLimits)


@router.get("/limits", responses=answers(LimitsBody))
def ward_limits(parts: PartsOf) -> Response:
    """The ward's limits."""
    return answer(limits_of(parts, None))


@router.get("/patients/{patient}/limits", responses=answers(LimitsBody))
def patient_limits(patient: str, parts: PartsOf) -> Response:
    """Limits that hold for a patient, each with the level at which it was set."""
    _known(parts, patient)
    return answer(limits_of(parts, patient))


@router.put("/limits", responses=answers(LimitsBody), openapi_extra=body_schema(SetLimits))
def set_ward_limits(
    request: Request,
    parts: PartsOf,
    asked: Annotated[SetLimits, Depends(body_of(SetLimits))],
) -> Response:
    """Set one of the ward's limits, by name."""
    _set(request, parts, asked, None)
    return answer(limits_of(parts, None))


@router.put(
    "/patients/{patient}/limits",
    responses=answers(LimitsBody),
    openapi_extra=body_schema(SetLimits),
)
def set_patient_limits(
    patient: str,
    request: Request,
    parts: PartsOf,
    asked: Annotated[SetLimits, Depends(body_of(SetLimits))],
) -> Response:
    """Set one of a patient's own limits, by name and with a reason."""
    _known(parts, patient)
    _set(request, parts, asked, patient)
    return answer(limits_of(parts, patient))


def limits_of(parts: Parts, patient: str | None) -> LimitsBody:
    """What holds now, in the order of the signals, high before medium."""
    rules, levels, profile = parts.feed.limits(patient or "")
    order = list(SIGNALS)
    keys = sorted(rules, key=lambda key: (order.index(key[0]), key[1]))
    made = [_body(*key, rules[key], levels[key]) for key in keys]
    now = format_instant(parts.feed.now())
    return LimitsBody(now, parts.feed.alarms_on, patient, profile, made)


def _body(signal: str, priority: str, rule: Rule, level: str) -> LimitBody:
    return LimitBody(
        signal,
        SIGNALS[signal].unit,
        priority,
        rule.low,
        rule.high,
        rule.delay_s,
        rule.hysteresis,
        level,
        rule.author,
        rule.reason,
        format_instant(rule.review_at) if rule.review_at else None,
        format_instant(rule.at) if rule.at else None,
    )


def _set(request: Request, parts: Parts, asked: SetLimits, patient: str | None) -> None:
    if not parts.feed.alarms_on:
        raise Problem(409, "there are no clinical alarms in this mode: no limit can be set")
    body = {name: value for name in _GIVEN if (value := getattr(asked, name)) is not None}
    if asked.remove:
        body["remove"] = True
    if asked.review_days is not None:
        body["review_at"] = parts.feed.now() + round(asked.review_days * DAY)
    command(request, parts, asked, "limits", body, patient)


_GIVEN = ("signal", "priority", "low", "high", "unit", "delay_s", "hysteresis", "reason", "profile")


def _known(parts: Parts, patient: str) -> None:
    if patient not in parts.feed.labels:
        raise Problem(404, "no such patient")
