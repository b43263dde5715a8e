"""What a page says of an alarm and of a score, before (and without) its script.

static/app/alarms.js does the same in the browser; a browser test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.instant import SECOND
from twin.care.rank import by_urgency, is_unanswered
from twin.care.vitals import VITALS
from twin.care.words import Words, catalogue
from twin.judgement import Alarm, AlarmKind, AlarmState, Score

#: Priority by symbol, as bedside monitors write it; an advisory only tells.
SYMBOLS = {"high": "***", "medium": "**", "low": "*", "none": "i"}


@dataclass(frozen=True, slots=True)
class AlarmCell:
    """One alarm in two lines. more: how many others the patient has."""

    id: str
    priority: str
    shown: str
    unanswered: bool
    symbol: str
    what: str
    how: str
    more: int = 0


@dataclass(frozen=True, slots=True)
class Chip:
    """The chip of a score: "5+" where inputs are missing. level: none, 0, low … high, single."""

    text: str
    level: str
    complete: bool
    spoken: str


def alarm_cell(alarms: Sequence[Alarm], now: int, words: Words) -> AlarmCell | None:
    """The most urgent of a patient's open alarms; None without any."""
    if not alarms:
        return None
    waiting = sorted(alarms, key=lambda a: (not is_unanswered(a), *by_urgency(a)))
    return one_cell(waiting[0], now, words, len(alarms) - 1)


def one_cell(alarm: Alarm, now: int, words: Words, more: int = 0) -> AlarmCell:
    """One alarm's words; now: int64 ns UTC."""
    return AlarmCell(
        alarm.id,
        alarm.priority.value,
        alarm.shown,
        is_unanswered(alarm),
        SYMBOLS[alarm.priority.value],
        what_of(alarm, words),
        how_of(alarm, now, words),
        more,
    )


def what_of(alarm: Alarm, words: Words) -> str:
    """The worst value and the limit ("RR 27 > 25"), or a technical cause."""
    if alarm.kind == AlarmKind.TECHNICAL:
        key = f"cause.{alarm.cause}"
        text = words(key) if key in catalogue(words.language) else alarm.cause
        return f"{text} ({alarm.count})" if alarm.count > 1 else text
    vital = VITALS.get(alarm.signal)
    name = words(f"short.{alarm.signal}") if vital else words("news2.name")
    decimals = vital.decimals if vital else 0
    worst, limit = (words.number(number, decimals) for number in (alarm.worst, alarm.limit))
    return f"{name} {worst} {'<' if alarm.side == 'low' else '>' if vital else '≥'} {limit}"


def how_of(alarm: Alarm, now: int, words: Words) -> str:
    """Who has it, or what is with it, and since when."""
    if alarm.state == AlarmState.LATCHED:
        return words("alarm.latched")
    if alarm.paused_until:
        parts = [words("alarm.paused", time=words.clock(alarm.paused_until)[:5])]
    elif alarm.taken_by:
        parts = [words("alarm.taken", name=alarm.taken_by)]
    elif alarm.kind == AlarmKind.ADVISORY:
        parts = [words("alarm.advisory")]
    else:
        parts = [words("alarm.not_taken")]
    if alarm.unverified:
        parts.append(words("alarm.unverified"))
    if alarm.escalation and is_unanswered(alarm):
        parts.append(words(f"escalation.{alarm.escalation}"))
    parts.append(words.age((now - alarm.since) / SECOND))
    return " · ".join(parts)


def chip_of(score: Score | None, words: Words) -> Chip:
    """Without a score a dash."""
    if score is None:
        return Chip("—", "none", False, words("news2.none"))
    return chip(score.score, score.complete, score.any3, words)


def chip(total: int, complete: bool, any3: bool, words: Words) -> Chip:
    """Of a sum of sub-scores; any3: one of them is 3."""
    level = "high" if total >= 7 else "medium" if total >= 5 else "single" if any3 else "low"
    if total == 0:
        level = "0"
    spoken = words("news2.complete" if complete else "news2.at_least", n=total)
    return Chip(f"{total}" if complete else f"{total}+", level, complete, spoken)
