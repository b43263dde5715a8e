"""Lines of InfluxDB's protocol as one text, of which the bodies of requests are parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.store.blocks import constant
from twin.text.line_kernel import write_lines
from twin.text.shortest import LONGEST, TOUCHED

Indexes = NDArray[np.intp]
#: Bytes of a stamp and a line end at most.
_END = 21
_BEYOND = bytes(16)


@dataclass(frozen=True, slots=True)
class Lines:
    """n lines in the order of the batches' rows. text: their bytes, with line ends; ends: (n,) the
    byte after each; rows: (n,) the row of each.

    Of several versions of a point only the last is among them. rejected: rows that no line can
    express, with the reason. total: rows of the batches.
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    rows: Sequence[int] | Indexes
    rejected: Sequence[tuple[int, str]]
    total: int

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[str]:
        return map(self.line, range(len(self)))

    def line(self, i: int) -> str:
        """One of them, without its line end."""
        return self.body(range(i, i + 1)).decode()

    def body(self, part: range) -> bytes:
        """Some that follow each other (one or more), without the last line end."""
        begin = self.ends[part.start - 1] if part.start else 0
        return self.text[begin : self.ends[part.stop - 1] - 1].tobytes()


@dataclass(frozen=True, slots=True)
class Points:
    """n ≥ 1 points with the same fields. rows: (n,) of each; starts: of each series its measurement
    and tags; series: (n,) which of them; time: (n,) ns UTC."""

    rows: Indexes
    starts: Sequence[bytes]
    series: Indexes
    fields: Mapping[str, NDArray[np.float64]]
    time: NDArray[np.int64]


def lines_of(
    texts: Sequence[str], rows: Sequence[int], rejected: Sequence[tuple[int, str]], total: int
) -> Lines:
    """Lines that are made already, without line ends."""
    text, at = _joined([line.encode() + b"\n" for line in texts])
    return Lines(text, at[1:], rows, rejected, total)


def written(points: Sequence[Points], rejected: Sequence[tuple[int, str]], total: int) -> Lines:
    """The lines of all these points."""
    ready = [_ready(each) for each in points]
    count, room = sum(len(each.rows) for each in points), sum(each.room for each in ready)
    text, ends = np.empty(room + TOUCHED, np.uint8), np.empty(count, np.int64)
    at = line = 0
    for each, form in zip(points, ready, strict=True):
        n = len(each.rows)
        at = write_lines(
            text, at, ends[line : line + n], form.starts, form.start_at,
            np.array(each.series, np.int64), form.between, form.between_at, form.numbers,
            np.array(each.time, np.int64),
        )  # fmt: skip
        line += n
    rows = np.concatenate([np.empty(0, np.intp), *(each.rows for each in points)])
    return Lines(text[:at], ends, rows, rejected, total)


@dataclass(frozen=True, slots=True)
class _Form:
    """What `write_lines` takes beside series and stamps. room: bytes of its lines, at most."""

    starts: NDArray[np.uint8]
    start_at: NDArray[np.int64]
    between: NDArray[np.uint8]
    between_at: NDArray[np.int64]
    numbers: NDArray[np.uint64]
    room: int


def _ready(points: Points) -> _Form:
    """A column of one number (no quality is known) is a part of the text."""
    between, varying, mark = [b""], [], b" "
    for name, column in points.fields.items():
        between[-1] += b"%b%b=" % (mark, name.encode())
        mark = b","
        if constant(column):
            between[-1] += msgspec.json.encode(float(column[0]))
        else:
            varying.append(column)
            between.append(b"")
    between[-1] += b" "
    n = len(points.rows)
    numbers = np.array(varying, np.float64).reshape(len(varying), n)
    starts, start_at = _joined(points.starts)
    pieces, between_at = _joined(between)
    each = int(between_at[-1]) + LONGEST * len(varying) + _END
    room = n * each + int(np.diff(start_at)[points.series].sum())
    return _Form(starts, start_at, pieces, between_at, numbers.view(np.uint64), room)


def _joined(parts: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all parts and some more; where each part begins and the last one ends."""
    at = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([*map(len, parts)], out=at[1:])
    return np.frombuffer(bytearray(b"".join((*parts, _BEYOND))), np.uint8), at
