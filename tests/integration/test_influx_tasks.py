"""What `twin store init` makes in a real InfluxDB: windows by its own tasks, late rows included."""

from __future__ import annotations

import csv
import io
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx2
import numpy as np
import pytest

from ingest.instant import DAY, HOUR, MINUTE, SECOND, format_instant, parse_instant
from tests.support.commands import eventually
from tests.support.estimates import Row, batch, observed
from tests.support.judged import alarm
from tests.support.servers import InfluxServer
from twin.estimate import Series
from twin.judgement import Judgements
from twin.store.aggregates import QUARTER
from twin.store.influx import InfluxSettings, InfluxSink
from twin.store.influx_reading import InfluxHistory
from twin.store.influx_tasks import Made, erase, forget, initialise, outdated
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
    """Run a task, when the second of what was written last is over (a run sees what came before
    its own second), and wait until it has succeeded."""
    began = int(time.time())
    eventually(lambda: int(time.time()) > began, "another second")
    headers = {"Authorization": f"Token {server.token}"}
    tasks = f"{server.url}/api/v2/tasks"
    found = httpx2.get(tasks, params={"name": name}, headers=headers, timeout=90.0).json()["tasks"]
    run = httpx2.post(
        f"{tasks}/{found[0]['id']}/runs", json={}, headers=headers, timeout=90.0
    ).json()
    path = f"{tasks}/{found[0]['id']}/runs/{run['id']}"

    def status() -> str:
        return str(httpx2.get(path, headers=headers, timeout=90.0).json().get("status"))

    eventually(lambda: status() in ("success", "failed"), "run to its end")
    logs = httpx2.get(f"{path}/logs", headers=headers, timeout=90.0).json()
    assert status() == "success", logs


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
        run_all(influx_server, tasks[1:])
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
            timeout=90.0,
        ).raise_for_status()
        taken = sink.replay_rejected()
        assert taken in ((1, 0), (0, 1))  # the type of a field outlives its points in a shard
        assert sink.rejected == taken[1]


DAYS, STEP = 4, MINUTE


def run_all(server: InfluxServer, tasks: Sequence[str]) -> None:
    for task in tasks:
        run_task(server, task)


@pytest.fixture
def history(settings: InfluxSettings) -> Iterator[InfluxHistory]:
    history = InfluxHistory(settings)
    yield history
    history.close()


def test_a_long_chart_is_made_of_windows_and_is_never_behind(
    influx_server: InfluxServer, settings: InfluxSettings, history: InfluxHistory, tmp_path: Path
) -> None:
    end = time.time_ns() // QUARTER * QUARTER
    start = end - DAYS * DAY
    chance = random.Random(1)
    rows = [
        observed(
            instant,
            round(chance.gauss(70, 5)),
            device=f"watch-{instant // HOUR % 2}",
            mean=chance.gauss(70, 5),
            std=chance.uniform(0.1, 2),
        )
        for instant in range(start, end, STEP)
    ]
    points = DAYS * 24 // 2  # of two hours

    def chart(history: InfluxHistory) -> Series:
        return history.series("p1", "heart_rate", start, end, points)

    def ten_minutes_ago() -> int:
        return time.time_ns() - 10 * MINUTE

    with InfluxSink(settings, tmp_path / "before.db", ten_minutes_ago) as sink:
        sink.write_all([batch(*rows)], 1)
    with InfluxSink(settings, tmp_path / "progress.db") as sink:
        of_rows = chart(history)
        assert len(of_rows.time) == points
        made = initialise(settings, Kept(), LIMITS)
        fresh = InfluxHistory(settings)
        assert_alike(chart(fresh), of_rows)  # made, but by no run yet
        fresh.close()
        run_all(influx_server, made.tasks)

        fresh = InfluxHistory(settings)
        of_windows = chart(fresh)
        assert_alike(of_windows, of_rows)

        line = "estimate,patient=p1,signal=heart_rate,model=m1 max=222.0"
        influx_server.write(f"{line} {start + 3 * DAY}", bucket=f"{settings.bucket}_15m")
        assert chart(fresh).maximum[36] == 222.0  # so it was made of windows

        late = start + 30 * HOUR + SECOND
        sink.write_all([batch(observed(late, 250.0, mean=200.0, std=1.0))], 2)
        assert chart(fresh).maximum[15] == 200.0
        assert 250.0 in chart(fresh).observed
        fresh.close()

        run_all(influx_server, made.tasks)
        forget(settings, Kept(raw=DAY, derived=DAY), end)
        without_rows = InfluxHistory(settings, lambda: end - DAY)
        left = chart(without_rows)
        assert left.maximum[15] == 200.0
        assert len(left.time) == points
        short = without_rows.series("p1", "heart_rate", start, start + 2 * HOUR, 60)
        assert len(short.time) == 60
        without_rows.close()


