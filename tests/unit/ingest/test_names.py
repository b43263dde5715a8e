"""The rule of names that SenML and Sparkplug share."""

import pytest

from ingest.catalogue import SIGNALS
from ingest.payload.names import BATTERY, CONTACT, SYNONYMS, meaning_of_name


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("heart_rate", "heart_rate"),
        ("vitals/heart_rate", "heart_rate"),
        ("urn:dev:mac:0024befffe804ff1:spo2", "spo2"),
        ("ward.3/vitals.Heart-Rate", "heart_rate"),
        ("Vitals/Skin Temperature", "skin_temperature"),
        ("vitals/resp_rate", "respiratory_rate"),
        ("device/battery", BATTERY),
        ("device/on_body", CONTACT),
    ],
)
def test_the_last_part_of_a_name_says_the_signal(name: str, meaning: str) -> None:
    assert meaning_of_name(name) == meaning


@pytest.mark.parametrize(
    "name", ["", "temp", "vitals/temp", "rr", "heart_rate/", "heart_rate_max", "spo2%", "a\x00b"]
)
def test_a_name_with_two_meanings_or_none_is_not_guessed(name: str) -> None:
    assert meaning_of_name(name) is None


def test_every_other_word_means_something_that_there_is() -> None:
    assert set(SYNONYMS.values()) <= {*SIGNALS, BATTERY, CONTACT}
    assert not set(SYNONYMS) & set(SIGNALS)
