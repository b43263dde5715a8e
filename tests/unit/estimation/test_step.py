"""The pure step: the same journal gives the same rows, wherever it is cut."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instant import MINUTE, SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, ObservationBatch, RecordDamaged, Tick, all_whole, batch_of
from tests.support.twin_journals import (
    PARTITIONS,
    batches,
    by_patient,
    lines,
    merged,
    model_command,
    placed,
    ward_records,
)
from tests.support.twins import HEART_RATE, T0, model_text, observation
from twin.estimate import (
    NO_DEVICE,
    EstimateBatch,
    Kind,
    Outcome,
    Output,
    Status,
    Verdict,
    encode_output,
)
from twin.step import Placed, TwinState, new_state, step


def encoded(outputs: dict[int, list[Output]]) -> dict[int, list[bytes]]:
    return {p: [encode_output(o) for o in part] for p, part in outputs.items()}


def stepped(state: TwinState, *records: Placed) -> dict[int, list[Output]]:
    return merged([step(state, records)[1]])


def rows_of(outputs: dict[int, list[Output]], kind: Kind) -> np.ndarray:
    found = [o.rows for part in outputs.values() for o in part if isinstance(o, EstimateBatch)]
    rows = np.concatenate(found) if found else np.zeros(0, [("kind", "u1")])
    return rows[rows["kind"] == kind]


def outcomes(outputs: dict[int, list[Output]]) -> list[Outcome]:
    return [o for part in outputs.values() for o in part if isinstance(o, Outcome)]


def test_the_same_journal_gives_the_same_bytes_twice() -> None:
    records = placed(ward_records(60))
    runs = [
        encoded(merged(step(state, records[n : n + 9])[1] for n in range(0, len(records), 9)))
        for state in (new_state(PARTITIONS), new_state(PARTITIONS))
    ]
    assert runs[0] == runs[1]
    assert sum(map(len, runs[0].values())) > 50


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_cut_anywhere_it_gives_the_same_rows(seed: int) -> None:
    rng = random.Random(seed)
    records = placed(ward_records(25, patients=3, seed=seed, pause=(5, 5)))
    whole = step(new_state(PARTITIONS), records)[1]
    cuts = sorted(rng.sample(range(1, len(records)), 8))
    state = new_state(PARTITIONS)
    borders = zip([0, *cuts], [*cuts, len(records)], strict=True)
    cut = merged(step(state, records[first:last])[1] for first, last in borders)
    assert by_patient(cut) == by_patient(whole)


def test_rows_are_sorted_by_patient_and_every_observation_has_one_verdict() -> None:
    records = placed(ward_records(20))
    sent = sum(len(p.record.table()) for p in records if isinstance(p.record, ObservationBatch))
    outputs = merged([step(new_state(PARTITIONS), records)[1]])
    for part in outputs.values():
        for batch in (output for output in part if isinstance(output, EstimateBatch)):
            assert (np.diff(batch.rows["patient"].astype(int)) >= 0).all()
    verdicts = rows_of(outputs, Kind.VERDICT)
    assert len(verdicts) == sent
    assert (verdicts["verdict"] != Verdict.NONE).all()
    assert (verdicts["device"] != NO_DEVICE).all()


def test_a_verdict_row_says_what_came_and_what_became_of_it() -> None:
    state = new_state(PARTITIONS)
    first, late = observation(10, 75.0), observation(8, 77.0, lag=4)
    outputs = stepped(state, *placed([*batches([first]), *batches([late])]))
    rows = rows_of(outputs, Kind.VERDICT)
    assert rows["verdict"].tolist() == [Verdict.ACCEPTED, Verdict.ACCEPTED]
    assert rows["value"].tolist() == [75.0, 77.0]
    assert rows["measured_at"].tolist() == [first.measured_at, late.measured_at]
    assert rows["received_at"].tolist() == [first.received_at, late.received_at]
    assert rows["as_of"].tolist() == [first.measured_at, first.measured_at]
    (revised,) = rows_of(outputs, Kind.REVISION)
    assert revised["as_of"] == late.measured_at
    assert revised["received_at"] == late.received_at
    assert revised["device"] == NO_DEVICE
    assert np.isnan(revised["value"])


def test_ticks_nearer_than_half_a_second_change_nothing() -> None:
    """Two ingest processes tick: the rows are those of one."""
    base = ward_records(80, patients=3, pause=(20, 80))
    doubled = [
        one
        for partition, record in base
        for one in (
            [(partition, record), (partition, Tick(record.at + SECOND * 2 // 5, True))]
            if isinstance(record, Tick)
            else [(partition, record)]
        )
    ]
    single, double = new_state(PARTITIONS), new_state(PARTITIONS)
    one = step(single, placed(base))[1]
    other = step(double, placed(doubled))[1]
    assert len(rows_of(merged([one]), Kind.COASTING)) > 0
    assert by_patient(one) == by_patient(other)
    np.testing.assert_array_equal(single.elapsed, double.elapsed)


def test_elapsed_counts_at_most_three_seconds_between_ticks_and_never_backwards() -> None:
    state = new_state(1)
    ticks = [0, 1, 2, 100, 90, 91]
    stepped(state, *placed([(ALL_PARTITIONS, Tick(T0 + t * SECOND, True)) for t in ticks]))
    assert state.elapsed.tolist() == [(3 + 1 + 1 + 3 + 0 + 1) * SECOND]


def test_silence_turns_late_stale_none_and_coasts_while_late() -> None:
    state = new_state(1)
    stepped(state, *placed([(0, batch_of([observation(n, 75.0) for n in range(0, 50, 5)]))]))
    seen: list[tuple[int, int]] = []
    coasting: list[np.ndarray] = []
    for n in range(45, 46 + 16 * 60):
        outputs = stepped(state, Placed(ALL_PARTITIONS, n, Tick(T0 + n * SECOND, True)))
        seen += [(n, int(row["status"])) for row in rows_of(outputs, Kind.STATUS)]
        coasting += list(rows_of(outputs, Kind.COASTING))
    ends = [(45 + 11, Status.LATE), (45 + 61, Status.STALE), (45 + 901, Status.NONE)]
    assert seen == ends
    assert [(row["as_of"] - T0) / SECOND for row in coasting] == [56, 66, 76, 86, 96]
    assert (np.diff([row["std"] for row in coasting]) > 0).all()
    fresh = stepped(state, *placed([(0, batch_of([observation(1200, 75.0)]))], 10_000))
    assert [row["status"] for row in rows_of(fresh, Kind.STATUS)] == [Status.FRESH]


def test_a_tick_never_moves_an_estimate() -> None:
    with_ticks = ward_records(40, patients=2)
    without = [(p, record) for p, record in with_ticks if not isinstance(record, Tick)]
    one, other = new_state(PARTITIONS), new_state(PARTITIONS)
    step(one, placed(with_ticks))
    step(other, placed(without))
    for name in ("state", "base", "state_t", "base_t"):
        np.testing.assert_array_equal(one.bank.slots.of[name], other.bank.slots.of[name])


def test_a_signal_without_model_is_refused_by_name() -> None:
    state = new_state(1)
    command = model_command(model_text(**HEART_RATE))
    outputs = stepped(
        state,
        *placed(
            [
                (ALL_PARTITIONS, command),
                (0, batch_of([observation(0, 97.0, signal="spo2"), observation(0, 75.0)])),
                (0, batch_of([observation(1, 3.0, signal="not_in_the_catalogue")])),
            ]
        ),
    )
    batch = next(o for o in outputs[0] if isinstance(o, EstimateBatch))
    said = [
        (batch.signals[r["signal"]], Verdict(r["verdict"]), batch.reasons[r["reason"]])
        for r in batch.rows
        if r["kind"] == Kind.VERDICT
    ]
    assert said[:2] == [
        ("spo2", Verdict.REFUSED, "no_model"),
        ("heart_rate", Verdict.ACCEPTED, ""),
    ]
    assert said[2][1:] == (Verdict.REFUSED, "no_model")
    refused = batch.rows[batch.rows["verdict"] == Verdict.REFUSED]
    assert np.isnan(refused["mean"]).all()


def test_a_model_command_acts_at_its_place_and_a_bad_one_is_refused() -> None:
    state = new_state(1)
    before, version = state.bank.model_file.content, state.bank.model_file.version
    good = model_text(**HEART_RATE | {"noise": 3.0})
    outputs = stepped(
        state,
        *placed(
            [
                (0, batch_of([observation(0, 75.0)])),
                (ALL_PARTITIONS, model_command(good, "good")),
                (0, batch_of([observation(1, 75.0)])),
                (ALL_PARTITIONS, model_command("name = 3", "bad")),
                (0, batch_of([observation(2, 75.0)])),
            ]
        ),
    )
    assert [(o.id, o.done) for o in outcomes(outputs)] == [("good", True), ("bad", False)]
    assert "name: got 3, expected a string" in outcomes(outputs)[1].reason
    models = [o.model for o in outputs[0] if isinstance(o, EstimateBatch)]
    assert models == [version, state.bank.model_file.version, state.bank.model_file.version]
    assert state.bank.model_file.content == good != before


def test_the_same_command_twice_acts_once() -> None:
    state = new_state(2)
    one, other = model_text(**HEART_RATE), model_text(**HEART_RATE | {"noise": 3.0})
    outputs = stepped(
        state,
        *placed([(ALL_PARTITIONS, model_command(c, i)) for c, i in zip(
            (one, other, one), ("a", "b", "a"), strict=True)]),
    )  # fmt: skip
    assert [(o.id, o.reason) for o in outcomes(outputs)] == [
        ("a", ""),
        ("b", ""),
        ("a", "already done"),
    ]
    assert state.bank.model_file.content == other


def test_an_unknown_kind_of_command_is_refused_by_name() -> None:
    command = Command("c", "dance", "somebody", T0, {})
    outputs = stepped(new_state(1), Placed(0, 1, command))
    assert outcomes(outputs) == [Outcome("c", False, "unknown kind 'dance'", T0)]


def test_a_record_that_a_partition_has_taken_in_does_not_act_on_it_again() -> None:
    records = placed(ward_records(30))
    state = new_state(PARTITIONS)
    step(state, records)
    kept = {name: array.copy() for name, array in state.bank.slots.of.items()}
    assert stepped(state, *records) == {}
    for name, array in kept.items():
        np.testing.assert_array_equal(state.bank.slots.of[name], array)


def test_an_age_counts_from_the_stamp_and_the_status_of_a_backlog_is_not_fresh() -> None:
    outputs = stepped(new_state(1), *placed([(0, batch_of([observation(0, 75.0, lag=600.0)]))]))
    (row,) = rows_of(outputs, Kind.VERDICT)
    assert Status(row["status"]) == Status.STALE
    assert row["received_at"] - row["as_of"] == 10 * MINUTE


@pytest.mark.parametrize("table", ["patients", "devices", "signals"])
def test_a_row_that_names_something_outside_its_batchs_table_is_damage(table: str) -> None:
    """Also where the next batch's table, put behind, would have that place."""
    good = batch_of([observation(0, 75.0)])
    bad = msgspec.structs.replace(good, **{table: ()})
    with pytest.raises(RecordDamaged, match="outside its table"):
        step(new_state(1), placed([(0, bad), (0, good)]))
    assert all_whole([good, good])
    assert not all_whole([good, bad, good])
    with pytest.raises(RecordDamaged, match=f"a row names a {table[:-1]} outside its table"):
        bad.table()


def test_outputs_of_a_partition_hold_its_patients_only() -> None:
    records = placed(ward_records(10))
    outputs = step(new_state(PARTITIONS), records)[1]
    by_partition = {p: {line[1] for line in lines(part)} for p, part in outputs.items()}
    assert sum(map(len, by_partition.values())) == len(set().union(*by_partition.values())) == 6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_is_refused_and_leaves_the_state_alone(value: float) -> None:
    state = new_state(4)
    before = [observation(n, 70.0 + n) for n in (0, 1)]
    bad = observation(2, value)
    partition = partition_of("p1", 4)
    outputs = stepped(state, Placed(partition, 1, batch_of([*before, bad])))
    rows = rows_of(outputs, Kind.VERDICT)
    assert rows["verdict"].tolist() == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.REFUSED]
    (batch,) = [b for batches in outputs.values() for b in batches if isinstance(b, EstimateBatch)]
    assert batch.reasons[rows["reason"][2]] == "value_not_a_number"
    assert np.isfinite(state.bank.slots.of["state"][state.bank.known()]).all()
