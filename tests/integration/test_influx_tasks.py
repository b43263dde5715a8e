"""What `twin store init` makes in a real InfluxDB: windows by its own tasks, late rows included."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import httpx2
import pytest

from ingest.instant import DAY, HOUR, MINUTE, SECOND, format_instant, parse_instant
from tests.support.estimates import Row, batch, observed
from tests.support.servers import InfluxServer
from twin.store.aggregates import QUARTER
from twin.store.influx import InfluxSettings, InfluxSink
from twin.store.influx_tasks import Made, forget, initialise
from twin.store.retention import Kept

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LIMITS = {"heart_rate": (50.0, 100.0)}


@pytest.fixture
def settings(influx_server: InfluxServer) -> InfluxSettings:
    server = influx_server
    return InfluxSettings(server.url, server.token, server.org, server.bucket)


@pytest.fixture
def quarter() -> int:
    """A whole quarter that ended within the last hour, in ns."""
    return (time.time_ns() - 2 * QUARTER) // QUARTER * QUARTER


def readings(start: int) -> list[Row]:
    """A quarter at one in ten seconds: 60, and in the third minute 120."""
    return [
        observed(start + i * 10 * SECOND, 120.0 if 12 <= i < 18 else 60.0, mean=float(60 + i % 6))
        if not 12 <= i < 18
        else observed(start + i * 10 * SECOND, 120.0)
        for i in range(90)
    ]


def run_task(server: InfluxServer, name: str) -> None:
    """Run a task now and wait until it has succeeded."""
    headers = {"Authorization": f"Token {server.token}"}
    tasks = f"{server.url}/api/v2/tasks"
    found = httpx2.get(tasks, params={"name": name}, headers=headers).json()["tasks"]
    run = httpx2.post(f"{tasks}/{found[0]['id']}/runs", json={}, headers=headers).json()
    for _ in range(200):
        path = f"{tasks}/{found[0]['id']}/runs/{run['id']}"
        state = httpx2.get(path, headers=headers).json()
        if state.get("status") in ("success", "failed"):
            break
        time.sleep(0.05)
    logs = httpx2.get(f"{path}/logs", headers=headers).json()
    assert state["status"] == "success", logs


def windows(server: InfluxServer, length: str, of: str, field: str) -> dict[int, float]:
    """Start of each window → its field."""
    answer = server.query(
        f'from(bucket: "{server.bucket}_{length}") |> range(start: 0)'
        f' |> filter(fn: (r) => r._measurement == "{of}" and r._field == "{field}")'
    )
    rows = csv.DictReader(io.StringIO(answer.replace("\r\n", "\n").strip()))
    return {parse_instant(row["_time"]): float(row["_value"]) for row in rows}


def test_tasks_make_windows_and_make_those_anew_that_came_late(
    influx_server: InfluxServer, settings: InfluxSettings, quarter: int, tmp_path: Path
) -> None:
    kept = Kept(minutes=30 * DAY)
    made = initialise(settings, kept, LIMITS)
    name = influx_server.bucket
    tasks = (f"{name}-1m", f"{name}-15m")
    assert made == Made((f"{name}_1m", f"{name}_15m"), tasks)
    assert initialise(settings, kept, LIMITS) == Made((), ())
    assert initialise(settings, kept, {"spo2": (90.0, 100.0)}).tasks == tasks
    initialise(settings, kept, LIMITS)
    with InfluxSink(settings, tmp_path / "progress.db") as sink:
        sink.write_all([batch(*readings(quarter))], 1)
        for task in tasks:
            run_task(influx_server, task)

        minutes = windows(influx_server, "1m", "estimate", "n")
        assert len(minutes) == 15
        assert set(minutes.values()) == {6.0}
        start = quarter
        assert windows(influx_server, "15m", "estimate", "n") == {start: 90.0}
        assert windows(influx_server, "15m", "estimate", "max") == {start: 120.0}
        assert windows(influx_server, "15m", "observation", "min") == {start: 60.0}
        (outside,) = windows(influx_server, "15m", "estimate", "outside_s").values()
        assert outside == pytest.approx(60.0, abs=10.0)

        old = quarter - 9 * HOUR
        sink.write_all([batch(*readings(old))], 2)
        time.sleep(1.5)  # a run sees what came before the second in which it begins
        run_task(influx_server, tasks[1])
    assert windows(influx_server, "15m", "estimate", "n") == {
        old: 90.0,
        start: 90.0,
    }


def test_each_measurement_is_kept_as_long_as_is_said(
    influx_server: InfluxServer, settings: InfluxSettings, quarter: int, tmp_path: Path
) -> None:
    with InfluxSink(settings, tmp_path / "progress.db") as sink:
        sink.write_all([batch(*readings(quarter - 3 * DAY), *readings(quarter))], 1)

    report = forget(settings, Kept(raw=2 * DAY), time.time_ns())

    assert (report.observations, report.estimates) == (90, 0)
    left = influx_server.query(
        f'from(bucket: "{settings.bucket}") |> range(start: 0)'
        ' |> filter(fn: (r) => r._field == "value" or '
        'r._field == "mean") |> group(columns: ["_measurement"]) |> count()'
    )
    counts = {row["_measurement"]: row["_value"] for row in csv.DictReader(io.StringIO(left))}
    assert counts == {"observation": "90", "estimate": "180"}
    assert forget(settings, Kept(raw=2 * DAY), time.time_ns()).observations == 0


def test_rejected_points_are_offered_again_once_the_cause_is_mended(
    influx_server: InfluxServer, settings: InfluxSettings, quarter: int, tmp_path: Path
) -> None:
    wrong = f'observation,patient=p1,signal=heart_rate,device=watch-1 value="text" {quarter}'
    assert influx_server.write(wrong).status_code == 204
    with InfluxSink(settings, tmp_path / "progress.db") as sink:
        sink.write_all([batch(observed(quarter + MINUTE, 71.0))], 1)
        assert sink.rejected == 1
        assert sink.replay_rejected() == (0, 1)

        headers = {"Authorization": f"Token {influx_server.token}"}
        httpx2.post(
            f"{influx_server.url}/api/v2/delete",
            params={"org": influx_server.org, "bucket": influx_server.bucket},
            json={
                "start": format_instant(quarter - HOUR),
                "stop": format_instant(quarter + HOUR),
                "predicate": '_measurement="observation"',
            },
            headers=headers,
        ).raise_for_status()
        taken = sink.replay_rejected()
        assert taken in ((1, 0), (0, 1))  # the type of a field outlives its points in a shard
        assert sink.rejected == taken[1]
