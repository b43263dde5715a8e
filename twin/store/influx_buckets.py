"""A chart answered by InfluxDB: of rows, and over long ranges of the windows that its tasks made.

The windows of 1 and 15 minutes (`influx_tasks`) add up: a bucket of the chart is a whole number of
them. Rows are read only where windows are not known to be right: since the task last succeeded, and
where observations came late after that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.instant import DAY, MILLISECOND
from twin.bands import Z50
from twin.estimate import Series
from twin.store.aggregates import LENGTHS, QUARTER
from twin.store.influx import BucketMissing
from twin.store.influx_query import Columns, InfluxQuery
from twin.store.influx_tasks import COVERED, OVERLAP, WINDOWS
from twin.store.line_protocol import LATE
from twin.store.thinning import Observed, bucket_length

#: A shorter chart is made of rows.
_LONG = 2 * DAY
#: What the tasks have done is asked again after so long, s: they run every 15 minutes, and to know
#: less of it costs reading more rows.
_ASK_AGAIN_S = 20.0
#: Which observations stand for a bucket: field and selector, of rows and of windows.
_CHOSEN = tuple(("value", each) for each in ("first", "min", "max", "last"))
_EXTREMES = (("min", "min"), ("max", "max"))
#: Result, field and function of a row's part, and field of a window's.
_PARTS = (
    ("count", "mean", "count", "n", "sum"),
    ("sum", "mean", "sum", "sum", "sum"),
    ("min", "mean", "min", "min", "min"),
    ("max", "mean", "max", "max", "max"),
    ("std", "std", "max", "std", "max"),
    ("lo95", "lo95", "min", "lo95", "min"),
    ("hi95", "hi95", "max", "hi95", "max"),
)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Buckets of [start, end): `length` ns each, one of them begins at `anchor` ≤ start."""

    start: int
    end: int
    anchor: int
    length: int

    def slots(self, instants: NDArray[np.int64]) -> NDArray[np.int64]:
        return (instants - self.anchor) // self.length

    def window(self, function: str, source: str = "") -> str:
        """Flux: one value of each bucket."""
        return (
            f"{source} |> aggregateWindow(every: {self.length}ns,"
            f" offset: {self.anchor % self.length}ns, fn: {function}, createEmpty: false,"
            ' timeSrc: "_start") |> toFloat()'
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A span of the chart; suffix: of the windows' bucket that it is read from, or "" for rows."""

    start: int
    end: int
    suffix: str


class InfluxBuckets:
    """rows_since: time (ns) before which the database may have forgotten rows."""

    def __init__(self, query: InfluxQuery, rows_since: Callable[[], int]) -> None:
        self._query, self._rows_since = query, rows_since
        self._lock = threading.Lock()
        self._covered: dict[str, tuple[float, tuple[int, int] | None]] = {}

    def series(self, key: str, start: int, end: int, points: int) -> Series:
        """Buckets of [start, end). key: Flux that says of whom and what.

        A bucket's 50 % band is that of its extremes and of the largest std in it, so at least as
        wide as the true one. Of a window's observations the extremes are known, not their moments:
        they stand at its beginning.
        """
        grid, pieces = self._planned(start, end, points)
        found: dict[str, list[Columns]] = {}
        seen: list[Observed] = []
        for piece in pieces:
            for name, columns in self._estimates(key, piece, grid).items():
                found.setdefault(name, []).append(columns)
            seen.append(self._observations(key, piece, grid))
        observed = _together(seen).thinned(grid.anchor, grid.length)
        if "sum" not in found:
            return empty("bucket", observed)
        return _series({name: _joined(parts) for name, parts in found.items()}, grid, observed)

    def _planned(self, start: int, end: int, points: int) -> tuple[_Grid, list[_Piece]]:
        length = bucket_length(start, end, points)
        rows = _Grid(start, end, start, length), [_Piece(start, end, "")]
        fitting = [i for i, each in enumerate(LENGTHS) if 2 * each <= length]
        forgotten = self._rows_since()
        if not (end - start >= _LONG and fitting) and start >= forgotten:
            return rows
        which = fitting[-1] if fitting else 0
        window, suffix = LENGTHS[which], f"_{WINDOWS[which]}"
        since, until, late = self._known(suffix)
        first = -(-max(start, since) // QUARTER) * QUARTER
        # What came late to where rows are gone cannot be read there either.
        last = min(end, until, max(late, forgotten + QUARTER)) // QUARTER * QUARTER
        if first >= last:
            return rows
        anchor = start // window * window
        length = -(-bucket_length(anchor, end, points) // window) * window
        spans = ((start, first, ""), (first, last, suffix), (last, end, ""))
        return (
            _Grid(start, end, anchor, length),
            [_Piece(a, b, name) for a, b, name in spans if a < b],
        )

    def _known(self, suffix: str) -> tuple[int, int, int]:
        """Windows are right from the first to the second of these instants, ns, but not from the
        third on, the earliest that came late since."""
        with self._lock:
            asked, covered = self._covered.get(suffix, (-np.inf, None))
            if time.monotonic() - asked >= _ASK_AGAIN_S:
                covered = self._ask_covered(suffix)
                self._covered[suffix] = time.monotonic(), covered
        if covered is None:
            return 0, 0, 0
        since, made = covered
        marked = self._query.rows(
            f"{self._query.source()} |> range(start: time(v: {made - OVERLAP}), stop: 2200-01-01)"
            ' |> filter(fn: (r) => r._measurement == "touched" and r._field == "since")'
            " |> group() |> min()"
        )
        late = [int(float(row["_value"])) * MILLISECOND for row in marked]
        # What is no later than LATE is marked by nobody, and made by the next run of the task.
        return since, made - LATE, min([made, *late])

    def _ask_covered(self, suffix: str) -> tuple[int, int] | None:
        """From when on windows are whole, and when their task last made them, ns."""
        points = (
            f"{self._query.source(suffix)} |> range(start: 0, stop: 2200-01-01)"
            f' |> filter(fn: (r) => r._measurement == "{COVERED}" and r._field =='
        )
        try:
            found = self._query.rows(
                f'{points} "from") |> min() |> yield(name: "from")\n'
                f'{points} "until") |> max() |> yield(name: "until")'
            )
        except BucketMissing:
            return None
        said = {row["result"]: int(float(row["_value"])) * MILLISECOND for row in found}
        return (said["from"], said["until"]) if said.get("until") else None

    # `points` is a function: what two questions share is not left to the storage engine.
    def _estimates(self, key: str, piece: _Piece, grid: _Grid) -> dict[str, Columns]:
        source = self._query.span(piece.start, piece.end, piece.suffix)
        tag = "signal" if piece.suffix else "model"
        # Tasks of earlier releases made windows without the tag: beside those made since, they
        # would count a second time.
        key = f'{key} and r.model != ""' if piece.suffix else key
        parts = [
            f'points = () => {source} |> filter(fn: (r) => r._measurement == "estimate" and {key})'
        ]
        for result, of_row, by_row, of_window, by_window in _PARTS:
            field = of_window if piece.suffix else of_row
            function = by_window if piece.suffix else by_row
            parts.append(
                f'points() |> filter(fn: (r) => r._field == "{field}"){grid.window(function)}'
                f' |> keep(columns: ["_time", "_value", "{tag}"]) |> group()'
                f' |> sort(columns: ["_time", "{tag}"]) |> yield(name: "{result}")'
            )
        return self._query.columns("\n".join(parts), tag, "result")

    def _observations(self, key: str, piece: _Piece, grid: _Grid) -> Observed:
        every = f"window(every: {grid.length}ns, offset: {grid.anchor % grid.length}ns)"
        source = self._query.span(piece.start, piece.end, piece.suffix)
        chosen = _EXTREMES if piece.suffix else _CHOSEN
        tables = ", ".join(
            f'points() |> filter(fn: (r) => r._field == "{field}") |> {every} |> {selector}()'
            for field, selector in chosen
        )
        found = self._query.columns(
            f"points = () => {source}"
            f' |> filter(fn: (r) => r._measurement == "observation" and {key})\n'
            f'union(tables: [{tables}]) |> keep(columns: ["_time", "_value", "_field", "device"])'
            ' |> group(columns: ["_field"])',
            "device",
        )
        return _together([columns.observed() for columns in found.values()])


def _together(parts: Sequence[Observed]) -> Observed:
    """All of them; what is the same in every respect once."""
    devices = sorted({name for part in parts for name in part.devices})
    number = {name: i for i, name in enumerate(devices)}
    time_of = np.concatenate([np.empty(0, np.int64), *(part.time for part in parts)])
    value = np.concatenate([np.empty(0), *(part.value for part in parts)])
    device = np.array([number[name] for part in parts for name in part.names()], np.int64)
    order = np.lexsort((value, device, time_of))
    time_of, value, device = time_of[order], value[order], device[order]
    same = (np.diff(time_of) == 0) & (np.diff(value) == 0) & (np.diff(device) == 0)
    once = np.append(np.True_, ~same)[: len(time_of)]
    return Observed(time_of[once], value[once], device[once], devices)


def _joined(parts: Sequence[Columns]) -> Columns:
    times, values, tags = zip(*((c.time, c.value, c.tag) for c in parts), strict=True)
    return Columns(np.concatenate(times), np.concatenate(values), np.concatenate(tags))


def _series(found: dict[str, Columns], grid: _Grid, observed: Observed) -> Series:
    """Of parts of buckets (of pieces, of model versions) the whole buckets."""
    buckets, slot = np.unique(grid.slots(found["sum"].time), return_inverse=True)

    def of(name: str) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        return found[name].value, np.searchsorted(buckets, grid.slots(found[name].time))

    count = np.bincount(slot, found["count"].value)
    mean = np.bincount(slot, found["sum"].value) / count
    low, high = _least(*of("min")), _most(*of("max"))
    half = Z50 * _most(*of("std"))
    times = np.maximum(grid.anchor + buckets * grid.length, grid.start)
    return Series(
        "bucket", times, mean, low - half, high + half, _least(*of("lo95")), _most(*of("hi95")),
        low, high, observed.time, observed.value, observed.names(), None,
    )  # fmt: skip


def _least(values: NDArray[np.float64], slot: NDArray[np.intp]) -> NDArray[np.float64]:
    least = np.full(int(slot.max()) + 1, np.inf)
    np.minimum.at(least, slot, values)
    return least


def _most(values: NDArray[np.float64], slot: NDArray[np.intp]) -> NDArray[np.float64]:
    return -_least(-values, slot)


def empty(resolution: str, observed: Observed | None = None) -> Series:
    """A history without estimates."""
    seen = observed or Observed.of([])
    nothing, no_time = np.empty(0), np.empty(0, np.int64)
    return Series(
        resolution, no_time, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
        seen.time, seen.value, seen.names(), None,
    )  # fmt: skip
