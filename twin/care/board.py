"""Alarms and scores as they stand: a pure fold of the judgements in the estimates journal.

Kept with the fold of estimates, and saved with its position: a restart loses no transition and
tells none twice. What is over is kept for its story, the oldest let go first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from twin.assessment.limits import Change as LimitsChange
from twin.assessment.limits import Levels, Rule
from twin.judgement import Alarm, AlarmState, Judgements, LimitSet, Pause, Score, Switched
from twin.personal import Change, Consistency

#: Alarms that are over, and transitions for streams that come back: so many are remembered.
MOST_OVER, MOST_RECENT = 2_000, 1_000
#: Rows of one story; of a longer one the first half and the newest are kept.
LONGEST_STORY = 400
#: States of an alarm that somebody must know of.
OPEN = frozenset({AlarmState.ACTIVE, AlarmState.ACKNOWLEDGED, AlarmState.LATCHED})


class BoardState(msgspec.Struct, frozen=True, array_like=True):
    """A board as it is saved."""

    stories: list[list[Alarm]] = []
    scores: list[Score] = []
    recent: list[tuple[int, Alarm]] = []
    limits: list[LimitSet] = []
    pauses: list[Pause] = []
    switched: Switched | None = None
    changes: list[Change] = []
    consistency: list[Consistency] = []


@dataclass(slots=True)
class Board:
    """Not safe for several threads; its owner locks."""

    _stories: dict[str, list[Alarm]] = field(default_factory=dict)
    _open: dict[str, Alarm] = field(default_factory=dict)
    _over: deque[str] = field(default_factory=deque)
    _scores: dict[str, Score] = field(default_factory=dict)
    _changes: dict[str, Change] = field(default_factory=dict)
    _consistency: dict[str, Consistency] = field(default_factory=dict)
    _recent: deque[tuple[int, Alarm]] = field(default_factory=lambda: deque(maxlen=MOST_RECENT))
    _changed: set[str] = field(default_factory=set)
    _fresh: list[Alarm] = field(default_factory=list)
    _limits: dict[tuple[str, str, str, str], LimitSet] = field(default_factory=dict)
    _pauses: dict[tuple[str, str], Pause] = field(default_factory=dict)
    _recalled: set[str] = field(default_factory=set)
    #: Limits by level, as people set them.
    levels: Levels = field(default_factory=Levels)
    #: Whether alarms are on, as the twin said last.
    switched: Switched | None = None

    def fold(self, judgements: Judgements, position: int) -> None:
        """Take in one record of the journal, in its order."""
        for alarm in judgements.alarms:
            self._take(alarm, position)
        for score in judgements.scores:
            self._scores[score.patient] = score
            self._changed.add(score.patient)
        for change in judgements.changes:
            self._changes[change.patient] = change
            self._changed.add(change.patient)
        self._consistency.update((one.patient, one) for one in judgements.consistency)
        for limits in judgements.limits:
            self._set(limits)
        for pause in judgements.pauses:
            self._pauses.pop((pause.patient, pause.signal), None)
            if pause.until:
                self._pauses[pause.patient, pause.signal] = pause
        for switched in judgements.switched:
            self.switched = switched

    def recall(self, stories: Iterable[Sequence[Alarm]]) -> None:
        """Take in whole stories out of the record, of alarms that are not known here yet."""
        for story in stories:
            if story and story[0].id not in self._stories:
                self._recalled.add(story[0].id)
                for alarm in story:
                    self._take(alarm, 0)
        self.take_transitions()

    def _set(self, limits: LimitSet) -> None:
        key = (limits.patient, limits.profile, limits.signal, limits.priority)
        if not limits.signal:  # whoever has a profile has one
            key = (limits.patient, "", "", "")
        if limits.patient:
            self._changed.add(limits.patient)
        self._limits.pop(key, None)
        self._limits[key] = limits
        rule = Rule(
            limits.low,
            limits.high,
            limits.delay_s,
            limits.hysteresis,
            limits.author,
            limits.reason,
            limits.review_at,
            limits.at,
        )
        self.levels.apply(
            LimitsChange(
                limits.patient,
                limits.profile,
                limits.signal,
                limits.priority,
                None if limits.removed else rule,
            )
        )

    def _take(self, alarm: Alarm, position: int) -> None:
        story = self._stories.setdefault(alarm.id, [])
        if alarm.id in self._recalled and any(_same(alarm, row) for row in story):
            return  # the record was ahead of what is folded here
        story.append(alarm)
        if len(story) > LONGEST_STORY:
            del story[LONGEST_STORY // 2]
        self._changed.add(alarm.patient)
        self._open.pop(alarm.id, None)
        if alarm.state == AlarmState.CLOSED:
            self._end(alarm.id, story)
        elif alarm.state in OPEN:
            self._open[alarm.id] = alarm
        if was_raised(story):
            self._recent.append((position, alarm))
            self._fresh.append(alarm)

    def _end(self, id: str, story: Sequence[Alarm]) -> None:  # noqa: A002
        if not was_raised(story):  # a condition that passed before its delay was never an alarm
            del self._stories[id]
            return
        self._over.append(id)
        while len(self._over) > MOST_OVER:
            self._stories.pop(self._over.popleft(), None)

    # --- what it answers -------------------------------------------------------------------------

    def story(self, id: str) -> Sequence[Alarm]:  # noqa: A002
        """All rows of an alarm, oldest first; () if it is not known."""
        return tuple(self._stories.get(id, ()))

    def stories(self) -> list[Sequence[Alarm]]:
        """Of every alarm that was ever raised, in order of appearance."""
        return [tuple(story) for story in self._stories.values() if was_raised(story)]

    def open_alarms(self, patient: str | None = None) -> list[Alarm]:
        """The newest row of each alarm that is not over; only of this patient if one is given."""
        return [a for a in self._open.values() if patient is None or a.patient == patient]

    def score(self, patient: str) -> Score | None:
        return self._scores.get(patient)

    def change(self, patient: str) -> Change | None:
        """The newest change index of a patient."""
        return self._changes.get(patient)

    def consistency(self, patient: str) -> Consistency | None:
        """How a patient's innovations were, as said last."""
        return self._consistency.get(patient)

    def has_own_limits(self, patient: str) -> bool:
        """Do other limits hold for this patient than the ward's?"""
        return bool(self.levels.patients.get(patient) or self.levels.profile_of.get(patient))

    def scores(self) -> Mapping[str, Score]:
        """patient → newest score; a copy."""
        return dict(self._scores)

    @property
    def changed(self) -> frozenset[str]:
        """Patients whose alarms or score changed since `take_changed` was called."""
        return frozenset(self._changed)

    def pauses_of(self, patient: str) -> list[Pause]:
        """The pauses of one patient's signals that are in force."""
        return [pause for pause in self._pauses.values() if pause.patient == patient]

    def take_changed(self) -> set[str]:
        """Patients whose alarms or score changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def take_transitions(self) -> list[Alarm]:
        """Transitions since the last call, in order."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def missed(self, position: int) -> list[Alarm]:
        """Transitions in records after `position`, oldest first, as far back as is remembered."""
        return [alarm for at, alarm in self._recent if at > position]

    # --- saved -----------------------------------------------------------------------------------

    def state(self) -> BoardState:
        return BoardState(
            [list(story) for story in self._stories.values()],
            list(self._scores.values()),
            list(self._recent),
            list(self._limits.values()),
            list(self._pauses.values()),
            self.switched,
            list(self._changes.values()),
            list(self._consistency.values()),
        )

    @classmethod
    def of(cls, state: BoardState) -> Board:
        """The board that was saved; what it says anew begins now."""
        board = cls()
        for story in state.stories:
            for alarm in story:
                board._take(alarm, 0)
        settings = Judgements(
            (), tuple(state.scores), tuple(state.limits), tuple(state.pauses),
            changes=tuple(state.changes), consistency=tuple(state.consistency),
        )  # fmt: skip
        board.fold(settings, 0)
        board.switched = state.switched
        board._recent.clear()
        board._recent.extend(state.recent)
        board.take_transitions()
        return board


def _same(one: Alarm, other: Alarm) -> bool:
    return (one.at, one.event, one.reason) == (other.at, other.event, other.reason)


def was_raised(story: Iterable[Alarm]) -> bool:
    """Was it ever shown as an alarm, and not only pending?"""
    return any(alarm.state in OPEN for alarm in story)
