"""`twin export` of a real embedded store."""

from __future__ import annotations

import csv
import sys
from functools import partial
from math import nan
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from ingest.instant import format_instant
from ingest.recording import LONG_COLUMNS, read_recording
from tests.support.command import twin
from tests.support.estimates import SECOND, T0, batch, observed, revised
from tests.support.full_disk import files_at_most
from twin.commands.duck import write_duckdb
from twin.commands.failure import in_words
from twin.estimate import Verdict
from twin.estimation.replay import COLUMNS
from twin.store.embedded import EmbeddedStore
from twin.table_file import write_tables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose store has three observations of p1 and one of p2."""
    with EmbeddedStore(tmp_path / "store.db") as store:
        store.write(
            batch(
                observed(T0, 70.0, quality=0.9, noise_std=nan, nis=0.1),
                observed(T0 + SECOND, 71.0, noise_std=0.1, trend=0.25),
                observed(T0 - SECOND, 60.0, verdict=Verdict.BELATED),
                revised(T0, 70.5),
                observed(T0, 97.0, patient="p2", signal="spo2", device="patch-1"),
            )
        )
    return tmp_path


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_observations_are_in_the_columns_that_replay_reads(folder: Path) -> None:
    ended = twin("export", "observations", "--out", folder / "o.csv", "--data-dir", folder)

    assert (ended.code, ended.out) == (0, "")
    rows = rows_of(folder / "o.csv")
    assert tuple(rows[0]) == LONG_COLUMNS
    assert [(row["patient"], row["value"], row["quality"]) for row in rows] == [
        ("p1", "60", ""),
        ("p1", "70", "0.9"),
        ("p1", "71", ""),
        ("p2", "97", ""),
    ]
    assert rows[1]["measured_at"] == format_instant(T0)
    assert rows[2]["noise_std"] == "0.1"
    recording = read_recording(folder / "o.csv")
    assert recording.measured_at.tolist() == [T0 - SECOND, T0, T0 + SECOND, T0]
    assert recording.received_at.tolist()[1] == T0 + SECOND // 3


def test_estimates_have_bands_status_and_the_last_revision(folder: Path) -> None:
    ended = twin("export", "estimates", "--out", folder / "e.csv", "--json", "--data-dir", folder)

    assert ended.json == {"out": str(folder / "e.csv"), "rows": 3}
    first, second, _ = rows_of(folder / "e.csv")
    assert tuple(first) == tuple(name for name in COLUMNS if name != "horizon_s")
    assert (first["as_of"], first["mean"], first["status"]) == (format_instant(T0), "70.5", "fresh")
    assert float(first["hi95"]) == pytest.approx(70.5 + 1.96, abs=0.01)
    assert float(first["lo50"]) == pytest.approx(70.5 - 0.674, abs=0.01)
    assert second["trend"] == "0.25"


def test_parquet_has_instants_and_numbers(folder: Path) -> None:
    twin("export", "estimates", "--out", folder / "e.parquet", "--data-dir", folder)

    table = parquet.read_table(folder / "e.parquet")
    assert str(table.schema.field("as_of").type) == "timestamp[ns, tz=UTC]"
    assert table.column("mean").to_pylist() == [70.5, 71.0, 97.0]
    assert table.column("status").to_pylist() == ["fresh"] * 3


def test_patient_and_time_choose_rows(folder: Path) -> None:
    chosen = ("--patient", "p1", "--from", format_instant(T0), "--to", format_instant(T0 + 1))
    twin("export", "observations", "--out", folder / "o.csv", *chosen, "--data-dir", folder)

    assert [row["value"] for row in rows_of(folder / "o.csv")] == ["70"]


def test_a_duckdb_file_has_the_rows_of_the_parquet_file_to_the_nanosecond(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra duckdb is not installed")
    for what, stamp in (("observations", "measured_at"), ("estimates", "as_of")):
        for suffix in ("parquet", "duckdb"):
            out = folder / f"{what}.{suffix}"
            assert twin("export", what, "--out", out, "--data-dir", folder).code == 0
            assert twin("export", what, "--out", out, "--data-dir", folder).code == 0  # again

        with duckdb.connect(str(folder / f"{what}.duckdb"), read_only=True) as file:
            of_duckdb = file.sql(f"FROM {what}").to_arrow_table()
            known = file.execute(f"SELECT count(*), epoch_ns(max({stamp})) FROM {what}").fetchone()
        of_parquet = parquet.read_table(folder / f"{what}.parquet")
        assert known == (of_parquet.num_rows, T0 + SECOND)
        for name in of_parquet.column_names:
            expected = of_parquet.column(name)
            if name in ("measured_at", "received_at", "as_of"):
                expected = expected.cast("timestamp[ns]")
            assert of_duckdb.column(name).to_pylist() == expected.to_pylist(), name
        assert sorted(file.name for file in folder.glob(".*")) == []


def test_a_duckdb_file_without_duckdb_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    ended = twin("export", "estimates", "--out", folder / "e.duckdb", "--data-dir", folder)

    assert ended.code == 2
    assert "wearable-twin[duckdb]" in ended.err


def test_export_without_rows_has_its_columns(folder: Path) -> None:
    out = folder / "o.csv"
    late = ("--patient", "p1", "--from", "2200-01-01T00:00:00Z")
    ended = twin("export", "observations", "--out", out, *late, "--data-dir", folder)

    assert ended.code == 0
    assert out.read_text().replace('"', "").strip() == ",".join(LONG_COLUMNS)


def test_a_patient_of_whom_nothing_is_recorded_is_wrong_input(folder: Path) -> None:
    out = folder / "o.csv"
    ended = twin("export", "estimates", "--out", out, "--patient", "p9", "--data-dir", folder)

    assert (ended.code, out.exists()) == (2, False)
    assert "--patient: got 'p9', expected a patient who has measurements" in ended.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("estimates", "--out", "e.xlsx"), "expected a name that ends in .csv or .parquet"),
        (("estimates", "--out", "none/e.csv"), "no such folder"),
        (("estimates", "--out", "e.csv", "--from", "x"), "--from: got 'x'"),
        (
            (
                *("estimates", "--out", "e.csv"),
                *("--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"),
            ),
            "--to: expected a time after --from",
        ),
        (("alarms", "--out", "e.csv"), "'alarms' is not one of 'observations', 'estimates'"),
    ],
)
def test_wrong_input_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())

    ended = twin("export", *arguments, "--data-dir", folder)

    assert ended.code == 2
    assert why in ended.err
    assert set(folder.iterdir()) == before


def test_folder_without_store_is_said(tmp_path: Path) -> None:
    ended = twin("export", "estimates", "--out", tmp_path / "e.csv", "--data-dir", tmp_path)

    assert (ended.code, ended.out) == (2, "")
    assert "there is no embedded store here yet" in ended.err


def test_damaged_store_is_a_failure_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database" * 100)

    ended = twin("export", "estimates", "--out", tmp_path / "e.csv", "--data-dir", tmp_path)

    assert ended.code == 1
    assert "store.db" in ended.err
    assert not (tmp_path / "e.csv").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet", "duckdb"])
def test_a_full_disk_is_said_by_the_name_of_the_file(tmp_path: Path, ending: str) -> None:
    if ending == "duckdb":
        pytest.importorskip("duckdb")
    out = tmp_path / f"e.{ending}"
    table = pa.table({"value": np.random.default_rng(1).random(50_000)})
    write = partial(write_duckdb, name="estimates") if ending == "duckdb" else write_tables
    with files_at_most(100_000), pytest.raises(OSError, match=r"e\.") as full:
        write([table], out)
    assert in_words(full.value).startswith(f"{out}: ")
    assert list(tmp_path.iterdir()) == []
