"""What alarms cost the people who answer them: rates, floods, who and what makes most of them.

Figures after EEMUA 191 and ISA-18.2, goals as care.md proposes; a pure function of the stories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ingest.instant import DAY, HOUR, MINUTE, SECOND
from twin.judgement import Alarm, AlarmEvent, AlarmKind, Priority

#: Goals of a ward (care.md 2.5): alarms for each patient and day, of high priority and all.
GOALS = {"high": 0.2, "all": 2.0}
#: More alarms than this in ten minutes are a flood.
FLOOD = 10
_WINDOW = 10 * MINUTE
_CHATTERING, _NUISANCE = 3, 30 * SECOND


@dataclass(frozen=True, slots=True)
class Burden:
    """Of the last `hours` hours, advisories left out. Shares are 0–1, NaN where there were none.

    each_day: alarms for each patient and day, by priority. median_s, p90_s: until somebody took it.
    nuisance: share that cleared by itself within 30 s. technical: share of technical ones.
    actionable: share of the closed ones with a word on them that somebody acted on or watched.
    """

    hours: float
    raised: int
    each_day: dict[str, float]
    flood: float
    median_s: float
    p90_s: float
    nuisance: float
    technical: float
    actionable: float
    chattering: int
    stale: int
    patients: list[tuple[str, int]]
    rules: list[tuple[str, int]]
    pauses: list[tuple[str, int]]


def burden(stories: Sequence[Sequence[Alarm]], patients: int, now: int, span: int = DAY) -> Burden:
    """stories: all rows of each alarm, oldest first; patients: how many are followed."""
    begun = [(raised_at(story), story) for story in stories]
    recent = [
        (at, story)
        for at, story in begun
        if at >= now - span and story[-1].kind != AlarmKind.ADVISORY
    ]
    days = max(1, patients) * span / DAY
    priorities = Counter(story[-1].priority.value for _at, story in recent)
    times = [taken - at for at, story in recent if (taken := taken_at(story)) is not None]
    outcomes = Counter(s[-1].outcome for _, s in recent if s[-1].outcome in _JUDGED)
    return Burden(
        span / HOUR,
        len(recent),
        {p.value: priorities[p.value] / days for p in Priority if p != Priority.NONE},
        _flooded([at for at, _story in recent], now, span),
        _quantile(times, 0.5),
        _quantile(times, 0.9),
        _share(sum(_passed_by_itself(at, story) for at, story in recent), len(recent)),
        _share(sum(s[-1].kind == AlarmKind.TECHNICAL for _, s in recent), len(recent)),
        _share(outcomes["acted"] + outcomes["watched"], outcomes.total()),
        _chattering(recent),
        sum(now - at > DAY and not story[-1].outcome for at, story in begun),
        Counter(story[-1].patient for _, story in recent if story[-1].patient).most_common(10),
        Counter(story[-1].rule for _, story in recent).most_common(10),
        Counter(_pauses(recent)).most_common(),
    )


_JUDGED = ("acted", "watched", "false", "other")


def raised_at(story: Sequence[Alarm]) -> int:
    """When it was raised, int64 ns UTC."""
    return next((row.at for row in story if row.event == AlarmEvent.RAISED), story[0].at)


def taken_at(story: Sequence[Alarm]) -> int | None:
    """When somebody took it first; None: nobody did."""
    return next((row.at for row in story if row.event == AlarmEvent.ACKNOWLEDGED), None)


def _passed_by_itself(at: int, story: Sequence[Alarm]) -> bool:
    return bool(story[-1].outcome) and taken_at(story) is None and story[-1].at - at < _NUISANCE


def _pauses(recent: Sequence[tuple[int, Sequence[Alarm]]]) -> list[str]:
    rows = [row for _, story in recent for row in story if row.event == AlarmEvent.PAUSED]
    return [row.reason.partition(":")[0] for row in rows]


def _flooded(times: Sequence[int], now: int, span: int) -> float:
    """Share of the span's windows of ten minutes in which more than `FLOOD` were raised."""
    windows = Counter((now - at) // _WINDOW for at in times)
    return sum(n > FLOOD for n in windows.values()) / (span // _WINDOW)


def _chattering(recent: Sequence[tuple[int, Sequence[Alarm]]]) -> int:
    """Pairs of patient and rule that were raised three times within ten minutes."""
    times: dict[tuple[str, str], list[int]] = {}
    for at, story in recent:
        times.setdefault((story[-1].patient, story[-1].rule), []).append(at)
    return sum(
        any(b - a <= _WINDOW for a, b in zip(sorted(t), sorted(t)[_CHATTERING - 1 :], strict=False))
        for t in times.values()
    )


def _quantile(times: Sequence[int], q: float) -> float:
    return float(np.quantile(times, q)) / SECOND if times else float("nan")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
