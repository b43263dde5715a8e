"""The life of one alarm: a pure machine in the words of IEC 60601-1-8 (docs/alarms.md).

pending → active → acknowledged → closed, or active → latched → closed. Every step gives the rows
that go to the journal; durations are in journal time (`elapsed`, ns), wall time only dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from ingest.instant import MINUTE
from twin.judgement import Alarm, AlarmEvent, AlarmKind, AlarmState, Priority

#: Not taken for so long (journal time), step by step: whole team, shift lead, physician.
ESCALATION: Mapping[Priority, Sequence[int]] = {
    Priority.HIGH: (1 * MINUTE, 3 * MINUTE, 5 * MINUTE),
    Priority.MEDIUM: (5 * MINUTE, 15 * MINUTE),
}
#: Taken, and the condition still there after so long: it alarms again.
HANDLED_WITHIN: Mapping[Priority, int] = {Priority.HIGH: 10 * MINUTE, Priority.MEDIUM: 30 * MINUTE}
#: Taken, and its condition gone for so long (journal time): it is over. What comes back before is
#: the same alarm, and whoever has it is not called again for nothing.
RESTS = 3 * MINUTE
#: What else goes beyond its limit so soon (journal time) after an alarm that nobody has taken yet
#: is thought to be the same event: it joins that alarm and calls nobody by itself.
JOINS = 5 * MINUTE
#: A further step of the value after which a taken alarm alarms again; else four times hysteresis.
FURTHER: Mapping[str, float] = {"spo2": 3.0, "heart_rate": 20.0, "respiratory_rate": 5.0}
_RANK = {Priority.NONE: 0, Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}
LATCHING = (Priority.HIGH,)
OPEN = (AlarmState.ACTIVE, AlarmState.ACKNOWLEDGED)


def alarm_id(patient: str, rule: str, since: int) -> str:
    """The id of the alarm of a rule that began then: the same whenever the journal is replayed."""
    return blake2b(f"{patient}\0{rule}\0{since}".encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Now:
    """The moment at which something happens to an alarm, and what is known of its condition then.

    at: wall time, ns UTC; elapsed: journal time, ns; value, std: the estimate now, NaN: none.
    """

    at: int
    elapsed: int
    value: float
    std: float
    probability: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What an alarm is about: the constants of its rows."""

    patient: str
    signal: str
    kind: AlarmKind
    rule: str
    side: str
    cause: str


class HeldPause(msgspec.Struct, frozen=True, array_like=True):
    """A pause of one signal of one patient. ends: journal time, ns; until: wall time, ns.

    firm: also a high alarm stays silent (a physician paused it).
    """

    signal: str
    ends: int
    until: int
    reason: str
    actor: str
    firm: bool


