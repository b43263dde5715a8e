"""Bench of the stores: bytes and CPU a stored row, time of a query, line protocol, InfluxDB's rate.

    python -m bench.store [--rows N] [--patients N] [--influx URL --token T --org O --bucket B]

Prints one JSON object. A "row" is a stored row: each accepted observation is two, the observation
itself and the estimate after it. CPU is the process's, so a busy machine changes it little. The
input is generated like a filter's output: values at the device's resolution, estimates that follow
them, stamps of whole milliseconds that jitter, receipts to the nanosecond. Windows are what the
retention job makes of a quarter of an hour of one series; bytes a row are without them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from twin.estimate import ESTIMATE_ROW, EstimateBatch, Kind, Status, Verdict
from twin.memory import keep_freed_memory
from twin.store import merged_kernel
from twin.store.embedded import EmbeddedStore
from twin.store.line_protocol import lines
from twin.store.retention import Kept, Retention
from twin.text import line_kernel, series_kernel

SIGNALS = ("heart_rate", "respiratory_rate", "spo2", "skin_temperature", "glucose", "activity")
LEVEL = np.array([72, 16, 97, 33.5, 110, 0.2])
NOISE = np.array([1.5, 1.0, 0.7, 0.1, 4, 0.03])
RESOLUTION = np.array([1, 1, 1, 0.1, 1, 0.01])
START = 1_764_000_000_000_000_000
HOUR = 3_600_000_000_000
INTERVAL_MS = 5_000


def batches(patients: int, samples: int, at_once: int, seed: int = 1) -> Iterator[EstimateBatch]:
    """`samples` of each signal of each patient, every 5 s, `at_once` of them in a batch."""
    rng = np.random.default_rng(seed)
    names = tuple(f"p{i:06d}" for i in range(patients))
    devices = tuple(f"watch-{i:06d}" for i in range(patients))
    series = patients * len(SIGNALS)
    level = np.tile(LEVEL, patients)
    truth, mean = level.copy(), level.copy()
    for done in range(0, samples, at_once):
        rows = np.zeros((series, min(at_once, samples - done)), ESTIMATE_ROW)
        rows["patient"] = rows["device"] = np.repeat(np.arange(patients), len(SIGNALS))[:, None]
        rows["signal"] = np.tile(np.arange(len(SIGNALS)), patients)[:, None]
        for i in range(rows.shape[1]):
            truth, mean = _sample(rows[:, i], done + i, truth, mean, level, rng)
        yield EstimateBatch("bench-1", names, devices, SIGNALS, ("",), rows.reshape(-1))


def _sample(
    rows: Any, number: int, truth: Any, mean: Any, level: Any, rng: np.random.Generator
) -> tuple[Any, Any]:
    n = len(rows)
    noise, resolution = np.resize(NOISE, n), np.resize(RESOLUTION, n)
    truth = truth + 0.01 * (level - truth) + 0.3 * noise * rng.normal(size=n)
    value = np.rint((truth + noise * rng.normal(size=n)) / resolution) / np.rint(1 / resolution)
    innovation = value - mean
    stamp = START + (number * INTERVAL_MS + rng.integers(0, 80, n)) * 1_000_000
    rows["kind"], rows["verdict"], rows["status"] = Kind.VERDICT, Verdict.ACCEPTED, Status.FRESH
    rows["value"], rows["noise_std"], rows["quality"] = value, noise, np.nan
    rows["measured_at"] = rows["device_stamp"] = rows["as_of"] = stamp
    rows["received_at"] = stamp + rng.exponential(3e8, n).astype(np.int64)
    rows["mean"], rows["std"] = mean + 0.25 * innovation, noise * (0.5 + rng.normal(0, 0.01, n))
    rows["trend"], rows["trend_std"] = innovation * 0.4, noise * 0.3
    rows["nis"], rows["weight"] = (innovation / (1.2 * noise)) ** 2, 1
    rows["scale50"] = rows["scale90"] = rows["scale95"] = 1
    return truth, rows["mean"].copy()


def embedded(folder: Path, patients: int, samples: int, at_once: int) -> dict[str, float]:
    """Write, then ask."""
    path = folder / f"bench-{at_once}.db"
    cpu = stored = 0.0
    with EmbeddedStore(path) as store:
        for position, batch in enumerate(batches(patients, samples, at_once), 1):
            began = time.process_time()
            store.write_all([batch], position)
            cpu += time.process_time() - began
            stored += 2 * len(batch.rows)
        size = path.stat().st_size
        began = time.process_time()
        report = Retention(store, Kept()).run(START + samples * INTERVAL_MS * 1_000_000 + HOUR)
        windows = (time.process_time() - began) / report.windows
        middle = START + samples * INTERVAL_MS * 1_000_000 // 2
        answers = {
            f"query_6h_{name}_{key}": found
            for name, points in (("raw", None), ("600_points", 600))
            for key, found in _query(store, patients, middle, points).items()
        }
    return {
        "rows": stored,
        "rows_per_transaction": 2 * len(SIGNALS) * patients * at_once,
        "bytes_per_row": round(size / stored, 2),
        "cpu_us_per_row": round(cpu / stored * 1e6, 3),
        "windows_cpu_ms_per_quarter": round(windows * 1e3, 3),
        **answers,
    }


def _query(store: EmbeddedStore, patients: int, start: int, points: int | None) -> dict[str, float]:
    """Medians of a signal's 6 h, over patients not asked before: time, and CPU of this process."""
    took, spent = [], []
    for i in range(0, patients, max(1, patients // 50)):
        began, cpu = time.perf_counter(), time.process_time()
        store.series(f"p{i:06d}", "heart_rate", start, start + 6 * HOUR, points)
        spent.append((time.process_time() - cpu) * 1e3)
        took.append((time.perf_counter() - began) * 1e3)
    return {"ms": round(median(took), 2), "cpu_ms": round(median(spent), 2)}


def line_protocol(batch: EstimateBatch) -> dict[str, float]:
    """CPU of making lines, for both sets of fields."""
    cost = {}
    for kernel in (line_kernel, series_kernel, merged_kernel):
        kernel.warm_up()
    for fields in ("default", "full"):
        began = time.process_time()
        made = lines([batch], fields == "full")
        key = f"line_protocol_{fields}_cpu_us_per_line"
        cost[key] = round((time.process_time() - began) / len(made) * 1e6, 3)
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--patients", type=int, default=200)
    for name in ("influx", "token", "org", "bucket"):
        parser.add_argument(f"--{name}")
    asked = parser.parse_args()
    samples = asked.rows // (2 * len(SIGNALS) * asked.patients)
    keep_freed_memory()  # as every process of the service does
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        folder = Path(name)
        found["embedded_bulk"] = embedded(folder, asked.patients, samples, 20)
        found["embedded_live"] = embedded(folder, asked.patients, min(samples, 1500), 1)
        found |= line_protocol(next(batches(200, 20, 20)))
        if asked.influx:
            found["influx_rows_per_s"] = influx_rate(folder, asked)
    print(json.dumps(found, indent=1))


def influx_rate(folder: Path, asked: argparse.Namespace) -> int:
    """Lines a second that arrive in a real server."""
    from twin.store.influx import InfluxSettings, InfluxSink

    settings = InfluxSettings(asked.influx, asked.token, asked.org, asked.bucket)
    work = list(batches(200, 100, 20))
    with InfluxSink(settings, folder / "influx.db") as sink:
        sink.prepare()
        began = time.perf_counter()
        for position, batch in enumerate(work, 1):
            sink.write_all([batch], position)
        took = time.perf_counter() - began
    return round(2 * sum(len(batch.rows) for batch in work) / took)


if __name__ == "__main__":
    main()
