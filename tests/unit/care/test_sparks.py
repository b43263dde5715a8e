"""Twelve hours of a patient's worst vital for the ward's row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import HOUR, MINUTE
from tests.support.care import NOW
from tests.support.judged import alarm, score, technical
from tests.support.ward import MemoryHistory
from tests.unit.care.test_alarms_api import Desk
from twin.care.sparks import KEPT_FOR, POINTS, Sparks, worst_vital
from twin.judgement import Judgements, LimitSet


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def history(*hours_ago: float) -> MemoryHistory:
    rows = [(NOW - round(h * HOUR), 70.0 + h, 1.0, 70.0, "d") for h in sorted(hours_ago)[::-1]]
    return MemoryHistory({("p1", "heart_rate"): rows})


def test_a_gap_stays_a_gap() -> None:
    line = Sparks().line(history(11.9, 0.1), "p1", "heart_rate", NOW)
    assert len(line) == POINTS
    assert (line[0], line[-1]) == (81.9, 70.1)
    assert set(line[1:-1]) == {None}


def test_a_line_is_kept_for_minutes_and_then_read_anew() -> None:
    sparks, store = Sparks(), history(1)
    first = sparks.line(store, "p1", "heart_rate", NOW)
    store.rows.clear()
    assert sparks.line(store, "p1", "heart_rate", NOW + KEPT_FOR - MINUTE) == first
    assert sparks.line(store, "p1", "heart_rate", NOW + KEPT_FOR) == [None] * POINTS


def test_the_worst_vital_is_the_alarms_then_the_scores() -> None:
    assert worst_vital([technical(), alarm()], None) == "spo2"
    scored = score()
    best = max(scored.components, key=lambda part: part.points)
    assert worst_vital([], scored) in (best.parameter, "heart_rate", "body_temperature")
    assert worst_vital([], None) == "heart_rate"


def test_the_interface_gives_lines_of_those_who_are_known(desk: Desk) -> None:
    said = desk.ask("GET", "/api/v1/sparks?patient=p1&patient=nobody").json()
    assert list(said["sparks"]) == ["p1"]
    assert said["sparks"]["p1"] == {"signal": "heart_rate", "line": [None] * POINTS}
    assert desk.ask("GET", "/api/v1/sparks?" + "&".join(["patient=p"] * 61)).status_code == 422


def test_a_patient_with_limits_of_his_own_is_marked_in_the_ward(desk: Desk) -> None:
    nan = float("nan")
    own = LimitSet(
        "p1", "", "spo2", "medium", False, 88.0, nan, 30.0, 2.0, "I. Roux", "known", NOW, NOW
    )
    row = re.compile(r'class="perp"[^>]*hidden')
    assert row.search(desk.ask("GET", "/").text.partition("<template")[0])
    desk.tell(Judgements(limits=(own,)))
    assert desk.feed.reading().own_limits == {"p1"}
    assert not row.search(desk.ask("GET", "/").text.partition("<template")[0])


def test_the_wall_has_no_controls_of_its_own(desk: Desk) -> None:
    html = desk.ask("GET", "/wall").text
    assert 'data-page="wall"' in html
    assert 'data-theme="dark"' in html
    assert "Bed 1" not in html.partition("<main")[2].partition("</main>")[0]
