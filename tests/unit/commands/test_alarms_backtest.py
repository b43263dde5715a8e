"""`twin alarms backtest`: what limits would have raised on the stored record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import twin
from tests.support.estimates import SECOND, T0, batch, observed
from twin.store.embedded import EmbeddedStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A record of ten minutes: the heart rate is 140 from the second minute to the sixth."""
    rows = [
        observed(T0 + at * SECOND, 140.0 if 120 <= at < 360 else 75.0) for at in range(0, 600, 2)
    ]
    with EmbeddedStore(tmp_path / "store.db") as store:
        store.write_all([batch(*rows)], 1)
    return tmp_path


def limits(folder: Path, *lines: str) -> Path:
    file = folder / "limits.csv"
    file.write_text("\n".join(["patient,signal,priority,low,high,reason", *lines]) + "\n")
    return file


def test_it_says_how_many_alarms_and_whether_a_ward_can_answer_them(folder: Path) -> None:
    ended = twin("alarms", "backtest", "--data-dir", folder, "--json")

    assert ended.code == 0, ended.err
    assert (ended.json["raised"], ended.json["patients"]) == (1, 1)
    assert ended.json["within_budget"] is False
    (rule,) = ended.json["rules"]
    assert (rule["rule"], rule["alarms"]) == ("heart_rate/high", 1)


def test_limits_of_a_file_are_tried_and_a_page_is_written(folder: Path) -> None:
    file = limits(folder, ",heart_rate,medium,,145,")
    page = folder / "b.html"
    ended = twin("alarms", "backtest", "--data-dir", folder, "--limits", file, "--html", page)

    assert ended.code == 0, ended.err
    assert "0 alarms for 1 patients, 0.00 for each patient and day: within" in ended.err
    assert "<svg" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (",heart_rate,medium,120,60,", ":2, column 'low': expected low < high"),
        ("nobody,heart_rate,medium,,60,x", ":2, column 'patient': expected a patient"),
        (",heart_rate,high,,20,", "expected low < high"),
    ],
)
def test_limits_that_cannot_be_are_refused(folder: Path, line: str, said: str) -> None:
    ended = twin("alarms", "backtest", "--data-dir", folder, "--limits", limits(folder, line))
    assert ended.code == 2
    assert said in ended.err


def test_days_beyond_the_record_and_unknown_patients_are_said(folder: Path) -> None:
    smooth = ("smooth", "--signal", "heart_rate", "--out", folder / "s.csv")
    for command in (("alarms", "backtest"), smooth):
        ended = twin(*command, "--data-dir", folder, "--patient", "nobody")
        assert ended.code == 2
        assert "--patient: got 'nobody', expected a patient who has measurements" in ended.err
    assert twin("alarms", "backtest", "--data-dir", folder, "--days", 0).code == 2
    ending = twin("alarms", "backtest", "--data-dir", folder, "--html", folder / "b.txt")
    assert (ending.code, "--html" in ending.err) == (2, True)


def test_in_wellness_there_are_no_limits_to_try(folder: Path) -> None:
    config = folder / "wellness.toml"
    config.write_text(f'data_dir = "{folder}"\n[purpose]\nmode = "wellness"\n', "utf-8")
    ended = twin("alarms", "backtest", "--config", config)
    assert ended.code == 1
    assert "there are no clinical alarms" in ended.err
