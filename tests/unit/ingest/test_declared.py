"""Signals that model files declare."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.catalogue import (
    BUILT_IN,
    CODES,
    ROWS,
    SIGNALS,
    Signal,
    SignalConflict,
    declare,
    rows_of,
)
from ingest.declared import DeclarationWrong, declared_signals, recall, remember
from ingest.payload.loinc import signal_of
from ingest.payload.names import meaning_of_name
from tests.support.declared import LACTATE, own_catalogue


@pytest.fixture(autouse=True)
def _own_catalogue() -> Iterator[None]:
    with own_catalogue():
        yield


def declared(text: str = LACTATE) -> list[Signal]:
    return list(declared_signals(tomllib.loads(text)))


def test_a_declared_signal_is_in_the_catalogue_after_the_built_in_ones() -> None:
    declare(declared())

    lactate = SIGNALS["lactate"]
    assert (lactate.unit, lactate.loinc, lactate.noise_std) == ("mmol/L", "2524-7", 0.2)
    assert CODES[ROWS["lactate"]] == "lactate" == list(SIGNALS)[-1]
    assert ROWS["lactate"] == len(BUILT_IN)
    assert rows_of(["lactate", "heart_rate"]) == [len(BUILT_IN), 0]


def test_its_loinc_and_its_name_are_understood() -> None:
    assert signal_of("2524-7") is None
    declare(declared())

    assert signal_of("2524-7") == "lactate"
    assert meaning_of_name("ward-3/Lactate") == "lactate"


def test_declared_twice_the_newer_range_holds_and_the_row_stays() -> None:
    declare(declared())
    declare(declared(LACTATE.replace("upper = 30.0", "upper = 40.0")))

    assert SIGNALS["lactate"].upper == 40
    assert list(SIGNALS).count("lactate") == 1


def test_another_unit_or_resolution_of_a_known_code_is_refused_and_changes_nothing() -> None:
    declare(declared())
    for old, new in (("mmol/L", "mg/dL"), ("resolution = 0.1", "resolution = 0.01")):
        with pytest.raises(SignalConflict, match=r"lactate: got unit .*, expected unit mmol/L"):
            declare(declared(LACTATE.replace(old, new)))
    assert SIGNALS["lactate"].unit == "mmol/L"


REFUSED = [
    ("lactate", "spo2", "signal.spo2.catalogue", "a code of its own"),
    ("lactate", "Lactate", "signal.Lactate", "2–48 of a–z"),
    ("lactate", "battery", "signal.battery", "2–48 of a–z"),
    ('"mmol/L"', '"mmol per L"', "signal.lactate.catalogue.unit", "a UCUM unit"),
    ('"mmol/L"', "7", "signal.lactate.catalogue.unit", "a UCUM unit"),
    ('"2524-7"', '"2524-8"', "signal.lactate.catalogue.loinc", "check digit"),
    ('"2524-7"', '"8867-4"', "signal.lactate.catalogue.loinc", "does not mean heart_rate"),
    ("upper = 30.0", "upper = 0.1", "signal.lactate.catalogue.upper", "above lower, 0.1"),
    ("lower = 0.1", "lower = nan", "signal.lactate.catalogue.lower", "a number"),
    ("resolution = 0.1", "resolution = 0", "signal.lactate.catalogue.resolution", "above 0"),
    ("resolution = 0.1", "resolution = 31", "signal.lactate.catalogue.resolution", "less than"),
    ("resolution", "resolutoin", "signal.lactate.catalogue.resolutoin", "one of unit, loinc"),
    ('unit = "mmol/L"\n', "", "signal.lactate.catalogue.unit", "a UCUM unit"),
    ('name_en = "Lactate"', "spot = 1", "signal.lactate.catalogue.spot", "true or false"),
    ('name_en = "Lactate"', "name_en = 3", "signal.lactate.catalogue.name_en", "a name"),
]


@pytest.mark.parametrize(("old", "new", "key", "expected"), REFUSED)
def test_a_wrong_declaration_is_refused_with_key_and_expectation(
    old: str, new: str, key: str, expected: str
) -> None:
    with pytest.raises(DeclarationWrong) as refused:
        declared(LACTATE.replace(old, new))
    assert ".".join(refused.value.key) == key
    assert expected in refused.value.expected


def test_a_data_folder_remembers_what_was_declared_in_it(tmp_path: Path) -> None:
    file = tmp_path / "signals.json"
    remember(file)
    assert not file.exists()
    declare(declared())
    remember(file)
    with own_catalogue():
        assert "lactate" not in SIGNALS
        recall(file)
        (known,) = declared()
        assert SIGNALS["lactate"] == known


def test_a_data_folder_refuses_another_meaning_and_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "signals.json"
    declare(declared())
    remember(file)
    with own_catalogue():
        declare(declared(LACTATE.replace("mmol/L", "mg/dL")))
        with pytest.raises(SignalConflict, match="got unit mg/dL"):
            remember(file)
    file.write_text("[{}]")
    with pytest.raises(ValueError, match=r"signals\.json: .*expected what the twin wrote"):
        recall(file)
