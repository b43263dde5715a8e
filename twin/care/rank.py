"""Who first: the order of the ward, by alarms and NEWS2 together (never by alarms alone).

A technical alarm must not stand above a patient of NEWS2 7: the first prototype did that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twin.judgement import Alarm, AlarmKind, AlarmState, Priority, Score

#: NEWS2 ends at 20; within a rank the higher score comes first.
_MOST = 20
_SIGNALS = {"pulse": "heart_rate", "temperature": "body_temperature"}


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one patient. urgency: the less the sooner; rank 0–5 as docs/alarms.md says.

    threes: codes of the signals whose sub-score is 3.
    """

    urgency: int
    rank: int
    score: Score | None
    threes: tuple[str, ...]


def standing(alarms: Iterable[Alarm], score: Score | None) -> Standing:
    """alarms: the patient's that are not over."""
    rank = min((_rank_of(alarm) for alarm in alarms), default=5)
    total = 0 if score is None else score.score
    if score is not None:
        rank = min(rank, 2 if total >= 7 else 3 if total >= 5 or score.any3 else 5)
    return Standing(rank * 100 + _MOST - total, rank, score, _threes(score))


def is_unanswered(alarm: Alarm) -> bool:
    """Does it still need somebody: raised, taken by nobody, not paused, no advisory?"""
    waits = alarm.state in (AlarmState.ACTIVE, AlarmState.LATCHED)
    return waits and not alarm.paused_until and alarm.kind != AlarmKind.ADVISORY


def by_urgency(alarm: Alarm) -> tuple[int, int]:
    """Sorts alarms: the highest priority first, of equal ones the oldest."""
    return _PRIORITIES.index(alarm.priority), alarm.since


_PRIORITIES = (Priority.HIGH, Priority.MEDIUM, Priority.LOW, Priority.NONE)


def _rank_of(alarm: Alarm) -> int:
    if alarm.kind == AlarmKind.TECHNICAL:
        return 4 if is_unanswered(alarm) else 5
    if alarm.kind == AlarmKind.ADVISORY:
        return 5
    if alarm.priority == Priority.HIGH:
        return 0 if is_unanswered(alarm) else 2
    if alarm.priority == Priority.MEDIUM:
        return 1 if is_unanswered(alarm) else 3
    return 4 if is_unanswered(alarm) else 5


def _threes(score: Score | None) -> tuple[str, ...]:
    if score is None:
        return ()
    names = [part.parameter for part in score.components if part.points == 3]
    return tuple(_SIGNALS.get(name, name) for name in names)
