"""Who rests is not looked at on a tick: what the twin says and keeps is as if everybody were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, DeviceState, DeviceStates, Record, Tick
from tests.support.alarmed import PATIENTS, alarms_in, ward, with_people
from tests.support.twin_journals import PARTITIONS, batches, placed
from tests.support.twins import T0, observation
from twin.assessment.kernel import NEVER
from twin.estimate import encode_output
from twin.offline import ON
from twin.snapshot import capture
from twin.step import Placed, TwinState, assessment_of, new_state, step

_VITALS = {"spo2": 97.0, "respiratory_rate": 15.0, "body_temperature": 37.0}


def told(n: int, what: str, at: int, patient: str | None, **body: object) -> tuple[int, Record]:
    where = ALL_PARTITIONS if patient is None else partition_of(patient, PARTITIONS)
    return where, Command(f"{what}-{n}", what, "A. Blanc", at, body, patient)


def long_ward() -> list[tuple[int, Record]]:
    """Alarms that come and go, then: vitals that get old, entries that end, limits that change, a
    device taken off, signals of bad quality, alarms switched off and on, a clock set back."""
    records = with_people(ward())
    for second in range(150, 1100):
        at = T0 + (second - (400 if second >= 900 else 0)) * SECOND
        sent = []
        for n, patient in enumerate(PATIENTS):
            if n == 1 and second > 300:
                continue
            ill = n in (2, 3) and 500 < second < 620
            for signal, usual in _VITALS.items():
                if second % (3 + n) == 0:
                    value = usual * (0.85 if ill and signal == "spo2" else 1.0)
                    quality = 0.2 if n == 4 and 300 < second < 480 else 1.0
                    one = observation((at - T0) // SECOND, value, patient, f"w{n}", signal)
                    sent.append(replace(one, quality=quality))
        records += batches(sent)
        if second == 200:
            records.append(told(1, "entry", at, "p0", kind="consciousness", value="V"))
            records.append(told(2, "entry", at, "p0", kind="systolic_bp", value=85.0))
            records.append(told(3, "entry", at, "p1", kind="oxygen", value="oxygen"))
        if second == 350:
            body = {"signal": "spo2", "priority": "medium", "low": 99.0, "reason": "test"}
            records.append(told(4, "limits", at, "p0", **body))
        if second == 400:
            state = DeviceState("w2", "p2", at, at, contact=False)
            records.append((partition_of("p2", PARTITIONS), DeviceStates((state,))))
        if second in (700, 760):
            records.append(
                told(second, "alarm_settings", at, None, **ON | {"alarms": second > 700})
            )
        records.append((ALL_PARTITIONS, Tick(at + SECOND // 2, True, second == 900)))
    return records


def wake(state: TwinState) -> None:
    """As if nobody rested."""
    known = assessment_of(state).known
    known.stir(known.members(state.tick_at == state.tick_at))
    state.intake.table.look[:] = NEVER
    state.bank.slots.wake()


def run(
    records: list[Placed], *, woken: bool
) -> tuple[list[bytes], list[bytes], list[tuple[int, int]]]:
    """What was said, what is kept at the end, how many patients and keys rested at each tick."""
    state, said, resting = new_state(PARTITIONS), [], []
    for one in records:
        if woken:
            wake(state)
        for partition, outputs in sorted(step(state, [one])[1].items()):
            said += [bytes([partition]) + encode_output(output) for output in outputs]
        if isinstance(one.record, Tick):
            rests_until = assessment_of(state).known.memory.of["rests_until"][: len(PATIENTS)]
            fresh_until = state.bank.slots.rests_until.astype(np.int64) * SECOND
            resting.append(
                (int((rests_until > one.record.at).sum()), int((fresh_until > one.record.at).sum()))
            )
    return said, [capture(state, p).encode() for p in range(PARTITIONS)], resting


@pytest.fixture(scope="module")
def records() -> list[Placed]:
    return placed(long_ward())


def test_the_ward_of_this_test_rests_and_wakes(records: list[Placed]) -> None:
    _, _, resting = run(records, woken=False)
    patients, keys = zip(*resting, strict=True)
    assert max(patients) == len(PATIENTS)
    assert min(patients[20:]) == 0
    assert max(keys) >= len(PATIENTS)
    assert min(keys[20:]) < max(keys)
    outputs = [o for part in step(new_state(PARTITIONS), records)[1].values() for o in part]
    causes = {row.cause for row in alarms_in(outputs)}
    assert {"below_limit", "above_limit", "signal_quality", "score"} <= causes


def test_it_says_and_keeps_what_it_would_if_everybody_were_looked_at(
    records: list[Placed],
) -> None:
    said, kept, _ = run(records, woken=False)
    all_said, all_kept, _ = run(records, woken=True)
    assert said == all_said
    assert kept == all_kept
