"""Replay: files in, estimates out, the same every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from ingest.instant import SECOND, format_instant
from ingest.sheet import RecordingError
from tests.support.twins import HEART_RATE, T0, model_of
from twin.bands import Z50, Z90, Z95
from twin.estimation.models import base_model
from twin.estimation.replay import COLUMNS, Replayed, replay
from twin.table_file import write_tables

BIDMC = Path(__file__).parents[3] / "../shared/data/bidmc"
Row = tuple[str, str, str, float, int, int]


def ward(seconds: int = 120, seed: int = 2) -> list[Row]:
    """patient, device, signal, value, measured_at, received_at: two patients, two devices."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for t in range(seconds):
        for patient in ("a", "b"):
            for device in ("watch", "patch"):
                at = T0 + t * SECOND
                value = round(75 + rng.gauss(0, 2))
                rows.append((patient, device, "heart_rate", value, at, at + SECOND))
            rows.append((patient, "watch", "spo2", round(97 + rng.gauss(0, 1)), at, at + SECOND))
    return rows


def written(folder: Path, rows: Sequence[Row], name: str = "ward.csv") -> Path:
    lines = ["patient,device,signal,value,measured_at,received_at"]
    lines += [
        f"{p},{d},{s},{v},{format_instant(m)},{format_instant(r)}" for p, d, s, v, m, r in rows
    ]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def states(replayed: Replayed) -> dict[tuple[str, str], np.ndarray]:
    return dict(zip(replayed.keys, replayed.state, strict=True))


def test_every_observation_gives_one_row_with_the_columns_of_the_contract(tmp_path: Path) -> None:
    said = replay(written(tmp_path, ward(30)))
    assert tuple(said.table.column_names) == COLUMNS
    assert said.table.num_rows == 30 * 6 == said.counts["rows"]
    rows = said.table.to_pandas()
    assert set(zip(rows["patient"], rows["signal"], strict=True)) == {
        (p, s) for p in "ab" for s in ("heart_rate", "spo2")
    }
    assert (rows["status"] == "fresh").all()
    assert (rows["horizon_s"] == 0).all()
    for level, z in (("50", Z50), ("90", Z90), ("95", Z95)):
        half = (rows[f"hi{level}"] - rows[f"lo{level}"]) / 2
        np.testing.assert_allclose(half, z * rows["std"], rtol=1e-12)
        np.testing.assert_allclose(rows[f"hi{level}"] - half, rows["mean"], rtol=1e-12)


