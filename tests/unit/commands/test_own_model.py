"""The way that docs/models.md tells a modeller, typed: a signal of one's own and a variant."""

from __future__ import annotations

import csv
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.instant import SECOND
from tests.support.command import twin
from tests.support.declared import own_catalogue
from tests.support.twins import T0

PAGE = (Path(__file__).parents[3] / "docs/models.md").read_text("utf-8")
#: A signal that the page does not have, in the shape that it tells.
CONDUCTANCE = """
[signal.skin_conductance]
mean = 5.0
spread = 4.0
level_time = 20000.0
deviation_time = 600.0
deviation_noise = 0.003
noise = 0.05
source = "engineering prior"

[signal.skin_conductance.catalogue]
unit = "uS"
loinc = "none"
lower = 0.0
upper = 100.0
resolution = 0.01
expected_interval = 4.0
name_en = "Skin conductance"
name_fr = "Conductance cutanée"
"""
MINUTES = 90


@pytest.fixture(autouse=True)
def _own_catalogue() -> Iterator[None]:
    with own_catalogue():
        yield


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The file that the page shows, with a second signal."""
    shown = re.search(r"### Your own model file\n\n((?:    .*\n|\n)+)", PAGE)
    assert shown is not None
    file = tmp_path / "ward-7.toml"
    file.write_text(textwrap.dedent(shown[1]) + CONDUCTANCE)
    return file


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Lactate that rises, in two units; skin conductance; a heart rate."""
    rng, rows = np.random.default_rng(3), []
    for minute in range(MINUTES):
        at = T0 + minute * 60 * SECOND
        lactate = 1.2 + max(0, minute - 30) * 0.06 + rng.normal(0, 0.05)
        value, unit = (lactate, "mmol/L") if minute % 2 else (lactate * 1000, "umol/L")
        rows.append(f"p,patch,lactate,{value:.2f},{at},{unit}")
        rows.append(f"p,band,heart_rate,{72 + rng.normal(0, 1):.0f},{at},/min")
        rows += [
            f"p,band,skin_conductance,{5 + rng.normal(0, 0.1):.2f},{at + n * SECOND},"
            for n in range(0, 60, 4)
        ]
    file = tmp_path / "rec.csv"
    file.write_text("\n".join(["patient,device,signal,value,measured_at,unit", *rows]) + "\n")
    return file


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_both_are_replayed_and_validated(tmp_path: Path, model: Path, recording: Path) -> None:
    out = tmp_path / "e.csv"
    done = twin("replay", recording, "--out", out, "--model", model, "--forecast", "15min")
    assert done.code == 0, done.err
    rows = [row for row in read(out) if row["horizon_s"] == "0"]
    assert len([row for row in rows if row["signal"] == "lactate"]) == MINUTES
    last = {row["signal"]: float(row["mean"]) for row in rows}
    assert last["lactate"] == pytest.approx(1.2 + 59 * 0.06, abs=0.4)
    assert last["skin_conductance"] == pytest.approx(5, abs=0.2)

    done = twin(
        "validate", recording, "--out", tmp_path / "report", "--model", model,
        "--horizons", "15min",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "report" / "credibility.json").read_text())
    assert {"lactate", "skin_conductance", "heart_rate"} <= set(report["signals"])
    assert "mmol/L" in (tmp_path / "report" / "credibility.html").read_text()


def test_limits_of_it_alarm(tmp_path: Path, model: Path, recording: Path) -> None:
    limits, alarms = tmp_path / "limits.csv", tmp_path / "alarms.csv"
    limits.write_text("patient,signal,priority,low,high,unit\np,lactate,medium,,2.5,mmol/L\n")
    done = twin(
        "assess", recording, "--model", model, "--limits", limits,
        "--news2", tmp_path / "news2.csv", "--alarms", alarms,
    )  # fmt: skip
    assert done.code == 0, done.err
    (raised,) = {row["alarm"] for row in read(alarms) if row["signal"] == "lactate"}
    first = next(row for row in read(alarms) if row["alarm"] == raised)
    assert first["priority"] == "medium"
    assert float(first["limit"]) == 2.5


def test_without_the_file_both_are_counted_as_unknown(tmp_path: Path, recording: Path) -> None:
    done = twin("replay", recording, "--out", tmp_path / "e.csv")
    assert done.code == 0
    assert f"signal_unknown {MINUTES * 16}" in done.err
