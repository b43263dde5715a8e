"""History answered by InfluxDB, in Flux.

Its `estimate` points hold the 95 % band; the 50 % band is mean ± 0.6745 std. Where two model
versions wrote the same stamp the one whose name sorts last is shown.
"""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MILLISECOND, format_instant
from twin.estimate import Z50, Bands, Series
from twin.store.influx import InfluxSettings, answer, connected
from twin.store.thinning import Observed, bucket_length, raw

#: `stored` counts every point there is; the ledger's page asks every second.
_COUNT_AGAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class _Columns:
    """Points of one field, sorted by (time, tag): time (n,) ns, value (n,), tag of each."""

    time: NDArray[np.int64]
    value: NDArray[np.float64]
    tag: NDArray[np.str_]


class InfluxHistory:
    """`twin.estimate.History` of a bucket. Safe to use from several threads.

    Raises StoreUnavailable when the database does not answer or refuses.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._client = connected(settings)
        self._lock = threading.Lock()
        self._counted: tuple[float, Mapping[str, int]] | None = None

    def series(
        self,
        patient: str,
        signal: str,
        start: int,
        end: int,
        points: int | None = None,
        after: str | None = None,
        limit: int = 20_000,
    ) -> Series:
        """See `twin.estimate.History`. A bucket's 50 % band is that of its extremes and of the
        largest std in it, so at least as wide as the true one."""
        key = f"r.patient == {_quoted(patient)} and r.signal == {_quoted(signal)}"
        if points is None:
            start = start if after is None else int(after)
            found = self._page(key, start, end, max(1, limit))
        else:
            found = self._buckets(key, start, end, bucket_length(start, end, points))
        return replace(found, refiltered=self._refiltered(key, start, end))

    def _refiltered(self, key: str, start: int, end: int) -> Sequence[tuple[int, int]]:
        """(first, last) of what was written anew, ns; one within another is left out."""
        if start >= end:
            return ()
        flux = (
            f"{self._range(0, end)} |> filter(fn: (r) => "
            f'r._measurement == "refiltered" and {key} and r._field == "until")'
            ' |> keep(columns: ["_time", "_value", "_field", "signal"])'
        )
        found = self._ask(flux, "signal").get("until")
        spans: list[tuple[int, int]] = []
        if found is not None:
            for first, until in zip(found.time.tolist(), found.value.tolist(), strict=True):
                last = int(until) * MILLISECOND
                if last >= start and (not spans or last > spans[-1][1]):
                    spans.append((first, last))
        return tuple(spans)

    def _page(self, key: str, start: int, end: int, limit: int) -> Series:
        if start >= end:
            return _empty("raw")
        fields = " or ".join(f'r._field == "{name}"' for name in ("mean", "std", "lo95", "hi95"))
        estimate = f'r._measurement == "estimate" and {key} and ({fields})'
        found = self._ask(self._flux(start, end, estimate, limit + 1, "model"), "model")
        seen = self._ask(
            self._flux(
                start,
                end,
                f'r._measurement == "observation" and {key} and r._field == "value"',
                limit + 1,
                "device",
            ),
            "device",
        )
        until = end
        for columns in (*found.values(), *seen.values()):
            if len(columns.time) > limit:
                until = min(until, int(columns.time[limit - 1]) + 1)
        estimates = {name: _newest(_before(columns, until)) for name, columns in found.items()}
        observed = _observed(_before(seen["value"], until)) if seen else Observed.of([])
        if not estimates:
            return _with_cursor(_empty("raw", observed), until, end)
        mean, std = estimates["mean"].value, estimates["std"].value
        half, low, high = Z50 * std, estimates["lo95"].value, estimates["hi95"].value
        inner = np.maximum(mean - half, low), np.minimum(mean + half, high)
        band = Bands(*inner, low, high, low, high)
        cursor = str(until) if until < end else None
        return raw(
            estimates["mean"].time,
            mean,
            band,
            observed.time,
            observed.value,
            observed.names(),
            cursor,
        )

    def _flux(self, start: int, end: int, where: str, limit: int, tag: str) -> str:
        return f"""{self._range(start, end)} |> filter(fn: (r) => {where})
 |> keep(columns: ["_time", "_value", "_field", "{tag}"]) |> group(columns: ["_field"])
 |> sort(columns: ["_time", "{tag}"]) |> limit(n: {limit})"""

    def _range(self, start: int, end: int) -> str:
        return (
            f"from(bucket: {_quoted(self._settings.bucket)})"
            f" |> range(start: {format_instant(start)}, stop: {format_instant(end)})"
        )

    def _buckets(self, key: str, start: int, end: int, length: int) -> Series:
        if start >= end:
            return _empty("bucket")
        seen = self._ask(self._thin(key, start, end, length), "device")
        observed = _observed(seen["value"]) if seen else Observed.of([])
        observed = observed.thinned(start, length)
        found = self._ask(self._aggregates(key, start, end, length), "model", "result")
        if "mean" not in found:
            return _empty("bucket", observed)
        # The aggregates of each model version; nearly always there is one.
        every = found["mean"].time
        times, slot = np.unique(every, return_inverse=True)
        count = np.bincount(slot, found["count"].value)
        mean = np.bincount(slot, found["mean"].value * found["count"].value) / count
        low, high = _least(found["min"], slot), _most(found["max"], slot)
        half = Z50 * _most(found["std"], slot)
        return Series(
            "bucket", times, mean, low - half, high + half, _least(found["lo95"], slot),
            _most(found["hi95"], slot), low, high, observed.time, observed.value,
            observed.names(), None,
        )  # fmt: skip

    def _aggregates(self, key: str, start: int, end: int, length: int) -> str:
        parts = [f'points = {self._range(start, end)} |> filter(fn: (r) => '
                 f'r._measurement == "estimate" and {key})']  # fmt: skip
        for result, column, function in (
            ("count", "mean", "count"),
            ("mean", "mean", "mean"),
            ("min", "mean", "min"),
            ("max", "mean", "max"),
            ("std", "std", "max"),
            ("lo95", "lo95", "min"),
            ("hi95", "hi95", "max"),
        ):
            parts.append(
                f'points |> filter(fn: (r) => r._field == "{column}") |> aggregateWindow('
                f"every: {length}ns, offset: {start % length}ns, fn: {function},"
                f' createEmpty: false, timeSrc: "_start") |> toFloat()'
                f' |> keep(columns: ["_time", "_value", "model"]) |> group()'
                f' |> sort(columns: ["_time", "model"]) |> yield(name: "{result}")'
            )
        return "\n".join(parts)

    def _thin(self, key: str, start: int, end: int, length: int) -> str:
        window = (
            f"points |> window(every: {length}ns, offset: {start % length}ns, createEmpty: false)"
        )
        chosen = ", ".join(f"{window} |> {each}()" for each in ("first", "min", "max", "last"))
        return (
            f"points = {self._range(start, end)} |> filter(fn: (r) => "
            f'r._measurement == "observation" and {key} and r._field == "value")\n'
            f'union(tables: [{chosen}]) |> keep(columns: ["_time", "_value", "_field", "device"])'
            ' |> group(columns: ["_field"])'
        )

    def stored(self) -> Mapping[str, int]:
        """Observations in the bucket, by device id; counted at most twice a minute."""
        with self._lock:
            if self._counted and time.monotonic() - self._counted[0] < _COUNT_AGAIN_S:
                return self._counted[1]
            counted = self._count()
            self._counted = (time.monotonic(), counted)
            return counted

    def _count(self) -> Mapping[str, int]:
        flux = (
            f"from(bucket: {_quoted(self._settings.bucket)}) |> range(start: 0, stop: 2200-01-01)"
            ' |> filter(fn: (r) => r._measurement == "observation" and r._field == "value")'
            ' |> group(columns: ["device"]) |> count()'
        )
        return {row["device"]: int(row["_value"]) for row in self._rows(flux)}

    def _ask(self, flux: str, tag: str, name: str = "_field") -> dict[str, _Columns]:
        """Columns by field, or by what `name` says."""
        parts: dict[str, list[tuple[str, str, str]]] = {}
        for row in self._rows(flux):
            parts.setdefault(row[name], []).append((row["_time"], row["_value"], row[tag]))
        return {field: _columns(rows) for field, rows in parts.items()}

    def _rows(self, flux: str) -> Sequence[Mapping[str, str]]:
        """Rows of the answer, each with the name of its result."""
        rows: list[Mapping[str, str]] = []
        header: list[str] = []
        default = ""
        for line in csv.reader(io.StringIO(answer(self._client, flux))):
            if not line or line[0].startswith("#"):
                default = line[1] if line and line[0] == "#default" else default
                header = []
            elif not header:
                header = line
            else:
                row = dict(zip(header, line, strict=True))
                row["result"] = row.get("result") or default
                rows.append(row)
        return rows

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]


def _columns(rows: Sequence[tuple[str, str, str]]) -> _Columns:
    stamps, values, tags = zip(*rows, strict=True)
    time_of = np.array([stamp.rstrip("Z") for stamp in stamps], "datetime64[ns]").astype(np.int64)
    return _Columns(time_of, np.array(values, np.float64), np.array(tags, np.str_))


def _before(columns: _Columns, until: int) -> _Columns:
    n = int(np.searchsorted(columns.time, until))
    return _Columns(columns.time[:n], columns.value[:n], columns.tag[:n])


def _newest(columns: _Columns) -> _Columns:
    last = np.append(columns.time[1:] != columns.time[:-1], True)[: len(columns.time)]
    return _Columns(columns.time[last], columns.value[last], columns.tag[last])


def _observed(columns: _Columns) -> Observed:
    devices = sorted(set(columns.tag.tolist()))
    parts = []
    for device in devices:
        own = columns.tag == device
        time_of, once = np.unique(columns.time[own], return_index=True)
        parts.append((device, time_of, columns.value[own][once]))
    return Observed.of(parts)


def _least(columns: _Columns, slot: NDArray[np.intp]) -> NDArray[np.float64]:
    least = np.full(int(slot.max()) + 1, np.inf)
    np.minimum.at(least, slot, columns.value)
    return least


def _most(columns: _Columns, slot: NDArray[np.intp]) -> NDArray[np.float64]:
    return -_least(_Columns(columns.time, -columns.value, columns.tag), slot)


def _empty(resolution: str, observed: Observed | None = None) -> Series:
    seen = observed or Observed.of([])
    nothing, no_time = np.empty(0), np.empty(0, np.int64)
    return Series(
        resolution, no_time, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
        seen.time, seen.value, seen.names(), None,
    )  # fmt: skip


def _with_cursor(series: Series, until: int, end: int) -> Series:
    return replace(series, cursor=str(until) if until < end else None)


def _quoted(text: str) -> str:
    """A Flux string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'
