"""A ward in which alarms begin, are taken, paused, latched and closed, as records of a journal."""

from __future__ import annotations

import random

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, Record, Tick
from tests.support.twin_journals import PARTITIONS, batches, placed
from tests.support.twins import T0, observation
from twin.estimate import Output
from twin.judgement import Alarm, AlarmState, Judgements
from twin.offline import ON
from twin.step import new_state, step

PATIENTS = ("p0", "p1", "p2", "p3", "p4")


def ward(seconds: int = 150) -> list[tuple[int, Record]]:
    """Heart rates that rise and fall at different times; quality that is sometimes bad."""
    rng = random.Random(5)
    on = Command("on", "alarm_settings", "test", T0, ON)
    records: list[tuple[int, Record]] = [(ALL_PARTITIONS, on)]
    for second in range(seconds):
        sent = []
        for n, patient in enumerate(PATIENTS):
            high = 20 + 8 * n <= second < 60 + 15 * n
            value = (170.0 if n % 2 else 140.0) if high else 72.0
            sent.append(observation(second, value + rng.choice((-1, 0, 1)), patient, f"w{n}"))
        records += batches(sent)
        records.append((ALL_PARTITIONS, Tick(T0 + second * SECOND + SECOND // 2, True)))
    return records


def alarms_in(outputs: list[Output]) -> list[Alarm]:
    return [row for one in outputs if isinstance(one, Judgements) for row in one.alarms]


def with_people(records: list[tuple[int, Record]]) -> list[tuple[int, Record]]:
    """Somebody takes the first alarms and pauses another: the ids come from a first run."""
    rows = alarms_in(
        [o for part in step(new_state(PARTITIONS), placed(records))[1].values() for o in part]
    )
    raised = [row for row in rows if row.state == AlarmState.ACTIVE and row.event.value == "raised"]
    acts = [("acknowledge", {}), ("pause", {"minutes": 2, "reason": "care"}), ("note", {})]
    told = []
    for row, (kind, body) in zip(raised, acts, strict=False):
        reason = {"reason": "seen"} if kind == "note" else {}
        at = row.at + 2 * SECOND
        named = Command(
            f"{kind}", kind, "A. Blanc", at, {"alarm": row.id} | body | reason, row.patient
        )
        told.append((at, (partition_of(row.patient, PARTITIONS), named)))
    merged: list[tuple[int, Record]] = []
    for entry in records:
        record = entry[1]
        if isinstance(record, Tick):
            merged += [one for at, one in told if record.at - SECOND < at <= record.at]
        merged.append(entry)
    return merged
