"""The InfluxDB sink and history against a real server."""

from __future__ import annotations

import csv
import http.server
import io
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from ingest.journal.sqlite import SqliteJournal
from tests.support.estimates import SECOND, Row, aged, batch, forecast, observed, revised
from tests.support.judged import alarm, score, technical
from tests.support.servers import InfluxServer, free_port
from twin.estimate import EstimateBatch, Status, Verdict, encode_output
from twin.judgement import AlarmEvent, Judgements
from twin.personal import Change
from twin.store.embedded import EmbeddedStore
from twin.store.influx import LINES_PER_BODY, InfluxSettings, InfluxSink
from twin.store.influx_reading import InfluxHistory
from twin.store.influx_tasks import forget
from twin.store.protocol import StoreUnavailable
from twin.store.retention import Kept
from twin.store.writer import StoreWriter

pytestmark = pytest.mark.integration

HOUR = 3600 * SECOND
#: A server with a retention drops what is older than that by its own clock.
NOW = int(datetime.now(UTC).timestamp()) * SECOND
START = NOW - HOUR


@pytest.fixture
def settings(influx_server: InfluxServer) -> InfluxSettings:
    server = influx_server
    return InfluxSettings(server.url, server.token, server.org, server.bucket)


@pytest.fixture
def sink(settings: InfluxSettings, tmp_path: Path) -> Iterator[InfluxSink]:
    with InfluxSink(settings, tmp_path / "influx.db") as sink:
        yield sink


@pytest.fixture
def history(settings: InfluxSettings) -> Iterator[InfluxHistory]:
    history = InfluxHistory(settings)
    yield history
    history.close()


def noisy(n: int, seed: int = 1, device: str = "gateway/watch 1") -> list[Row]:
    chance = random.Random(seed)
    return [
        observed(
            START + i * SECOND + chance.randrange(10**9),
            chance.gauss(70, 5),
            device=device,
            mean=chance.gauss(70, 5),
            std=chance.uniform(0.1, 2),
            trend=chance.gauss(0, 1),
        )
        for i in range(n)
    ]


def rows_of(answer: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.replace("\r\n", "\n").strip())))


def count(server: InfluxServer, measurement: str, field: str) -> int:
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        f'r._measurement == "{measurement}" and r._field == "{field}") |> group() |> count()'
    )
    rows = rows_of(answer)
    return int(rows[0]["_value"]) if rows else 0


