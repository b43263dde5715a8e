"""Forecasts in the flow: which keys, how often, what they say, and that nothing else matters."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from ingest.instant import HOUR, MINUTE, SECOND
from ingest.journal.protocol import ALL_PARTITIONS
from ingest.observation import KIND_ESTIMATES, Observation, Record, Tick, batch_of, seal
from tests.support.twin_journals import PARTITIONS, by_patient, merged, placed, ward_records
from tests.support.twins import T0, observation
from twin.estimate import EstimateBatch, Output, decode_output, encode_output
from twin.forecast import chance_below
from twin.forecast_row import HORIZONS, WIDE_ROW
from twin.snapshot import Captured, capture, restore
from twin.step import TwinState, new_state, step
from twin.store.merged import merged as merged_batches
from twin.store.merged import with_points


def tick(second: float) -> tuple[int, Record]:
    return ALL_PARTITIONS, Tick(T0 + round(second * SECOND), True)


def said(*observations: Observation) -> tuple[int, Record]:
    return 0, batch_of(list(observations))


def forecasts(outputs: dict[int, list[Output]]) -> np.ndarray:
    """WIDE_ROWs of all batches; patients by the first of each batch's table."""
    found = [o.forecasts for part in outputs.values() for o in part if isinstance(o, EstimateBatch)]
    return np.concatenate(found) if found else np.zeros(0, WIDE_ROW)


def run(state: TwinState, records: Sequence[tuple[int, Record]]) -> np.ndarray:
    return forecasts(step(state, placed(records, int(state.position.max()) + 1))[1])


def beats(seconds: int, every: int = 1, first: int = 0) -> list[tuple[int, Record]]:
    """One patient measured `every` seconds; a tick after each second."""
    records = []
    for second in range(first, first + seconds):
        if second % every == 0:
            records.append(said(observation(second, 70 + second % 7)))
        records.append(tick(second + 0.5))
    return records


def test_a_fresh_key_is_forecast_once_a_minute_at_every_horizon() -> None:
    rows = run(new_state(1), beats(600))
    assert len(rows) == 10
    assert np.diff(rows["as_of"]).tolist() == [MINUTE] * 9
    assert np.isfinite(rows["mean"]).all()
    assert (np.diff(rows["std"], axis=1) > 0).all()
    assert (rows["known_at"] >= rows["as_of"]).all()


def test_a_forecast_is_the_calibrated_one_of_the_bank() -> None:
    state = new_state(1)
    records = beats(120)
    for n, record in enumerate(placed(records), 1):
        rows = forecasts(step(state, [record])[1])
        if len(rows) and n > len(records) // 2:
            break
    slots = state.bank.known()
    for i, seconds in enumerate(HORIZONS):
        ahead = state.bank.forecast(slots, float(seconds))
        assert rows["mean"][0, i] == ahead.mean[0]
        assert rows["std"][0, i] == ahead.std[0]
        assert rows["scale90"][0, i] == pytest.approx(ahead.scales[0, 1], rel=1e-6)
        assert rows["as_of"][0] + seconds * SECOND == ahead.at[0]
    assert (rows["scale90"][0] != 1).any()


def test_a_journal_of_before_is_read_with_its_forecasts_together() -> None:
    outputs = step(new_state(1), placed(beats(121)))[1]
    found = [o for o in outputs[0] if isinstance(o, EstimateBatch)]
    batch = next(o for o in found if len(o.forecasts))
    kept = next(o for o in found if len(o.rows))
    points = with_points(merged_batches([replace(batch, rows=kept.rows[:0])]))
    assert points.rows["flags"].tolist() == list(HORIZONS)
    assert (points.rows["measured_at"] - points.rows["as_of"]).tolist() == [
        h * SECOND for h in HORIZONS
    ]
    rows = np.concatenate([kept.rows, points.rows])
    tables = batch.patients, kept.devices, batch.signals, batch.reasons
    offsets = np.array([0, len(rows)], "<i4").tobytes()
    before = msgspec.msgpack.encode([batch.model, *tables, offsets, rows.tobytes()])
    read = decode_output(seal(KIND_ESTIMATES, before))
    assert isinstance(read, EstimateBatch)
    assert read.rows.tobytes() == kept.rows.tobytes()
    assert read.forecasts.tobytes() == batch.forecasts.tobytes()
    again = decode_output(encode_output(read))
    assert isinstance(again, EstimateBatch)
    assert again.forecasts.tobytes() == batch.forecasts.tobytes()


