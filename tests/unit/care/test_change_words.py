"""The change index in words, in both languages, and as a body of answers."""

from __future__ import annotations

import math
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from ingest.instant import DAY, HOUR
from tests.support.twins import T0
from twin.care.board import Board
from twin.care.change_words import change_line, usual_line
from twin.care.judged import change_body, usual_bodies
from twin.care.words import Words
from twin.judgement import Judgements
from twin.personal import Change, Departure, Habit

PARTS = (
    Departure("heart_rate", 1.2, 9.0, 64.0, 4.0),
    Departure("hrv_rmssd", -0.8, 3.0, 40.0, 8.0),
    Departure("spo2", 0.1, 0.2, 97.0, 0.5),
)
UNUSUAL = Change("p1", T0, True, 0.994, 0.971, 0.999, 12.2, 6.0, True, PARTS)
LEARNING = Change("p1", T0, False, *(math.nan,) * 3, 0.0, 0.4, False, ())


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Heart rate above usual (74 %), Heart rate variability (RMSSD) below usual (25 %)"),
        ("fr", "au-dessus de l’habitude (74\u202f%)"),
    ],
)
def test_an_unusual_day_is_said_with_the_signals_that_make_it_so(language: str, said: str) -> None:
    line = change_line(UNUSUAL, Words(language, ZoneInfo("Europe/Paris")))
    assert said in line
    assert "97–100" in line
    assert "Oxygen" not in line


def test_what_is_not_known_or_usual_is_said_too() -> None:
    words = Words("en", ZoneInfo("UTC"))
    assert "not yet known" in change_line(None, words)
    assert change_line(LEARNING, words) == change_line(None, words)
    usual = Change("p1", T0, True, 0.4, 0.3, 0.5, 1.0, 6.0, False, PARTS)
    assert "as usual" in change_line(usual, words)


def test_a_board_keeps_the_newest_also_over_a_restart() -> None:
    board = Board()
    board.fold(Judgements(changes=(LEARNING,)), 1)
    board.fold(Judgements(changes=(UNUSUAL,)), 2)
    assert Board.of(board.state()).change("p1") == UNUSUAL
    assert board.take_changed() == {"p1"}


def test_a_body_has_units_and_contributions() -> None:
    body = change_body(UNUSUAL)
    assert [(part.signal, part.unit) for part in body.departures[:2]] == [
        ("heart_rate", "/min"), ("hrv_rmssd", "ms"),
    ]  # fmt: skip
    assert (body.unusual, body.known) == (True, True)


#: 62 and a swing of 8 about 16:00 UTC; of the hours from 0 to 5 it is not known.
HABIT = Habit("heart_rate", (62.0, -4.0, -6.9282, 0.0, 0.0), 5.9304, 0xFFFFC0)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Usual for this person at this hour (the middle half): Heart rate 66–74"),
        ("fr", "à cette heure (moitié centrale)\u202f: Fréquence cardiaque 66–74"),
    ],
)
def test_what_is_usual_is_said_for_the_hour(language: str, said: str) -> None:
    change, words = structs.replace(LEARNING, habits=(HABIT,)), Words(language, ZoneInfo("UTC"))
    midnight = T0 // DAY * DAY
    assert said in usual_line(change, midnight + 16 * HOUR, words)
    assert usual_line(change, midnight + 2 * HOUR, words) == ""
    assert usual_line(LEARNING, midnight + 16 * HOUR, words) == ""
    assert usual_line(None, midnight, words) == ""


def test_bodies_of_what_is_usual_end_where_the_signal_does_and_are_null_where_not_known() -> None:
    high = Habit("spo2", (99.5, 0.0, 0.0, 0.0, 0.0), 2.0, 1)
    change, midnight = structs.replace(LEARNING, habits=(HABIT, high)), T0 // DAY * DAY
    bodies = usual_bodies(change, midnight)
    assert (bodies["heart_rate"].unit, bodies["heart_rate"].lo50) == ("/min", None)
    assert bodies["spo2"].hi50 == 100.0
    assert bodies["spo2"].lo50 == pytest.approx(98.151, abs=1e-3)
    assert usual_bodies(change, midnight + HOUR)["spo2"].hi50 is None
