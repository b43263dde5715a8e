"""Every query of the shipped Grafana boards is answered by a real InfluxDB, with rows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import SECOND
from tests.integration.test_influx_tasks import readings, run_task
from tests.support.estimates import batch
from tests.support.servers import InfluxServer
from twin.store.aggregates import QUARTER
from twin.store.influx import InfluxSettings, InfluxSink
from twin.store.influx_tasks import initialise
from twin.store.retention import Kept

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BOARD = Path(__file__).parents[2] / "deploy/grafana/boards/patient.json"


def queries() -> Iterator[str]:
    board = json.loads(BOARD.read_text("utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["query"]
    for variable in board["templating"]["list"]:
        yield variable["query"]


def as_asked(query: str, bucket: str) -> str:
    """As Grafana sends it: variables filled in, `v` declared; of this test's bucket, not `twin`."""
    filled = query.replace("${patient}", "p1").replace("${signal}", "heart_rate")
    filled = filled.replace('bucket: "twin', f'bucket: "{bucket}')
    assert bucket in filled
    window = "v = {timeRangeStart: -6h, timeRangeStop: now(), windowPeriod: 1m}"
    first, _, rest = filled.partition("\n")
    return f"{first}\n{window}\n{rest}" if first.startswith("import") else f"{window}\n{filled}"


def test_every_query_of_the_patient_board_is_answered(
    influx_server: InfluxServer, tmp_path: Path
) -> None:
    server = influx_server
    settings = InfluxSettings(server.url, server.token, server.org, server.bucket)
    initialise(settings, Kept(), {})
    quarter = (time.time_ns() - 2 * QUARTER) // QUARTER * QUARTER // SECOND * SECOND
    with InfluxSink(settings, tmp_path / "progress.db") as sink:
        sink.write_all([batch(*readings(quarter))], 1)
    run_task(server, f"{server.bucket}-15m")

    asked = list(queries())

    assert len(asked) == 6
    for query in asked:
        answer = server.query(as_asked(query, server.bucket))
        rows = [line for line in answer.splitlines() if line.strip()]
        assert len(rows) > 1, query
        assert "error" not in rows[0]
