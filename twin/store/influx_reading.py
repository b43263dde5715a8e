"""History answered by InfluxDB, in Flux.

Its `estimate` points hold the 95 % band; the 50 % band is mean ± 0.6745 std. Where two model
versions wrote the same stamp the one whose name sorts last is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ingest.instant import MILLISECOND
from twin.bands import Z50, Bands
from twin.estimate import Series
from twin.store.influx import InfluxSettings
from twin.store.influx_buckets import InfluxBuckets, empty
from twin.store.influx_query import InfluxQuery, quoted
from twin.store.thinning import Observed, raw

#: `stored` counts every point there is; the ledger's page asks every second.
_COUNT_AGAIN_S = 30.0


class InfluxHistory:
    """`twin.estimate.History` of a bucket. Safe to use from several threads.

    rows_since: asked for the time (ns) before which rows may be forgotten, windows not. Raises
    StoreUnavailable when the database does not answer or refuses.
    """

    def __init__(self, settings: InfluxSettings, rows_since: Callable[[], int] = lambda: 0) -> None:
        self._query = InfluxQuery(settings)
        self._buckets = InfluxBuckets(self._query, rows_since)
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
        """See `twin.estimate.History`; buckets: see `influx_buckets`."""
        key = f"r.patient == {quoted(patient)} and r.signal == {quoted(signal)}"
        if points is None:
            start = start if after is None else int(after)
            found = self._page(key, start, end, max(1, limit))
        elif start >= end:
            found = empty("bucket")
        else:
            found = self._buckets.series(key, start, end, points)
        return replace(found, refiltered=self._refiltered(key, start, end))

    def _refiltered(self, key: str, start: int, end: int) -> Sequence[tuple[int, int]]:
        """(first, last) of what was written anew, ns; one within another is left out."""
        if start >= end:
            return ()
        flux = (
            f"{self._query.span(0, end)} |> filter(fn: (r) => "
            f'r._measurement == "refiltered" and {key} and r._field == "until")'
            ' |> keep(columns: ["_time", "_value", "_field", "signal"])'
        )
        found = self._query.columns(flux, "signal").get("until")
        spans: list[tuple[int, int]] = []
        if found is not None:
            for first, until in zip(found.time.tolist(), found.value.tolist(), strict=True):
                last = int(until) * MILLISECOND
                if last >= start and (not spans or last > spans[-1][1]):
                    spans.append((first, last))
        return tuple(spans)

    def _page(self, key: str, start: int, end: int, limit: int) -> Series:
        if start >= end:
            return empty("raw")
        fields = " or ".join(f'r._field == "{name}"' for name in ("mean", "std", "lo95", "hi95"))
        estimate = f'r._measurement == "estimate" and {key} and ({fields})'
        found = self._query.columns(self._flux(start, end, estimate, limit + 1, "model"), "model")
        seen = self._query.columns(
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
        estimates = {name: columns.before(until).newest() for name, columns in found.items()}
        observed = seen["value"].before(until).observed() if seen else Observed.of([])
        if not estimates:
            return _with_cursor(empty("raw", observed), until, end)
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
        return f"""{self._query.span(start, end)} |> filter(fn: (r) => {where})
 |> keep(columns: ["_time", "_value", "_field", "{tag}"]) |> group(columns: ["_field"])
 |> sort(columns: ["_time", "{tag}"]) |> limit(n: {limit})"""

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
            f"{self._query.source()} |> range(start: 0, stop: 2200-01-01)"
            ' |> filter(fn: (r) => r._measurement == "observation" and r._field == "value")'
            ' |> group(columns: ["device"]) |> count()'
        )
        return {row["device"]: int(row["_value"]) for row in self._query.rows(flux)}

    def close(self) -> None:
        self._query.close()


def _with_cursor(series: Series, until: int, end: int) -> Series:
    return replace(series, cursor=str(until) if until < end else None)
