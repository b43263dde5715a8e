"""What was expected and got, in French where it recurs, marked as English where not."""

import string
from zoneinfo import ZoneInfo

import pytest

from ingest.catalogue import SIGNALS
from ingest.instant import HOUR, parse_instant
from ingest.judge import judge
from twin.care.refusal_words import _FRENCH, in_french
from twin.care.words import Words

NOW = parse_instant("2026-11-25T12:00:00Z")
FRENCH, ENGLISH = (Words(language, ZoneInfo("Europe/Paris")) for language in ("fr", "en"))


@pytest.mark.parametrize(
    ("payload", "expected", "got"),
    [
        (b'{"time":"2026-11-25T12:00:00Z","values":{"heart_rate":700}}',
         "15 à 320 /min", "700.0 /min"),
        (b'{"time":"2026-11-25T21:00:00Z","values":{"heart_rate":70}}',
         "au plus 300 s d’avance sur la réception\u202f; pour déclarer une horloge d’un autre "
         "fuseau\u00a0: clock_offset_s = 32400 du capteur, ou stamp_zone de son modèle",
         "2026-11-25T21:00:00.000000000Z (avance de 9 h\u00a0: fuseau\u202f?)"),
        (b'{"time":1795608000,"values":{"heart_rate":70}}',
         "au plus 400 jours avant la réception\u202f; pour déclarer un nombre epoch d’une autre "
         'unité\u00a0: stamp_unit = "s" du modèle du capteur',
         "1970-01-21T18:46:48.000000000Z (ressemble à des secondes)"),
        (b'{"time":"2026-11-25T12:00:00Z","values":{"heart_rate":"x"}}', "un nombre fini", '"x"'),
        (b'{"time":"2026-11-25T12:00:00","values":{"heart_rate":70}}',
         "un fuseau à la fin, p. ex. Z ou +02:00", '"2026-11-25T12:00:00"'),
        (b'{"time":"2026-11-25T12:00:00Z","values":{"spo2":97},"units":{"spo2":"furlong"}}',
         None, "furlong"),
        (b"[", "un seul objet JSON", None),
    ],
)  # fmt: skip
def test_what_is_refused_most_is_said_in_french(
    payload: bytes, expected: str | None, got: str | None
) -> None:
    (line,) = judge(payload, now=NOW + HOUR // 60)
    if expected is not None:
        assert FRENCH.technical(str(line["expected"])) == (expected, "")
    if got is not None:
        assert FRENCH.technical(str(line["got"])) == (got, "")
    assert ENGLISH.technical(str(line["expected"])) == (line["expected"], "")


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("mg/dL or mmol/L", "mg/dL ou mmol/L"),
        ("/min or 1/min or {beats}/min", "/min ou 1/min ou {beats}/min"),
        ("effectiveDateTime, effectiveInstant or effectivePeriod",
         "effectiveDateTime, effectiveInstant ou effectivePeriod"),
        ("a text or a number", "un texte ou un nombre"),
        ("a name or an alias", "un nom ou un alias"),
    ],
)  # fmt: skip
def test_alternatives_are_joined_in_french_however_many_they_are(english: str, french: str) -> None:
    assert FRENCH.technical(english) == (french, "")


def test_every_unit_that_is_expected_is_said_in_french() -> None:
    for signal in SIGNALS.values():
        said = FRENCH.technical(" or ".join((signal.unit, *signal.accepted)))
        assert (" or " in said[0], said[1]) == (False, "")


@pytest.mark.parametrize("english", ["a value, or components", "a start or an end"])
def test_alternatives_are_never_half_translated(english: str) -> None:
    assert FRENCH.technical(english) == (english, "en")


def test_what_has_no_french_is_marked_as_english() -> None:
    assert FRENCH.technical("v: a finite number") == ("v: a finite number", "en")
    assert FRENCH.technical("more than 0 ms between values")[1] == "en"
    assert FRENCH.technical("SampledData") == ("SampledData", "")
    assert FRENCH.technical("") == ("", "")


@pytest.mark.parametrize("english", _FRENCH)
def test_each_phrase_keeps_what_changes_in_it(english: str) -> None:
    parts = [field for _, field, _, _ in string.Formatter().parse(english) if field is not None]
    said = english.format(*(f"<{n}>" for n in range(len(parts))))
    french = in_french(said)
    assert french is not None
    assert "{" not in french
    for n in range(len(parts)):
        assert f"<{n}>" in french or "{1}" in _FRENCH[english]


def test_a_long_text_of_the_sender_is_no_phrase_and_costs_nothing() -> None:
    assert in_french("a " * 100_000) is None