def test_a_slow_signal_is_forecast_once_for_each_measurement() -> None:
    records = [
        record
        for second in range(1800)
        for record in (
            [said(observation(second, 120.0, signal="glucose"))] * (second % 300 == 0)
            + [tick(second + 0.5)]
        )
    ]
    rows = run(new_state(1), records)
    assert np.diff(rows["as_of"]).tolist() == [5 * MINUTE] * 5


def test_a_key_that_is_not_fresh_is_not_forecast() -> None:
    state = new_state(1)
    run(state, beats(120))
    silent = [tick(second + 0.5) for second in range(120, 300)]
    assert len(run(state, silent)) <= 1
    assert len(run(state, beats(60, first=300))) == 1


def test_a_backlog_of_hours_costs_one_forecast() -> None:
    state = new_state(1)
    run(state, beats(61))
    old = [observation(60 + n, 70.0, lag=7300 - n) for n in range(1, 7200)]
    assert len(run(state, [said(*old), *beats(60, first=7260)])) == 1


def test_patients_of_a_ward_take_turns() -> None:
    ward = [observation(59, 120.0, f"p{n}", signal="glucose") for n in range(300)]
    records = [said(*ward), *(tick(60 + n) for n in range(65))]
    state = new_state(1)
    counts = [len(run(state, [record])) for record in records]
    assert sum(counts) == 300
    assert max(counts) < 30


def test_cut_anywhere_the_forecasts_are_the_same() -> None:
    records = placed(ward_records(150, patients=3, seed=8))
    whole = step(new_state(PARTITIONS), records)[1]
    assert len(forecasts(whole)) > 10
    rng = random.Random(3)
    cuts = sorted(rng.sample(range(1, len(records)), 20))
    state = new_state(PARTITIONS)
    borders = zip([0, *cuts], [*cuts, len(records)], strict=True)
    cut = merged(step(state, records[first:last])[1] for first, last in borders)
    assert by_patient(cut) == by_patient(whole)


def test_a_restored_twin_forecasts_as_if_it_had_gone_on() -> None:
    records = placed(ward_records(200, patients=4, seed=4))
    middle = len(records) // 2
    state = new_state(PARTITIONS)
    step(state, records[:middle])
    kept = [capture(state, partition) for partition in range(PARTITIONS)]
    files = [(one.name, one.encode()) for one in kept]
    expected = by_patient(step(state, records[middle:])[1])
    fresh = new_state(PARTITIONS)
    for name, file in files:
        restore(fresh, name, file)
    assert by_patient(step(fresh, records[middle:])[1]) == expected


def test_a_snapshot_of_before_forecasts_is_still_read() -> None:
    state = new_state(1)
    run(state, beats(61))
    captured = capture(state, 0)
    del captured.arrays["forecast_at"]
    older = msgspec.structs.replace(captured.snapshot, layout=3)
    file = Captured(0, captured.position, older, captured.arrays).encode()
    fresh = new_state(1)
    restore(fresh, captured.name, file)
    assert len(run(fresh, beats(60, first=61))) == 1


def test_forecasts_change_no_estimate() -> None:
    state = new_state(1)
    run(state, beats(120))
    slots = state.bank.known()
    before = state.bank.slots.of["state"][slots].copy()
    state.bank.forecast(slots, 3600.0)
    assert (state.bank.slots.of["state"][slots] == before).all()


def test_the_chance_of_a_limit_agrees_with_the_bands() -> None:
    mean, std, scales = np.array([80.0]), np.array([4.0]), np.array([[0.8, 1.1, 1.4]])
    edges = 80.0 - np.array([0.6744897501960817 * 0.8, 1.6448536269514722 * 1.1, 1.96 * 1.4]) * 4
    chances = [chance_below(edge, mean, std, scales)[0] for edge in edges]
    assert chances == pytest.approx([0.25, 0.05, 0.025], abs=1e-5)
    assert chance_below(80.0, mean, std, scales)[0] == 0.5
    assert np.isnan(chance_below(np.nan, mean, std, scales)[0])


def test_an_hour_of_ticks_without_anybody_says_nothing() -> None:
    records = [tick(second) for second in range(0, HOUR // SECOND, 30)]
    assert len(run(new_state(1), records)) == 0
