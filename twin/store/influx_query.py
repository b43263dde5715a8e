"""Questions to InfluxDB in Flux, and the columns of its answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.instant import format_instant
from twin.store.influx import InfluxSettings, answer, connected
from twin.store.thinning import Observed


@dataclass(frozen=True, slots=True)
class Columns:
    """Points of one field, sorted by (time, tag): time (n,) ns, value (n,), tag of each."""

    time: NDArray[np.int64]
    value: NDArray[np.float64]
    tag: NDArray[np.str_]

    def before(self, until: int) -> Columns:
        """The points before `until`, ns."""
        n = int(np.searchsorted(self.time, until))
        return Columns(self.time[:n], self.value[:n], self.tag[:n])

    def newest(self) -> Columns:
        """Of several points of one time the last."""
        last = np.append(self.time[1:] != self.time[:-1], True)[: len(self.time)]
        return Columns(self.time[last], self.value[last], self.tag[last])

    def observed(self) -> Observed:
        """As observations, tags being devices; of one device and time one."""
        parts = []
        for device in sorted(set(self.tag.tolist())):
            own = self.tag == device
            time_of, once = np.unique(self.time[own], return_index=True)
            parts.append((device, time_of, self.value[own][once]))
        return Observed.of(parts)


class InfluxQuery:
    """Asks one database; safe to use from several threads.

    Raises StoreUnavailable when the database does not answer or refuses, of it BucketMissing.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self.bucket = settings.bucket
        self._client = connected(settings)

    def span(self, start: int, end: int, suffix: str = "") -> str:
        """Flux: all points of [start, end) ns of the bucket, or of one of its windows' buckets."""
        between = f"range(start: {format_instant(start)}, stop: {format_instant(end)})"
        return f"{self.source(suffix)} |> {between}"

    def source(self, suffix: str = "") -> str:
        """Flux: the bucket, or one of its windows' buckets."""
        return f"from(bucket: {quoted(self.bucket + suffix)})"

    def columns(self, flux: str, tag: str, name: str = "_field") -> dict[str, Columns]:
        """Columns by field, or by what `name` says."""
        parts: dict[str, list[tuple[str, str, str]]] = {}
        for row in self.rows(flux):
            parts.setdefault(row[name], []).append((row["_time"], row["_value"], row[tag]))
        return {field: _columns(rows) for field, rows in parts.items()}

    def rows(self, flux: str) -> Sequence[Mapping[str, str]]:
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


def _columns(rows: Sequence[tuple[str, str, str]]) -> Columns:
    stamps, values, tags = zip(*rows, strict=True)
    time_of = np.array([stamp.rstrip("Z") for stamp in stamps], "datetime64[ns]").astype(np.int64)
    return Columns(time_of, np.array(values, np.float64), np.array(tags, np.str_))


def quoted(text: str) -> str:
    """A Flux string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'
