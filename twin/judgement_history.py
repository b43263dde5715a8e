"""What pages and API ask of the judgements that a store keeps."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from twin.judgement import Alarm, Score
from twin.personal import Change

Item_co = TypeVar("Item_co", covariant=True)


@dataclass(frozen=True, slots=True)
class AlarmsAsked:
    """Which alarms: those that were raised and lasted at some time of [start, end), ns UTC.

    states, priorities: of the newest transition, empty = any. patient: "" = everybody's. limit: at
    most so many, those with the newest transitions.
    """

    start: int
    end: int
    states: Set[str] = frozenset()
    priorities: Set[str] = frozenset()
    patient: str = ""
    limit: int = 1_000


@dataclass(frozen=True, slots=True)
class Page(Generic[Item_co]):
    """following: `start` of the next page, ns; None: this was the last."""

    items: Sequence[Item_co]
    following: int | None


class JudgementHistory(Protocol):
    """What a store keeps of judgements, also when the journal has let them go.

    Every answer may raise `twin.estimate.HistoryUnavailable`.
    """

    def alarms(self, asked: AlarmsAsked) -> Sequence[Alarm]:
        """The newest transition of each alarm, the newest first."""

    def stories(self, asked: AlarmsAsked) -> Sequence[Sequence[Alarm]]:
        """All transitions of each alarm, oldest first."""

    def story(self, alarm: str) -> Sequence[Alarm]:
        """All transitions of one alarm, oldest first; () if it was never raised."""

    def scores(self, patient: str, start: int, end: int, limit: int) -> Page[Score]:
        """Scores of [start, end), oldest first."""

    def changes(self, patient: str, start: int, end: int, limit: int) -> Page[Change]:
        """Change indexes of [start, end), oldest first."""
