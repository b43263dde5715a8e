"""Cells of a recorded file or table, and how they become numbers and instants.

Knows rows, columns and places, not signals: `ingest.recording` gives the cells their meaning.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND, parse_instant

if TYPE_CHECKING:
    import pyarrow as pa

_BLANK = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})
#: ns: stamps lie within this of 1970, so that the distance of any two fits into 64 bits.
_FURTHEST = 2**62
#: A number of so many digits is no time in any unit.
_DIGITS = 40
_YEARS = "of the years 1824 to 2115"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_USUAL = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


class RecordingError(Exception):
    """A recording that cannot be read, with its place.

    path: the file, or what the caller called the table. line: 1-based line of a CSV file (the
    header is line 1), 1-based row of a table, 0 where the whole file is meant. column: its name or
    None. got is cut to 80 characters.
    """

    def __init__(self, path: str, line: int, column: str | None, expected: str, got: str) -> None:
        self.path, self.line, self.column = path, line, column
        self.expected, self.got = expected, got if len(got) <= 80 else got[:77] + "..."
        place = f"{path}:{line}" if line else path
        where = f"{place}, column {column!r}" if column is not None else place
        super().__init__(f"{where}: expected {expected}, got {self.got!r}")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cells by column name (texts, numbers, None) and the line of each row.

    instants names the columns that are int64 ns already, whatever the shape.
    """

    path: str
    cells: dict[str, Sequence[object]]
    lines: Sequence[int]
    instants: frozenset[str] = frozenset()

    def error(self, row: int, column: str, expected: str) -> RecordingError:
        got = self.cells[column][row]
        return RecordingError(self.path, self.lines[row], column, expected, str(got))

    def column(self, name: str) -> str:
        """The column of that name, else the only one that differs in case alone."""
        if name.strip() in self.cells:
            return name.strip()
        alike = [c for c in self.cells if c.casefold() == name.strip().casefold()]
        if len(alike) == 1:
            return alike[0]
        raise RecordingError(self.path, 1, name, "a column of that name", ", ".join(self.cells))


