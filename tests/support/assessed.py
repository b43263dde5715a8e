"""A twin of one partition for tests of the assessment: told values second by second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from ingest.instant import SECOND
from ingest.observation import Command, DeviceId, Observation, PatientId, SignalCode, Tick, batch_of
from tests.support.twins import T0
from twin.estimate import Outcome
from twin.judgement import Alarm, Judgements, Score
from twin.offline import ON, Offline

CALM = {
    "respiratory_rate": 16.0,
    "spo2": 97.0,
    "systolic_bp": 125.0,
    "heart_rate": 70.0,
    "body_temperature": 37.0,
}
FAIR = {"heart_rate": 70.0}
NEARLY = {"heart_rate": 140.0}  # beyond the outer limit
FAST = {"heart_rate": 170.0}  # beyond the sharper one
FAST_RULE = "heart_rate/high"
Values = Mapping[str, float] | Callable[[int], Mapping[str, float]]


@dataclass
class Ward:
    """One patient "p1" unless said otherwise; `second` is the last tick, seconds after T0."""

    alarms_on: bool = True
    twin: Offline = field(default_factory=Offline)
    second: int = 0
    alarms: list[Alarm] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    said: list[Judgements] = field(default_factory=list)
    commands: int = 0

    def __post_init__(self) -> None:
        if self.alarms_on:
            self.give("alarm_settings", ON, patient=None)

    def run(
        self,
        seconds: int,
        values: Values,
        patient: str = "p1",
        quality: float = nan,
        every: int = 1,
        late: float = 0.0,
    ) -> list[Alarm]:
        """So many seconds with these values (or a function of the second); the rows they gave."""

        def sent(second: int) -> dict[str, Mapping[str, float]]:
            return {patient: values(second) if callable(values) else values}

        return self.run_all(seconds, sent, quality, every, late)

    def run_all(
        self,
        seconds: int,
        sent: Callable[[int], Mapping[str, Mapping[str, float]]],
        quality: float = nan,
        every: int = 1,
        late: float = 0.0,
    ) -> list[Alarm]:
        """The same of several patients: sent(second) gives the values of each."""
        before = len(self.alarms)
        for _ in range(seconds):
            self.second += 1
            at = T0 + self.second * SECOND
            stamp = at - round(late * SECOND)
            told = [
                Observation(
                    PatientId(patient), DeviceId("w"), SignalCode(signal), value, stamp, at, stamp,
                    quality=quality,
                )
                for patient, values in sent(self.second).items()
                for signal, value in values.items()
                if self.second % every == 0
            ]  # fmt: skip
            self._take([batch_of(told)] if told else [], Tick(at, True))
        return self.alarms[before:]

    def wait(self, seconds: int) -> list[Alarm]:
        """So many seconds without data."""
        return self.run(seconds, {})

    def give(
        self,
        kind: str,
        body: Mapping[str, Any],
        patient: str | None = "p1",
        actor: str = "I. Roux",
        id: str = "",  # noqa: A002
    ) -> Outcome:
        """A command now; its outcome."""
        self.commands += 1
        at = T0 + self.second * SECOND
        command = Command(id or f"c{self.commands}", kind, actor, at, dict(body), patient)
        outcomes = self._take([command])
        return outcomes[-1]

    def enter(self, kind: str, value: object, patient: str = "p1", **more: object) -> Outcome:
        return self.give("entry", {"kind": kind, "value": value, **more}, patient)

    def _take(self, records: list[Any], *after: Any) -> list[Outcome]:
        outcomes = []
        for output in self.twin.take([*records, *after]):
            if isinstance(output, Judgements):
                self.alarms += output.alarms
                self.scores += output.scores
                self.said.append(output)
            elif isinstance(output, Outcome):
                outcomes.append(output)
        return outcomes

    def newest(self, rule: str) -> Alarm:
        """The newest row of a rule."""
        return next(row for row in reversed(self.alarms) if row.rule == rule)


def story(rows: list[Alarm]) -> list[str]:
    """Their events in order."""
    return [row.event.value for row in rows]


def settled(values: Mapping[str, float] = FAIR) -> Ward:
    """A minute of these values."""
    ward = Ward()
    ward.run(60, values)
    return ward


def alarmed() -> Ward:
    """A minute of fair values, then an alarm of FAST_RULE that nobody has taken."""
    ward = settled()
    ward.run(20, FAST)
    return ward