class Standing(msgspec.Struct):
    """An alarm that is not closed: its newest row, and what its life depends on.

    called_at: journal time at which somebody was called last (raised, alarmed again); taken_at: at
    which it was taken; step_from: value at that call; pause_ends: journal time, 0 = not paused;
    cleared_at: journal time since which a taken one's condition is gone, 0 = it holds.
    """

    row: Alarm
    called_at: int = 0
    taken_at: int = 0
    step_from: float = 0.0
    pause_ends: int = 0
    cleared_at: int = 0
    #: Who has seen it since it called last.
    seen_by: list[str] = []

    def begin(self) -> Sequence[Alarm]:
        """The first row, of a pending alarm."""
        return [self.row]

    def call(
        self,
        now: Now,
        priority: Priority,
        limit: tuple[float, str, str],
        pause: HeldPause | None,
        count: int = 1,
        joined: str = "",
    ) -> Sequence[Alarm]:
        """The delay has passed, or the priority rises, or it comes again before anybody has seen
        that it was there: somebody must come.

        limit: the limit, who set it, why. pause: one that keeps it silent. count: of devices.
        joined: the alarm that it joins, which calls for both.
        """
        recurs = self.row.state == AlarmState.LATCHED
        again = recurs or self.row.state in OPEN
        rises = _RANK[priority] > _RANK[self.row.priority]
        self.cleared_at = 0
        if again and not rises and not recurs:
            return []
        self.called_at, self.step_from = now.elapsed, now.value
        self.pause_ends = 0 if pause is None else pause.ends
        changes: dict[str, Any] = {
            "state": AlarmState.ACTIVE,
            "priority": priority if rises or not again else self.row.priority,
            "limit": limit[0],
            "limit_by": limit[1],
            "limit_reason": limit[2],
            "taken_by": "",
            "escalation": 0,
            "count": count,
            "paused_until": 0 if pause is None else pause.until,
            "joined": joined,
        }
        if recurs:
            changes["reason"] = "recurred"
        if not again:
            changes |= {"since": now.at, "unverified": False}
        event = AlarmEvent.ALARMED_AGAIN if again else AlarmEvent.RAISED
        return [self._say(now, event, **changes)]

    def leads(self, priority: Priority, now: Now) -> bool:
        """Does it call for another one of this priority that comes now?"""
        calls = self.row.state == AlarmState.ACTIVE and not (self.pause_ends or self.row.joined)
        urgent = _RANK[self.row.priority] >= _RANK[priority]
        return calls and urgent and now.elapsed - self.called_at <= JOINS

    def subside(self, now: Now) -> Sequence[Alarm]:
        """The condition went before its delay had passed."""
        return [self._close(now, "subsided")]

    def clear(self, now: Now, outcome: str = "cleared") -> Sequence[Alarm]:
        """The condition is gone: a high alarm that nobody took waits until somebody has seen it."""
        taken = self.row.state == AlarmState.ACKNOWLEDGED and outcome == "cleared"
        if taken and self.row.side and self.row.cause != "score":
            self.cleared_at = self.cleared_at or now.elapsed
            return []
        latches = self.row.priority in LATCHING and self.row.state == AlarmState.ACTIVE
        if latches and outcome == "cleared" and not self.pause_ends:
            state = {"state": AlarmState.LATCHED, "unverified": False, "escalation": 0}
            return [self._say(now, AlarmEvent.LATCHED, **state)]
        return [self._close(now, outcome)]

    def doubt(self, now: Now, unverified: bool) -> Sequence[Alarm]:
        """Good data are gone, or back."""
        if self.row.state not in OPEN or self.row.unverified == unverified:
            return []
        event = AlarmEvent.UNVERIFIED if unverified else AlarmEvent.VERIFIED
        return [self._say(now, event, unverified=unverified)]

    def note_value(self, value: float) -> None:
        """Remember the worst value; the next row carries it."""
        worst = self.row.worst
        further = value < worst if self.row.side == "low" else value > worst
        if worst != worst or further:
            self.row = msgspec.structs.replace(self.row, worst=value)

    def pass_time(self, now: Now, further: float, led: bool = False) -> Sequence[Alarm]:
        """What time alone does: a pause ends, nobody comes, a taken one is not handled, or is over.

        further: the step of the value after which a taken alarm alarms again. led: the alarm that
        it joined calls for both.
        """
        if self.cleared_at and self.row.state == AlarmState.ACKNOWLEDGED:
            rested = now.elapsed - self.cleared_at >= RESTS
            return [self._close(now, "cleared")] if rested else []
        if led:
            self.called_at = now.elapsed
        elif self.row.joined and self.row.state == AlarmState.ACTIVE:
            return self._alone(now)
        rows: list[Alarm] = []
        if self.pause_ends and now.elapsed >= self.pause_ends:
            rows += self.resume(now, "")
        if self.pause_ends or self.row.kind == AlarmKind.ADVISORY:
            return rows
        if self.row.state == AlarmState.ACTIVE:
            steps = ESCALATION.get(self.row.priority, ())
            waited = now.elapsed - self.called_at
            reached = sum(waited >= step for step in steps)
            if reached > self.row.escalation:
                rows.append(self._say(now, AlarmEvent.ESCALATED, escalation=reached))
        elif self.row.state == AlarmState.ACKNOWLEDGED:
            rows += self._alarm_again(now, further)
        return rows

    def _alone(self, now: Now) -> Sequence[Alarm]:
        """The alarm that it joined is gone and nobody came: it calls by itself."""
        self.called_at, self.step_from = now.elapsed, now.value
        return [self._say(now, AlarmEvent.ALARMED_AGAIN, joined="", reason="alone")]

    def _alarm_again(self, now: Now, further: float) -> Sequence[Alarm]:
        sign = -1.0 if self.row.side == "low" else 1.0
        worse = sign * (now.value - self.step_from) >= further and not self.row.unverified
        within = HANDLED_WITHIN.get(self.row.priority)
        late = within is not None and now.elapsed - self.taken_at >= within
        if not (worse or late):
            return []
        self.called_at, self.step_from = now.elapsed, now.value
        return [
            self._say(
                now,
                AlarmEvent.ALARMED_AGAIN,
                state=AlarmState.ACTIVE,
                taken_by="",
                escalation=0,
                reason="worse" if worse else "not_handled",
            )
        ]

    # --- people -----------------------------------------------------------------------------------

    def acknowledge(self, now: Now, actor: str) -> Sequence[Alarm] | str:
        """Somebody takes it; why not, if not. A latched one is over once it was seen."""
        if self.row.state == AlarmState.ACKNOWLEDGED:
            return f"already taken by {self.row.taken_by}"
        if self.row.state == AlarmState.PENDING:
            return "not raised yet: nobody is called"
        if self.row.kind == AlarmKind.ADVISORY:
            return "an advisory calls nobody: there is nothing to take"
        latched = self.row.state == AlarmState.LATCHED
        self.taken_at, self.step_from = now.elapsed, self.row.value
        taken = self._say(
            now,
            AlarmEvent.ACKNOWLEDGED,
            state=AlarmState.ACKNOWLEDGED,
            actor=actor,
            taken_by=actor,
            escalation=0,
            joined="",
        )
        return [taken, self._close(now, "cleared", actor)] if latched else [taken]

    def pause(
        self, now: Now, actor: str, reason: str, until: int, ends: int
    ) -> Sequence[Alarm] | str:
        """No call until then. until: wall time, ns; ends: journal time."""
        if self.row.state not in (AlarmState.PENDING, *OPEN):
            return f"the alarm is {self.row.state.value}: there is nothing to pause"
        self.pause_ends = ends
        return [self._say(now, AlarmEvent.PAUSED, actor=actor, reason=reason, paused_until=until)]

    def resume(self, now: Now, actor: str) -> Sequence[Alarm]:
        """The pause is over; nobody had it meanwhile, so the time to escalation begins anew."""
        if not self.pause_ends:
            return []
        self.pause_ends, self.called_at = 0, now.elapsed
        return [self._say(now, AlarmEvent.RESUMED, actor=actor, paused_until=0)]

    def close(self, now: Now, actor: str, outcome: str, reason: str) -> Sequence[Alarm] | str:
        """Somebody says what came of it."""
        if self.row.state == AlarmState.PENDING:
            return "not raised yet: there is nothing to close"
        if self.row.state == AlarmState.ACTIVE:
            return "still active: somebody must take it first"
        return [self._close(now, outcome, actor, reason)]

    def see(self, now: Now, actor: str) -> Sequence[Alarm] | str:
        """Somebody opened it: a receipt, once for each call and person. Seeing is not taking: it
        climbs all the same."""
        if self.row.state not in (AlarmState.ACTIVE, AlarmState.LATCHED):
            return f"the alarm is {self.row.state.value}: nobody waits to see it"
        if actor in self.seen_by:
            return f"already seen by {actor}"
        self.seen_by = [*self.seen_by, actor]
        return [self._say(now, AlarmEvent.SEEN, actor=actor)]

    def note(self, now: Now, actor: str, text: str) -> Sequence[Alarm]:
        """Words to it."""
        return [self._say(now, AlarmEvent.NOTE, actor=actor, reason=text)]

    def _close(self, now: Now, outcome: str, actor: str = "", reason: str = "") -> Alarm:
        self.pause_ends = 0
        return self._say(
            now,
            AlarmEvent.CLOSED,
            state=AlarmState.CLOSED,
            outcome=outcome,
            actor=actor,
            reason=reason,
            paused_until=0,
            unverified=False,
        )

    def _say(self, now: Now, event: AlarmEvent, **changes: Any) -> Alarm:
        """The next row; actor and reason are of this row alone."""
        if event in (AlarmEvent.RAISED, AlarmEvent.ALARMED_AGAIN):
            self.seen_by = []
        if now.value == now.value:
            self.note_value(now.value)
        fields = {"actor": "", "reason": "", "event": event, "at": now.at} | changes
        if now.value == now.value:
            fields |= {"value": now.value, "std": now.std, "probability": now.probability}
        if now.model:
            fields["model"] = now.model
        self.row = msgspec.structs.replace(self.row, **fields)
        return self.row


def begun(condition: Condition, now: Now, priority: Priority, limit: float) -> Standing:
    """A new alarm, pending."""
    row = Alarm(
        alarm_id(condition.patient, condition.rule, now.at),
        condition.patient,
        condition.signal,
        condition.kind,
        condition.rule,
        priority,
        AlarmState.PENDING,
        AlarmEvent.PENDING,
        now.at,
        now.at,
        now.value,
        now.std,
        now.value,
        limit,
        condition.side,
        now.probability,
        condition.cause,
        now.model,
    )
    return Standing(row)
