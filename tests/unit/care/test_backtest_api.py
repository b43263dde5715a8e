"""POST …/limits/backtest: limits tried on the stored estimates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import DAY, HOUR, SECOND
from tests.support.care import NOW
from tests.support.ward import MemoryHistory
from tests.unit.care.test_alarms_api import Desk
from twin.judgement import Judgements, LimitSet, Switched

OWN = LimitSet(
    "p1", "", "spo2", "medium", False, 80.0, float("nan"), 30.0, 2.0, "I. Roux", "known", NOW, NOW
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """p1's SpO2 of the last day, each 10 s: 93 %, but 88 % for ten minutes 5 h ago."""
    desk = Desk(tmp_path)
    history = desk.app.state.parts.history
    assert isinstance(history, MemoryHistory)
    low = range(NOW - 5 * HOUR, NOW - 5 * HOUR + 600 * SECOND)
    history.rows["p1", "spo2"] = [
        (at, 88.0 if at in low else 93.0, 0.4, 93.0, "d")
        for at in range(NOW - DAY, NOW, 10 * SECOND)
    ]
    yield desk
    desk.close()


def test_proposed_limits_are_compared_with_those_in_force_and_the_budget(desk: Desk) -> None:
    body = {"limits": [{"signal": "spo2", "priority": "high", "low": 89, "delay_s": 60}]}
    answer = desk.ask("POST", "/api/v1/patients/p1/limits/backtest", body).json()
    assert (answer["signals"], answer["patients"], answer["covered"]) == (["spo2"], 1, 1)
    assert (answer["in_force"]["raised"], answer["in_force"]["high"]) == (1, 0)
    assert (answer["proposed"]["raised"], answer["proposed"]["high"]) == (1, 1)
    assert answer["in_force"]["within_budget"] is True
    assert answer["proposed"]["within_budget"] is False  # one high alarm a day is beyond 0.2
    assert sum(answer["proposed"]["hours"]) == 1
    assert answer["proposed"]["patients"] == [["Bed 1", 1]]
    assert answer["patient_days"] == pytest.approx(1, abs=0.1)
    assert desk.commands == []


def test_a_wards_limit_leaves_what_a_patient_has_of_his_own(desk: Desk) -> None:
    desk.tell(Judgements(limits=(OWN,)))
    body = {"limits": [{"signal": "spo2", "priority": "medium", "low": 95}]}
    of_ward = desk.ask("POST", "/api/v1/limits/backtest", body).json()
    assert of_ward["proposed"]["raised"] == of_ward["in_force"]["raised"] == 0
    own = desk.ask("POST", "/api/v1/patients/p1/limits/backtest", body).json()
    assert own["proposed"]["raised"] == 1


def test_without_changes_all_limits_in_force_are_tried(desk: Desk) -> None:
    answer = desk.ask("POST", "/api/v1/limits/backtest", {"days": 2}).json()
    assert {"spo2", "heart_rate", "glucose"} <= set(answer["signals"])
    assert answer["proposed"] == answer["in_force"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"limits": [{"signal": "spo2", "priority": "high", "low": 95, "high": 90}]}, "low < high"),
        ({"limits": [{"signal": "pulse", "priority": "medium", "low": 9}]}, "expected signal"),
        ({"limits": [{"signal": "spo2", "priority": "loud", "low": 9}]}, "expected priority"),
        ({"days": 8}, "<= 7"),
        ({"limits": [{"signal": "spo2", "priority": "high", "low": 90, "high": 91},
                     {"signal": "spo2", "priority": "medium", "low": 92}]}, "of two priorities"),
    ],
)  # fmt: skip
def test_what_could_not_be_set_cannot_be_tried(desk: Desk, body: object, words: str) -> None:
    answer = desk.ask("POST", "/api/v1/limits/backtest", body)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["expected"]


def test_there_is_nothing_to_try_without_alarms_or_patient(desk: Desk) -> None:
    assert desk.ask("POST", "/api/v1/patients/nobody/limits/backtest", {}).status_code == 404
    off = Switched(False, "wellness", "configuration", NOW)
    desk.tell(Judgements(switched=(off,)))
    assert desk.ask("POST", "/api/v1/limits/backtest", {}).status_code == 409
