"""The alarms that are not closed, of all patients, and the pauses that are in force.

Found by id (a person takes an alarm), by patient and rule (a condition changes), and all in turn
(time passes). What closes is remembered for a while, so that a late command is answered in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from twin.assessment.alarm import OPEN, HeldPause, Standing
from twin.judgement import AlarmState

#: So many closed alarms of a partition are remembered by id.
REMEMBERED = 1_000


@dataclass(slots=True)
class Place:
    """An open alarm and whose it is (number of the patient)."""

    number: int
    standing: Standing


@dataclass(slots=True)
class OpenAlarms:
    """Keys are (patient number, rule). A latched alarm gives its key free for the next one."""

    by_id: dict[str, Place] = field(default_factory=dict)
    current: dict[tuple[int, str], str] = field(default_factory=dict)
    latched: dict[tuple[int, str], str] = field(default_factory=dict)
    pauses: dict[int, dict[str, HeldPause]] = field(default_factory=dict)
    closed: dict[int, dict[str, str]] = field(default_factory=dict)

    def add(self, number: int, standing: Standing) -> Standing:
        """A new alarm; it is the current one of its rule."""
        self.by_id[standing.row.id] = Place(number, standing)
        self.current[number, standing.row.rule] = standing.row.id
        return standing

    def put(self, number: int, standing: Standing, current: bool) -> None:
        """An alarm as it stood; current: it is the one of its rule, else it is latched."""
        self.by_id[standing.row.id] = Place(number, standing)
        places = self.current if current else self.latched
        places[number, standing.row.rule] = standing.row.id

    def of(self, number: int, rule: str) -> Standing | None:
        """The current alarm of a rule, not a latched one."""
        found = self.current.get((number, rule))
        return None if found is None else self.by_id[found].standing

    def latched_of(self, number: int, rule: str) -> Standing | None:
        """The latched alarm of a rule."""
        found = self.latched.get((number, rule))
        return None if found is None else self.by_id[found].standing

    def settle(self, number: int, standing: Standing, partition: int) -> None:
        """After a transition: latched and closed alarms give their place free."""
        row, key = standing.row, (number, standing.row.rule)
        if row.state in OPEN and self.latched.get(key) == row.id:
            self.current[key] = self.latched.pop(key)
        elif row.state == AlarmState.LATCHED:
            self.latched[key] = row.id
            if self.current.get(key) == row.id:
                del self.current[key]
        elif row.state == AlarmState.CLOSED:
            self.by_id.pop(row.id, None)
            for places in (self.current, self.latched):
                if places.get(key) == row.id:
                    del places[key]
            remembered = self.closed.setdefault(partition, {})
            remembered[row.id] = row.outcome
            while len(remembered) > REMEMBERED:
                del remembered[next(iter(remembered))]

    def places(self) -> Iterator[Place]:
        """All of them; may be changed meanwhile."""
        return iter(list(self.by_id.values()))

    def pause_of(self, number: int, signal: str) -> HeldPause | None:
        """The pause of a patient's signal."""
        return self.pauses.get(number, {}).get(signal)

    def set_pause(self, number: int, pause: HeldPause) -> None:
        """Pause a patient's signal."""
        self.pauses.setdefault(number, {})[pause.signal] = pause

    def end_pause(self, number: int, signal: str) -> HeldPause | None:
        """Forget a pause; returns it."""
        mine = self.pauses.get(number, {})
        found = mine.pop(signal, None)
        if not mine:
            self.pauses.pop(number, None)
        return found

    def forget(self, number: int) -> None:
        """Know nothing of a patient."""
        self.pauses.pop(number, None)
        for place in self.places():
            if place.number == number:
                row = place.standing.row
                del self.by_id[row.id]
                for places in (self.current, self.latched):
                    if places.get((number, row.rule)) == row.id:
                        del places[number, row.rule]
