"""`twin illness`: nights of a recording, by the time on site, at rest."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.command import twin


def recording(folder: Path, nights: int, rise_from: int = 99) -> Path:
    """Heart rate every ten minutes, day and night (+30 by day, Paris time), ill from a night on."""
    file = folder / "watch.csv"
    lines = ["patient,device,signal,value,measured_at"]
    begin = datetime(2026, 1, 4, 23, 0, tzinfo=UTC)  # midnight in Paris
    for n in range(nights * 144):
        at = begin + timedelta(minutes=10 * n)
        night, hour = divmod(n // 6, 24)
        value = 60 + night % 3 + (30 if hour >= 7 else 0) + (8 if night >= rise_from else 0)
        lines.append(f"p1,w,heart_rate,{value},{at:%Y-%m-%dT%H:%M:%SZ}")
    file.write_text("\n".join(lines) + "\n")
    return file


def test_an_illness_is_said_with_what_was_usual(tmp_path: Path) -> None:
    out = tmp_path / "nights.csv"
    file = recording(tmp_path, 26, rise_from=20)
    ended = twin("illness", file, "--out", out, "--zone", "Europe/Paris", "--json")

    assert ended.code == 0, ended.err
    assert ended.json["nights"] == 26
    with out.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["state"] for row in rows[:14]] == ["learning"] * 14
    assert rows[0]["night"] == "2026-01-05"
    assert {row["state"] for row in rows[14:20]} == {"usual"}
    assert rows[24]["state"] == "onset"
    assert float(rows[24]["heart_rate"]) == 68.0
    assert 60 <= float(rows[24]["heart_rate_usual"]) <= 62
    assert rows[24]["respiratory_rate"] == ""


def test_nights_are_those_on_site(tmp_path: Path) -> None:
    values = {}
    for zone in ("Europe/Paris", "Asia/Tokyo"):
        out = tmp_path / "n.csv"
        assert twin("illness", recording(tmp_path, 4), "--out", out, "--zone", zone).code == 0
        with out.open(newline="") as lines:
            values[zone] = {row["night"]: float(row["heart_rate"]) for row in csv.DictReader(lines)}
    assert values["Europe/Paris"]["2026-01-06"] == 61.0
    assert values["Asia/Tokyo"]["2026-01-06"] == 90.0  # seven hours ahead: Paris has its evening


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--zone", "Mars/Olympus"), "--zone: expected a zone as Europe/Paris, got 'Mars/Olympus'"),
        (("--zone", "Europe"), "--zone: expected a zone as Europe/Paris, got 'Europe'"),
        (("--zone", "a" * 300), "--zone: expected a zone as Europe/Paris"),
        (("--out", "n.txt"), "--out"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: tuple[str, str], said: str) -> None:
    given = ("--out", tmp_path / "n.csv") if options[0] != "--out" else ()
    ended = twin("illness", recording(tmp_path, 1), *given, *options)
    assert ended.code == 2
    assert said in ended.err


def test_a_recording_without_a_night_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text(
        "patient,device,signal,value,measured_at\np,w,heart_rate,70,2026-01-05T12:00:00Z\n"
    )
    ended = twin("illness", file, "--out", tmp_path / "n.csv")
    assert ended.code == 2
    assert "no night: expected at least 2 quarters of an hour between 00:00 and 07:00" in ended.err
