"""The registry file: devices, patients and bindings as a person writes them, in TOML or CSV.

Columns or keys: device, patient, label, from, to. Only `device` is required; without `patient` the
device's own is kept, or a pseudonym made.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ingest.instant import parse_instant

_KEYS = ("device", "patient", "label", "from", "to")


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


def read_registry_file(file: Path) -> list[Enrolment]:
    """The enrolments of a .toml file (tables [[devices]]) or a .csv file with a header.

    Raises RegistryFileWrong, OSError.
    """
    rows = _toml_rows(file) if file.suffix == ".toml" else _csv_rows(file)
    return [_enrolment(file, place, row) for place, row in rows]


def _toml_rows(file: Path) -> Iterable[tuple[str, Mapping[str, object]]]:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line \d+|end of document", str(error))
        raise RegistryFileWrong(file, line[0] if line else "", "", f"TOML ({error})") from None
    tables = document.pop("devices", [])
    for key in document:
        raise RegistryFileWrong(file, "top level", key, "only tables [[devices]]")
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise RegistryFileWrong(file, "top level", "devices", "tables [[devices]]")
    return [(f"devices[{i}]", table) for i, table in enumerate(tables)]


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
    for key in ("device", "patient", "label"):
        if not isinstance(row.get(key, ""), str):
            raise RegistryFileWrong(file, place, key, "a text")
    start, end = (_instant(file, place, key, row.get(key)) for key in ("from", "to"))
    if start is not None and end is not None and end <= start:
        raise RegistryFileWrong(file, place, "to", "a time after from")
    return Enrolment(
        str(row["device"]), str(row.get("patient", "")), str(row.get("label", "")), start, end
    )


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