def eventually(true: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


def test_forecasts_are_a_measurement_of_their_own_with_their_horizon(
    influx_server: InfluxServer, sink: InfluxSink, history: InfluxHistory
) -> None:
    said = [forecast(START, seconds, 70.0 + seconds / 100) for seconds in (60, 900, 1800, 3600)]
    sink.write(batch(observed(START, 70), *said))
    sink.write(batch(*said))
    answer = influx_server.query(
        f'from(bucket: "{influx_server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        'r._measurement == "forecast") |> pivot(rowKey: ["_time"], columnKey: ["_field"], '
        'valueColumn: "_value") |> group() |> sort(columns: ["mean"])'
    )
    found = rows_of(answer)
    assert [(row["horizon"], float(row["mean"])) for row in found] == [
        (str(seconds), 70.0 + seconds / 100) for seconds in (60, 900, 1800, 3600)
    ]
    assert all(float(row["lo95"]) < float(row["lo50"]) < float(row["mean"]) for row in found)
    assert history.series("p1", "heart_rate", START, NOW).mean.tolist() == [70.0]


def test_alarms_scores_and_changes_are_measurements_of_their_own(
    influx_server: InfluxServer, sink: InfluxSink, settings: InfluxSettings
) -> None:
    nan = float("nan")
    unknown = Change("p1", START, False, nan, nan, nan, 0.0, 12.0, False, ())
    raised = replace_struct(alarm(), at=START)
    silent = replace_struct(technical(), at=START, patient="")
    closed = replace_struct(raised, at=START + SECOND, event=AlarmEvent.CLOSED)
    marks = replace_struct(score(pulse=2), at=START)
    said = Judgements((raised, silent, closed), (marks,), changes=(unknown,))
    for position in (1, 1):
        assert sink.write_all([said], position).rejected == ()
    assert (sink.rejected, sink.expired, sink.position) == (0, 0, 1)
    assert count(influx_server, "alarm", "value") == 3
    assert count(influx_server, "score", "temperature") == 1
    assert count(influx_server, "change", "known") == 1
    kept = Kept(judgements=HOUR - SECOND // 2)
    report = forget(settings, kept, NOW)
    assert report.judgements == 4
    assert count(influx_server, "alarm", "count") == 1


def test_every_number_reads_back_exactly(
    influx_server: InfluxServer, sink: InfluxSink, history: InfluxHistory
) -> None:
    work = batch(*noisy(300))
    assert sink.write(work).accepted == 300
    series = history.series("p1", "heart_rate", START, NOW)
    assert np.array_equal(series.time, work.rows["as_of"])
    assert series.mean.tobytes() == work.rows["mean"].tobytes()
    assert series.observed.tobytes() == work.rows["value"].tobytes()
    assert series.device == ["gateway/watch 1"] * 300
    answer = influx_server.query(
        f'from(bucket: "{influx_server.bucket}") |> range(start: 0) |> filter(fn: (r) => '
        'r._measurement == "estimate") |> pivot(rowKey: ["_time"], columnKey: ["_field"], '
        'valueColumn: "_value") |> group() |> sort(columns: ["_time"])'
    )
    found = rows_of(answer)
    for name in ("std", "trend"):
        assert [float(row[name]) for row in found] == work.rows[name].tolist()
    assert {row["model"] for row in found} == {"m1"}
    assert history.stored() == {"gateway/watch 1": 300}


def test_the_last_version_wins_also_within_a_body_and_writing_again_changes_nothing(
    influx_server: InfluxServer, sink: InfluxSink, history: InfluxHistory
) -> None:
    rows = noisy(20)
    at = rows[3].columns["as_of"]
    work = [batch(*rows, revised(at, 50)), batch(revised(at, 51))]
    for _ in range(2):
        sink.write_all(work, 2)
    series = history.series("p1", "heart_rate", START, NOW)
    assert (len(series.time), series.mean[3]) == (20, 51)
    assert count(influx_server, "estimate", "mean") == 20
    assert sink.position == 2


def test_conflicts_and_statuses_stand_apart(influx_server: InfluxServer, sink: InfluxSink) -> None:
    conflict = Verdict.CONFLICT
    sink.write(
        batch(
            observed(START, 70),
            observed(START, 80, verdict=conflict, received_at=START + SECOND),
            aged(START + 2, Status.STALE),
        )
    )
    assert [count(influx_server, *of) for of in (
        ("observation", "value"), ("conflict", "value"), ("status", "status"),
    )] == [1, 1, 1]  # fmt: skip


def test_both_stores_answer_alike(sink: InfluxSink, history: InfluxHistory, tmp_path: Path) -> None:
    work = [batch(*noisy(400), *noisy(300, 2, "strap")), batch(*noisy(100, 3), model="m2")]
    with EmbeddedStore(tmp_path / "store.db") as store:
        for one in (sink, store):
            one.write_all(work, 1)
        for points in (7, 60):
            mine = store.series("p1", "heart_rate", START, NOW, points)
            theirs = history.series("p1", "heart_rate", START, NOW, points)
            assert np.array_equal(mine.time, theirs.time)
            assert np.array_equal(mine.observed_at, theirs.observed_at)
            assert mine.observed.tobytes() == theirs.observed.tobytes()
            assert mine.device == theirs.device
            for name in ("mean", "minimum", "maximum"):
                assert np.abs(getattr(mine, name) - getattr(theirs, name)).max() < 0.006
            for name in ("lo95", "hi95"):
                assert np.abs(getattr(mine, name) - getattr(theirs, name)).max() < 0.016
            assert (theirs.lo50 <= mine.lo50 + 0.01).all()
            assert (theirs.hi50 >= mine.hi50 - 0.01).all()
        assert store.stored() == history.stored()
        assert _pages(history) == _pages(store)


def _pages(history: InfluxHistory | EmbeddedStore) -> list[list[int]]:
    pages: list[list[int]] = []
    cursor = None
    while not pages or cursor:
        page = history.series("p1", "heart_rate", START, NOW, after=cursor, limit=150)
        pages += [page.time.tolist(), page.observed_at.tolist()]
        cursor = page.cursor
    return pages


def test_what_is_not_there_is_empty(sink: InfluxSink, history: InfluxHistory) -> None:
    assert len(history.series("nobody", 'a "quoted" ${name}', START, NOW).time) == 0
    assert len(history.series("nobody", "heart_rate", START, NOW, points=10).time) == 0
    assert history.stored() == {}
    assert sink.position == 0


#: In another shard: a field's type is for ever, but only within measurement and shard.
LONG_AGO = START - 90 * 24 * HOUR


def spoil(server: InfluxServer, measurement: str, field: str) -> None:
    """From now on points of the measurement in the shard of LONG_AGO are refused."""
    line = f'{measurement},patient=x,signal=x {field}="text" {LONG_AGO}'
    assert server.write(line).status_code == 204


def test_one_bad_point_is_rejected_alone(influx_server: InfluxServer, sink: InfluxSink) -> None:
    spoil(influx_server, "estimate", "trend")
    rows = [observed(START + i, 70) for i in range(6000)]
    rows[1234] = observed(LONG_AGO + 5, 71)
    for position in (1, 2):
        ((row, reason),) = sink.write_all([batch(*rows)], position).rejected
        assert row == 1234
        assert "field type conflict" in reason
        assert (sink.rejected, sink.position) == (1, position)
    ((line, why),) = sink.progress.points()
    assert line.startswith("estimate,patient=p1,")
    assert line.endswith(f" {LONG_AGO + 5}")
    assert why == reason
    assert count(influx_server, "estimate", "mean") == 5999
    assert count(influx_server, "observation", "value") == 6000


def test_when_all_points_are_bad_they_are_rejected_at_once(
    influx_server: InfluxServer, sink: InfluxSink
) -> None:
    spoil(influx_server, "estimate", "trend")
    spoil(influx_server, "observation", "value")
    made = sink.write(batch(*(observed(LONG_AGO + i, 70) for i in range(1000))))
    assert len(made.rejected) == 1000
    assert made.accepted == 0
    assert sink.rejected == 2000


def test_points_older_than_the_retention_are_counted_and_their_neighbours_written(
    influx_server: InfluxServer, settings: InfluxSettings, tmp_path: Path
) -> None:
    short = replace(settings, bucket="short", retention_s=3600 * 24)
    with InfluxSink(short, tmp_path / "short.db") as sink:
        assert sink.prepare()
        assert not sink.prepare()
        made = sink.write(batch(observed(START, 70), observed(START - 48 * HOUR, 71)))
        assert (made.accepted, made.rejected, made.expired) == (2, (), 2)
        assert sink.expired == 2
        history = InfluxHistory(short)
        assert history.series("p1", "heart_rate", START - 100 * HOUR, NOW).observed.tolist() == [70]
        history.close()


def test_a_large_batch_goes_in_several_bodies(
    influx_server: InfluxServer, sink: InfluxSink
) -> None:
    n = LINES_PER_BODY + 100
    sink.write(batch(*(observed(START + i, 70) for i in range(n))))
    assert count(influx_server, "observation", "value") == n


def test_wrong_token_and_wrong_organisation_keep_everything(
    settings: InfluxSettings, tmp_path: Path
) -> None:
    for wrong, status in (
        (replace(settings, token="wrong"), "401"),
        (replace(settings, org="nowhere"), "404"),
    ):
        with InfluxSink(wrong, tmp_path / f"{status}.db") as sink:
            with pytest.raises(StoreUnavailable, match=status):
                sink.write_all([batch(observed(START, 70))], 1)
            assert sink.position == 0
            assert list(sink.write(batch(observed(START, 70))).kept) == [0]


def test_a_database_stopped_and_started_again_gets_everything(
    influx_server: InfluxServer, sink: InfluxSink, tmp_path: Path
) -> None:
    journal = SqliteJournal(tmp_path / "journal", reserve_bytes=1 << 20)
    writer = StoreWriter(journal, sink, "influx", linger=0.02)
    writer.start()
    rows = noisy(60)

    def append(part: list[Row]) -> None:
        for row in part:
            journal.append("estimates", [(0, encode_output(batch(row)))])

    append(rows[:20])
    eventually(lambda: writer.progress.behind == 0)
    influx_server.stop()
    append(rows[20:40])
    eventually(lambda: writer.progress.failures >= 2)
    assert writer.progress.trouble.startswith("no answer")
    assert writer.progress.behind >= 20
    influx_server.start()
    append(rows[40:])
    eventually(lambda: writer.progress.behind == 0)
    writer.stop()
    assert writer.progress.rows == 60
    journal.close()
    assert count(influx_server, "observation", "value") == 60
    assert count(influx_server, "estimate", "mean") == 60


class _Busy(http.server.BaseHTTPRequestHandler):
    """A database that asks to wait, once for each answer in `answers`."""

    answers: list[int] = []  # noqa: RUF012  set by the test

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Retry-After", "17")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("status", [429, 503])
def test_what_the_database_asks_for_is_honoured(status: int, tmp_path: Path) -> None:
    _Busy.answers = [status, 204]
    port = free_port()
    server = http.server.HTTPServer(("127.0.0.1", port), _Busy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = InfluxSettings(f"http://127.0.0.1:{port}", "t", "o", "b")
    work: list[EstimateBatch] = [batch(observed(START, 70))]
    try:
        with InfluxSink(settings, tmp_path / "influx.db") as sink:
            with pytest.raises(StoreUnavailable, match=str(status)) as raised:
                sink.write_all(work, 1)
            assert raised.value.retry_after == 17
            assert sink.position == 0
            assert sink.write_all(work, 1).accepted == 1
            assert sink.position == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_bucket_that_is_missing_is_made_and_nothing_is_lost(
    influx_server: InfluxServer, settings: InfluxSettings, tmp_path: Path
) -> None:
    with InfluxSink(replace(settings, bucket="fresh"), tmp_path / "fresh.db") as sink:
        with pytest.raises(StoreUnavailable, match="is made"):
            sink.write_all([batch(observed(START, 70))], 1)
        assert sink.position == 0
        assert sink.write_all([batch(observed(START, 70))], 1).accepted == 1
        assert sink.position == 1
