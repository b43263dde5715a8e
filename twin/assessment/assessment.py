"""The assessment as a part of the state: NEWS2, limits, alarms; everything in journal time.

Observations are charted as they come; conditions, scores and the lives of alarms move on at ticks
only, so that nothing depends on where batches were cut. No state couples two patients.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from ingest.journal.protocol import partition_of
from ingest.observation import Command, Tick
from twin.assessment import judging, kernel, orders, saved
from twin.assessment.alarm import Now
from twin.assessment.judging import Saying, scores_of
from twin.assessment.knowledge import NO_ALARMS, WELLNESS, Knowledge, PartitionMemory
from twin.assessment.people import ACTS, Act, act_on
from twin.estimation.bank import Bank
from twin.estimation.kalman import E_DIVERGED, E_INTERVAL, E_WEIGHT
from twin.estimation.models import ModelFile
from twin.judgement import Alarm, Judgements, Score
from twin.part import Moment, Said, Seen, Unasked

#: A distance between ticks from which on no delay moves: nobody knows what was meanwhile (s).
GAP_S = 3.0


@dataclass(slots=True)
class Assessment(Unasked):
    """bank: the state's own. Alarms are off until a command `alarm_settings` switches them on.

    What devices say of themselves it hears through the intake, at the tick.
    """

    bank: Bank
    known: Knowledge = field(init=False)
    #: The last tick (ns) of each partition, and the model that was in force then.
    _at: NDArray[np.int64] = field(init=False)
    _model: ModelFile | None = None

    def __post_init__(self) -> None:
        self.known = Knowledge(self.bank)
        self._at = np.full(self.bank.partitions, kernel.NEVER, np.int64)

    @property
    def name(self) -> str:
        return "assessment"

    @property
    def kinds(self) -> Collection[str]:
        return ("entry", "limits", "alarm_settings", *ACTS)

    @property
    def partitions(self) -> list[PartitionMemory]:
        """What each partition knows besides its patients."""
        return self.known.partitions

    def members(self, partitions: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Numbers of the known patients of these partitions (mask)."""
        return self.known.members(partitions)

    def observe(self, seen: Seen) -> Said:
        """Chart what was accepted; nothing is judged before the next tick."""
        self.known.know(seen.patient)
        m, tables = self.known.memory.of, self.known.tables
        weight, interval, diverged = (
            np.ascontiguousarray(seen.updated.estimates[:, column])
            for column in (E_WEIGHT, E_INTERVAL, E_DIVERGED)
        )
        kernel.chart(
            seen.patient, seen.signal, seen.measured_at, seen.received_at, seen.value,
            seen.quality, seen.updated.verdict, weight, interval, diverged,
            m["set"], tables.low, tables.high, m["charted"], m["charted_at"], m["seen_at"],
            m["seen_interval"], m["worth"], m["beyond"], m["restless"], m["rests_until"],
        )  # fmt: skip
        return ()

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """Judge the patients of the partitions that are due; who rests (see the kernel) is not
        looked at, for it would change nothing."""
        self.known.memory.grow(self.bank.room)
        passed = self._passed(moment)
        judging.take_reports(self.known, heard)
        self._wake(tick.at, moment)
        saying = Saying()
        bad = judging.judge_vitals(self.known, tick.at, moment, passed)
        judging.judge_scores(self.known, tick.at, moment, passed, saying)
        judging.judge_quality(self.known, tick.at, moment, bad)
        judging.judge_equipment(self.known, tick.at, moment)
        judging.look_ahead(self.known, tick.at, moment)
        judging.pass_time(self.known, tick.at, moment, saying)
        return self._said(saying)

    def _wake(self, at: int, moment: Moment) -> None:
        """Nobody rests any more where the clock went back, and after another model came."""
        back = moment.partitions & (at < self._at)
        if back.any():
            self.known.stir(self.members(back))
        self._at[moment.partitions] = at
        if self._model is not self.bank.model_file:
            self.known.stir(self.members(np.ones(len(back), np.bool_)))
            self._model = self.bank.model_file

    def _passed(self, moment: Moment) -> NDArray[np.float64]:
        """(partitions,) seconds of journal time since the last tick; 0 over a gap."""
        passed = np.zeros(len(self.partitions))
        for p in np.flatnonzero(moment.partitions).tolist():
            here, now = self.partitions[p], int(moment.elapsed[p])
            if here.elapsed >= 0 and (seconds := (now - here.elapsed) / SECOND) < GAP_S:
                passed[p] = seconds
            here.elapsed = now
        return passed

    def scores(self, patients: NDArray[np.int64], at: int) -> tuple[Score, ...]:
        """NEWS2 of these patients (numbers of the bank) as of the tick `at`, ns UTC."""
        return scores_of(self.known, patients, at)

    def obey(self, command: Command, moment: Moment) -> tuple[str, Said]:
        """entry, limits, alarm_settings, and what people do with alarms (docs/alarms.md)."""
        if command.kind == "alarm_settings":
            return orders.switch(self.known, command, moment)
        if command.patient is None:
            if command.kind == "limits":
                return orders.set_limits(self.known, command, moment)
            return "expected a patient: this is never done for all at once", ()
        partition = partition_of(command.patient, len(self.partitions))
        if not moment.partitions[partition]:
            return "", ()
        if command.kind == "pause" and self.partitions[partition].mode == WELLNESS:
            return NO_ALARMS, ()
        if command.kind == "limits":
            return orders.set_limits(self.known, command, moment)
        number = self.bank.number_of(command.patient)
        self.known.know(np.array([number]))
        if command.kind == "entry":
            return orders.enter(self.known, command, number, partition)
        elapsed = int(moment.elapsed[partition])
        now = Now(command.issued_at, elapsed, math.nan, math.nan)
        acted = act_on(self.known.open, Act(command, number, partition, now))
        if acted.refused:
            return acted.refused, ()
        if command.kind == "close":
            orders.rest(self.known, number, acted.rows[0].rule)
        rows = tuple(acted.rows)
        return "", [(partition, Judgements(rows, pauses=tuple(acted.pauses)))]

    def _said(self, saying: Saying) -> Said:
        """One record for each partition; alarms by patient and rule, scores by patient."""
        alarms: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        rows: list[Alarm] = []
        for told in self.known.rules.said:
            for row in told.rows:
                partition = int(self.bank.partition[told.number])
                alarms[partition].append((row.patient, row.rule, len(rows)))
                rows.append(row)
        self.known.rules.said.clear()
        partitions = sorted({*alarms, *saying.scores, *saying.pauses})
        return [
            (
                p,
                Judgements(
                    tuple(rows[i] for *_, i in sorted(alarms[p])),
                    saying.scores.get(p, ()),
                    pauses=tuple(
                        sorted(saying.pauses[p], key=lambda one: (one.patient, one.signal))
                    ),
                ),
            )
            for p in partitions
        ]

    def capture(self, partition: int) -> bytes:
        """Everything known of the partition."""
        return saved.packed(self.known, partition)

    def restore(self, partition: int, content: bytes | memoryview) -> None:
        """Raises ValueError: another layout."""
        self.forget(partition)
        saved.unpack(self.known, partition, content)

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        mask = np.zeros(len(self.partitions), bool)
        mask[partition] = True
        self.known.memory.grow(self.bank.room)
        numbers = self.members(mask)
        self.known.memory.forget(numbers)
        for number in numbers.tolist():
            self.known.open.forget(number)
            self.known.equipment.forget(number)
        gone = set(numbers.tolist())
        self.known.actors = {
            key: actor for key, actor in self.known.actors.items() if key[0] not in gone
        }
        self.known.open.closed.pop(partition, None)
        self.partitions[partition] = PartitionMemory()