def test_the_same_file_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    file = written(tmp_path, ward(40))
    for name in ("one.csv", "two.csv"):
        write_tables([replay(file, forecast=[60.0]).table], tmp_path / name)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_shuffled_within_ten_seconds_it_ends_in_the_same_state(tmp_path: Path) -> None:
    rng = random.Random(4)
    straight = ward(200)
    late = [(*row[:5], row[4] + round(rng.uniform(0, 10) * SECOND)) for row in straight]
    doubled = late + [(*row[:5], row[5] + SECOND // 2) for row in rng.sample(late, len(late) // 5)]
    one = replay(written(tmp_path, straight))
    other = replay(written(tmp_path, doubled, "late.csv"), order="received")
    assert other.counts["duplicate"] == len(doubled) - len(late)
    assert other.counts["belated"] == 0
    assert states(one).keys() == states(other).keys()
    for key, state in states(one).items():
        np.testing.assert_allclose(states(other)[key], state, rtol=1e-9, err_msg=str(key))


def test_the_order_is_of_measurement_unless_that_of_receipt_is_asked_for(tmp_path: Path) -> None:
    at = [T0 + t * SECOND for t in (0, 1, 2)]
    rows = [
        ("p", "d", "heart_rate", 70.0, at[0], at[2]),
        ("p", "d", "heart_rate", 72.0, at[1], at[1]),
    ]
    file = written(tmp_path, rows)
    measured = replay(file).table["as_of"].to_pylist()
    received = replay(file, order="received").table["as_of"].to_pylist()
    assert measured[0] < measured[1]
    assert received[0] == received[1]  # the late one was taken in, the state's time is the newest


def test_an_unknown_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected measured or received"):
        replay(written(tmp_path, ward(1)), order="random")  # type: ignore[arg-type]


def test_belated_rows_have_no_weight_and_duplicates_and_refusals_no_row(tmp_path: Path) -> None:
    def heart(t: int, value: float, received: int) -> Row:
        return ("p", "d", "heart_rate", value, T0 + t * SECOND, T0 + received * SECOND)

    rows = [heart(100 + t, 75, 100 + t) for t in range(40)]
    rows += [
        heart(0, 75, 150),  # belated
        heart(139, 75, 151),  # duplicate
        heart(139, 76, 152),  # conflict
        heart(141, 500, 153),  # out of range
        heart(141 + 301, 75, 141),  # future
        ("p", "d", "pulse", 75, T0, T0),  # unknown signal
    ]
    said = replay(written(tmp_path, rows), order="received")
    wanted = {"belated": 1, "duplicate": 1, "conflict": 1, "value_out_of_range": 1, "future": 1}
    wanted |= {"signal_unknown": 1, "rows": 41}
    assert {k: n for k, n in said.counts.items() if n} == wanted
    belated = said.table.slice(40).to_pylist()[0]
    before = said.table.slice(39).to_pylist()[0]
    assert (belated["weight"], belated["nis"]) == (0.0, None)
    assert belated["as_of"] == before["as_of"]
    assert belated["mean"] == before["mean"]
    assert belated["status"] == "late"  # received 11 s after the state's time


def test_a_signal_that_the_model_file_leaves_out_is_counted(tmp_path: Path) -> None:
    said = replay(written(tmp_path, ward(10)), model=model_of(**HEART_RATE))
    assert said.counts["no_model"] == 20
    assert set(said.table["signal"].to_pylist()) == {"heart_rate"}


def test_forecasts_follow_their_estimate_and_are_the_state_moved_on(tmp_path: Path) -> None:
    said = replay(written(tmp_path, ward(60)), forecast=[60.0, 86400.0 * 30])
    rows = said.table.to_pandas()
    assert said.table.num_rows == 3 * said.counts["rows"]
    assert rows["horizon_s"].tolist() == [0.0, 60.0, 86400.0 * 30] * said.counts["rows"]
    now, soon, far = (rows[n::3].reset_index() for n in range(3))
    assert (now["as_of"] == soon["as_of"]).all()
    assert (soon["std"] > now["std"]).all()
    heart = far[far["signal"] == "heart_rate"]
    model = base_model().signals["heart_rate"]
    np.testing.assert_allclose(heart["mean"], model.mean, atol=1e-6)
    std = (model.spread**2 + model.stationary()[0]) ** 0.5
    np.testing.assert_allclose(heart["std"], std, rtol=1e-6)
    assert soon[["trend", "trend_std", "nis", "weight"]].isna().all().all()
    assert now["trend"].notna().all()


def test_a_wide_file_is_read_as_people_have_it(tmp_path: Path) -> None:
    file = tmp_path / "bed12.csv"
    file.write_text("Time [s], HR, SpO2\n0,70,97\n1,71,98\n2,,97\n")
    said = replay(file, columns={"HR": "heart_rate", "SpO2": "spo2"}, time_column="Time [s]")
    assert said.counts["rows"] == 5
    assert set(said.table["patient"].to_pylist()) == {"bed12"}


def test_a_pandas_frame_an_arrow_table_and_parquet_give_what_the_csv_gives(tmp_path: Path) -> None:
    rows = ward(20)
    names = ["patient", "device", "signal", "value", "measured_at", "received_at"]
    frame = pd.DataFrame(rows, columns=names)
    table = pa.Table.from_pandas(frame)
    parquet.write_table(table, tmp_path / "ward.parquet")
    expected = replay(written(tmp_path, rows)).table
    assert replay(frame).table.equals(expected)
    assert replay(table).table.equals(expected)
    assert replay(tmp_path / "ward.parquet").table.equals(expected)


def test_csv_and_parquet_hold_the_same_numbers(tmp_path: Path) -> None:
    said = replay(written(tmp_path, ward(20)), forecast=[60.0]).table
    write_tables([said], tmp_path / "e.csv")
    write_tables([said], tmp_path / "e.parquet")
    assert parquet.read_table(tmp_path / "e.parquet").equals(said)
    text = pd.read_csv(tmp_path / "e.csv", dtype=str, keep_default_na=False)
    assert text["as_of"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z").all()
    for name in ("mean", "std", "lo95", "hi50"):
        np.testing.assert_array_equal(text[name].astype(float), said[name].to_numpy())
    assert (text["nis"][1::2] == "").all()


def test_an_empty_file_gives_no_rows(tmp_path: Path) -> None:
    said = replay(written(tmp_path, []))
    assert said.table.num_rows == 0
    assert tuple(said.table.column_names) == COLUMNS


def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path) -> None:
    file = written(tmp_path, ward(1))
    file.write_text(file.read_text().replace("Z,", ",", 1))
    with pytest.raises(RecordingError, match=r"ward\.csv"):
        replay(file)


def test_progress_is_told_up_to_the_last_observation(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    replay(written(tmp_path, ward(5)), progress=lambda done, of: told.append((done, of)))
    assert told == [(30, 30)]


def test_on_icu_recordings_a_minute_ahead_beats_persistence() -> None:
    """Root mean square error over all recordings, target within a second of the horizon."""
    files = sorted(BIDMC.glob("*_Numerics.csv"))
    if not files:
        pytest.skip("no BIDMC recordings in the shared data folder")
    model_errors, persistence_errors = [], []
    for file in files:
        said = replay(
            file, columns={"HR": "heart_rate"}, time_column="Time [s]", forecast=[60.0]
        ).table
        ahead = said["mean"].to_numpy()[1::2]
        at = said["as_of"].to_numpy()[0::2].astype(np.int64)
        table = pd.read_csv(file, skipinitialspace=True).dropna(subset=["HR"])
        table = table[(table["HR"] >= 15) & (table["HR"] <= 320)]
        value = table["HR"].to_numpy(float)
        assert len(value) == len(at)
        target = np.searchsorted(at, at + 60 * SECOND)
        usable = target < len(at)
        usable[usable] &= at[target[usable]] - at[usable] <= 61 * SECOND
        model_errors.append(ahead[usable] - value[target[usable]])
        persistence_errors.append(value[usable] - value[target[usable]])
    model, persistence = (
        np.sqrt(np.mean(np.concatenate(e) ** 2)) for e in (model_errors, persistence_errors)
    )
    assert 1 - model / persistence > 0.10
