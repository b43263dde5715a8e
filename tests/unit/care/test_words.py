"""Catalogues and formats in two languages."""

import re
from zoneinfo import ZoneInfo

import pytest

from ingest.catalogue import SIGNALS
from ingest.instant import DAY, parse_instant
from ingest.payload.decoded import Reason
from twin.care.settings import LANGUAGES
from twin.care.words import STATIC, Words, catalogue, preferred_language
from twin.device_report import Silence
from twin.rows import REASONS

FR = Words("fr", ZoneInfo("Europe/Paris"))
EN = Words("en", ZoneInfo("Europe/Paris"))


def test_every_catalogue_has_the_same_keys_and_the_same_gaps_to_fill() -> None:
    english, french = catalogue("en"), catalogue("fr")
    assert english.keys() == french.keys()
    for key in english:
        gaps = [sorted(re.findall(r"\{(\w+)\}", words[key])) for words in (english, french)]
        assert gaps[0] == gaps[1], key
        assert all(words[key].strip() for words in (english, french)), key


def test_every_signal_has_a_name_and_a_short_one() -> None:
    for language in LANGUAGES:
        for code in SIGNALS:
            assert catalogue(language)[f"signal.{code}"]
            assert catalogue(language)[f"short.{code}"]


def test_every_text_that_pages_and_scripts_ask_for_exists_and_none_is_left_over() -> None:
    pages = [*STATIC.parent.glob("pages/*.html"), *STATIC.parent.glob("*.py")]
    scripts = [p for p in STATIC.rglob("*.js") if "vendor" not in p.parts]
    text = "\n".join(p.read_text() for p in [*pages, *scripts])
    asked = set(re.findall(r"""\bt\(\s*["']([a-z_.0-9-]+[a-z0-9])["']""", text))
    assert asked <= catalogue("en").keys()
    # "theme." + theme, `range.${name}`, f"unit.{code}"
    made = set(re.findall(r"""["'`]([a-z_]+\.)(?:["']|\$?\{)""", text))
    quoted = set(re.findall(r"""["'`]([a-z_.0-9]+)["'`]""", text))
    for key in catalogue("en"):
        plain = key.removesuffix("_one").removesuffix("_other")
        assert plain in quoted or f"{key.split('.')[0]}." in made, f"{key} is used nowhere"


@pytest.mark.parametrize(
    ("number", "decimals", "english", "french"),
    [
        (36.84, 1, "36.8", "36,8"),
        (72.4, 0, "72", "72"),
        (72.5, 0, "73", "73"),
        (71.5, 0, "72", "72"),
        (-2.5, 0, "-3", "-3"),
        (-0.04, 1, "0.0", "0,0"),
        (None, 0, "—", "—"),
    ],
)
def test_numbers(number: float | None, decimals: int, english: str, french: str) -> None:
    assert (EN.number(number, decimals), FR.number(number, decimals)) == (english, french)


def test_ages_grow_from_seconds_to_days() -> None:
    said = [EN.age(s) for s in (-3, 0.9, 119, 120, 7_199, 7_200, 172_799, 172_800)]
    expected = ["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]
    assert said == [text.replace(" ", "\u00a0") for text in expected]
    assert FR.age(200_000) == "2\u00a0j"


def test_the_repeated_hour_in_autumn_is_told_by_its_offset() -> None:
    summer, winter = (parse_instant(f"2026-10-25T0{hour}:30:00Z") for hour in (0, 1))
    assert FR.moment(summer) == "2026-10-25 02:30:00 +0200"
    assert FR.moment(winter) == "2026-10-25 02:30:00 +0100"


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("de,en;q=0.5,fr;q=0.7", "fr"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=0", "en"),
        ("fr;q=x,en", "en"),
    ],
)
def test_the_browsers_languages_are_heard(accept: str, language: str) -> None:
    assert preferred_language(accept, "en") == language


def test_a_moment_is_said_with_date_and_zone_only_where_they_are_needed() -> None:
    summer = parse_instant("2026-10-25T00:30:00Z")
    noon = parse_instant("2026-10-25T11:00:00Z")
    assert FR.moment(summer, noon) == "02:30:00 +0200"
    assert FR.moment(noon, noon) == "12:00:00"
    assert FR.moment(noon, noon + DAY) == "2026-10-25 12:00:00"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_reason_for_a_devices_silence_has_its_words_as_an_alarm(language: str) -> None:
    for silence in Silence:
        assert silence == Silence.NONE or f"cause.{silence.word}" in catalogue(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_a_refusal_is_said_in_words(language: str) -> None:
    words = Words(language, ZoneInfo("UTC"))
    reasons = {*Reason, *filter(None, REASONS)}
    said = {reason: words.refusal(reason) for reason in reasons}
    assert [reason for reason, text in said.items() if text == reason or "_" in text] == []
    assert len(set(said.values())) == len(reasons)
    assert words.refusal("of_a_later_release") == "of_a_later_release"
