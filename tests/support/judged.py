"""Alarms and scores by hand, in the words of a test."""

from __future__ import annotations

from typing import Any

from ingest.instant import SECOND
from tests.support.ward import T0
from twin.judgement import (
    PARAMETERS,
    Alarm,
    AlarmEvent,
    AlarmKind,
    AlarmState,
    Chances,
    Component,
    Priority,
    Score,
)

_NAN = float("nan")
_VALUES = {"consciousness": 0.0, "oxygen": 0.0, "spo2": 91.0, "pulse": 88.0, "temperature": 37.1}


def alarm(id: str = "a1", at: float = 0.0, **said: Any) -> Alarm:  # noqa: A002
    """A high alarm of p1's oxygen saturation, raised now, but for what is said. at: s after T0."""
    usual: dict[str, Any] = {
        "patient": "p1",
        "signal": "spo2",
        "kind": AlarmKind.PHYSIOLOGICAL,
        "rule": "spo2/high/low",
        "priority": Priority.HIGH,
        "state": AlarmState.ACTIVE,
        "event": AlarmEvent.RAISED,
        "since": T0 + round(at * SECOND),
        "value": 83.0,
        "std": 0.7,
        "worst": 82.0,
        "limit": 85.0,
        "side": "low",
        "probability": 0.97,
        "cause": "below_limit",
        "model": "test",
    }
    return Alarm(id=id, at=T0 + round(at * SECOND), **(usual | said))


def technical(id: str = "t1", at: float = 0.0, **said: Any) -> Alarm:  # noqa: A002
    """A device of p1 that is silent."""
    usual: dict[str, Any] = {
        "signal": "",
        "kind": AlarmKind.TECHNICAL,
        "rule": "no_data",
        "priority": Priority.LOW,
        "value": _NAN,
        "std": _NAN,
        "worst": _NAN,
        "limit": _NAN,
        "side": "",
        "probability": _NAN,
        "cause": "no_data",
    }
    return alarm(id, at, **(usual | said))


def score(patient: str = "p1", at: float = 0.0, **points: int) -> Score:
    """points of each parameter that is known; at: s after T0."""
    stamp = T0 + round(at * SECOND)
    components = tuple(
        Component(name, points[name], _VALUES.get(name, 20.0), stamp, "device")
        if name in points
        else Component(name, -1, _NAN, 0)
        for name in PARAMETERS
    )
    total = sum(points.values())
    chances = Chances(total + 0.2, 0.4, 0.1, 0.05)
    return Score(
        patient,
        stamp,
        total,
        len(points) == len(PARAMETERS),
        3 in points.values(),
        1,
        chances,
        chances,
        components,
        "test",
    )
