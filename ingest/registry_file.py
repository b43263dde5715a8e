"""The registry file: devices, their models, patients and bindings as a person writes them.

TOML or CSV. Columns or keys: device, patient, label, from, to, model, firmware, serial,
clock_offset_s (by how much its clock is ahead). Only `device` is required; without `patient` the
device's own is kept, or a pseudonym made. In TOML, tables [[models]] declare device models
(`ingest.device_model`).
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

from ingest.device_model import DeviceModel, ModelWrong, model_of
from ingest.instant import parse_instant

_TEXTS = ("device", "patient", "label", "model", "firmware", "serial")
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
class RegistryFile:
    """What a registry file says."""

    enrolments: Sequence[Enrolment]
    models: Sequence[DeviceModel] = ()


def read_registry_file(file: Path) -> RegistryFile:
    """A .toml file (tables [[devices]] and [[models]]) or a .csv file with a header (devices).

    Raises RegistryFileWrong, OSError.
    """
    if file.suffix != ".toml":
        return RegistryFile([_enrolment(file, place, row) for place, row in _csv_rows(file)])
    tables = _toml_tables(file)
    models = [_model(file, place, table) for place, table in tables["models"]]
    return RegistryFile(
        [_enrolment(file, place, table) for place, table in tables["devices"]], models
    )


def _toml_tables(file: Path) -> Mapping[str, list[tuple[str, Mapping[str, object]]]]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line \d+|end of document", str(error))
        raise RegistryFileWrong(file, line[0] if line else "", "", f"TOML ({error})") from None
    found: dict[str, list[tuple[str, Mapping[str, object]]]] = {}
    for key in ("devices", "models"):
        tables = document.pop(key, [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise RegistryFileWrong(file, "top level", key, f"tables [[{key}]]")
        found[key] = [(f"{key}[{i}]", table) for i, table in enumerate(tables)]
    for key in document:
        raise RegistryFileWrong(file, "top level", key, "only tables [[devices]] and [[models]]")
    return found


def _model(file: Path, place: str, table: Mapping[str, object]) -> DeviceModel:
    try:
        return model_of(table)
    except ModelWrong as wrong:
        raise RegistryFileWrong(file, place, wrong.key, wrong.expected) from None


def _csv_rows(file: Path) -> Iterable[tuple[str, Mapping[str, object]]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, restkey="more", skipinitialspace=True)
        return [(f"line {reader.line_num}", {k: v for k, v in row.items() if v}) for row in reader]


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
        return parse_instant(str(value).strip())
    except (ValueError, OverflowError):
        expected = "an ISO-8601 date and time with zone"
        raise RegistryFileWrong(file, place, key, expected) from None
