"""What is to be said: a fold of the estimates journal, and whose state is due. Pure.

Of whom nothing may be kept any more nothing is said, and what was retained is taken away.
"""

from __future__ import annotations

from collections.abc import Callable

from ingest.mqtt_publish import Outgoing
from twin.estimate import EstimateBatch
from twin.judgement import Alarm, AlarmState
from twin.outward.messages import alarm_messages, no_state, patient_of, state_messages
from twin.outward.states import States

#: So many states are said before alarms are looked at again: a ward that is larger than the broker
#: is quick has newer states less often, and its alarms in time.
AT_ONCE = 500
#: Signals of a patient of whom all may be said.
ALL: frozenset[str] = frozenset()
#: Patient → the signals that may be said (empty: all); None: nothing, as consent was withdrawn.
Allowed = Callable[[str], frozenset[str] | None]


def all_allowed(_patient: str) -> frozenset[str] | None:
    """Where nobody withdraws anything."""
    return ALL


class Present:
    """Newest estimates by patient and signal, and alarms that stand, as they were last said."""

    def __init__(self, prefix: str, allowed: Allowed = all_allowed) -> None:
        self.prefix = prefix
        self._allowed = allowed
        self._may: dict[str, frozenset[str] | None] = {}
        #: Patients whose state is no more, and who must be forgotten.
        self.gone: set[str] = set()
        self.states = States()
        #: Alarm id → its retained message.
        self.standing: dict[str, Outgoing] = {}

    def take_estimates(self, batch: EstimateBatch) -> None:
        """Fold a batch in."""
        for patient in batch.patients:
            if patient not in self._may or not self.states.knows(patient):
                self.states.allow(patient, self._may_say(patient))
        self.states.take(batch)

    def take_alarm(self, alarm: Alarm) -> list[Outgoing]:
        """Fold one transition in; what is to be said of it."""
        messages = alarm_messages(self.prefix, alarm)
        if alarm.patient and self._may_say(alarm.patient) is None:
            self.standing.pop(alarm.id, None)
            return []
        if alarm.state == AlarmState.CLOSED:
            self.standing.pop(alarm.id, None)
        else:
            self.standing[alarm.id] = messages[0]
        return messages

    def take_due(self, now: float) -> list[Outgoing]:
        """The states that are due, `AT_ONCE` at most, those that have waited for longest first.
        now: seconds of a monotonic clock."""
        due = self.states.take_due(now, AT_ONCE)
        return state_messages(self.prefix, due, self.states.chosen(due)) if due else []

    def say_all(self) -> list[Outgoing]:
        """What stands is to be said again: alarms at once, states as they are due."""
        self.states.change_all()
        return list(self.standing.values())

    def take_withdrawn(self) -> list[Outgoing]:
        """Ask anew what may be said of whom; what takes the rest away."""
        alarmed = {patient_of(self.prefix, each.topic) for each in self.standing.values()}
        stated = set(self.states.patients())
        before, self._may = self._may, {}
        messages = []
        for patient in sorted(stated | alarmed):
            if self._may_say(patient) != before.get(patient, ALL):
                messages += self._withdraw(patient, patient in stated)
        return messages

    def _withdraw(self, patient: str, stated: bool) -> list[Outgoing]:
        """What other signals may be said of the patient than before."""
        may = self._may[patient]
        if self.states.allow(patient, may) or (may is not None and not stated):
            return []
        self.gone.add(patient)
        messages = [no_state(self.prefix, patient)]
        if may is None:
            for id, said in list(self.standing.items()):  # noqa: A001
                if patient_of(self.prefix, said.topic) == patient:
                    messages.append(Outgoing(said.topic, b"", True))
                    del self.standing[id]
        return messages

    def _may_say(self, patient: str) -> frozenset[str] | None:
        if patient not in self._may:
            self._may[patient] = self._allowed(patient)
        return self._may[patient]
