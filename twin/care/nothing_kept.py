"""A page without a store: what it is told of alarms, scores and changes that are over."""

from __future__ import annotations

from collections.abc import Sequence

from twin.judgement import Alarm, Score
from twin.judgement_history import AlarmsAsked, Page
from twin.personal import Change


class NothingKept:
    """`twin.judgement_history.JudgementHistory` of a page without a store."""

    def alarms(self, asked: AlarmsAsked) -> Sequence[Alarm]:
        return ()

    def stories(self, asked: AlarmsAsked) -> Sequence[Sequence[Alarm]]:
        return ()

    def story(self, alarm: str) -> Sequence[Alarm]:
        return ()

    def scores(self, patient: str, start: int, end: int, limit: int) -> Page[Score]:
        return Page((), None)

    def changes(self, patient: str, start: int, end: int, limit: int) -> Page[Change]:
        return Page((), None)
