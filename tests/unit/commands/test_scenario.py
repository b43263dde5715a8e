"""`twin scenario` and `twin smooth`: what they write, and what they leave alone."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.instant import SECOND, format_instant
from ingest.journal.protocol import partition_of
from ingest.journal.sqlite import SqliteJournal
from tests.support.command import twin
from tests.support.twin_journals import ward_records
from tests.support.twins import T0
from tests.unit.estimation.test_worker import append, wait_for, working

SCENARIO = """
name = "beta blocker before a walk"
horizon_s = 1800
step_s = 300
[[drug]]
signal = "heart_rate"
amount = -12
std = 4
onset_s = 300
decay_s = 7200
"""


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    file = tmp_path / "what.toml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng, file = random.Random(2), tmp_path / "rec.csv"
    rows = [f"{format_instant(T0 + s * SECOND)},{70 + rng.gauss(0, 2):.1f}" for s in range(300)]
    file.write_text("\n".join(["time,HR", *rows]) + "\n")
    return file


WIDE: Sequence[str] = ("--columns", "HR=heart_rate", "--time", "time")


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_row_of_a_scenario_says_that_it_is_no_measurement(
    tmp_path: Path, asked: Path, recording: Path
) -> None:
    out = tmp_path / "out.csv"
    done = twin("scenario", asked, "--patient", "p", "--recording", recording, *WIDE, "--out", out)
    assert "a scenario, not a measurement" in done.err
    rows = read(out)
    assert len(rows) == 7
    assert {row["watermark"] for row in rows} == {
        "SCENARIO – not a measurement / SCÉNARIO – pas une mesure"
    }
    assert rows[0]["time"] == format_instant(T0 + 299 * SECOND)
    assert float(rows[4]["lo95"]) < float(rows[4]["mean"]) < float(rows[4]["hi95"])
    assert float(rows[4]["mean"]) < float(rows[0]["mean"]) - 5
    early = twin(
        "scenario", asked, "--patient", "p", "--recording", recording, *WIDE,
        "--at", format_instant(T0 + 60 * SECOND), "--out", tmp_path / "out.json",
    )  # fmt: skip
    assert early.code == 0
    body = json.loads((tmp_path / "out.json").read_text())
    assert body["watermark"]["fr"] == "SCÉNARIO – pas une mesure"
    assert body["rows"][0]["time"] == format_instant(T0 + 59 * SECOND)


def test_a_scenario_from_the_live_twin_leaves_its_folder_as_it_was(
    tmp_path: Path, asked: Path
) -> None:
    folder = tmp_path / "twin"
    journal = SqliteJournal(folder / "journal", 16, linger=0.0, reserve_bytes=1 << 20)
    own = partition_of("p0", 16)
    append(journal, [(p if p < 0 else own, r) for p, r in ward_records(40, patients=1)])
    with working(journal, folder / "snapshots") as worker:
        wait_for(worker, journal)
    journal.close()
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    out = tmp_path / "out.csv"
    twin("scenario", asked, "--patient", "p0", "--data-dir", folder, "--out", out)
    assert {row["signal"] for row in read(out)} == {"heart_rate", "spo2", "glucose"}
    assert {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()} == before


def test_a_scenario_that_cannot_be_asked_ends_with_place_and_expected(
    tmp_path: Path, asked: Path, recording: Path
) -> None:
    options = ("--recording", recording, *WIDE, "--out", tmp_path / "out.csv")
    for text, place in (
        (SCENARIO.replace("std = 4", "std = -4"), "$.drug[0].std"),
        ("a = " + "[" * 2_000, "nested too deeply"),
    ):
        asked.write_text(text)
        refused = twin("scenario", asked, "--patient", "p", *options)
        assert refused.code == 2
        assert "what.toml" in refused.err
        assert place in refused.err
    assert not (tmp_path / "out.csv").exists()


def test_a_smoothed_history_as_a_report_says_what_it_is_and_what_went_in(
    tmp_path: Path, recording: Path
) -> None:
    out = tmp_path / "deep.html"
    twin("smooth", recording, *WIDE, "--signal", "heart_rate", "--out", out)
    page = out.read_text("utf-8")
    digest = sha256(recording.read_bytes()).hexdigest()
    assert digest in page
    assert page.count("<polyline") == 2
    assert page.count('<circle class="truth"') == 300
    assert "<td>300, 300</td>" in page
    assert "No page, alarm or score said this at the time" in page
    assert "<script" not in page


def test_a_report_draws_nothing_where_nothing_was_measured(tmp_path: Path) -> None:
    seconds = [*range(60), *range(900, 960)]
    rows = [f"{format_instant(T0 + s * SECOND)},{70 + s % 3}" for s in seconds]
    file, out = tmp_path / "gap.csv", tmp_path / "deep.html"
    file.write_text("\n".join(["time,HR", *rows]) + "\n")
    twin("smooth", file, *WIDE, "--signal", "heart_rate", "--out", out)
    page = out.read_text("utf-8")
    assert page.count('<polygon class="band"') == 2
    assert page.count("<polyline") == 4


def test_a_smoothed_history_is_surer_than_the_filtered_one(tmp_path: Path, recording: Path) -> None:
    out = tmp_path / "smooth.csv"
    begin = format_instant(T0 + 100 * SECOND)
    twin("smooth", recording, *WIDE, "--signal", "heart_rate", "--from", begin, "--out", out)
    rows = read(out)
    assert len(rows) == 200
    assert rows[0]["as_of"] == begin
    assert all(float(row["std"]) <= float(row["filtered_std"]) * (1 + 1e-9) for row in rows)
    assert float(rows[50]["std"]) < 0.9 * float(rows[50]["filtered_std"])


def test_a_signal_that_is_not_there_is_named(tmp_path: Path, recording: Path) -> None:
    options = (*WIDE, "--signal", "spo2", "--out", tmp_path / "smooth.csv")
    refused = twin("smooth", recording, *options)
    assert refused.code == 2
    assert "nothing of 'spo2'" in refused.err
    assert "expected one of heart_rate" in refused.err
