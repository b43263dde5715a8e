"""Constants found again in data made with them, and the model file that says so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ingest.instant import SECOND
from ingest.recording import Recording
from tests.support.command import twin
from tests.support.twins import T0, model_of
from twin.estimation.fitting import NothingToFit, evidence, fit, score
from twin.estimation.model_text import model_text
from twin.estimation.models import base_model, parse_model
from twin.estimation.search import nelder_mead

TG, DEVIATION, NOISE, EVERY = 300.0, 6.0, 1.0, 20
#: What the search begins with: everything a factor of three or more off.
WRONG = {"deviation_time": 60.0, "deviation_noise": 0.1, "noise": 4.0}
LEVEL = {"mean": 80.0, "spread": 10.0, "level_time": 1e6}


def wandering(persons: int = 3, n: int = 700, seed: int = 1) -> Recording:
    """Ornstein–Uhlenbeck deviations with time constant TG around a level of each person."""
    rng = np.random.default_rng(seed)
    keep = math.exp(-EVERY / TG)
    values = []
    for person in range(persons):
        d = 0.0
        for _ in range(n):
            d = keep * d + DEVIATION * math.sqrt(1 - keep**2) * rng.standard_normal()
            values.append(round(70 + 8 * person + d + NOISE * rng.standard_normal()))
    at = np.tile(T0 + np.arange(n) * EVERY * SECOND, persons)
    names = np.repeat([f"p{person}" for person in range(persons)], n).tolist()
    blank = np.full(persons * n, np.nan)
    return Recording(
        names, ["strap"] * len(names), ["heart_rate"] * len(names),
        value=np.array(values, float), measured_at=at, received_at=at, noise_std=blank,
        quality=blank, line=np.arange(len(names)), blank=0, refused={},
    )  # fmt: skip


def test_a_known_time_constant_is_found_again_and_holds_for_people_left_out() -> None:
    model = model_of(**WRONG, **LEVEL)
    given = evidence(wandering(), "heart_rate", [60.0, 300.0, 900.0])
    found = fit(given, model, trials=60, folds=3, seed=4)

    constants = found.model.signals["heart_rate"]
    assert TG / 1.6 < constants.deviation_time < TG * 1.6
    spread = math.sqrt(constants.deviation_noise * constants.deviation_time / 2)
    assert spread == pytest.approx(DEVIATION, rel=0.35)
    assert found.after < found.before
    assert sorted(p for each in found.left_out for p in each.persons) == ["p0", "p1", "p2"]
    assert all(each.after < each.before for each in found.left_out)
    again = fit(given, model, trials=60, folds=0, seed=4)
    assert again.constants == found.constants


def test_a_perfect_model_scores_better_than_a_wrong_one() -> None:
    given = evidence(wandering(), "heart_rate", [60.0, 300.0])
    noise = 2 * DEVIATION**2 / TG
    right = model_of(deviation_time=TG, deviation_noise=noise, noise=NOISE, **LEVEL)
    assert score(given, right) < score(given, model_of(**WRONG, **LEVEL))


def test_too_little_to_fit_is_said() -> None:
    with pytest.raises(NothingToFit, match="got 20 readings of heart_rate of 1 persons, expected"):
        evidence(wandering(1, 20), "heart_rate", [60.0])


def test_the_shipped_model_written_and_read_is_itself() -> None:
    model = base_model()
    assert parse_model(model_text(model, "again", "1", "a note")).signals == model.signals


def test_the_search_goes_downhill_and_asks_no_more_than_it_may() -> None:
    asked: list[np.ndarray] = []

    def value(x: np.ndarray) -> float:
        asked.append(x)
        return float((x[0] - 1) ** 2 + 4 * (x[1] + 2) ** 2)

    nelder_mead(value, np.zeros(2), 80, np.random.default_rng(0))
    assert len(asked) <= 80
    assert min(value(x) for x in asked[:80]) < 1e-3


def test_the_command_writes_a_model_file_that_loads_and_a_report(tmp_path: Path) -> None:
    recording = wandering(2, 200)
    rows = ["patient,device,signal,value,measured_at"] + [
        f"{p},strap,heart_rate,{v},{t}"
        for p, v, t in zip(recording.patient, recording.value, recording.measured_at, strict=True)
    ]
    file, out, folder = tmp_path / "a.csv", tmp_path / "mine.toml", tmp_path / "report"
    file.write_text("\n".join(rows))
    command = ["fit", file, "--signal", "heart_rate", "--out", out, "--report", folder]
    ended = twin(*command, "--trials", "12", "--folds", "2", "--horizons", "60s,5min")
    assert (ended.code, ended.err.count("mine.toml")) == (0, 1)

    model = parse_model(out.read_text(), "mine.toml")
    assert "SHA-256 of a.csv" in model.signals["heart_rate"].source
    assert [row[0] for row in model.signals["heart_rate"].calibration] == [60.0, 300.0]
    said = json.loads((folder / "mine.json").read_text())
    assert said["models"]["to"] == model.version
    assert set(said["horizons"]) == {"60s", "5min"}
    assert "persons that the constants had not seen" in (folder / "mine.html").read_text()
    replayed = twin("replay", file, "--out", tmp_path / "e.csv", "--model", out)
    assert replayed.code == 0


def test_wrong_input_ends_with_code_2(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("patient,device,signal,value,measured_at\np,d,heart_rate,70,1000000000\n")
    more = ["--out", tmp_path / "m.toml", "--report", tmp_path]
    for options in (
        ["--signal", "lactate", *more],
        ["--signal", "heart_rate", *more],
        ["--signal", "heart_rate", *more, "--horizons", "0s"],
        ["--signal", "heart_rate", "--out", tmp_path / "m.txt", "--report", tmp_path],
    ):
        ended = twin("fit", file, *options)
        assert ended.code == 2, ended.err
        assert "expected" in ended.err
