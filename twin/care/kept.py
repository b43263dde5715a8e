"""Alarms as people ask for them: what the live fold remembers and what the store keeps, as one.

The fold has what was judged a moment ago, the store what the journal and the fold have let go.
While the store is away the live alarms are all there is, and the answer says so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from twin.care.board import OPEN
from twin.care.parts import Parts
from twin.care.rank import by_urgency
from twin.estimate import HistoryUnavailable
from twin.judgement import Alarm, AlarmState
from twin.judgement_history import AlarmsAsked

#: Any time that int64 ns has.
EVER = (0, (1 << 63) - 1)
#: Alarms that stand at once, at most.
MOST_RECALLED = 10_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alarms:
    """The newest row of each: open ones by urgency, then those that are over, newest first.

    complete False: the store is away, these are only what the live page remembers.
    """

    rows: Sequence[Alarm]
    complete: bool


def recall(parts: Parts) -> None:
    """Before the live fold begins: the alarms that stand, as the store has them. A fold that was
    lost begins with the journal, which may be trimmed; the bar must show them all the same."""
    try:
        states = frozenset(str(state) for state in OPEN)
        parts.feed.recall(parts.judged.stories(AlarmsAsked(*EVER, states, limit=MOST_RECALLED)))
    except HistoryUnavailable as away:
        _log.warning("open alarms cannot be asked of the store: %s", away)


def alarms_of(parts: Parts, asked: AlarmsAsked) -> Alarms:
    """The alarms that are asked for, at most `asked.limit`."""
    complete = True
    newest: dict[str, Alarm] = {}
    try:
        newest = {row.id: row for row in parts.judged.alarms(asked)}
    except HistoryUnavailable:
        complete = False
    for story in parts.feed.stories():
        newest.pop(story[-1].id, None)  # it may have gone on since it was stored
        if _is_asked(story, asked):
            newest[story[-1].id] = story[-1]
    opened = sorted((row for row in newest.values() if row.state in OPEN), key=by_urgency)
    over = sorted((r for r in newest.values() if r.state not in OPEN), key=lambda r: -r.at)
    return Alarms([*opened, *over][: asked.limit], complete)


def stories_of(parts: Parts, asked: AlarmsAsked) -> list[Sequence[Alarm]]:
    """Whole stories of the alarms that are asked for; of the live fold alone while the store is
    away."""
    live = {story[-1].id: story for story in parts.feed.stories()}
    try:
        stored = {story[-1].id: story for story in parts.judged.stories(asked)}
    except HistoryUnavailable:
        stored = {}
    joined = [_joined(stored.get(id_, ()), live.get(id_, ())) for id_ in stored | live]
    return [story for story in joined if _is_asked(story, asked)]


def story_of(parts: Parts, alarm: str) -> Sequence[Alarm]:
    """All rows of one alarm, oldest first; () if nobody knows it. Raises HistoryUnavailable if the
    store, which may know it, is away."""
    live = parts.feed.story(alarm)
    try:
        return _joined(parts.judged.story(alarm), live)
    except HistoryUnavailable:
        if not live:
            raise
        return live


def _joined(stored: Sequence[Alarm], live: Sequence[Alarm]) -> Sequence[Alarm]:
    """The fold has the end that is not stored yet; of a long story it has let the middle go."""
    known = {_key(row) for row in stored}
    rest = [row for row in live if _key(row) not in known]
    return sorted([*stored, *rest], key=lambda row: row.at) if rest else stored


def _key(row: Alarm) -> tuple[int, str, str]:
    return row.at, row.event, row.reason


def _is_asked(story: Sequence[Alarm], asked: AlarmsAsked) -> bool:
    now = story[-1]
    begun = next((row.at for row in story if row.state in OPEN), story[0].at)
    return (
        begun < asked.end
        and (now.state != AlarmState.CLOSED or now.at >= asked.start)
        and asked.patient in ("", now.patient)
        and (not asked.states or now.state in asked.states)
        and (not asked.priorities or now.priority in asked.priorities)
    )
