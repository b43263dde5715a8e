"""Fault: InfluxDB throttles, refuses or fails. Budget: 0 lost, 0 double; refused points kept."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.instant import DAY
from ingest.journal.sqlite import SqliteJournal
from tests.fault.conftest import Account
from tests.support.estimates import SECOND, T0, batch, observed
from tests.support.ingest_line import eventually
from tests.support.proxy import Refusing
from tests.support.servers import InfluxServer
from twin.estimate import encode_output
from twin.store.influx import InfluxSettings, InfluxSink
from twin.store.writer import StoreWriter

pytestmark = [pytest.mark.fault, pytest.mark.slow]

ROWS = 400


@pytest.fixture(scope="module")
def server() -> InfluxServer:  # type: ignore[misc]
    with InfluxServer() as server:
        yield server


class Line:
    """A journal of estimates, and a writer that copies it through `front`."""

    def __init__(self, folder: Path, server: InfluxServer, front: Refusing, **other: str) -> None:
        # Only what `front` refuses is a retry, not an answer that a busy machine gives late.
        address = (front.url, server.token, server.org, server.bucket)
        settings = InfluxSettings(*address, timeout_s=60.0)
        self.journal = SqliteJournal(folder / "journal", reserve_bytes=0)
        self.sink = InfluxSink(replace(settings, **other), folder / "progress.db")
        self.writer = StoreWriter(self.journal, self.sink, "influx", linger=0.02)
        self.writer.start()

    def append(self, patient: str, rows: int = ROWS) -> None:
        for start in range(0, rows, 40):
            part = [
                observed(T0 + i * SECOND, 60.0 + i / 8, patient=patient)
                for i in range(start, min(start + 40, rows))
            ]
            self.journal.append("estimates", [(0, encode_output(batch(*part)))])

    def wait(self) -> float:
        begun = time.monotonic()
        eventually(lambda: self.writer.progress.behind == 0, "caught up", 120.0)
        return time.monotonic() - begun

    def close(self) -> None:
        self.writer.stop()
        self.sink.close()
        self.journal.close()


def held(server: InfluxServer, patient: str) -> list[float]:
    """Values of the observations of one patient in the bucket. Where one file has a field as text,
    a query over it and others shows the text alone: so only of the time since T0."""
    answer = server.query(
        f'from(bucket: "{server.bucket}") |> range(start: {T0 // SECOND})'
        f' |> filter(fn: (r) => r._field == "value" and r.patient == "{patient}")'
        ' |> keep(columns: ["_value"])'
    )
    rows = csv.DictReader(io.StringIO(answer.replace("\r\n", "\n").strip()))
    return sorted(float(row["_value"]) for row in rows)


@pytest.mark.parametrize(
    "answers",
    [[429, 429], [503], [500, 500], [401], [403], [404], [500, 429, 401, 503]],
    ids=lambda answers: "-".join(map(str, answers)),
)
def test_what_it_refuses_for_a_while_is_written_afterwards(
    answers: list[int], server: InfluxServer, tmp_path: Path, account: Account
) -> None:
    patient = f"p-{'-'.join(map(str, answers))}"
    with Refusing(server.port) as front:
        front.answers.extend(answers)
        line = Line(tmp_path, server, front)
        line.append(patient)
        stall = line.wait()
        progress = line.writer.progress
        line.close()
    assert progress.retries == len(answers)
    assert (progress.rejected, progress.trouble) == (0, "")
    assert held(server, patient) == [60.0 + i / 8 for i in range(ROWS)]
    account(runs=1, stall_s=stall)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_body_that_is_refused_once_is_written_in_halves(
    status: int, server: InfluxServer, tmp_path: Path, account: Account
) -> None:
    with Refusing(server.port) as front:
        front.answers.append(status)
        line = Line(tmp_path, server, front)
        line.append(f"once-{status}")
        stall = line.wait()
        assert line.writer.progress.rejected == 0
        line.close()
    assert held(server, f"once-{status}") == [60.0 + i / 8 for i in range(ROWS)]
    account(runs=1, stall_s=stall)


def test_bodies_that_are_always_too_large_are_written_in_smaller_ones(
    server: InfluxServer, tmp_path: Path, account: Account
) -> None:
    with Refusing(server.port, largest=2_000) as front:
        line = Line(tmp_path, server, front)
        line.append("small")
        stall = line.wait()
        assert line.writer.progress.rejected == 0
        assert front.given[413] > 0
        line.close()
    assert len(held(server, "small")) == ROWS
    account(runs=1, stall_s=stall)


def test_one_point_that_it_never_takes_is_kept_and_its_neighbours_are_written(
    server: InfluxServer, tmp_path: Path, account: Account
) -> None:
    week = T0 - 30 * DAY  # a field's type is fixed in each week's files
    spoiled = f'observation,patient=x,signal=heart_rate,device=watch-1 value="x" {week}'
    assert server.write(spoiled).status_code == 204
    with Refusing(server.port) as front:
        line = Line(tmp_path, server, front)
        line.append("good")
        line.journal.append(
            "estimates", [(0, encode_output(batch(observed(week + 1, 70, patient="spoiled"))))]
        )
        line.append("good-2")
        stall = line.wait()
        progress = line.writer.progress
        points = line.sink.progress.points()
        line.close()
    assert progress.rejected == 1
    assert [("spoiled" in point, "type conflict" in why) for point, why in points] == [(True, True)]
    assert len(held(server, "good")) == len(held(server, "good-2")) == ROWS
    account(runs=1, stall_s=stall)
