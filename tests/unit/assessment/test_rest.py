"""Who rests is not looked at on a tick: what the twin says and keeps is as if everybody were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, DeviceState, DeviceStates, Record, Tick
from tests.support.alarmed import PATIENTS, alarms_in, ward, with_people
from tests.support.twin_journals import PARTITIONS, batches, placed
from tests.support.twins import T0, observation
from twin.assessment.kernel import NEVER
from twin.assessment.rest_kernel import to_judge
from twin.estimate import encode_output
from twin.estimation.kalman import NEVER as NO_STATE
from twin.offline import ON
from twin.snapshot import capture
from twin.step import Placed, TwinState, assessment_of, new_state, step

_VITALS = {"spo2": 97.0, "respiratory_rate": 15.0, "body_temperature": 37.0}


def told(n: int, what: str, at: int, patient: str | None, **body: object) -> tuple[int, Record]:
    where = ALL_PARTITIONS if patient is None else partition_of(patient, PARTITIONS)
    return where, Command(f"{what}-{n}", what, "A. Blanc", at, body, patient)


def long_ward() -> list[tuple[int, Record]]:
    """Alarms that come and go, then: vitals that get old, entries that end, limits that change, a
    device taken off, signals of bad quality, alarms switched off and on, a clock set back; a device
    that numbers its messages, of which some never come, and whose clock gains 2 s a minute."""
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
            if n == 3 and second % 40 == 0:
                one = observation((at - T0) / SECOND, 70.0, patient, "numbers", "heart_rate")
                ahead = one.measured_at + second * SECOND // 30
                number = second // 40 + 2 * (second > 600)
                sent.append(
                    replace(one, measured_at=ahead, device_stamp=ahead, device_sequence=number)
                )
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


@given(st.data(), st.integers(1, 40), st.integers(1, 25))
def test_who_is_to_be_judged_is_found_by_eights_too(
    data: st.DataObject, patients: int, signals: int
) -> None:
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    flags = draw.random((patients, signals)) < draw.choice([0.01, 0.3, 1.0])
    known, due = draw.random(patients) < 0.8, draw.random(4) < 0.8
    partition = draw.integers(0, 4, patients).astype(np.int32)
    slot_of = draw.permutation(patients * signals).astype(np.int32).reshape(flags.shape)
    slot_of[draw.random(flags.shape) < 0.2] = -1
    state_t = np.where(draw.random(flags.size) < 0.2, NO_STATE, 1)
    model = draw.integers(0, signals, flags.size).astype(np.int16)
    modelled = draw.random(signals) < 0.8
    chosen = flags & (known & due[partition])[:, None]
    slots = slot_of[chosen]
    slots = slots[slots >= 0]
    slots = slots[(state_t[slots] != NO_STATE) & modelled[model[slots]]]
    awake = flags.copy()
    keys_out, slots_out = np.empty((2, flags.size), np.int64)
    eights = awake.reshape(-1)[: flags.size // 8 * 8].view(np.uint64)
    taken, found = to_judge(
        awake, eights, due, partition, known, slot_of, state_t, model, modelled, keys_out, slots_out
    )
    assert keys_out[:taken].tolist() == np.flatnonzero(chosen).tolist()
    assert slots_out[:found].tolist() == slots.tolist()
    assert np.array_equal(awake, flags & ~chosen)
