"""Recorded observations from files and tables, as people have them.

Two shapes are read. *Long*: one row for each value, the columns of `twin replay` (`LONG_COLUMNS`).
*Wide*: one row for each time and one column for each signal, named by `columns`. Both come as CSV
(`.csv`, `.csv.gz`, comma, semicolon or tab) or Parquet, or as a pandas or Arrow table.

Texts and numbers are converted cell by cell and exactly: integers are never turned into floats, a
float is the nearest double of its text. What cannot be read raises `RecordingError` with its place;
what can be read but not used (an unknown signal, a wrong unit) is counted in `Recording.refused`.
Whether a value is plausible is not judged here: a played recording must reach the screen with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS, to_canonical
from ingest.sheet import (
    RecordingError,
    Sheet,
    csv_sheet,
    is_blank,
    long_instants,
    numbers,
    parquet_sheet,
    table_sheet,
    texts,
    wide_instants,
)

if TYPE_CHECKING:
    import pyarrow as pa

LONG_COLUMNS = (
    "patient",
    "device",
    "signal",
    "value",
    "measured_at",
    "received_at",
    "unit",
    "noise_std",
    "quality",
)


@dataclass(frozen=True, slots=True)
class Recording:
    """n observations in the order of the file: lists and arrays of length n.

    value and noise_std are in the signal's canonical unit; noise_std and quality are NaN where not
    said; measured_at and received_at are int64 ns UTC; line is the place in the file. blank counts
    cells without a value, refused the rows that were left out, by reason (`signal_unknown`,
    `unit_unknown`, `value_not_a_number`, `quality_out_of_range`, `noise_out_of_range`).
    """

    patient: list[str]
    device: list[str]
    signal: list[str]
    value: NDArray[np.float64]
    measured_at: NDArray[np.int64]
    received_at: NDArray[np.int64]
    noise_std: NDArray[np.float64]
    quality: NDArray[np.float64]
    line: NDArray[np.int64]
    blank: int
    refused: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.signal)


class PandasFrame(Protocol):
    """What is needed of a pandas DataFrame to recognise one without importing pandas."""

    @property
    def columns(self) -> Any: ...
    @property
    def iloc(self) -> Any: ...


def parse_columns(text: str) -> dict[str, str]:
    """`"HR=heart_rate,SpO2=spo2"` → {"HR": "heart_rate", "SpO2": "spo2"}. Raises ValueError.

    A unit other than the canonical one follows the code: `"glucose=glucose:mmol/L"`.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        name, equals, signal = part.rpartition("=")
        if not equals or not name.strip() or not signal.strip():
            raise ValueError(f"expected COLUMN=signal, got {part.strip()!r}")
        if name.strip() in columns:
            raise ValueError(f"expected each column once, got {name.strip()!r} twice")
        columns[name.strip()] = signal.strip()
    return columns


def read_recording(
    path: Path | str,
    columns: Mapping[str, str] | None = None,
    time_column: str | None = None,
    patient: str | None = None,
    device: str | None = None,
) -> Recording:
    """The observations of a CSV or Parquet file. Raises RecordingError; blocks on the disk.

    columns (column → signal code, or `code:unit`) makes it a wide file, time_column (default
    `measured_at`, `time` or `timestamp`) says where its time is. patient and device name what the
    file does not: by default its stem.

    Long files: times are ISO-8601 with zone or integer epoch ns. Wide files: ISO-8601 with zone, or
    a number whose unit follows from the largest of the column: below 1e8 seconds since the start
    (stamped from 1970-01-01T00:00:00Z on), below 1e11 epoch s, 1e14 ms, 1e17 µs, else ns.
    """
    path = Path(path)
    stem = path.name.split(".")[0] or path.name
    parquet = path.name.lower().endswith((".parquet", ".pq"))
    sheet = parquet_sheet(path) if parquet else csv_sheet(path)
    return _recording(sheet, columns, time_column, patient or stem, device or stem)


