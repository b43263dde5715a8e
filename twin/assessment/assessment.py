"""The assessment as a part of the state: NEWS2, limits, alarms; everything in journal time.

Observations are charted as they come; conditions, scores and the lives of alarms move on at ticks
only, so that nothing depends on where batches were cut. No state couples two patients.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import MINUTE, SECOND
from ingest.journal.protocol import partition_of
from ingest.observation import Command, DeviceStates, Tick
from twin.assessment import kernel, saved, scoring
from twin.assessment.alarm import Now
from twin.assessment.entries import VALIDATED, read_entry
from twin.assessment.kernel import E_OXYGEN, E_SCALE, HIGH, MEDIUM, PENDING, QUIET
from twin.assessment.limits import Levels, LimitTables, conflict, limit_set, read_change
from twin.assessment.memory import Memory
from twin.assessment.news2 import VITAL_ROW
from twin.assessment.people import ACTS, Act, act_on
from twin.assessment.rules import (
    NEWS2,
    NEWS2_RULE,
    SIDES,
    SIGNAL_QUALITY,
    Limit,
    Rules,
    chance_beyond,
    condition_of,
    forecast_condition_of,
    further_step,
    quality_condition_of,
    score_condition_of,
)
from twin.assessment.standing import OpenAlarms
from twin.estimation.bank import Bank
from twin.estimation.kalman import E_INTERVAL, E_WEIGHT
from twin.judgement import Alarm, Judgements, LimitSet, Pause, Priority, Score, Switched
from twin.part import Moment, Said, Seen

#: A distance between ticks from which on no delay moves: nobody knows what was meanwhile (s).
GAP_S = 3.0
#: A score is told again after so long (journal time, ns) although nothing changed.
TELL_EVERY = MINUTE
#: Bad quality for so long (s) is a technical alarm.
BAD_QUALITY_S = 120.0
#: How far ahead advisories look (s), how often (ns), and how sure they are: P ≥ 0.7.
AHEAD_S, LOOK_EVERY, AHEAD_Z = 1800.0, MINUTE, 0.5244
_CODES = tuple(SIGNALS)
_SPOT = np.array([signal.spot for signal in SIGNALS.values()])
WELLNESS = "wellness"
MODES = (WELLNESS, "remote_monitoring", "research")


@dataclass(slots=True)
class PartitionMemory:
    """What a partition knows besides its patients: limits by level, whether alarms are on, and the
    journal time (ns) up to which it was assessed (−1: never)."""

    levels: Levels = field(default_factory=Levels)
    alarms_on: bool = False
    mode: str = WELLNESS
    elapsed: int = -1


@dataclass(slots=True)
class _Saying:
    """What is to be said at one moment, by partition."""

    scores: dict[int, list[Score]] = field(default_factory=lambda: defaultdict(list))
    limits: dict[int, list[LimitSet]] = field(default_factory=lambda: defaultdict(list))
    pauses: dict[int, list[Pause]] = field(default_factory=lambda: defaultdict(list))
    switched: dict[int, list[Switched]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Assessment:
    """bank: the state's own. Alarms are off until a command `alarm_settings` switches them on."""

    bank: Bank
    memory: Memory = field(default_factory=Memory)
    tables: LimitTables = field(default_factory=LimitTables)
    open: OpenAlarms = field(default_factory=OpenAlarms)
    actors: scoring.Actors = field(default_factory=dict)
    partitions: list[PartitionMemory] = field(init=False)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self.partitions = [PartitionMemory() for _ in range(self.bank.partitions)]
        self.rules = Rules(self.open)

    @property
    def name(self) -> str:
        return "assessment"

    @property
    def kinds(self) -> Collection[str]:
        return ("entry", "limits", "alarm_settings", *ACTS)

    # --- observations -----------------------------------------------------------------------------

    def observe(self, seen: Seen) -> Said:
        """Chart what was accepted; nothing is judged before the next tick."""
        self._know(seen.patient)
        m = self.memory.of
        kernel.chart(
            seen.patient, seen.signal, seen.measured_at, seen.received_at, seen.value,
            seen.quality, seen.updated.verdict, seen.updated.estimates[:, E_WEIGHT],
            seen.updated.estimates[:, E_INTERVAL], m["set"], self.tables.low, self.tables.high,
            m["charted"], m["charted_at"], m["seen_at"], m["seen_interval"], m["worth"],
            m["beyond"],
        )  # fmt: skip
        return ()

    def hear(self, said: DeviceStates, moment: Moment) -> Said:
        """Nothing: what devices say of themselves comes through the intake."""
        return ()

    def _know(self, patients: NDArray[np.int64]) -> None:
        """Room for these patients, and the limits that hold for each of them."""
        self.memory.grow(len(self.bank.patients))
        known, sets = self.memory.of["known"], self.memory.of["set"]
        if known[patients].all() and (sets[patients] >= 0).all():
            return
        for number in np.unique(patients).tolist():
            if not known[number] or sets[number] < 0:
                known[number] = True
                self._resolve(number)

    def _resolve(self, number: int) -> None:
        """Which limits hold for a patient: row 0 of the tables, none, while alarms are off."""
        here = self.partitions[int(self.bank.partition[number])]
        entered = self.memory.of["entered"][number]
        row = 0
        if here.alarms_on:
            scale = 2 if entered[E_SCALE] == 2 else 1
            rules = here.levels.in_force(
                self.bank.patients.text[number], scale, bool(entered[E_OXYGEN] == 1)
            )
            row = self.tables.row_of(rules)
        self.memory.of["set"][number] = row

    # --- ticks ------------------------------------------------------------------------------------

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """Judge every patient of the partitions that are due."""
        self.memory.grow(len(self.bank.patients))
        passed = self._passed(moment)
        numbers = self.members(moment.partitions)
        if not len(numbers):
            return ()
        seconds = np.zeros(self.memory.capacity)
        seconds[numbers] = passed[self.bank.partition[numbers]]
        saying = _Saying()
        self._judge_vitals(tick.at, moment, seconds)
        self._judge_scores(tick.at, moment, seconds, numbers, saying)
        self._judge_quality(tick.at, moment, numbers)
        self._look_ahead(tick.at, moment)
        self._pass_time(tick.at, moment, saying)
        return self._said(saying)

    def _passed(self, moment: Moment) -> NDArray[np.float64]:
        """(partitions,) seconds of journal time since the last tick; 0 over a gap."""
        passed = np.zeros(len(self.partitions))
        for p in np.flatnonzero(moment.partitions).tolist():
            here, now = self.partitions[p], int(moment.elapsed[p])
            if here.elapsed >= 0 and (seconds := (now - here.elapsed) / SECOND) < GAP_S:
                passed[p] = seconds
            here.elapsed = now
        return passed

    def members(self, partitions: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Numbers of the known patients of these partitions (mask)."""
        numbers = np.flatnonzero(self.memory.of["known"])
        return np.asarray(numbers[partitions[self.bank.partition[numbers]]], np.int64)

    def _judge_vitals(self, at: int, moment: Moment, seconds: NDArray[np.float64]) -> None:
        m, a = self.memory.of, self.bank.slots.of
        slots = self.bank.known()
        slots = slots[m["known"][a["patient"][slots]]]
        slots = slots[moment.partitions[self.bank.partition[a["patient"][slots]]]]
        patient = a["patient"][slots].astype(np.int64)
        signal = a["model"][slots].astype(np.int64)
        ahead = np.maximum(at - a["state_t"][slots], 0) * 1e-9
        mean, std = self.bank.ahead(slots, ahead)
        m["mean"][patient, signal], m["std"][patient, signal] = mean, std
        changes = np.empty((2 * len(slots), 4), np.int64)
        marks = np.empty((2 * len(slots), 3), np.int64)
        t = self.tables
        changed, marked = kernel.judge(
            patient, signal, mean, std, at, seconds, self.bank.expected, _SPOT, m["set"], t.low,
            t.high, t.delay, t.hysteresis, m["seen_at"], m["seen_interval"], m["worth"],
            m["bad_for"], m["beyond"], m["progress"], m["clear_for"], m["level"], m["unverified"],
            changes, marks,
        )  # fmt: skip
        for i, side, _was, reached in changes[:changed].tolist():
            self._change(int(patient[i]), int(signal[i]), side, reached, at, moment)
        for i, side, unverified in marks[:marked].tolist():
            number, row = int(patient[i]), int(signal[i])
            rule = f"{_CODES[row]}/{SIDES[side]}"
            now = self._now(number, row, side, at, moment)
            partition = int(self.bank.partition[number])
            self.rules.doubt(number, partition, rule, now, bool(unverified))

    def _change(
        self, number: int, row: int, side: int, reached: int, at: int, moment: Moment
    ) -> None:
        priority = HIGH if reached == HIGH else MEDIUM
        condition = condition_of(self.bank.patients.text[number], _CODES[row], side)
        if reached == PENDING and math.isnan(self._limit(number, row, side, MEDIUM).value):
            priority = HIGH
        limit = self._limit(number, row, side, priority)
        if reached == QUIET and math.isnan(limit.value):
            limit = self._limit(number, row, side, HIGH)
        now = self._now(number, row, side, at, moment, limit.value)
        partition = int(self.bank.partition[number])
        self.rules.change(number, partition, condition, reached, now, limit)

    def _limit(self, number: int, row: int, side: int, reached: int) -> Limit:
        priority = Priority.HIGH if reached == HIGH else Priority.MEDIUM
        rule = self.tables.rule(int(self.memory.of["set"][number]), _CODES[row], priority.value)
        if rule is None:
            return Limit(math.nan)
        value = (rule.low, rule.high)[side]
        return Limit(value, rule.hysteresis, rule.author, rule.reason)

    def _now(
        self,
        number: int,
        row: int,
        side: int,
        at: int,
        moment: Moment,
        limit: float = math.nan,
    ) -> Now:
        mean = float(self.memory.of["mean"][number, row])
        std = float(self.memory.of["std"][number, row])
        elapsed = int(moment.elapsed[self.bank.partition[number]])
        chance = chance_beyond(mean, std, limit, side)
        return Now(at, elapsed, mean, std, chance, self.bank.model_file.version)

    # --- the score --------------------------------------------------------------------------------

    def _judge_scores(
        self,
        at: int,
        moment: Moment,
        seconds: NDArray[np.float64],
        numbers: NDArray[np.int64],
        saying: _Saying,
    ) -> None:
        m = self.memory.of
        scoring.move_on(self.memory, numbers, at, seconds)
        self._judge_score_alarms(at, moment, seconds, numbers)
        held, elapsed = m["held"][numbers], moment.elapsed[self.bank.partition[numbers]]
        changed = (held != m["shown"][numbers]).any(axis=1)
        told = m["told_at"][numbers]
        due = (told != kernel.NEVER) & (elapsed - told >= TELL_EVERY) & (held >= 0).any(axis=1)
        chosen = numbers[changed | due]
        m["shown"][chosen] = m["held"][chosen]
        m["told_at"][chosen] = moment.elapsed[self.bank.partition[chosen]]
        for number, row in zip(chosen.tolist(), self.scores(chosen, at), strict=True):
            saying.scores[int(self.bank.partition[number])].append(row)

    def scores(self, patients: NDArray[np.int64], at: int) -> list[Score]:
        """NEWS2 of these patients (numbers of the bank) as of the tick `at`, ns UTC."""
        return scoring.rows_of(self.memory, self.bank, patients, at, self.actors)

    def _judge_score_alarms(
        self, at: int, moment: Moment, seconds: NDArray[np.float64], numbers: NDArray[np.int64]
    ) -> None:
        m = self.memory.of
        on = np.array([one.alarms_on for one in self.partitions])
        watched = numbers[on[self.bank.partition[numbers]]]
        busy = (m["level"] >= MEDIUM).any(axis=2)
        changes = np.empty((len(watched), 3), np.int64)
        changed = kernel.score_condition(
            watched, seconds, m["held"], busy, m["worth"], VITAL_ROW, m["due_medium"],
            m["due_high"], m["score_clear"], m["score_level"], m["total"], changes,
        )  # fmt: skip
        for n, _was, reached in changes[:changed].tolist():
            number = int(watched[n])
            total = int(m["total"][number])
            limit = 7.0 if reached == HIGH else 5.0 if total >= 5 or reached == QUIET else 3.0
            now = self._score_now(number, at, moment)
            condition = score_condition_of(self.bank.patients.text[number])
            partition = int(self.bank.partition[number])
            self.rules.change(number, partition, condition, reached, now, Limit(limit, 1.0))

    def _score_now(self, number: int, at: int, moment: Moment) -> Now:
        elapsed = int(moment.elapsed[self.bank.partition[number]])
        total = float(self.memory.of["total"][number])
        return Now(at, elapsed, total, math.nan, math.nan, self.bank.model_file.version)

    # --- technical alarms, advisories, time -------------------------------------------------------

    def _judge_quality(self, at: int, moment: Moment, numbers: NDArray[np.int64]) -> None:
        bad = self.memory.of["bad_for"]
        here = numbers[(bad[numbers] > 0).any(axis=1)].tolist()
        there = [n for n, rule in self.open.current if rule == SIGNAL_QUALITY]
        for number in sorted({*here, *there}):
            partition = int(self.bank.partition[number])
            if not moment.partitions[partition]:
                continue
            on = self.partitions[partition].alarms_on
            count = int((bad[number] >= BAD_QUALITY_S).sum())
            standing = self.open.of(number, SIGNAL_QUALITY)
            holds = on and (count > 0 or (standing is not None and bool(bad[number].any())))
            now = Now(at, int(moment.elapsed[partition]), math.nan, math.nan)
            condition = quality_condition_of(self.bank.patients.text[number])
            self.rules.state(number, partition, condition, holds, now, max(count, 1))

    def _look_ahead(self, at: int, moment: Moment) -> None:
        """Once a minute, each partition at its own second: what will probably cross its limit."""
        turn = (moment.elapsed // SECOND - np.arange(len(moment.elapsed))) % (LOOK_EVERY // SECOND)
        due = moment.partitions & (turn == 0)
        if not due.any():
            return
        m, a = self.memory.of, self.bank.slots.of
        slots = self.bank.known()
        slots = slots[due[self.bank.partition[a["patient"][slots]]]]
        slots = slots[m["known"][a["patient"][slots]]]
        patient, signal = a["patient"][slots].astype(np.int64), a["model"][slots].astype(np.int64)
        mean, std = self.bank.ahead(slots, (at - a["state_t"][slots]) * 1e-9 + AHEAD_S)
        sets = m["set"][patient]
        for side, limits in enumerate((self.tables.low, self.tables.high)):
            outer = limits[sets, signal, 0]
            outer = np.where(np.isnan(outer), limits[sets, signal, 1], outer)
            beyond = (mean - outer) if side else (outer - mean)
            calm = (m["level"][patient, signal, side] == QUIET) & (m["worth"][patient, signal] == 1)
            comes = (beyond >= AHEAD_Z * std) & calm
            stays = (beyond >= 0) & calm
            for i in np.flatnonzero(stays | self._advised(patient, signal, side)).tolist():
                self._advise(
                    int(patient[i]), int(signal[i]), side, bool(comes[i]), bool(stays[i]),
                    Now(at, int(moment.elapsed[self.bank.partition[patient[i]]]), float(mean[i]),
                        float(std[i]), chance_beyond(mean[i], std[i], outer[i], side),
                        self.bank.model_file.version),
                )  # fmt: skip

    def _advised(
        self, patient: NDArray[np.int64], signal: NDArray[np.int64], side: int
    ) -> NDArray[np.bool_]:
        suffix = f"/{SIDES[side]}/forecast"
        there = {key for key in self.open.current if key[1].endswith(suffix)}
        if not there:
            return np.zeros(len(patient), bool)
        keys = zip(patient.tolist(), signal.tolist(), strict=True)
        return np.array([(n, f"{_CODES[s]}{suffix}") in there for n, s in keys], bool)

    def _advise(self, number: int, row: int, side: int, comes: bool, stays: bool, now: Now) -> None:
        condition = forecast_condition_of(self.bank.patients.text[number], _CODES[row], side)
        standing = self.open.of(number, condition.rule)
        holds = comes if standing is None else stays
        self.rules.state(number, int(self.bank.partition[number]), condition, holds, now, 1)

    def _pass_time(self, at: int, moment: Moment, saying: _Saying) -> None:
        self._end_pauses(at, moment, saying)
        for place in self.open.places():
            number, standing = place.number, place.standing
            partition = int(self.bank.partition[number])
            if not moment.partitions[partition]:
                continue
            signal, further = standing.row.signal, 0.0
            if signal == NEWS2:
                now = self._score_now(number, at, moment)
                further = further_step(NEWS2, 0.0)
                if standing.row.rule == NEWS2_RULE and not self.partitions[partition].alarms_on:
                    self._end_score_alarm(number, partition, now)
                    continue
            elif signal and "forecast" not in standing.row.rule:
                row = _CODES.index(signal)
                side = SIDES.index(standing.row.side)
                now = self._now(number, row, side, at, moment, standing.row.limit)
                standing.note_value(now.value)
                further = further_step(signal, self._limit(number, row, side, MEDIUM).hysteresis)
            else:
                now = Now(at, int(moment.elapsed[partition]), math.nan, math.nan)
            self.rules.say(number, standing, standing.pass_time(now, further), partition)

    def _end_score_alarm(self, number: int, partition: int, now: Now) -> None:
        for name in ("score_level", "due_medium", "due_high", "score_clear"):
            self.memory.of[name][number] = 0
        standing = self.open.of(number, NEWS2_RULE)
        if standing is not None:
            self.rules.end(number, partition, standing, now, "alarms_off")

    def _end_pauses(self, at: int, moment: Moment, saying: _Saying) -> None:
        for number, mine in list(self.open.pauses.items()):
            partition = int(self.bank.partition[number])
            if not moment.partitions[partition]:
                continue
            for pause in [p for p in mine.values() if moment.elapsed[partition] >= p.ends]:
                self.open.end_pause(number, pause.signal)
                patient = self.bank.patients.text[number]
                saying.pauses[partition].append(Pause(patient, pause.signal, 0, "", "", at))

    # --- commands ---------------------------------------------------------------------------------

    def obey(self, command: Command, moment: Moment) -> tuple[str, Said]:
        """entry, limits, alarm_settings, and what people do with alarms (docs/alarms.md)."""
        if command.kind == "alarm_settings":
            return self._switch(command, moment)
        if command.patient is None:
            if command.kind == "limits":
                return self._set_limits(command, moment)
            return "expected a patient: this is never done for all at once", ()
        partition = partition_of(command.patient, len(self.partitions))
        if not moment.partitions[partition]:
            return "", ()
        if command.kind == "limits":
            return self._set_limits(command, moment)
        number = self.bank.number_of(command.patient)
        self._know(np.array([number]))
        if command.kind == "entry":
            return self._enter(command, number, partition)
        elapsed = int(moment.elapsed[partition])
        now = Now(command.issued_at, elapsed, math.nan, math.nan)
        acted = act_on(self.open, Act(command, number, partition, now))
        if acted.refused:
            return acted.refused, ()
        if command.kind == "close":
            self._rest(number, acted.rows[0].rule)
        rows = tuple(acted.rows)
        return "", [(partition, Judgements(rows, pauses=tuple(acted.pauses)))]

    def _rest(self, number: int, rule: str) -> None:
        """A person closed it: if its condition still holds, the whole delay begins anew."""
        m = self.memory.of
        if rule == NEWS2_RULE:
            m["score_level"][number] = 0
            m["due_medium"][number] = m["due_high"][number] = 0.0
            return
        signal, _, side = rule.partition("/")
        if signal in SIGNALS and side in SIDES:
            key = (number, _CODES.index(signal), SIDES.index(side))
            m["level"][key] = QUIET
            m["progress"][key] = 0.0
            m["unverified"][key] = False

    def _enter(self, command: Command, number: int, partition: int) -> tuple[str, Said]:
        if command.body.get("kind") == VALIDATED:
            return self._validate(command, number, partition)
        entry = read_entry(command)
        if isinstance(entry, str):
            return entry, ()
        m = self.memory.of
        if entry.at < m["entered_at"][number, entry.column]:
            return "there is a newer one of its kind", ()
        m["entered"][number, entry.column] = entry.value
        m["entered_at"][number, entry.column] = entry.at
        m["entered_until"][number, entry.column] = entry.until
        self.actors[number, entry.column] = command.actor
        if entry.column in (E_SCALE, E_OXYGEN):
            self._resolve(number)
        return "", ()

    def _validate(self, command: Command, number: int, partition: int) -> tuple[str, Said]:
        """The set as it stands becomes an observation of the person who says so."""
        if not command.actor.strip():
            return "expected actor: who validates", ()
        (row,) = self.scores(np.array([number]), command.issued_at)
        if not row.complete:
            missing = [c.parameter for c in row.components if c.points < 0]
            return f"not complete: {', '.join(missing)} missing", ()
        fields = {name: getattr(row, name) for name in row.__struct_fields__}
        validated = Score(**fields | {"validated_by": command.actor})
        return "", [(partition, Judgements(scores=(validated,)))]

    def _set_limits(self, command: Command, moment: Moment) -> tuple[str, Said]:
        change = read_change(command)
        if isinstance(change, str):
            return change, ()
        due = np.flatnonzero(moment.partitions).tolist()
        if change.rule is not None:
            rule = change.rule
            for p in due:
                rules = self.partitions[p].levels.in_force(change.patient)
                rules[change.signal, change.priority] = rule
                if why := conflict(rules, change.signal):
                    return why, ()
        for p in due:
            self.partitions[p].levels.apply(change)
        self.resolve_all(due)
        said = limit_set(change, command)
        return "", [(p, Judgements(limits=(said,))) for p in due]

    def _switch(self, command: Command, moment: Moment) -> tuple[str, Said]:
        alarms, mode = command.body.get("alarms"), command.body.get("mode", "research")
        if not isinstance(alarms, bool):
            return f"expected alarms: true or false, got {alarms!r}", ()
        if mode not in MODES:
            return f"expected mode: one of {', '.join(MODES)}, got {mode!r}", ()
        if alarms and mode == WELLNESS:
            return "expected alarms: false; in wellness mode there are no clinical alarms", ()
        due = np.flatnonzero(moment.partitions).tolist()
        for p in due:
            self.partitions[p].alarms_on, self.partitions[p].mode = alarms, str(mode)
        self.resolve_all(due)
        said = Switched(alarms, str(mode), command.actor, command.issued_at)
        return "", [(p, Judgements(switched=(said,))) for p in due]

    def resolve_all(self, partitions: Iterable[int]) -> None:
        """Which limits hold for every patient of these partitions, after they changed."""
        mask = np.zeros(len(self.partitions), bool)
        mask[list(partitions)] = True
        self.memory.grow(len(self.bank.patients))
        for number in self.members(mask).tolist():
            self._resolve(number)

    # --- what is said, and kept -------------------------------------------------------------------

    def _said(self, saying: _Saying) -> Said:
        """One record for each partition; alarms by patient and rule, scores by patient."""
        alarms: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        rows: list[Alarm] = []
        for told in self.rules.said:
            for row in told.rows:
                partition = int(self.bank.partition[told.number])
                alarms[partition].append((row.patient, row.rule, len(rows)))
                rows.append(row)
        self.rules.said.clear()
        partitions = sorted({*alarms, *saying.scores, *saying.pauses})
        return [
            (
                p,
                Judgements(
                    tuple(rows[i] for *_, i in sorted(alarms[p])),
                    tuple(sorted(saying.scores[p], key=lambda row: row.patient)),
                    pauses=tuple(
                        sorted(saying.pauses[p], key=lambda one: (one.patient, one.signal))
                    ),
                ),
            )
            for p in partitions
        ]

    def capture(self, partition: int) -> bytes:
        """Everything known of the partition."""
        return saved.packed(self, partition)

    def restore(self, partition: int, content: bytes) -> None:
        """Raises ValueError: another layout."""
        self.forget(partition)
        saved.unpack(self, partition, content)

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        mask = np.zeros(len(self.partitions), bool)
        mask[partition] = True
        self.memory.grow(len(self.bank.patients))
        numbers = self.members(mask)
        self.memory.forget(numbers)
        for number in numbers.tolist():
            self.open.forget(number)
        gone = set(numbers.tolist())
        self.actors = {key: actor for key, actor in self.actors.items() if key[0] not in gone}
        self.open.closed.pop(partition, None)
        self.partitions[partition] = PartitionMemory()
