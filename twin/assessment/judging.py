"""What a tick does: conditions of vitals, scores, devices and forecasts become steps of alarms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES, ROWS, SIGNALS
from ingest.instant import MINUTE, SECOND
from twin.assessment import kernel, rest_kernel, score_kernel, scoring
from twin.assessment.alarm import Now
from twin.assessment.equipment import technical_now
from twin.assessment.kernel import HIGH, MEDIUM, PENDING, QUIET
from twin.assessment.knowledge import Knowledge
from twin.assessment.news2 import VITAL_ROW
from twin.assessment.rules import (
    NEWS2,
    NEWS2_RULE,
    SIDES,
    SIGNAL_QUALITY,
    Limit,
    chance_beyond,
    condition_of,
    forecast_condition_of,
    further_step,
    quality_condition_of,
    score_condition_of,
)
from twin.assessment.standing import Place
from twin.device_report import DeviceReports
from twin.estimation.bank import TURNS
from twin.estimation.kalman import NEVER as NO_STATE
from twin.estimation.models import ceiling_of
from twin.forecast import LOOK_AHEAD_S
from twin.judgement import LimitSet, Pause, Score, Switched
from twin.part import Moment, Said
from twin.score_row import ScoreRows

#: Bad quality for so long (s) is a technical alarm.
BAD_QUALITY_S = 120.0
#: How often advisories look ahead (ns), and how sure they are that a limit will be crossed.
LOOK_EVERY, SURE = MINUTE, 0.7


@dataclass(slots=True)
class Saying:
    """What is to be said at one moment, by partition."""

    scores: dict[int, ScoreRows] = field(default_factory=dict)
    limits: dict[int, list[LimitSet]] = field(default_factory=lambda: defaultdict(list))
    pauses: dict[int, list[Pause]] = field(default_factory=lambda: defaultdict(list))
    switched: dict[int, list[Switched]] = field(default_factory=lambda: defaultdict(list))


def judge_vitals(
    known: Knowledge, at: int, moment: Moment, passed: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Conditions of the vitals that do not rest, and what follows for alarms; the patients (n,)
    with a signal of bad quality. passed (partitions,): seconds of journal time."""
    m, a = known.memory.of, known.bank.slots.of
    keys, slots = _restless(known, moment)
    patient = a["patient"][slots].astype(np.int64)
    signal = a["model"][slots].astype(np.int64)
    ahead = np.maximum(at - a["state_t"][slots], 0) * 1e-9
    mean, std = known.bank.next_reading(slots, ahead)
    m["seconds"][patient] = passed[known.bank.partition[patient]]
    spot = np.array([one.spot for one in SIGNALS.values()])
    changes = np.empty((2 * len(slots), 4), np.int64)
    marks = np.empty((2 * len(slots), 3), np.int64)
    t = known.tables
    changed, marked = kernel.judge(
        patient, signal, mean, std, at, m["seconds"], known.bank.expected, spot, m["set"],
        t.low, t.high, t.delay, t.hysteresis, m["seen_at"], m["seen_interval"], m["worth"],
        m["bad_for"], m["beyond"], m["progress"], m["clear_for"], m["level"], m["unverified"],
        m["restless"], changes, marks,
    )  # fmt: skip
    m["rests_until"][patient[changes[:changed, 0]]] = kernel.NEVER  # its score may count it
    for i, side, _was, reached in changes[:changed].tolist():
        _change(known, int(patient[i]), int(signal[i]), side, reached, at, moment)
    for i, side, unverified in marks[:marked].tolist():
        number, row = int(patient[i]), int(signal[i])
        rule = f"{CODES[row]}/{SIDES[side]}"
        standing = known.open.of(number, rule)
        limit = standing.row.limit if standing else math.nan
        now = _now(known, number, row, side, at, moment, limit)
        partition = int(known.bank.partition[number])
        known.rules.doubt(number, partition, rule, now, bool(unverified))
    keys = keys[m["bad_for"].reshape(-1)[keys] != 0.0]
    m["restless"].reshape(-1)[keys] = True
    return np.unique(keys // known.memory.signals)


def _restless(known: Knowledge, moment: Moment) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys (patient · signals + signal) that are to be judged, and the slots of those that can
    be."""
    m, bank = known.memory.of, known.bank
    flags = m["restless"].reshape(-1)
    keys = np.empty(np.count_nonzero(flags), np.int64)
    slots = np.empty(len(keys), np.int64)
    a = bank.slots.of
    taken, found = rest_kernel.to_judge(
        m["restless"], flags[: len(flags) // 8 * 8].view(np.uint64), moment.partitions,
        bank.partition, m["known"], bank.slot_of, a["state_t"], a["model"], bank.modelled, keys,
        slots,
    )  # fmt: skip
    return keys[:taken], np.sort(slots[:found])


def _change(
    known: Knowledge, number: int, row: int, side: int, reached: int, at: int, moment: Moment
) -> None:
    priority = HIGH if reached == HIGH else MEDIUM
    condition = condition_of(known.bank.patients.text[number], CODES[row], side)
    if reached == PENDING:
        priority = known.first(number, row, side)
    limit = known.limit(number, row, side, priority)
    if reached == QUIET and math.isnan(limit.value):
        limit = known.limit(number, row, side, HIGH)
    now = _now(known, number, row, side, at, moment, limit.value)
    partition = int(known.bank.partition[number])
    known.rules.change(number, partition, condition, reached, now, limit)


def _now(
    known: Knowledge,
    number: int,
    row: int,
    side: int,
    at: int,
    moment: Moment,
    limit: float = math.nan,
    newest: tuple[float, float] | None = None,
) -> Now:
    """What an alarm of a vital says now. newest: its `_newest`, where it was asked for."""
    mean, std = newest or _newest(known, [(number, row)])[number, row]
    elapsed = int(moment.elapsed[known.bank.partition[number]])
    chance = chance_beyond(mean, std, limit, side, ceiling_of(SIGNALS[CODES[row]]))
    return Now(at, elapsed, mean, std, chance, known.bank.model_file.version)


def _newest(
    known: Knowledge, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[float, float]]:
    """Estimate and standard deviation of each of these vitals (patient, signal) as of its newest
    stamp, as the ward shows it, and not what the filter expects by now: what nobody measures any
    more goes to what is usual, and no alarm says that. NaN where there is none."""
    number, row = np.array(keys, np.int64).reshape(-1, 2).T
    bank = known.bank
    slots = bank.slot_of[number, row].astype(np.int64)
    there = (slots >= 0) & bank.modelled[row]
    there[there] = bank.slots.of["state_t"][slots[there]] != NO_STATE
    mean, std = np.full((2, len(keys)), np.nan)
    mean[there], std[there] = bank.ahead(slots[there], np.zeros(there.sum()))
    return dict(zip(keys, zip(mean.tolist(), std.tolist(), strict=True), strict=True))


def judge_scores(
    known: Knowledge, at: int, moment: Moment, passed: NDArray[np.float64], saying: Saying
) -> None:
    """Sub-scores, the score's alarm, and the rows of scores that are to be told. passed
    (partitions,): seconds of journal time."""
    m, bank, count = known.memory.of, known.bank, len(known.bank.patients)
    chosen = np.empty(count, np.int64)
    looked = rest_kernel.to_look_at(
        count, at, moment.partitions, bank.partition, m["known"], m["rests_until"], chosen
    )
    numbers = chosen[:looked].copy()
    m["seconds"][numbers] = passed[bank.partition[numbers]]
    scoring.move_on(known.memory, numbers, at)
    _judge_score_alarms(known, at, moment, numbers)
    told = score_kernel.to_tell(
        count, numbers, moment.partitions, bank.partition, m["known"], moment.elapsed,
        moment.elapsed // SECOND % TURNS, bank.turn, m["held"], m["shown"], m["told_at"], chosen,
    )  # fmt: skip
    _tell_scores(known, chosen[:told], at, saying)


def _tell_scores(known: Knowledge, chosen: NDArray[np.int64], at: int, saying: Saying) -> None:
    """Rows of the scores of these patients (n,), by partition and name."""
    if not len(chosen):
        return
    text, of = known.bank.patients.text.__getitem__, known.bank.partition[chosen]
    groups = {p: chosen[of == p].tolist() for p in np.unique(of).tolist()}
    numbers = np.array([n for group in groups.values() for n in sorted(group, key=text)], np.int64)
    rows, begin = scoring.rows_of(known.memory, known.bank, numbers, at, known.actors), 0
    for partition, group in groups.items():
        saying.scores[partition] = rows.part(begin, begin + len(group))
        begin += len(group)


def _judge_score_alarms(
    known: Knowledge,
    at: int,
    moment: Moment,
    numbers: NDArray[np.int64],
) -> None:
    m = known.memory.of
    on = np.array([one.alarms_on for one in known.partitions])
    watched = numbers[on[known.bank.partition[numbers]]]
    changes = np.empty((len(watched), 3), np.int64)
    changed = score_kernel.score_condition(
        watched, m["seconds"], m["held"], m["level"], m["worth"], VITAL_ROW, m["due_medium"],
        m["due_high"], m["score_clear"], m["score_level"], m["total"], m["rests_until"], changes,
    )  # fmt: skip
    for n, _was, reached in changes[:changed].tolist():
        number = int(watched[n])
        total = int(m["total"][number])
        limit = 7.0 if reached == HIGH else 5.0 if total >= 5 or reached == QUIET else 3.0
        now = _score_now(known, number, at, moment)
        condition = score_condition_of(known.bank.patients.text[number])
        partition = int(known.bank.partition[number])
        known.rules.change(number, partition, condition, reached, now, Limit(limit, 1.0))


def _score_now(known: Knowledge, number: int, at: int, moment: Moment) -> Now:
    elapsed = int(moment.elapsed[known.bank.partition[number]])
    total = float(known.memory.of["total"][number])
    return Now(at, elapsed, total, math.nan, math.nan, known.bank.model_file.version)


def judge_quality(known: Knowledge, at: int, moment: Moment, here: NDArray[np.int64]) -> None:
    """One technical alarm for each patient with a signal of bad quality for too long. here (n,):
    the patients who have one now."""
    bad = known.memory.of["bad_for"]
    there = [n for n, rule in known.open.current if rule == SIGNAL_QUALITY]
    for number in sorted({*here.tolist(), *there}):
        partition = int(known.bank.partition[number])
        if not moment.partitions[partition]:
            continue
        on = known.partitions[partition].alarms_on
        count = int((bad[number] >= BAD_QUALITY_S).sum())
        standing = known.open.of(number, SIGNAL_QUALITY)
        holds = on and (count > 0 or (standing is not None and bool(bad[number].any())))
        now = technical_now(at, int(moment.elapsed[partition]))
        condition = quality_condition_of(known.bank.patients.text[number])
        known.rules.state(number, partition, condition, holds, now, max(count, 1))


def take_reports(known: Knowledge, heard: Said) -> None:
    """What the intake says of silent devices."""
    for _, output in heard:
        if isinstance(output, DeviceReports):
            numbers = known.bank.numbers_of(output.patients)
            known.know(np.array(numbers, np.int64))
            known.equipment.take(output, numbers)


def judge_equipment(known: Knowledge, at: int, moment: Moment) -> None:
    """Technical alarms of the patients whose silent devices changed."""
    for number in sorted(known.equipment.due):
        partition = int(known.bank.partition[number])
        if moment.partitions[partition]:
            known.equipment.due.discard(number)
            now = technical_now(at, int(moment.elapsed[partition]))
            patient, on = known.bank.patients.text[number], known.partitions[partition].alarms_on
            known.equipment.judge(known.rules, number, patient, partition, on, now)


def look_ahead(known: Knowledge, at: int, moment: Moment) -> None:
    """Once a minute, each partition at its own second: what will probably cross its limit."""
    turn = (moment.elapsed // SECOND - np.arange(len(moment.elapsed))) % (LOOK_EVERY // SECOND)
    due = moment.partitions & (turn == 0)
    if not due.any():
        return
    m, a = known.memory.of, known.bank.slots.of
    slots = _limited(known, due)
    patient, signal = a["patient"][slots].astype(np.int64), a["model"][slots].astype(np.int64)
    ahead = known.bank.forecast(slots, float(LOOK_AHEAD_S), at)
    sets = m["set"][patient]
    for side, limits in enumerate((known.tables.low, known.tables.high)):
        nearest = (np.fmax, np.fmin)[side].reduce(limits[sets, signal], axis=-1)
        below = ahead.below(nearest)
        chance = 1.0 - below if side else below
        calm = (m["level"][patient, signal, side] == QUIET) & (m["worth"][patient, signal] == 1)
        comes, stays = (chance >= SURE) & calm, (chance >= 0.5) & calm
        for i in np.flatnonzero(stays | _advised(known, patient, signal, side)).tolist():
            _advise(known, int(patient[i]), int(signal[i]), side, bool(comes[i]), bool(stays[i]),
                Now(at, int(moment.elapsed[known.bank.partition[patient[i]]]),
                    float(ahead.mean[i]), float(ahead.std[i]), float(chance[i]),
                    known.bank.model_file.version),
            )  # fmt: skip


def _limited(known: Knowledge, due: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Slots, in order, of the patients of the due partitions (mask) who have limits, or an
    advisory that was raised while they had."""
    bank, a = known.bank, known.bank.slots.of
    count = len(bank.patients)
    some = known.memory.of["set"][:count] > 0
    some[[number for number, rule in known.open.current if rule.endswith("/forecast")]] = True
    patients = np.flatnonzero(some & known.memory.of["known"][:count] & due[bank.partition[:count]])
    slots = bank.slot_of[patients].astype(np.int64)
    slots = np.sort(slots[slots >= 0])
    return np.asarray(
        slots[(a["state_t"][slots] != NO_STATE) & bank.modelled[a["model"][slots]]], np.int64
    )


def _advised(
    known: Knowledge, patient: NDArray[np.int64], signal: NDArray[np.int64], side: int
) -> NDArray[np.bool_]:
    suffix = f"/{SIDES[side]}/forecast"
    there = {key for key in known.open.current if key[1].endswith(suffix)}
    if not there:
        return np.zeros(len(patient), bool)
    keys = zip(patient.tolist(), signal.tolist(), strict=True)
    return np.array([(n, f"{CODES[s]}{suffix}") in there for n, s in keys], bool)


def _advise(
    known: Knowledge, number: int, row: int, side: int, comes: bool, stays: bool, now: Now
) -> None:
    condition = forecast_condition_of(known.bank.patients.text[number], CODES[row], side)
    standing = known.open.of(number, condition.rule)
    holds = comes if standing is None else stays
    known.rules.state(number, int(known.bank.partition[number]), condition, holds, now, 1)


def pass_time(known: Knowledge, at: int, moment: Moment, saying: Saying) -> None:
    """What time alone does to every open alarm: pauses end, nobody comes, it gets worse."""
    _end_pauses(known, at, moment, saying)
    places = list(known.open.places())
    vitals = [(p.number, ROWS[p.standing.row.signal]) for p in places if _of_vital(p)]
    newest = _newest(known, vitals) if vitals else {}
    for place in places:
        number, standing = place.number, place.standing
        partition = int(known.bank.partition[number])
        if not moment.partitions[partition]:
            continue
        signal, further = standing.row.signal, 0.0
        if signal == NEWS2:
            now = _score_now(known, number, at, moment)
            further = further_step(NEWS2, 0.0)
            if standing.row.rule == NEWS2_RULE and not known.partitions[partition].alarms_on:
                _end_score_alarm(known, number, partition, now)
                continue
        elif _of_vital(place):
            row, side = ROWS[signal], SIDES.index(standing.row.side)
            limit = standing.row.limit
            now = _now(known, number, row, side, at, moment, limit, newest[number, row])
            standing.note_value(now.value)
            further = further_step(signal, known.limit(number, row, side, MEDIUM).hysteresis)
        else:
            now = technical_now(at, int(moment.elapsed[partition]))
        led = bool(standing.row.joined) and known.rules.led(standing)
        known.rules.say(number, standing, standing.pass_time(now, further, led), partition)


def _of_vital(place: Place) -> bool:
    """Is it about a limit of a vital (not about the score, a forecast or the equipment)?"""
    row = place.standing.row
    return row.signal in ROWS and "forecast" not in row.rule


def _end_score_alarm(known: Knowledge, number: int, partition: int, now: Now) -> None:
    for name in ("score_level", "due_medium", "due_high", "score_clear"):
        known.memory.of[name][number] = 0
    standing = known.open.of(number, NEWS2_RULE)
    if standing is not None:
        known.rules.end(number, partition, standing, now, "alarms_off")


def _end_pauses(known: Knowledge, at: int, moment: Moment, saying: Saying) -> None:
    for number, mine in list(known.open.pauses.items()):
        partition = int(known.bank.partition[number])
        if not moment.partitions[partition]:
            continue
        for pause in [p for p in mine.values() if moment.elapsed[partition] >= p.ends]:
            known.open.end_pause(number, pause.signal)
            patient = known.bank.patients.text[number]
            saying.pauses[partition].append(Pause(patient, pause.signal, 0, "", "", at))


def scores_of(known: Knowledge, patients: NDArray[np.int64], at: int) -> tuple[Score, ...]:
    """NEWS2 of these patients (numbers of the bank) as of the tick `at`, ns UTC."""
    rows = scoring.rows_of(known.memory, known.bank, patients, at, known.actors)
    return rows.part(0, len(patients)).read()
