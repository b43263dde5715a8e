"""The registry file: devices, their models, patients and bindings as a person writes them.

TOML or CSV. Columns or keys: device, patient, label, from, to, model, firmware, serial,
clock_offset_s (by how much its clock is ahead). Only `device` is required; without `patient` the
device's own is kept, or a pseudonym made. In TOML, tables [[models]] declare device models
(`ingest.device_model`), and [[consents]] on what basis a patient's data may be kept (patient,
basis, signals, from, until), or that the patient withdrew (patient, withdrawn).
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite, nan
from pathlib import Path

from ingest.catalogue import SIGNALS
from ingest.consent import KINDS, Basis
from ingest.device_model import DeviceModel, ModelWrong, model_of
from ingest.instant import parse_bounded
from ingest.toml_text import toml_of

_TEXTS = ("device", "patient", "label", "model", "firmware", "serial")
#: Tables of a TOML file.
TABLES = ("devices", "models", "consents")
_CONSENT_KEYS = ("patient", "basis", "signals", "from", "until", "withdrawn")
_KEYS = (*_TEXTS[:3], "from", "to", *_TEXTS[3:], "clock_offset_s")


class RegistryFileWrong(Exception):
    """A registry file that cannot be read: `file`, `place` in it, `key`, what was `expected`."""

    def __init__(self, file: Path, place: str, key: str, expected: str) -> None:
        where = ", ".join(each for each in (str(file), place, key) if each)
        super().__init__(f"{where}: expected {expected}")
        self.file = file
        self.place = place
        self.key = key
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One line of the file. start, end: ns UTC or None; empty texts: not said."""

    device: str
    patient: str = ""
    label: str = ""
    start: int | None = None
    end: int | None = None
    model: str = ""
    firmware: str = ""
    serial: str = ""
    clock_offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Every basis of the patient that began before `at` (ns UTC) ends there."""

    patient: str
    at: int


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """What a registry file says."""

    enrolments: Sequence[Enrolment]
    models: Sequence[DeviceModel] = ()
    consents: Sequence[Basis] = ()
    withdrawals: Sequence[Withdrawal] = ()


def read_registry_file(file: Path) -> RegistryFile:
    """A .toml file (tables of TABLES) or a .csv file with a header (devices).

    Raises RegistryFileWrong, OSError.
    """
    if file.suffix != ".toml":
        return RegistryFile([_enrolment(file, place, row) for place, row in _csv_rows(file)])
    tables = _toml_tables(file)
    models = [_model(file, place, table) for place, table in tables["models"]]
    said = _said_once(file, [_consent(file, *each) for each in tables["consents"]])
    return RegistryFile(
        [_enrolment(file, place, table) for place, table in tables["devices"]],
        models,
        [each for each in said if isinstance(each, Basis)],
        [each for each in said if isinstance(each, Withdrawal)],
    )


def _toml_tables(file: Path) -> Mapping[str, list[tuple[str, Mapping[str, object]]]]:
    try:
        document = toml_of(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line \d+|end of document", str(error))
        raise RegistryFileWrong(file, line[0] if line else "", "", f"TOML ({error})") from None
    found: dict[str, list[tuple[str, Mapping[str, object]]]] = {}
    for key in TABLES:
        tables = document.pop(key, [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise RegistryFileWrong(file, "top level", key, f"tables [[{key}]]")
        found[key] = [(f"{key}[{i}]", table) for i, table in enumerate(tables)]
    for key in document:
        expected = "only tables " + ", ".join(f"[[{each}]]" for each in TABLES)
        raise RegistryFileWrong(file, "top level", key, expected)
    return found


def _model(file: Path, place: str, table: Mapping[str, object]) -> DeviceModel:
    try:
        return model_of(table)
    except ModelWrong as wrong:
        raise RegistryFileWrong(file, place, wrong.key, wrong.expected) from None


def _consent(file: Path, place: str, table: Mapping[str, object]) -> Basis | Withdrawal:
    for key in table:
        if key not in _CONSENT_KEYS:
            raise RegistryFileWrong(file, place, key, "one of " + ", ".join(_CONSENT_KEYS))
    patient = table.get("patient")
    if not isinstance(patient, str) or not patient:
        raise RegistryFileWrong(file, place, "patient", "the id of a patient")
    start, end, at = (
        _instant(file, place, key, table.get(key)) for key in ("from", "until", "withdrawn")
    )
    if at is not None:
        if table.keys() != {"patient", "withdrawn"}:
            raise RegistryFileWrong(file, place, "withdrawn", "it alone beside patient")
        return Withdrawal(patient, at)
    kind = table.get("basis")
    if not isinstance(kind, str) or kind not in KINDS:
        expected = "one of " + ", ".join(KINDS) + "; or withdrawn, with its time"
        raise RegistryFileWrong(file, place, "basis", expected)
    if start is not None and end is not None and end <= start:
        raise RegistryFileWrong(file, place, "until", "a time after from")
    return Basis(patient, kind, _signals(file, place, table.get("signals")), start, end)


def _signals(file: Path, place: str, said: object) -> frozenset[str]:
    if said is None:
        return frozenset()
    codes = said if isinstance(said, list) else ()
    if not codes or not all(isinstance(each, str) and each in SIGNALS for each in codes):
        expected = "a list of signals' codes like heart_rate, or no such key: all of them"
        raise RegistryFileWrong(file, place, "signals", expected)
    return frozenset(codes)


def _said_once(file: Path, said: Sequence[Basis | Withdrawal]) -> Sequence[Basis | Withdrawal]:
    """The lines, of which no two say the same patient, basis and beginning."""
    seen: set[tuple[str, str, int | None]] = set()
    for i, each in enumerate(said):
        if isinstance(each, Basis):
            key = each.patient, each.kind, each.start
            if key in seen:
                expected = "another beginning than an earlier line of this patient and basis has"
                raise RegistryFileWrong(file, f"consents[{i}]", "from", expected)
            seen.add(key)
    return said


def _csv_rows(file: Path) -> Iterable[tuple[str, Mapping[str, object]]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, restkey="more", skipinitialspace=True)
        try:
            rows = [(f"line {reader.line_num}", row) for row in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            place = f"line {reader.line_num + 1}"
            raise RegistryFileWrong(file, place, "", f"CSV in UTF-8 ({error})") from None
    return [(place, {k: v for k, v in row.items() if v}) for place, row in rows]


def _enrolment(file: Path, place: str, row: Mapping[str, object]) -> Enrolment:
    for key in row:
        if key not in _KEYS:
            raise RegistryFileWrong(file, place, str(key), "one of " + ", ".join(_KEYS))
    if not row.get("device"):
        raise RegistryFileWrong(file, place, "device", "a device id")
    for key in _TEXTS:
        if not isinstance(row.get(key, ""), str):
            raise RegistryFileWrong(file, place, key, "a text")
    start, end = (_instant(file, place, key, row.get(key)) for key in ("from", "to"))
    if start is not None and end is not None and end <= start:
        raise RegistryFileWrong(file, place, "to", "a time after from")
    device, patient, label, model, firmware, serial = (str(row.get(key, "")) for key in _TEXTS)
    ahead = _number(file, place, "clock_offset_s", row.get("clock_offset_s"))
    return Enrolment(device, patient, label, start, end, model, firmware, serial, ahead)


def _number(file: Path, place: str, key: str, value: object) -> float | None:
    try:
        number = None if value is None else float(str(value).strip())
    except ValueError:
        number = nan
    if number is None or isfinite(number):
        return number
    raise RegistryFileWrong(file, place, key, "a number of seconds")


def _instant(file: Path, place: str, key: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, datetime):  # TOML has dates and times of its own
        value = value.isoformat()
    try:
        return parse_bounded(str(value).strip())
    except (ValueError, OverflowError):
        expected = "an ISO-8601 date and time with zone"
        raise RegistryFileWrong(file, place, key, expected) from None