def test_windows_of_a_release_before_count_no_second_time(
    influx_server: InfluxServer, settings: InfluxSettings, history: InfluxHistory, tmp_path: Path
) -> None:
    end = time.time_ns() // QUARTER * QUARTER
    start = end - 3 * DAY
    rows = [observed(at, 70.0, mean=70.0 + at // HOUR % 9) for at in range(start, end, 5 * MINUTE)]
    with InfluxSink(settings, tmp_path / "progress.db", lambda: end - 10 * MINUTE) as sink:
        sink.write_all([batch(*rows)], 1)
    of_rows = history.series("p1", "heart_rate", start, end, 36)
    made = initialise(settings, Kept(), LIMITS)
    of_before = [  # without the model's tag, and without sums
        f"estimate,patient=p1,signal=heart_rate mean=70,min=10,max=300,n=3 {at}"
        for at in range(start, end, QUARTER)
    ]
    for length in ("1m", "15m"):
        written = influx_server.write("\n".join(of_before), bucket=f"{settings.bucket}_{length}")
        assert written.status_code == 204
    run_all(influx_server, made.tasks)

    fresh = InfluxHistory(settings)
    assert_alike(fresh.series("p1", "heart_rate", start, end, 36), of_rows)
    line = "estimate,patient=p1,signal=heart_rate,model=m1 max=222.0"
    influx_server.write(f"{line} {start + DAY}", bucket=f"{settings.bucket}_15m")
    assert fresh.series("p1", "heart_rate", start, end, 36).maximum[12] == 222.0  # of windows
    fresh.close()


def test_what_an_upgrade_has_to_make_anew_is_named(
    influx_server: InfluxServer, settings: InfluxSettings
) -> None:
    name = settings.bucket
    everything = (f"{name}_1m", f"{name}_15m", f"{name}-1m", f"{name}-15m")
    assert outdated(settings, Kept(), LIMITS) == everything
    initialise(settings, Kept(), LIMITS)
    assert outdated(settings, Kept(), LIMITS) == ()
    assert outdated(settings, Kept(raw=DAY), LIMITS) == everything[2:]  # as of another text


def test_an_erased_patient_is_in_no_bucket_and_comes_back_by_no_task(
    influx_server: InfluxServer, settings: InfluxSettings, quarter: int, tmp_path: Path
) -> None:
    name = settings.bucket
    made = initialise(settings, Kept(), LIMITS)
    with InfluxSink(settings, tmp_path / "progress.db") as sink:
        both = [
            batch(*(observed(quarter + i * MINUTE, 60.0 + i, patient=each) for i in range(15)))
            for each in ("p-1", "p-2")
        ]
        sink.write_all([*both, Judgements(alarms=(alarm(patient="p-1"),))], 1)
    run_all(influx_server, made.tasks)
    buckets = (name, f"{name}_1m", f"{name}_15m")
    before = {each: points(influx_server, each) for each in buckets}
    assert all(found.keys() == {"p-1", "p-2"} for found in before.values()), before

    gone = erase(settings, "p-1")

    assert gone == {each: before[each]["p-1"] for each in buckets}
    run_all(influx_server, made.tasks)
    left = {each: points(influx_server, each) for each in buckets}
    assert left == {each: {"p-2": before[each]["p-2"]} for each in buckets}
    assert erase(settings, "p-1") == dict.fromkeys(buckets, 0)


def points(server: InfluxServer, bucket: str) -> dict[str, int]:
    """Patient → points of every measurement and field."""
    answer = server.query(
        f'from(bucket: "{bucket}") |> range(start: 0, stop: 2200-01-01)'
        " |> filter(fn: (r) => exists r.patient) |> count()"
        ' |> keep(columns: ["patient", "_value"]) |> group(columns: ["patient"]) |> sum()'
    )
    rows = csv.DictReader(io.StringIO(answer.replace("\r\n", "\n").strip()))
    return {row["patient"]: int(row["_value"]) for row in rows}


def assert_alike(one: Series, other: Series) -> None:
    """Bands, extremes and gaps are the same; means to the last digits; of observations a window
    knows extremes, not moments."""
    assert one.resolution == other.resolution == "bucket"
    assert np.array_equal(one.time, other.time)
    for name in ("minimum", "maximum", "lo50", "hi50", "lo95", "hi95"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.allclose(one.mean, other.mean, rtol=0, atol=1e-9)
    for extreme in (np.min, np.max):
        assert [extreme(each) for each in by_bucket(one)] == [
            extreme(each) for each in by_bucket(other)
        ]


def by_bucket(series: Series) -> list[np.ndarray]:
    """Values of the observations of each bucket."""
    slot = np.searchsorted(series.time, series.observed_at, side="right") - 1
    return [series.observed[slot == i] for i in range(len(series.time))]
