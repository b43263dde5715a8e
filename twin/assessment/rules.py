"""From conditions to alarms: what the kernel found at a tick becomes steps in the life of alarms.

One cause, one alarm: a vital beyond its limit on one side is one alarm, whose priority rises when
the sharper limit is passed; a new one takes the place of a latched one of the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.catalogue import CODES
from twin.assessment.alarm import FURTHER, Condition, HeldPause, Now, Standing, begun
from twin.assessment.kernel import HIGH, HIGH_SIDE, PENDING, QUIET
from twin.assessment.standing import OpenAlarms
from twin.estimation.kalman import spoken_below
from twin.judgement import Alarm, AlarmKind, AlarmState, Priority

SIDES = ("low", "high")
NEWS2 = "news2"
NEWS2_RULE = "news2/high"
SIGNAL_QUALITY = "signal_quality"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that holds for a patient, who set it ("" = the default) and why."""

    value: float
    hysteresis: float = 0.0
    author: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Rows, and the number of the patient they are of."""

    number: int
    rows: Sequence[Alarm]


@dataclass(slots=True)
class Rules:
    """Moves alarms on; what it says collects in `said` until it is taken."""

    alarms: OpenAlarms
    said: list[Told] = field(default_factory=list)

    def say(self, number: int, standing: Standing, rows: Sequence[Alarm], partition: int) -> None:
        """Remember the rows and where the alarm stands after them."""
        if rows:
            self.said.append(Told(number, rows))
            self.alarms.settle(number, standing, partition)

    def change(
        self,
        number: int,
        partition: int,
        condition: Condition,
        reached: int,
        now: Now,
        limit: Limit,
    ) -> None:
        """A condition is now pending, holds (medium, high), or is gone (`reached`, kernel codes).

        limit: the one of the priority that is reached.
        """
        standing = self.alarms.of(number, condition.rule)
        if reached == QUIET:
            if standing is not None:
                outcome = "limits_changed" if math.isnan(limit.value) else "cleared"
                self.end(number, partition, standing, now, outcome)
            return
        priority = Priority.HIGH if reached == HIGH else Priority.MEDIUM
        if standing is None:
            standing = self.alarms.add(number, begun(condition, now, priority, limit.value))
            self.say(number, standing, standing.begin(), partition)
        if reached != PENDING:
            self._raise(number, partition, standing, now, priority, limit)

    def _raise(
        self,
        number: int,
        partition: int,
        standing: Standing,
        now: Now,
        priority: Priority,
        limit: Limit,
    ) -> None:
        before = self.alarms.latched_of(number, standing.row.rule)
        if before is not None:  # nobody has seen it yet: it is that alarm that comes again
            self.say(number, standing, standing.clear(now, "replaced"), partition)
            standing = before
        pause = self._pause_for(number, standing, priority)
        joined = "" if pause else self._joins(number, standing, priority, now)
        held = (limit.value, limit.author, limit.reason)
        rows = standing.call(now, priority, held, pause, joined=joined)
        self.say(number, standing, rows, partition)

    def _joins(self, number: int, standing: Standing, priority: Priority, now: Now) -> str:
        """The patient's alarm that a new one joins, "" if none: one of the same event that nobody
        has taken yet and that calls at least as urgently."""
        if standing.row.state != AlarmState.PENDING:
            return ""
        for rule in vital_rules():
            other = self.alarms.of(number, rule)
            if other is not None and other is not standing and other.leads(priority, now):
                return other.row.id
        return ""

    def led(self, standing: Standing) -> bool:
        """Does the alarm that it joined call for both still?"""
        head = self.alarms.by_id.get(standing.row.joined)
        return head is not None and head.standing.row.state == AlarmState.ACTIVE

    def _pause_for(self, number: int, standing: Standing, priority: Priority) -> HeldPause | None:
        """The pause that keeps it silent; a high alarm breaks one that is not a physician's."""
        pause = self.alarms.pause_of(number, standing.row.signal)
        if pause is not None and priority == Priority.HIGH and not pause.firm:
            self.alarms.end_pause(number, standing.row.signal)
            return None
        return pause

    def end(self, number: int, partition: int, standing: Standing, now: Now, outcome: str) -> None:
        """Its condition is gone."""
        pending = standing.row.state == AlarmState.PENDING
        rows = standing.subside(now) if pending else standing.clear(now, outcome)
        self.say(number, standing, rows, partition)

    def doubt(self, number: int, partition: int, rule: str, now: Now, unverified: bool) -> None:
        """Good data of a rule's vital are gone, or back."""
        standing = self.alarms.of(number, rule)
        if standing is not None:
            self.say(number, standing, standing.doubt(now, unverified), partition)

    def state(
        self, number: int, partition: int, condition: Condition, holds: bool, now: Now, count: int
    ) -> None:
        """A technical condition or a forecast holds, or no longer: no delay, no latching."""
        standing = self.alarms.of(number, condition.rule)
        if holds and standing is None:
            priority = Priority.NONE if condition.kind == AlarmKind.ADVISORY else Priority.LOW
            standing = self.alarms.add(number, begun(condition, now, priority, math.nan))
            rows = standing.call(now, priority, (math.nan, "", ""), None, count)
            self.say(number, standing, rows, partition)
        elif not holds and standing is not None:
            self.end(number, partition, standing, now, "cleared")


def vital_rules() -> list[str]:
    """The rules of all vitals, in the catalogue's order."""
    return [f"{code}/{side}" for code in CODES for side in SIDES]


def further_step(signal: str, hysteresis: float) -> float:
    """The step of a value after which a taken alarm alarms again, in the signal's unit."""
    return FURTHER.get(signal, 2.0 if signal == NEWS2 else 4.0 * max(hysteresis, 1e-9))


def condition_of(patient: str, signal: str, side: int) -> Condition:
    """A vital beyond its limit on one side."""
    cause = "above_limit" if side == HIGH_SIDE else "below_limit"
    rule = f"{signal}/{SIDES[side]}"
    return Condition(patient, signal, AlarmKind.PHYSIOLOGICAL, rule, SIDES[side], cause)


def score_condition_of(patient: str) -> Condition:
    """The score at or above its limit."""
    return Condition(patient, NEWS2, AlarmKind.PHYSIOLOGICAL, NEWS2_RULE, "high", "score")


def quality_condition_of(patient: str) -> Condition:
    """Signals of bad quality for too long."""
    return Condition(patient, "", AlarmKind.TECHNICAL, SIGNAL_QUALITY, "", SIGNAL_QUALITY)


def forecast_condition_of(patient: str, signal: str, side: int) -> Condition:
    """A vital that will probably be beyond its limit."""
    rule = f"{signal}/{SIDES[side]}/forecast"
    return Condition(patient, signal, AlarmKind.ADVISORY, rule, SIDES[side], "forecast")


def chance_beyond(
    mean: float, std: float, limit: float, side: int, ceiling: float = math.inf
) -> float:
    """P(true value beyond the limit) of an estimate as it is said; NaN without one or a limit.

    ceiling: where the signal's distribution is cut off (`twin.estimation.models.ceiling_of`).
    """
    if not std > 0 or limit != limit:
        return math.nan
    below = float(spoken_below(limit, mean, std, ceiling))
    return 1.0 - below if side == HIGH_SIDE else below