def recording_of(
    frame: PandasFrame | pa.Table,
    columns: Mapping[str, str] | None = None,
    time_column: str | None = None,
    patient: str | None = None,
    device: str | None = None,
    name: str = "table",
) -> Recording:
    """The observations of a pandas DataFrame or an Arrow table, as `read_recording` of a file."""
    import pyarrow as pa

    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame)
    return _recording(
        table_sheet(table, name), columns, time_column, patient or name, device or name
    )


def _recording(
    sheet: Sheet,
    columns: Mapping[str, str] | None,
    time_column: str | None,
    patient: str,
    device: str,
) -> Recording:
    patients, devices = _names(sheet, "patient", patient), _names(sheet, "device", device)
    if columns:
        return _sift(_wide(sheet, columns, time_column, patients, devices))
    return _sift(_long(sheet, time_column, patients, devices))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Every cell that may hold a value, in the file's order, before it is judged."""

    patient: list[str]
    device: list[str]
    signal: list[str]
    unit: list[str | None]
    value: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    quality: NDArray[np.float64]
    measured_at: NDArray[np.int64]
    received_at: NDArray[np.int64]
    line: NDArray[np.int64]


def _long(sheet: Sheet, time_column: str | None, patients: list[str], devices: list[str]) -> _Cells:
    for name in ("signal", "value"):
        if name not in sheet.cells:
            expected = f"the column {name!r} of a long file, or --columns for a wide one"
            raise RecordingError(sheet.path, 1, None, expected, ", ".join(sheet.cells))
    stamps = long_instants(sheet, sheet.column(time_column or "measured_at"))
    received = stamps
    if "received_at" in sheet.cells:
        received = long_instants(sheet, "received_at", instead=stamps)
    units: list[str | None] = [None] * len(sheet.lines)
    if "unit" in sheet.cells:
        units = [None if is_blank(u) else str(u).strip() for u in sheet.cells["unit"]]
    return _Cells(
        patients,
        devices,
        [str(code).strip() for code in sheet.cells["signal"]],
        units,
        numbers(sheet, "value"),
        _optional(sheet, "noise_std"),
        _optional(sheet, "quality"),
        stamps,
        received,
        np.array(sheet.lines, np.int64),
    )


def _wide(
    sheet: Sheet,
    columns: Mapping[str, str],
    time_column: str | None,
    patients: list[str],
    devices: list[str],
) -> _Cells:
    """Row by row, within a row in the order of `columns`."""
    stamps = wide_instants(sheet, _time_of(sheet, time_column))
    received = stamps
    if "received_at" in sheet.cells:
        received = wide_instants(sheet, "received_at", instead=stamps)
    channels = list(_channels(sheet, columns))
    rows, width = len(sheet.lines), len(channels)
    absent = np.full(rows * width, np.nan)
    return _Cells(
        [name for name in patients for _ in channels],
        [name + channel.suffix for name in devices for channel in channels],
        [channel.code for channel in channels] * rows,
        [channel.unit for channel in channels] * rows,
        np.stack([numbers(sheet, channel.column) for channel in channels], axis=1).ravel(),
        absent,
        absent,
        np.repeat(stamps, width),
        np.repeat(received, width),
        np.repeat(np.array(sheet.lines, np.int64), width),
    )


@dataclass(frozen=True, slots=True)
class _Channel:
    """A column of a wide file and what it holds."""

    column: str
    code: str
    unit: str | None
    suffix: str