def csv_sheet(path: Path) -> Sheet:
    """The cells of a CSV file (comma, semicolon or tab; gzip by name). Raises RecordingError."""
    try:
        with _opened(path) as file:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
            _check_header(path, header)
            width = len(header)
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            rows, lines = [], []
            for row in reader:
                if not any(map(str.strip, row)):
                    continue
                line = reader.line_num + 1
                rows.append(row if len(row) == width else _whole(path, line, row, width))
                lines.append(line)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(str(path), 0, None, "a readable file", _why(error)) from error
    except UnicodeDecodeError as error:
        raise RecordingError(str(path), 0, None, "UTF-8 text", error.reason) from error
    except csv.Error as error:
        line = reader.line_num + 1
        raise RecordingError(str(path), line, None, "a row of CSV", str(error)) from error
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    return Sheet(str(path), dict(zip(header, columns, strict=True)), lines)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _opened(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise RecordingError(str(path), 1, None, "a line with the names of the columns", "nothing")
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise RecordingError(str(path), 1, twice[0], "each column once", "twice")


def _whole(path: Path, line: int, row: list[str], width: int) -> list[str]:
    """The row, without blank cells beyond the header. Raises RecordingError if it is cut."""
    if len(row) > width and not any(map(str.strip, row[width:])):
        return row[:width]
    if len(row) != width:
        raise RecordingError(str(path), line, None, f"{width} cells", f"{len(row)} cells")
    return row


def parquet_sheet(path: Path) -> Sheet:
    """The cells of a Parquet file. Raises RecordingError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:  # not read_table: it takes a folder, and columns from the names of folders
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(str(path), 0, None, "a Parquet file", _why(error)) from error
    return table_sheet(table, str(path))


def table_sheet(table: pa.Table, name: str) -> Sheet:
    """The cells of an Arrow table, its timestamps as int64 ns. Raises RecordingError."""
    import pyarrow as pa

    cells: dict[str, Sequence[object]] = {}
    instants = set()
    for column, values in zip(table.column_names, table.columns, strict=True):
        if str(column).strip() in cells:
            raise RecordingError(name, 0, str(column), "each column once", "twice")
        if pa.types.is_timestamp(values.type):
            if values.type.tz is None:
                raise RecordingError(name, 0, column, "times with a zone", str(values.type))
            try:
                values = values.cast(pa.timestamp("ns", values.type.tz)).cast(pa.int64())
            except pa.ArrowInvalid as error:
                raise RecordingError(name, 0, column, f"times {_YEARS}", str(error)) from error
            instants.add(str(column).strip())
        cells[str(column).strip()] = values.to_pylist()
    return Sheet(name, cells, range(1, table.num_rows + 1), frozenset(instants))


def is_blank(cell: object) -> bool:
    """Whether the cell holds nothing: None, NaN, or a text that people write for it."""
    if isinstance(cell, str):
        return cell.strip().casefold() in _BLANK
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def numbers(sheet: Sheet, column: str) -> NDArray[np.float64]:
    """(rows,) floats of a column, NaN where a cell is blank. Raises RecordingError."""
    cells = sheet.cells[column]
    found = np.empty(len(cells))
    for row, cell in enumerate(cells):
        number = float_of(cell)
        if number is None and not is_blank(cell):
            raise sheet.error(row, column, "a number")
        found[row] = math.nan if number is None else number
    return found


def float_of(cell: object) -> float | None:
    """The number that people mean by a cell, which may be infinite; None: it is none."""
    try:
        return float(_plain(cell))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def texts(sheet: Sheet, column: str, default: str) -> list[str]:
    """A text for each row, `default` where a cell is blank. Raises RecordingError."""
    cells, known = sheet.cells[column], dict[object, str]()
    for row, cell in enumerate(cells):
        if not isinstance(cell, str | int | float | None):
            raise sheet.error(row, column, "a text")
        if cell not in known:
            known[cell] = default if is_blank(cell) else str(cell).strip()
            if _CONTROL.search(known[cell]):
                raise sheet.error(row, column, "a text without control characters")
    return [known[cell] for cell in cells]


def _plain(cell: object) -> object:
    """The cell, if Python reads as a number of it what people do: not 7_2, not true."""
    if isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):
        raise ValueError("no number")
    return cell


def long_instants(
    sheet: Sheet, column: str, instead: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """(rows,) int64 ns of ISO-8601 with zone or integer epoch ns; `instead` where blank.

    Raises RecordingError.
    """
    cells = sheet.cells[column]
    usual = _usual_instants(cells)
    if usual is not None:
        return usual
    found = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells):
        if instead is not None and is_blank(cell):
            found[row] = instead[row]
        else:
            found[row] = _long_instant(sheet, row, column)
    return found


def _usual_instants(cells: Sequence[object]) -> NDArray[np.int64] | None:
    """All cells at once if they are `YYYY-MM-DDThh:mm:ss[.f]Z` without exception, else None."""
    texts = []
    for cell in cells:
        if not isinstance(cell, str) or _USUAL.fullmatch(cell) is None:
            return None
        texts.append(cell[:-1])
    try:
        found = np.array(texts, "datetime64[ns]").astype(np.int64)
    except ValueError:
        return None
    return found if (np.abs(found) < _FURTHEST).all() else None


def _long_instant(sheet: Sheet, row: int, column: str) -> int:
    cell = sheet.cells[column][row]
    expected = f"ISO-8601 with zone or integer epoch nanoseconds, {_YEARS}"
    if isinstance(cell, bool) or not isinstance(cell, int | str):
        raise sheet.error(row, column, expected)
    try:
        return _reachable(int(_plain(cell)))  # type: ignore[call-overload]
    except ValueError:
        try:
            return _reachable(parse_instant(str(cell).strip()))
        except ValueError:
            raise sheet.error(row, column, expected) from None


def _reachable(number: int) -> int:
    if abs(number) >= _FURTHEST:
        raise ValueError("too far from 1970")
    return number


def wide_instants(
    sheet: Sheet, column: str, instead: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """(rows,) int64 ns of a column of times as people write them; `instead` where blank.

    ISO-8601 with zone, or numbers whose unit follows from the largest: below 1e11 seconds, below
    1e14 ms, below 1e17 µs, else ns. Raises RecordingError.
    """
    cells = sheet.cells[column]
    found = [_decimal(cell) for cell in cells]
    known = [number for number in found if number is not None]
    if column in sheet.instants or not known:
        return long_instants(sheet, column, instead)
    scale = _nanoseconds(max(abs(number) for number in known))
    stamps = np.empty(len(cells), np.int64)
    for row, number in enumerate(found):
        if instead is not None and is_blank(cells[row]):
            stamps[row] = instead[row]
            continue
        if number is None:
            raise sheet.error(row, column, "a number, as in the other rows")
        if abs(number * scale) >= _FURTHEST:
            raise sheet.error(row, column, f"a time {_YEARS}")
        stamps[row] = round(number * scale)
    return stamps


def _decimal(cell: object) -> Decimal | None:
    """The cell's exact number: a float's shortest text, so that 0.1 s is 100 ms."""
    try:
        number = Decimal(str(_plain(cell)).strip())
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() and number.adjusted() < _DIGITS else None


def _nanoseconds(largest: Decimal) -> int:
    """Nanoseconds in the unit that a column of times is written in."""
    if largest < Decimal("1e11"):
        return SECOND
    if largest < Decimal("1e14"):
        return 1_000_000
    return 1_000 if largest < Decimal("1e17") else 1
