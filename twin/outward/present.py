"""What is to be said: a fold of the estimates journal, and whose state is due. Pure.

A state is said at most once in `EVERY_S` seconds for each patient, and only when it changed. Of
whom nothing may be kept any more nothing is said, and what was retained is taken away.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.mqtt_publish import Outgoing
from twin.estimate import EstimateBatch, Kind, Verdict
from twin.judgement import Alarm, AlarmState
from twin.outward.messages import Held, alarm_messages, no_state, patient_of, state_messages

EVERY_S = 1.0
#: So many states are said before alarms are looked at again: a ward that is larger than the broker
#: is quick has newer states less often, and its alarms in time.
AT_ONCE = 1_000
#: What is taken of an estimate's row, in the order of `Present._put`.
_TAKEN = ("patient", "signal", "kind", "status", "as_of", "mean", "std", "scale95", "trend")
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
        self.states: dict[str, dict[str, Held]] = {}
        #: Alarm id → its retained message.
        self.standing: dict[str, Outgoing] = {}
        #: Patients whose state changed since it was last said.
        self.changed: dict[str, None] = {}
        self._said_at: dict[str, float] = {}

    def take_estimates(self, batch: EstimateBatch) -> None:
        """Fold a batch in. Coasting changes a status at most: what is said is the estimate."""
        rows = batch.rows
        accepted = (rows["kind"] == Kind.VERDICT) & (rows["verdict"] == Verdict.ACCEPTED)
        key = rows["patient"].astype(np.int64) * len(batch.signals) + rows["signal"]
        estimates = accepted | (rows["kind"] == Kind.REVISION)
        chosen = rows[_newest(key, rows["as_of"], estimates)]
        for row in zip(*(chosen[name].tolist() for name in _TAKEN), strict=True):
            self._put(batch, *row)
        aged = accepted | np.isin(rows["kind"], (Kind.STATUS, Kind.COASTING))
        chosen = rows[_newest(key, np.arange(len(rows)), aged)]
        for row in zip(*(chosen[n].tolist() for n in ("patient", "signal", "status")), strict=True):
            self._age(batch, *row)

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
        waiting = (p for p in self.changed if now - self._said_at.get(p, -EVERY_S) >= EVERY_S)
        due = list(islice(waiting, AT_ONCE))
        for patient in due:
            del self.changed[patient]
            self._said_at[patient] = now
        return state_messages(self.prefix, [(each, self.states[each]) for each in due])

    def say_all(self) -> list[Outgoing]:
        """What stands is to be said again: alarms at once, states as they are due."""
        self.changed = dict.fromkeys(self.states)
        return list(self.standing.values())

    def take_withdrawn(self) -> list[Outgoing]:
        """Ask anew what may be said of whom; what takes the rest away."""
        self._may.clear()
        alarmed = {patient_of(self.prefix, each.topic) for each in self.standing.values()}
        known = self.states.keys() | alarmed
        return [each for patient in sorted(known) for each in self._withdraw(patient)]

    def _withdraw(self, patient: str) -> list[Outgoing]:
        may, held = self._may_say(patient), self.states.get(patient, {})
        if may is not None:
            kept = {code: one for code, one in held.items() if not may or code in may}
            if len(kept) < len(held):
                self.states[patient] = kept
                self.changed[patient] = None
            if kept or not held:
                return []
        self.states.pop(patient, None)
        self.changed.pop(patient, None)
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

    def _put(
        self,
        batch: EstimateBatch,
        of: int,
        signal: int,
        kind: int,
        status: int,
        stamp: int,
        mean: float,
        std: float,
        scale95: float,
        trend: float,
    ) -> None:
        """An older estimate replaces none; a revision of nothing says nothing."""
        code, patient = batch.signals[signal], batch.patients[of]
        held = self.states.get(patient, {}).get(code)
        if code not in SIGNALS or (held is not None and stamp < held.as_of):
            return
        may = self._may_say(patient)
        if may is None or (may and code not in may):
            return
        if kind == Kind.REVISION:
            if held is None:
                return
            status = held.status
        made = Held(stamp, mean, std, scale95, trend, status, batch.model)
        if made != held:
            self.states.setdefault(patient, {})[code] = made
            self.changed[patient] = None

    def _age(self, batch: EstimateBatch, of: int, signal: int, status: int) -> None:
        code, patient = batch.signals[signal], batch.patients[of]
        held = self.states.get(patient, {}).get(code)
        if held is not None and status and status != held.status:
            self.states[patient][code] = Held(
                held.as_of, held.mean, held.std, held.scale95, held.trend, status, held.model
            )
            self.changed[patient] = None


def _newest(
    key: NDArray[np.int64], stamp: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Row numbers: of each wanted key the one with the highest stamp, the last of equal ones."""
    places = np.flatnonzero(wanted)
    places = places[np.lexsort((places, stamp[places], key[places]))]
    if not len(places):
        return places
    return np.extract(np.append(key[places][1:] != key[places][:-1], True), places)
