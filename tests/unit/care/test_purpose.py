"""Hours in which somebody watches."""

import json
from zoneinfo import ZoneInfo

import pytest

from ingest.instant import parse_instant
from tests.support.care import feed_of, parts_of
from twin.care.api.purpose import purpose as purpose_route
from twin.care.purpose import EVERY_DAY, Purpose
from twin.care.purpose_words import hours_words, uncovered_words
from twin.care.settings import CareSettings
from twin.care.words import Words

PARIS = ZoneInfo("Europe/Paris")
WEEK = frozenset(range(5))
OFFICE = Purpose(days=WEEK, begins=8 * 60, ends=18 * 60)
NIGHT = Purpose(days=frozenset({4}), begins=20 * 60, ends=7 * 60)


@pytest.mark.parametrize(
    ("purpose", "at", "covered"),
    [
        (Purpose(), "2026-11-29T03:00:00+01:00", True),
        (OFFICE, "2026-11-26T08:00:00+01:00", True),
        (OFFICE, "2026-11-26T07:59:59+01:00", False),
        (OFFICE, "2026-11-26T18:00:00+01:00", False),
        (OFFICE, "2026-11-28T12:00:00+01:00", False),
        (OFFICE, "2026-07-01T08:00:00+02:00", True),
        (NIGHT, "2026-11-27T23:00:00+01:00", True),
        (NIGHT, "2026-11-28T06:59:00+01:00", True),
        (NIGHT, "2026-11-28T07:00:00+01:00", False),
        (NIGHT, "2026-11-28T23:00:00+01:00", False),
        (NIGHT, "2026-11-27T06:00:00+01:00", False),
    ],
)
def test_coverage(purpose: Purpose, at: str, covered: bool) -> None:
    assert purpose.covered(parse_instant(at), PARIS) is covered


def test_a_service_of_all_hours_and_days_is_always_there() -> None:
    assert Purpose().always
    assert Purpose(days=EVERY_DAY, begins=420, ends=420).always
    assert not OFFICE.always


@pytest.mark.parametrize(
    ("purpose", "english", "french"),
    [
        (Purpose(), "at all hours", "à toute heure"),
        (OFFICE, "Mon–Fri 08:00–18:00", "lun.–ven. 08:00–18:00"),
        (NIGHT, "Fri 20:00–07:00", "ven. 20:00–07:00"),
        (
            Purpose(days=frozenset({0, 1, 3, 4, 5}), begins=0, ends=24 * 60),
            "Mon, Tue, Thu–Sat all day",
            "lun., mar., jeu.–sam. toute la journée",
        ),
        (
            Purpose(begins=7 * 60 + 5, ends=24 * 60),
            "every day 07:05–24:00",
            "tous les jours 07:05–24:00",
        ),
    ],
)
def test_hours_in_words(purpose: Purpose, english: str, french: str) -> None:
    assert hours_words(purpose, Words("en", PARIS)) == english
    assert hours_words(purpose, Words("fr", PARIS)) == french


def test_the_notice_says_that_nobody_watches_and_whom_to_call() -> None:
    said = uncovered_words(OFFICE, Words("fr", PARIS))
    assert "personne ne surveille" in said
    assert "appelez le 15 / 112" in said
    assert "lun.–ven. 08:00–18:00" in said
    other = Purpose(days=WEEK, begins=480, ends=1080, emergency="999")
    assert "call 999" in uncovered_words(other, Words("en", PARIS))


@pytest.mark.parametrize("covered", [True, False])
def test_other_systems_ask_for_the_manifest_and_get_the_notice_for_patients(covered: bool) -> None:
    """NOW of the tests is a Wednesday."""
    days = frozenset({2}) if covered else frozenset({3})
    purpose = Purpose("remote_monitoring", "Dr A", days, 0, 24 * 60)
    settings = CareSettings(simulated=True, token=None, zone="Europe/Paris", purpose=purpose)
    told = json.loads(purpose_route(parts_of(feed_of(), settings)).body)
    assert (told["mode"], told["responsible"], told["alarms"]) == (
        "remote_monitoring", "Dr A", False,
    )  # fmt: skip
    assert (told["begins"], told["ends"], told["zone"]) == ("00:00", "24:00", "Europe/Paris")
    assert told["covered"] is covered
    assert told["emergency"] == "15 / 112"
    assert (told["notice"] is None) is covered
    if not covered:
        assert set(told["notice"]) == {"en", "fr"}
        assert "15 / 112" in told["notice"]["fr"]
