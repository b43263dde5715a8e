"""What the stores hold after a run, what a replay says of it, and how the two differ.

An estimate is known by (patient, signal, as_of), an observation by (patient, signal, device,
measured_at); stamps are int64 ns UTC.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from ingest.instant import parse_instant
from tests.support.commands import succeeded, twin
from tests.support.servers import InfluxServer
from twin.estimate import Verdict
from twin.store.blocks import rounded
from twin.store.embedded import EmbeddedStore

EstimateKey = tuple[str, str, int]
ObservationKey = tuple[str, str, str, int]
#: mean, std, trend
Numbers = tuple[float, float, float]


@dataclass(slots=True)
class Content:
    """What a store holds. belated: the observations that it marks so (the embedded store only);
    bands: lo95 and hi95 (InfluxDB only, whose numbers are exact)."""

    estimates: dict[EstimateKey, Numbers] = field(default_factory=dict)
    observations: dict[ObservationKey, float] = field(default_factory=dict)
    belated: set[ObservationKey] = field(default_factory=set)
    bands: dict[EstimateKey, tuple[float, float]] = field(default_factory=dict)

    def estimates_of(self, patients: Iterable[str]) -> dict[EstimateKey, Numbers]:
        """Only these patients' estimates."""
        wanted = set(patients)
        return {key: numbers for key, numbers in self.estimates.items() if key[0] in wanted}


def embedded_content(path: Path) -> Content:
    """All of an embedded store; fails the test if it holds a key twice."""
    content = Content()
    with EmbeddedStore(path, readonly=True) as store:
        for part in store.estimates():
            for row in part.rows:
                key = (part.patient, part.signal, int(row["time"]))
                assert key not in content.estimates, f"twice in the store: {key}"
                numbers = (float(row["mean"]), float(row["std"]), float(row["trend"]))
                content.estimates[key] = numbers
        for part in store.observations():
            for row in part.rows:
                identity = (part.patient, part.signal, part.device, int(row["time"]))
                assert identity not in content.observations, f"twice in the store: {identity}"
                content.observations[identity] = float(row["value"])
                if row["verdict"] == Verdict.BELATED:
                    content.belated.add(identity)
    return content


def embedded_count(path: Path) -> int:
    """Observations in an embedded store that may not exist yet."""
    try:
        with EmbeddedStore(path, readonly=True) as store:
            return sum(store.stored().values())
    except FileNotFoundError:
        return 0


def influx_content(server: InfluxServer) -> Content:
    """All of a bucket; fails the test if it holds a key twice (two model versions, say)."""
    content = Content()
    for row in _points(server, "estimate"):
        key = (row["patient"], row["signal"], parse_instant(row["_time"]))
        assert key not in content.estimates, f"twice in the bucket: {key}"
        content.estimates[key] = (float(row["mean"]), float(row["std"]), float(row["trend"]))
        content.bands[key] = (float(row["lo95"]), float(row["hi95"]))
    for row in _points(server, "observation"):
        stamp = parse_instant(row["_time"])
        identity = (row["patient"], row["signal"], row["device"], stamp)
        assert identity not in content.observations, f"twice in the bucket: {identity}"
        content.observations[identity] = float(row["value"])
    return content


def influx_count(server: InfluxServer) -> int:
    """Observations in a bucket."""
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        'r._measurement == "observation" and r._field == "value") |> group() |> count()'
    )
    return sum(int(row["_value"]) for row in _rows(answer))


def _points(server: InfluxServer, measurement: str) -> list[dict[str, str]]:
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        f'r._measurement == "{measurement}") |> pivot(rowKey: ["_time"], columnKey: ["_field"], '
        'valueColumn: "_value") |> group()'
    )
    return _rows(answer)


def _rows(answer: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.replace("\r\n", "\n").strip())))


def replayed(record: Path, out: Path, order: str = "measured") -> dict[EstimateKey, Numbers]:
    """`twin replay` of a record: of each key its last row."""
    succeeded(twin("replay", record, "--out", out, "--order", order, timeout=300))
    return last_rows(out, "mean", "std", "trend")


def last_rows(out: Path, *columns: str) -> dict[EstimateKey, Any]:
    """These columns of what a replay wrote: of each key its last row."""
    table = parquet.read_table(out)
    stamps = np.asarray(table.column("as_of").to_numpy().astype("datetime64[ns]"), np.int64)
    names = (table.column(name).to_pylist() for name in ("patient", "signal"))
    numbers = zip(*(table.column(name).to_numpy().tolist() for name in columns), strict=True)
    return dict(zip(zip(*names, stamps.tolist(), strict=True), numbers, strict=True))


def rounded_estimates(estimates: Mapping[EstimateKey, Numbers]) -> dict[EstimateKey, Numbers]:
    """The same as the embedded store keeps them."""
    made: dict[EstimateKey, Numbers] = {}
    for signal in {key[1] for key in estimates}:
        keys = [key for key in estimates if key[1] == signal]
        numbers = rounded(np.array([estimates[key] for key in keys]), signal)
        made |= zip(keys, map(tuple, numbers.tolist()), strict=True)
    return made


def assert_same(found: Mapping[Any, Any], expected: Mapping[Any, Any], what: str) -> None:
    """Both hold the same; else fails with counts and the first differences."""
    lost, more = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = [key for key in expected.keys() & found.keys() if expected[key] != found[key]]
    if not (lost or more or other):
        return
    examples = [f"lost {key}" for key in sorted(lost, key=str)[:3]]
    examples += [f"not expected {key}" for key in sorted(more, key=str)[:3]]
    examples += [
        f"{key}: {found[key]}, expected {expected[key]}" for key in sorted(other, key=str)[:3]
    ]
    pytest.fail(
        f"{what}: {len(lost)} lost, {len(more)} not expected, {len(other)} different of "
        f"{len(expected)}; {'; '.join(examples)}"
    )


def by_device(keys: Iterable[ObservationKey]) -> Counter[str]:
    """Observations of each device."""
    return Counter(key[2] for key in keys)
