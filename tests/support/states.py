"""A ward in which every state of an alarm stands once: scripted judgements for the page's tests."""

from __future__ import annotations

import time

from ingest.instant import HOUR, MINUTE, SECOND
from tests.support.judged import alarm, score, technical
from tests.support.ward import T0
from twin.judgement import (
    AlarmEvent,
    AlarmKind,
    AlarmState,
    Judgements,
    Priority,
    Switched,
)

ON = Switched(True, "remote_monitoring", "configuration", T0)
MEDIUM = {"priority": Priority.MEDIUM}
TAKEN = {"state": AlarmState.ACKNOWLEDGED, "event": AlarmEvent.ACKNOWLEDGED}
WELL = {
    "respiratory_rate": 0,
    "spo2": 0,
    "oxygen": 0,
    "systolic_bp": 0,
    "pulse": 0,
    "consciousness": 0,
    "temperature": 0,
}
PULSE = {"signal": "heart_rate", "rule": "heart_rate/medium/high", "side": "high", "limit": 131.0}
BREATH = {"signal": "respiratory_rate", "rule": "respiratory_rate/medium/high", "side": "high"}


def every_state() -> Judgements:
    """p1 high; p2 medium taken; p3 medium unverified; p4 paused; p5 no data; p6 score of 7."""
    at = time.time() - T0 / SECOND
    since = {"since": time.time_ns() - 2 * MINUTE}
    paused = {"paused_until": time.time_ns() + HOUR, "event": AlarmEvent.PAUSED}
    rows = (
        alarm("high", at, patient="p1", escalation=1, event=AlarmEvent.ESCALATED, **since),
        alarm("held", at - 60, patient="p2", value=137.0, worst=141.0, **MEDIUM, **PULSE),
        alarm(
            "held", at, patient="p2", value=136.0, worst=141.0, actor="I. Roux",
            taken_by="I. Roux", **MEDIUM, **PULSE, **TAKEN,
        ),
        alarm(
            "doubt", at, patient="p3", value=26.0, worst=27.0, limit=25.0, unverified=True,
            event=AlarmEvent.UNVERIFIED, **MEDIUM, **BREATH, **since,
        ),
        alarm(
            "quiet", at, patient="p4", value=38.0, worst=37.0, limit=40.0, reason="care",
            signal="heart_rate", rule="heart_rate/medium/low", actor="B. Lind", **MEDIUM, **paused,
        ),
        technical("silent", at, patient="p5", **since),
        alarm("over", at, patient="p6", state=AlarmState.LATCHED, event=AlarmEvent.LATCHED),
        alarm(
            "soon", at, patient="p6", kind=AlarmKind.ADVISORY, priority=Priority.NONE,
            rule="heart_rate/medium/high", signal="heart_rate", side="high", limit=131.0,
            value=120.0, worst=120.0,
        ),
    )  # fmt: skip
    scores = (
        score("p1", at, **(WELL | {"spo2": 3, "respiratory_rate": 2})),
        score("p2", at, pulse=3, spo2=0, respiratory_rate=1, temperature=1),
        score("p3", at, **(WELL | {"respiratory_rate": 3, "pulse": 2, "oxygen": 2})),
        score("p4", at, pulse=3, spo2=0),
        score("p6", at, **WELL),
    )
    return Judgements(rows, scores, switched=(ON,))
