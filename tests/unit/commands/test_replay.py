"""`twin replay`: files in, files out, what is wrong said with exit code 2."""

from __future__ import annotations

import csv
import re
from importlib.resources import files
from pathlib import Path

import pytest
from pyarrow import parquet

from tests.support.command import twin
from twin.estimation.replay import COLUMNS

LONG = """\
patient,device,signal,value,measured_at,received_at
p1,watch-1,heart_rate,70,2026-11-25T08:00:00Z,2026-11-25T08:00:00.5Z
p1,watch-1,heart_rate,71,2026-11-25T08:00:05Z,2026-11-25T08:00:05.5Z
p1,watch-1,heart_rate,71,2026-11-25T08:00:05Z,2026-11-25T08:00:06Z
p1,watch-1,heart_rate,700,2026-11-25T08:00:07Z,2026-11-25T08:00:08Z
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "ward.csv"
    file.write_text(LONG)
    return file


def test_estimates_are_written_and_the_rest_is_counted(tmp_path: Path, recording: Path) -> None:
    ended = twin("replay", recording, "--out", tmp_path / "e.csv")

    assert (ended.code, ended.out) == (0, "")
    assert ended.err == (
        f"twin: 2 rows in {tmp_path / 'e.csv'}; duplicate 1, value_out_of_range 1\n"
    )
    with (tmp_path / "e.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == COLUMNS
    assert [row["as_of"] for row in rows] == [
        "2026-11-25T08:00:00.000000000Z",
        "2026-11-25T08:00:05.000000000Z",
    ]


def test_counts_are_json_on_demand(tmp_path: Path, recording: Path) -> None:
    ended = twin("replay", recording, "--out", tmp_path / "e.parquet", "--json")

    assert ended.json == {
        "out": str(tmp_path / "e.parquet"),
        "rows": 2,
        "counts": {"duplicate": 1, "value_out_of_range": 1},
    }


def test_forecasts_give_rows_for_their_times(tmp_path: Path, recording: Path) -> None:
    twin("replay", recording, "--out", tmp_path / "e.csv", "--forecast", "60s,15min,1h")

    with (tmp_path / "e.csv").open(newline="") as lines:
        horizons = [float(row["horizon_s"]) for row in csv.DictReader(lines)]
    assert horizons == [0.0, 60.0, 900.0, 3600.0] * 2


def test_a_time_ahead_gives_one_row_however_often_it_is_named(
    tmp_path: Path, recording: Path
) -> None:
    twin("replay", recording, "--out", tmp_path / "e.csv", "--forecast", "0s,1min,60s,60")

    with (tmp_path / "e.csv").open(newline="") as lines:
        horizons = [float(row["horizon_s"]) for row in csv.DictReader(lines)]
    assert horizons == [0.0, 60.0] * 2


def test_a_parquet_file_may_have_a_name_in_capitals(tmp_path: Path, recording: Path) -> None:
    twin("replay", recording, "--out", tmp_path / "E.PARQUET")

    assert parquet.read_table(tmp_path / "E.PARQUET").num_rows == 2


def test_the_first_line_is_what_the_contract_says(tmp_path: Path, recording: Path) -> None:
    twin("replay", recording, "--out", tmp_path / "e.csv")

    lines = (tmp_path / "e.csv").read_text("utf-8").splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert '"' not in lines[1]


def test_wide_file_is_read_under_the_names_given(tmp_path: Path) -> None:
    wide = tmp_path / "bed.csv"
    wide.write_text("Time [s],HR,SpO2\n0,70,97\n1,71,\n")

    ended = twin(
        *("replay", wide, "--out", tmp_path / "e.csv", "--json"),
        *("--columns", "HR=heart_rate,SpO2=spo2", "--time", "Time [s]"),
        *("--patient", "p9", "--device", "monitor", "--order", "received"),
    )

    assert ended.json["rows"] == 3
    with (tmp_path / "e.csv").open(newline="") as lines:
        assert {row["patient"] for row in csv.DictReader(lines)} == {"p9"}


def test_other_model_file_gives_other_estimates(tmp_path: Path, recording: Path) -> None:
    shipped = files("twin.estimation").joinpath("base.toml").read_text("utf-8")
    (tmp_path / "model.toml").write_text(re.sub(r"(?m)^mean = .*$", "mean = 85.0", shipped))

    twin("replay", recording, "--out", tmp_path / "shipped.csv")
    ended = twin(
        *("replay", recording, "--out", tmp_path / "other.csv"),
        *("--model", tmp_path / "model.toml"),
    )

    assert ended.code == 0
    assert (tmp_path / "other.csv").read_bytes() != (tmp_path / "shipped.csv").read_bytes()


def test_the_recording_itself_is_never_overwritten(tmp_path: Path, recording: Path) -> None:
    before = recording.read_bytes()
    (tmp_path / "link.csv").symlink_to(recording)

    for out in (recording, tmp_path / "link.csv"):
        ended = twin("replay", recording, "--out", out)
        assert ended.code == 2
        assert "is an input itself" in ended.err
    assert recording.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        (None, (), "expected a readable file"),
        ("patient,value\np,1\n", (), "expected the column 'signal' of a long file"),
        (LONG.replace("08:00:05Z", "yesterday"), (), "ward.csv:3, column 'measured_at'"),
        (LONG, ("--columns", "HR"), "--columns: expected COLUMN=signal, got 'HR'"),
        (LONG, ("--columns", "value=pulse"), "expected one of heart_rate"),
        (LONG, ("--forecast", "soon"), "--forecast: got 'soon', expected one like 60s"),
        (LONG, ("--forecast", "99999999999h"), "got '99999999999h', expected at most 366d"),
        (LONG, ("--model", "latin1.toml"), "latin1.toml: expected UTF-8 text"),
        (LONG, ("--model", "deep.toml"), "deep.toml: "),
        (LONG, ("--out", "folder.csv"), "--out: folder.csv is a folder"),
        (LONG, ("--model", "none.toml"), "none.toml: No such file or directory"),
        (LONG, ("--model", "ward.csv"), "expected TOML"),
        (LONG, ("--order", "random"), "'random' is not one of 'measured', 'received'"),
        (LONG, ("--out", "e.txt"), "expected a name that ends in .csv or .parquet"),
    ],
)
def test_bad_input_is_said_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    options: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("ward.csv").write_text(content)
    Path("latin1.toml").write_bytes(b'name = "caf\xe9"')
    Path("deep.toml").write_text("a = " + "[" * 2_000)
    Path("folder.csv").mkdir()
    before = set(tmp_path.iterdir())

    ended = twin("replay", "ward.csv", "--out", "e.csv", *options)

    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
    assert set(tmp_path.iterdir()) == before
