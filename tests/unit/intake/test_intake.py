"""The intake as a part of the state: captured, restored and replayed like the rest."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal.protocol import partition_of
from ingest.observation import KIND_REPORTS, seal
from tests.support.intake_line import PARTITIONS, IntakeLine
from tests.support.twin_journals import by_patient, merged
from twin.device_report import DEVICE_ROW, Changed, DeviceReports, Silence
from twin.estimate import decode_output, encode_output
from twin.intake import kernel
from twin.intake.intake import Intake
from twin.intake.ledger import REFUSALS
from twin.rows import REASONS
from twin.snapshot import capture, restore
from twin.step import new_state, step


def eventful(seed: int, seconds: int = 100) -> IntakeLine:
    """Gaps, reboots, clocks ahead, rates, states of devices, a gateway, a gap in the ticks."""
    rng = random.Random(seed)
    line = IntakeLine()
    line.tick()
    devices = {"gw/watch": "p1", "patch": "p2", "cuff": "p3", "ring": "p1"}
    number = dict.fromkeys(devices, 0)
    line.declare("patch", "p2", expected_interval_s={"heart_rate": 2}, delay_s=3)
    line.declare("ring", "p1", live=True)
    line.declare("lost", "p3", kind="binding")
    for second in range(seconds):
        for device, patient in devices.items():
            number[device] += 1
            if rng.random() < 0.2:
                continue
            if rng.random() < 0.02:
                number[device] = 0
            stamp = line.now + {"cuff": 8.0, "ring": -15.0}.get(device, 0) - rng.random()
            for _ in range(1 + (rng.random() < 0.1)):
                line.send(
                    stamp, number=number[device], device=device, patient=patient,
                    value=60 + rng.random(), after=rng.random(),
                )  # fmt: skip
        if second % 40 == 7:
            line.say("gw", patient="", online=second > 60)
            line.say("patch", "p2", contact=second < 60, battery=0.5)
        line.tick(5 if second == 70 else 1)
    return line


EVENTFUL = eventful(1)


@pytest.mark.parametrize("cut", [40, 400])
def test_a_restored_intake_goes_on_bit_for_bit(cut: int) -> None:
    line = EVENTFUL
    state = new_state(PARTITIONS)
    step(state, line.records[:cut])
    again = new_state(PARTITIONS)
    for partition in (2, 0, 3, 1):
        captured = capture(state, partition)
        restore(again, captured.name, captured.encode())
    rest = line.records[cut:]
    whole = step(state, rest)[1]
    restored = step(again, rest)[1]
    assert {p: list(map(encode_output, o)) for p, o in whole.items()} == {
        p: list(map(encode_output, o)) for p, o in restored.items()
    }


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 500), max_size=6))
def test_cut_anywhere_it_says_the_same(cuts: list[int]) -> None:
    records = EVENTFUL.records
    whole = by_patient(merged([step(new_state(PARTITIONS), records)[1]]))
    state = new_state(PARTITIONS)
    said, begin = [], 0
    for end in [*sorted(set(cuts)), len(records)]:
        said.append(step(state, records[begin:end])[1])
        begin = end
    assert by_patient(merged(said)) == whole


def test_a_partition_that_is_forgotten_leaves_the_others_as_they_were() -> None:
    state = new_state(PARTITIONS)
    step(state, EVENTFUL.records)
    kept = {p: state.intake.capture(p) for p in range(PARTITIONS)}
    state.forget(1)
    assert [state.intake.capture(p) == kept[p] for p in range(PARTITIONS)].count(False) <= 1
    state.intake.restore(1, kept[1])
    assert {p: state.intake.capture(p) for p in range(PARTITIONS)} == kept


def test_a_capture_of_before_refusals_were_counted_by_reason_is_read() -> None:
    line = IntakeLine()
    line.declare(expected_interval_s={"heart_rate": 10.0})
    line.tick()
    line.send(*(float(n) for n in range(9)))
    line.send(10.0, signal="moonlight")
    line.run(12)
    partition = partition_of("p1", PARTITIONS)
    old = msgspec.msgpack.decode(line.state.intake.capture(partition))
    width, clocks, signals = old[0]
    marks = np.frombuffer(old[3], "<i8").reshape(-1, width)
    before = np.ascontiguousarray(marks[:, : kernel.NO_MODEL])
    old[0], old[3] = (before.shape[1], clocks, signals), before.tobytes()

    line.state.intake.restore(partition, msgspec.msgpack.encode(old))

    line.outputs.clear()
    line.run(12)
    (report,) = (o for o in line.outputs if isinstance(o, DeviceReports))
    over = line.account()["over_rate"]
    assert report.refused == {0: {"no_model": 1, "over_rate": over}}
    assert line.account()["refused"] == over + 1 > 1


def test_what_is_no_capture_is_another_layout() -> None:
    state = new_state(PARTITIONS)
    intake = Intake(state.bank, state.devices)
    with pytest.raises(ValueError, match=r"."):
        intake.restore(0, b"\x93\x01")


def test_a_report_of_before_reasons_were_told_is_read_with_them() -> None:
    row = np.zeros(2, DEVICE_ROW)
    row["refused"], row["over_rate"] = [0, 5], [0, 3]
    reports = DeviceReports(("p1",), ("watch",), row, {1: {"no_model": 2, "over_rate": 3}})
    old = msgspec.msgpack.encode([reports.patients, reports.devices, row.tobytes()])
    said = decode_output(seal(KIND_REPORTS, old))
    assert isinstance(said, DeviceReports)
    assert said.refused == reports.refused


def test_every_reason_of_the_twin_has_its_count() -> None:
    assert {"", *REFUSALS} == set(REASONS)


def test_the_kernel_knows_silences_and_flags_by_their_numbers() -> None:
    assert {s.name: getattr(kernel, s.name) for s in Silence} == {s.name: s.value for s in Silence}
    flags = (kernel.SILENCE_CHANGED, kernel.NUMBERS_CHANGED, kernel.ACCOUNT_CHANGED)
    assert flags == (Changed.SILENCE, Changed.NUMBERS, Changed.ACCOUNT)
