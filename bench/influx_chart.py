"""A chart of 30 days answered by a real InfluxDB: of rows, and of the windows of its tasks.

    python -m bench.influx_chart [--days 30] [--interval 5]

One patient's heart rate, an observation and an estimate every `interval` seconds, 800 points.
Wall time in ms, the median of nine questions each, one way after the other; JSON out. The tasks run
by hand, as `twin store init` made them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import numpy as np

from ingest.instant import DAY, SECOND
from tests.support.servers import InfluxServer
from twin.estimate import ESTIMATE_ROW, EstimateBatch, Kind, Status, Verdict
from twin.store.aggregates import QUARTER
from twin.store.influx import InfluxSettings, InfluxSink
from twin.store.influx_reading import InfluxHistory
from twin.store.influx_tasks import initialise
from twin.store.retention import Kept

POINTS, AT_ONCE = 800, 20_000


def fill(sink: InfluxSink, start: int, end: int, step: int) -> int:
    """Write the rows; how many observations."""
    times = np.arange(start, end, step)
    rng = np.random.default_rng(1)
    for number, part in enumerate(np.array_split(times, -(-len(times) // AT_ONCE)), 1):
        rows = np.zeros(len(part), ESTIMATE_ROW)
        rows["kind"], rows["verdict"], rows["status"] = Kind.VERDICT, Verdict.ACCEPTED, Status.FRESH
        rows["as_of"] = rows["measured_at"] = rows["device_stamp"] = rows["received_at"] = part
        rows["value"] = np.rint(rng.normal(72, 4, len(part)))
        rows["mean"], rows["std"] = rng.normal(72, 2, len(part)), 0.8
        rows["quality"] = np.nan
        rows["scale50"] = rows["scale90"] = rows["scale95"] = 1
        sink.write_all(
            [EstimateBatch("m", ("p1",), ("watch-1",), ("heart_rate",), ("",), rows)], number
        )
    return len(times)


def run_tasks(server: InfluxServer, names: tuple[str, ...]) -> dict[str, float]:
    """Run each task once; seconds that it took."""
    headers = {"Authorization": f"Token {server.token}"}
    tasks = f"{server.url}/api/v2/tasks"
    took = {}
    for name in names:
        found = httpx2.get(tasks, params={"name": name}, headers=headers).json()["tasks"]
        began = time.perf_counter()
        run = httpx2.post(f"{tasks}/{found[0]['id']}/runs", json={}, headers=headers).json()
        path, state = f"{tasks}/{found[0]['id']}/runs/{run['id']}", "started"
        while state not in ("success", "failed"):
            time.sleep(0.1)
            state = httpx2.get(path, headers=headers, timeout=60).json().get("status", "")
        took[name] = round(time.perf_counter() - began, 1)
        if state == "failed":
            raise SystemExit(f"{name} failed: {httpx2.get(f'{path}/logs', headers=headers).text}")
    return took


def median_ms(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(9):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1e3)
    return round(float(np.median(took)), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--interval", type=float, default=5.0)
    asked = parser.parse_args()
    end = time.time_ns() // QUARTER * QUARTER
    start = end - asked.days * DAY
    with InfluxServer() as server, tempfile.TemporaryDirectory(prefix="twin-bench-") as folder:
        settings = InfluxSettings(
            server.url, server.token, server.org, server.bucket, timeout_s=300
        )
        # Written a while ago, so that what came late is in the windows and marked no more.
        progress = Path(folder) / "progress.db"
        with InfluxSink(settings, progress, lambda: time.time_ns() - QUARTER) as sink:
            observations = fill(sink, start, end, round(asked.interval * SECOND))
        found: dict[str, object] = {"observations": observations, "points": POINTS}
        for way in ("rows", "windows"):
            if way == "windows":
                found["tasks_s"] = run_tasks(server, initialise(settings, Kept(), {}).tasks)
            history = InfluxHistory(settings)
            found[f"{way}_ms"] = median_ms(
                lambda h=history: h.series("p1", "heart_rate", start, end, POINTS)  # type: ignore[misc]
            )
            history.close()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
