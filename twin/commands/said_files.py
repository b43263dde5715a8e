"""Files of `twin assess`: what people said (entries, limits) in, scores and alarms out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.observation import Command
from ingest.sheet import Sheet, csv_sheet, float_of, is_blank, long_instants, parquet_sheet
from twin.assessment.entries import KINDS, read_entry
from twin.assessment.limits import read_change
from twin.commands.failure import WrongInput
from twin.judgement import PARAMETERS, Alarm, Score

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = ("low", "high", "delay_s", "hysteresis", "valid_s")
FILE = "assess"


def read_entries(path: Path, known: Container[str]) -> list[Command]:
    """Commands of a file `patient,at,kind,value[,unit,valid_s,actor]`, in the order of the file.

    known: the patients that there are. Raises RecordingError, WrongInput naming file, line, column.
    """
    sheet = _sheet(path, ("patient", "at", "kind", "value"))
    at = long_instants(sheet, "at").tolist()
    commands = []
    for row, when in enumerate(at):
        body: dict[str, Any] = {"kind": _text(sheet, "kind", row), "at": when}
        if body["kind"] not in KINDS:  # a note and a validated set need the service
            raise sheet.error(row, "kind", "one of " + ", ".join(KINDS))
        value = _text(sheet, "value", row)
        body["value"] = value
        if body["kind"] in ("systolic_bp", "temperature"):
            body["value"] = _number(sheet, "value", row)
        for name in ("unit", "valid_s"):
            _put(body, sheet, name, row)
        commands.append(_command(sheet, row, "entry", when, body, _text(sheet, "patient", row)))
    return _checked(sheet, commands, read_entry, known)


def read_limits(path: Path, begin: int, known: Container[str] | None = None) -> list[Command]:
    """Commands of a file `patient,signal,priority,low,high[,unit,delay_s,hysteresis,reason,at]`.

    An empty patient: the ward's. A line without `at` holds from the beginning (ns). known: the
    patients that there are (None: any). Raises RecordingError, WrongInput naming file, line and
    column.
    """
    sheet = _sheet(path, ("signal", "priority"))
    if "low" not in sheet.cells and "high" not in sheet.cells:  # each line would lift its limit
        raise WrongInput(f"{path}: expected a column 'low' or 'high', there are {_have(sheet)}")
    at = np.full(len(sheet.lines), begin, np.int64)
    if "at" in sheet.cells:
        at = long_instants(sheet, "at", instead=at)
    commands = []
    for row, when in enumerate(at.tolist()):
        patient = _text(sheet, "patient", row) if "patient" in sheet.cells else ""
        body: dict[str, Any] = {"reason": "" if not patient else "file"}
        for name in ("signal", "priority", "low", "high", "unit", "delay_s", "hysteresis"):
            _put(body, sheet, name, row)
        if "reason" in sheet.cells and not is_blank(sheet.cells["reason"][row]):
            body["reason"] = _text(sheet, "reason", row)
        commands.append(_command(sheet, row, "limits", when, body, patient or None))
    return _checked(sheet, commands, read_change, known)


def _sheet(path: Path, needed: Sequence[str]) -> Sheet:
    parquet = path.name.lower().endswith((".parquet", ".pq"))
    sheet = parquet_sheet(path) if parquet else csv_sheet(path)
    for name in needed:
        if name not in sheet.cells:
            raise WrongInput(f"{path}: expected a column {name!r}, there are {_have(sheet)}")
    return sheet


def _have(sheet: Sheet) -> str:
    return ", ".join(sheet.cells)


def _put(body: dict[str, Any], sheet: Sheet, name: str, row: int) -> None:
    if name not in sheet.cells or is_blank(sheet.cells[name][row]):
        return
    body[name] = _number(sheet, name, row) if name in _NUMBERS else _text(sheet, name, row)


def _text(sheet: Sheet, name: str, row: int) -> str:
    cell = sheet.cells[name][row]
    if isinstance(cell, float) and cell.is_integer():  # a table's 1.0 where a file says 1
        cell = int(cell)
    return "" if cell is None else str(cell).strip()


def _number(sheet: Sheet, name: str, row: int) -> float:
    number = float_of(sheet.cells[name][row])
    if number is None or not math.isfinite(number):
        raise sheet.error(row, name, "a number")
    return number


def _command(
    sheet: Sheet, row: int, kind: str, at: int, body: dict[str, Any], patient: str | None
) -> Command:
    actor = _text(sheet, "actor", row) if "actor" in sheet.cells else FILE
    return Command(f"{kind}-{sheet.lines[row]}", kind, actor or FILE, at, body, patient)


def _checked(
    sheet: Sheet,
    commands: list[Command],
    read: Callable[[Command], object],
    known: Container[str] | None,
) -> list[Command]:
    for line, command in zip(sheet.lines, commands, strict=True):
        patient = command.patient
        if known is not None and patient is not None and patient not in known:
            expected = f"a patient of the recording, got {patient!r}"
            raise WrongInput(f"{sheet.path}:{line}, column 'patient': expected {expected}")
        if isinstance(why := read(command), str):
            raise WrongInput(refused_line(sheet.path, line, why))
    return commands


def refused_line(path: Path | str, line: int | str, why: str) -> str:
    """Why a line of a file is refused; the column stands before what was expected of it."""
    named = re.match(r"expected (\w+): (.*)", why, re.DOTALL)
    if named is not None:
        return f"{path}:{line}, column {named[1]!r}: expected {named[2]}"
    ordered = re.match(r"expected (\w+) < \w+", why)
    column = "" if ordered is None else f", column {ordered[1]!r}"
    return f"{path}:{line}{column}: {why}"


def score_table(scores: Sequence[Score]) -> pa.Table:
    """The rows of `--news2`: a sub-score is null where it is missing."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "patient": pa.array([s.patient for s in scores], pa.string()),
        "at": pa.array([s.at for s in scores], pa.timestamp("ns", tz="UTC")),
        "score": pa.array([s.score for s in scores], pa.int64()),
        "complete": pa.array([s.complete for s in scores], pa.bool_()),
        "expected": pa.array([s.now.expected for s in scores], pa.float64()),
        "p5": pa.array([s.now.p5 for s in scores], pa.float64()),
        "p7": pa.array([s.now.p7 for s in scores], pa.float64()),
        "p_any3": pa.array([s.now.p_any3 for s in scores], pa.float64()),
    }
    for n, name in enumerate(PARAMETERS):
        points = [s.components[n].points for s in scores]
        columns[name] = pa.array([p if p >= 0 else None for p in points], pa.int64())
    return pa.table(columns)


def alarm_table(alarms: Sequence[Alarm]) -> pa.Table:
    """The rows of `--alarms`, one for each transition; null where there is no number."""
    import pyarrow as pa

    def numbers(values: Sequence[float]) -> Any:
        return pa.array([v if v == v else None for v in values], pa.float64())

    return pa.table(
        {
            "patient": pa.array([a.patient for a in alarms], pa.string()),
            "alarm": pa.array([a.id for a in alarms], pa.string()),
            "signal": pa.array([a.signal for a in alarms], pa.string()),
            "kind": pa.array([a.kind.value for a in alarms], pa.string()),
            "priority": pa.array([a.priority.value for a in alarms], pa.string()),
            "state": pa.array([a.shown for a in alarms], pa.string()),
            "at": pa.array([a.at for a in alarms], pa.timestamp("ns", tz="UTC")),
            "value": numbers([a.value for a in alarms]),
            "limit": numbers([a.limit for a in alarms]),
            "cause": pa.array([a.cause for a in alarms], pa.string()),
        }
    )
