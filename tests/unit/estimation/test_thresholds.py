"""Thresholds files: what they may say, and what counts as kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from twin.estimation.credibility import Credibility, SignalScores
from twin.estimation.horizon_scores import HorizonScores
from twin.estimation.replay import Replayed
from twin.estimation.thresholds import (
    ThresholdError,
    Thresholds,
    judged,
    limit_in_words,
    parse_thresholds,
)

_SECONDS = {"60s": 60.0, "15min": 900.0}


def parsed(content: str) -> Thresholds:
    return parse_thresholds(content, "limits.toml", _SECONDS.get)


def measured(**metrics: float) -> Credibility:
    none = np.empty(0)
    horizon = HorizonScores(60.0, "60s", metrics, None, [], [], none, none, None)
    signal = SignalScores("heart_rate", 1, 1, 0.0, 1.0, 1.0, 0.4, 0.0, [horizon])
    return Credibility([signal], {}, Replayed(None, {}, [], none, none))  # type: ignore[arg-type]


def test_file_is_read() -> None:
    found = parsed(
        'registered = "2026-11-25"\n[statement]\nquestion = "Is it?"\n'
        "[heart_rate.60s]\nskill = 0.16\nrmse = 2.5\ncoverage90 = [0.87, 0.93]\n"
        "[spo2.now]\nbias = [-1, 1]\n"
    )

    assert (found.registered, found.statement.question) == ("2026-11-25", "Is it?")
    assert [limit_in_words(limit) for limit in found.limits] == [
        "heart_rate 60s skill ≥ 0.16",
        "heart_rate 60s rmse ≤ 2.5",
        "heart_rate 60s coverage90 0.87 to 0.93",
        "spo2 now bias -1 to 1",
    ]


def test_a_date_without_quotes_is_read_as_well() -> None:
    content = "registered = 2026-11-25\n[heart_rate.60s]\nskill = 0"
    assert parsed(content).registered == "2026-11-25"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("[heart_rate", "limits.toml"),
        ("[pulse.60s]\nskill = 1", "limits.toml"),
        ("[heart_rate]\n60s = 1", "limits.toml: heart_rate.60s"),
        ("heart_rate = 1", "limits.toml: heart_rate"),
        ("[heart_rate.soon]\nskill = 1", "limits.toml: heart_rate"),
        ("[heart_rate.60s]\nskil = 1", "limits.toml: heart_rate.60s.skil"),
        ('[heart_rate.60s]\nskill = "1"', "limits.toml: heart_rate.60s.skill"),
        ("[heart_rate.60s]\nskill = true", "limits.toml: heart_rate.60s.skill"),
        ("[heart_rate.60s]\nskill = nan", "limits.toml: heart_rate.60s.skill"),
        ("[heart_rate.60s]\nskill = [2, 1]", "limits.toml: heart_rate.60s.skill"),
        ("[heart_rate.60s]\nskill = [1]\nnis = 1", "limits.toml: heart_rate.60s.nis"),
        ("[heart_rate.60s]\nbias = 1", "limits.toml: heart_rate.60s.bias"),
        ("", "limits.toml"),
        ('[statement]\nquestion = "Is it?"', "limits.toml"),
        ("[heart_rate.60s]", "limits.toml"),
        ("statement = 1", "limits.toml: statement"),
        ('[statement]\nquestions = ""', "limits.toml: statement"),
        ("[statement]\nquestion = 1", "limits.toml: statement.question"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(content: str, where: str) -> None:
    with pytest.raises(ThresholdError) as caught:
        parsed(content)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("limit", "found", "passed"),
    [
        ("skill = 0.16", {"skill": 0.16}, True),
        ("skill = 0.16", {"skill": 0.15999}, False),
        ("rmse = 2", {"rmse": 2.0}, True),
        ("rmse = 2", {"rmse": 2.001}, False),
        ("nis = [0.9, 1.1]", {"nis": 0.9}, True),
        ("nis = [0.9, 1.1]", {"nis": 1.2}, False),
        ("nis = [0.9, 1.1]", {"nis": 0.8}, False),
    ],
)
def test_limits_include_their_ends(limit: str, found: dict[str, float], passed: bool) -> None:
    (verdict,) = judged(parsed(f"[heart_rate.60s]\n{limit}"), measured(**found))
    assert verdict.passed is passed


@pytest.mark.parametrize(
    "table", ["heart_rate.60s", "heart_rate.15min", "spo2.60s"], ids=["value", "horizon", "signal"]
)
def test_what_was_not_measured_has_not_passed(table: str) -> None:
    (verdict,) = judged(parsed(f"[{table}]\nrmse = 9"), measured(rmse=math.nan))
    assert (verdict.found, verdict.passed) == (None, False)
