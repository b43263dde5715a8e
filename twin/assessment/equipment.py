"""Technical alarms of devices: what the intake says of silent ones, one alarm a patient and cause.

No state couples two patients: that one gateway's silence is one matter is for readers to group, by
cause (`Alarm.cause` is the word of `twin.device_report.Silence`, `count` the patient's devices).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from twin.assessment.alarm import Condition, Now
from twin.assessment.rules import Rules
from twin.device_report import DeviceReports, Silence
from twin.judgement import AlarmKind

#: Beginning of the rules of these alarms; the cause follows.
RULE = "device/"


@dataclass(slots=True)
class Equipment:
    """silent: number of the patient → device → why it is silent. due: whose alarms must be looked
    at again at the next tick (also all silent ones after a restore)."""

    silent: dict[int, dict[str, int]] = field(default_factory=dict)
    due: set[int] = field(default_factory=set)

    def take(self, reports: DeviceReports, numbers: Iterable[int]) -> None:
        """Take in reports; numbers are those of `reports.patients`."""
        of = list(numbers)
        rows = reports.rows
        columns = (rows["patient"].tolist(), rows["device"].tolist(), rows["silence"].tolist())
        for patient, device, silence in zip(*columns, strict=True):
            if silence or of[patient] in self.silent:  # who is heard as before changes nothing
                self.put(of[patient], reports.devices[device], silence)

    def put(self, number: int, device: str, silence: int) -> None:
        """One device of a patient is silent for this reason, or (0) is heard."""
        mine = self.silent.get(number, {})
        if mine.get(device, 0) == silence:
            return
        self.due.add(number)
        if silence:
            self.silent.setdefault(number, {})[device] = silence
        else:
            del mine[device]
            if not mine:
                del self.silent[number]

    def forget(self, number: int) -> None:
        """Know nothing of a patient."""
        self.silent.pop(number, None)
        self.due.discard(number)

    def judge(
        self, rules: Rules, number: int, patient: str, partition: int, on: bool, now: Now
    ) -> None:
        """Begin and end the patient's alarms of silent devices; on: whether there are alarms."""
        causes = list(self.silent.get(number, {}).values()) if on else []
        standing = [rule for n, rule in rules.alarms.current if n == number]
        words = {Silence(cause).word for cause in causes}
        words |= {rule.removeprefix(RULE) for rule in standing if rule.startswith(RULE)}
        for word in sorted(words):
            count = sum(Silence(cause).word == word for cause in causes)
            condition = Condition(patient, "", AlarmKind.TECHNICAL, RULE + word, "", word)
            rules.state(number, partition, condition, count > 0, now, max(count, 1))


def technical_now(at: int, elapsed: int) -> Now:
    """The moment of a technical alarm: it has no value."""
    return Now(at, elapsed, math.nan, math.nan)