def _channels(sheet: Sheet, columns: Mapping[str, str]) -> Iterator[_Channel]:
    """The columns that are read.

    A second column of one signal is a second device (its name gets a suffix): under the first
    one's name its values would be other values of the same observation.
    """
    seen: set[str] = set()
    for name, target in columns.items():
        column = sheet.column(name)
        code, _, unit = target.partition(":")
        if code not in SIGNALS:
            raise RecordingError(sheet.path, 1, name, "one of " + ", ".join(SIGNALS), code)
        signal = SIGNALS[code]
        if unit and to_canonical(signal, 1.0, unit) is None:
            expected = "one of the units " + ", ".join((signal.unit, *signal.accepted))
            raise RecordingError(sheet.path, 1, name, expected, unit)
        yield _Channel(column, code, unit or None, f"-{column}" if code in seen else "")
        seen.add(code)


def _sift(cells: _Cells) -> Recording:
    """The cells that are observations, in canonical units; the others counted."""
    value, noise = cells.value.copy(), cells.noise_std.copy()
    keep = ~np.isnan(value)
    blank = int((~keep).sum())
    refused: Counter[str] = Counter()
    doubtful = _doubtful(cells)
    for row in np.flatnonzero(keep & doubtful):
        judged = _judge(cells, int(row))
        if isinstance(judged, str):
            refused[judged] += 1
            keep[row] = False
        else:
            value[row], noise[row] = judged
    kept = np.flatnonzero(keep)
    rows = kept.tolist()
    return Recording(
        [cells.patient[row] for row in rows],
        [cells.device[row] for row in rows],
        [cells.signal[row] for row in rows],
        value=value[kept],
        measured_at=cells.measured_at[kept],
        received_at=cells.received_at[kept],
        noise_std=noise[kept],
        quality=cells.quality[kept],
        line=cells.line[kept],
        blank=blank,
        refused=dict(refused),
    )


def _doubtful(cells: _Cells) -> NDArray[np.bool_]:
    """Rows that are not plainly a finite value of a known signal in its canonical unit."""
    plain = {(code, unit) for code, s in SIGNALS.items() for unit in (None, s.unit)}
    pairs = zip(cells.signal, cells.unit, strict=True)
    odd = np.fromiter((pair not in plain for pair in pairs), np.bool_, len(cells.signal))
    odd |= ~np.isfinite(cells.value) | (cells.quality < 0) | (cells.quality > 1)
    return odd | (cells.noise_std <= 0) | np.isinf(cells.noise_std)


def _judge(cells: _Cells, row: int) -> tuple[float, float] | str:
    """(value, noise_std) in the canonical unit, or the reason why the row is refused."""
    code, unit = cells.signal[row], cells.unit[row]
    signal = SIGNALS.get(code)
    if signal is None:
        return "signal_unknown"
    value = to_canonical(signal, float(cells.value[row]), unit)
    if value is None:
        return "unit_unknown"
    if not math.isfinite(value):
        return "value_not_a_number"
    quality, noise = float(cells.quality[row]), float(cells.noise_std[row])
    if not (math.isnan(quality) or 0 <= quality <= 1):
        return "quality_out_of_range"
    if not (math.isnan(noise) or 0 < noise < math.inf):
        return "noise_out_of_range"
    if unit is None or unit == signal.unit:
        return value, noise
    one, zero = (to_canonical(signal, x, unit) or 0.0 for x in (1.0, 0.0))
    return value, noise * (one - zero)


def _optional(sheet: Sheet, column: str) -> NDArray[np.float64]:
    if column in sheet.cells:
        return numbers(sheet, column)
    return np.full(len(sheet.lines), np.nan)


def _names(sheet: Sheet, column: str, default: str) -> list[str]:
    if column not in sheet.cells:
        return [default] * len(sheet.lines)
    return texts(sheet, column, default)


def _time_of(sheet: Sheet, time_column: str | None) -> str:
    if time_column is not None:
        return sheet.column(time_column)
    for name in ("measured_at", "time", "timestamp"):
        if any(column.casefold() == name for column in sheet.cells):
            return sheet.column(name)
    expected = "--time COLUMN for the column of the time"
    raise RecordingError(sheet.path, 1, None, expected, ", ".join(sheet.cells))
