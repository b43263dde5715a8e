"""Signals that a model file declares beside their models, and those that a data folder knows.

    [signal.lactate.catalogue]
    unit = "mmol/L"          # UCUM
    loinc = "none"           # or a LOINC code
    lower = 0.2              # what a living person's sensor can show, in the unit
    upper = 30.0
    resolution = 0.1         # the unit of the last digit
    name_en = "Lactate"

Only this table is read here; the model beside it is the twin's. What was once declared in a data
folder stays in its `signals.json`, so that a record never loses its unit when a file changes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from ingest.catalogue import BUILT_IN, CODES, SIGNALS, Signal, SignalConflict, declare
from ingest.units import is_ucum

LANGUAGES = ("fr", "en")
_CODE = re.compile(r"[a-z][a-z0-9_]{1,47}", re.ASCII)
_LOINC = re.compile(r"[1-9]\d{0,6}-\d", re.ASCII)
_KEYS = (
    *("unit", "loinc", "lower", "upper", "resolution", "expected_interval", "spot"),
    *(f"name_{language}" for language in LANGUAGES),
)
#: Words that payloads may use for something else than a signal.
_TAKEN = ("battery", "contact", "time", "times", "quality", "sequence", "boot", "units", "values")


class DeclarationWrong(ValueError):
    """A declaration that cannot be used: `key`, its path in the file; got; expected."""

    def __init__(self, key: tuple[str, ...], got: object, expected: str) -> None:
        super().__init__(f"{'.'.join(key)}: got {got!r}, expected {expected}")
        self.key, self.got, self.expected = key, got, expected


@dataclass(frozen=True, slots=True)
class _Table:
    """The catalogue table of one signal, at its place in the file."""

    key: tuple[str, ...]
    of: Mapping[str, Any]

    def wrong(self, name: str, expected: str) -> DeclarationWrong:
        return DeclarationWrong((*self.key, name), self.of.get(name), expected)

    def number(self, name: str, expected: str, least: float | None = None) -> float:
        value = self.of.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise self.wrong(name, expected)
        if abs(value) > 1e9 or (least is not None and value < least):
            raise self.wrong(name, expected)
        return float(value)

    def text(self, name: str, expected: str) -> str:
        value = self.of.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(name, expected)
        return value


def declared_signals(document: Mapping[str, Any]) -> Iterator[Signal]:
    """The signals that a model file's document declares. Raises DeclarationWrong."""
    tables = document.get("signal")
    if not isinstance(tables, Mapping):
        return
    for code, table in tables.items():
        if isinstance(table, Mapping) and "catalogue" in table:
            yield _signal(code, table["catalogue"], table)


def _signal(code: str, declared: object, model: Mapping[str, Any]) -> Signal:
    key = ("signal", code, "catalogue")
    if code in BUILT_IN:
        raise DeclarationWrong(key, code, "a code of its own: the catalogue has this one")
    if _CODE.fullmatch(code) is None or code in _TAKEN:
        expected = "2–48 of a–z, 0–9 and _, beginning with a letter, that payloads give no meaning"
        raise DeclarationWrong(key[:2], code, expected)
    if not isinstance(declared, Mapping):
        raise DeclarationWrong(key, declared, "a table with unit, loinc, lower, upper, resolution")
    table = _Table(key, declared)
    for name in declared:
        if name not in _KEYS:
            raise DeclarationWrong((*key, name), name, "one of " + ", ".join(_KEYS))
    unit = table.text("unit", "a UCUM unit, like mmol/L")
    if not is_ucum(unit):
        raise table.wrong("unit", "a UCUM unit, like mmol/L, mm[Hg] or /min (case matters)")
    lower = table.number("lower", "a number")
    upper = table.number("upper", "a number above lower")
    if not lower < upper:
        raise table.wrong("upper", f"a number above lower, {lower:g}")
    resolution = table.number("resolution", "a number above 0", 1e-9)
    if not resolution < upper - lower:
        raise table.wrong("resolution", f"less than the range, {upper - lower:g}")
    interval = 60.0
    if "expected_interval" in declared:
        interval = table.number("expected_interval", "seconds, 0.001 or more", 1e-3)
    spot = declared.get("spot", False)
    if not isinstance(spot, bool):
        raise table.wrong("spot", "true or false")
    noise = model.get("noise")
    return Signal(
        code,
        unit,
        _loinc(table),
        lower,
        upper,
        resolution,
        float(noise) if isinstance(noise, (int, float)) and noise > 0 else resolution,
        interval,
        spot,
        names={
            language: table.text(f"name_{language}", "a name")
            for language in LANGUAGES
            if f"name_{language}" in declared
        },
    )


def _loinc(table: _Table) -> str | None:
    """The code, or None where the file says that there is none."""
    said = table.text("loinc", 'a LOINC code, or "none" for a code of your own')
    if said == "none":
        return None
    if _LOINC.fullmatch(said) is None or not _checks(said):
        raise table.wrong("loinc", 'a LOINC code with its check digit, like 8867-4, or "none"')
    for other in SIGNALS.values():
        if other.loinc == said and other.code != table.key[1]:
            raise table.wrong("loinc", f"a code that does not mean {other.code} already")
    return said


def _checks(loinc: str) -> bool:
    """Whether the last digit is right (modulus 10 of Luhn, as LOINC's guide gives it)."""
    number, _, last = loinc.partition("-")
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(number))]
    return (sum(d // 10 + d % 10 for d in doubled) + int(last)) % 10 == 0


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal in `signals.json`, with the fields of `Signal`."""

    code: str
    unit: str
    loinc: str | None
    lower: float
    upper: float
    resolution: float
    noise_std: float
    expected_interval_s: float
    spot: bool
    names: dict[str, str]


def recall(file: Path) -> None:
    """Declare what the data folder's file knows and this process does not yet.

    Raises OSError; SignalConflict: a model file gives a known code another meaning; ValueError: the
    file is damaged.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return
    try:
        kept = msgspec.json.decode(content, type=list[_Kept])
    except msgspec.DecodeError as error:
        raise ValueError(f"{file}: {error}, expected what the twin wrote there") from error
    for each in kept:
        signal = Signal(**msgspec.structs.asdict(each))
        have = SIGNALS.get(signal.code, signal)
        if (have.unit, have.resolution) != (signal.unit, signal.resolution):
            raise SignalConflict(signal, have)
        declare([have])


def remember(file: Path) -> None:
    """`recall`, then keep what is declared in the data folder's file, whole. Raises as `recall`."""
    recall(file)
    declared = [SIGNALS[code] for code in CODES if code not in BUILT_IN]
    if not declared:
        return
    kept = [
        _Kept(**{name: getattr(each, name) for name in _Kept.__struct_fields__})
        for each in declared
    ]
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2))
    draft.replace(file)
