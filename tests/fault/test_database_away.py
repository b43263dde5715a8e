"""Fault: the database is away for a while. Budget: 0 lost, 0 double, and live goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import eventually, wait_for
from tests.support.contents import (
    assert_same,
    embedded_content,
    embedded_count,
    influx_content,
    influx_count,
    replayed,
    rounded_estimates,
)
from tests.support.fleets import (
    FleetRun,
    fitting_speed,
    sent_observations,
    synthetic_registry,
    synthetic_samples,
    write_recording,
)
from tests.support.runs import Tables, TwinRun, influx_tables
from tests.support.servers import InfluxServer, MosquittoServer

pytestmark = [pytest.mark.fault, pytest.mark.slow]

DEVICES = 20
SECONDS = 60
SPEED = 4.0


def test_what_came_while_the_database_was_away_is_in_it_afterwards(
    mosquitto_server: MosquittoServer, influx_server: InfluxServer, tmp_path: Path
) -> None:
    samples = synthetic_samples(DEVICES, SECONDS, seed=3)
    recording = write_recording(tmp_path / "recording.csv", samples)
    registry = synthetic_registry(tmp_path / "devices.csv", DEVICES)
    port = mosquitto_server.port
    tables: Tables = {"mqtt": {"port": port}, "devices": {"file": str(registry)}}
    with TwinRun(tmp_path / "run", tables | influx_tables(influx_server)) as run:
        run.wait_until_connected()
        speed = fitting_speed(SPEED, run.connected_s)
        with FleetRun(tmp_path, recording, port, speed) as fleet:
            eventually(lambda: influx_count(influx_server) > 100, "flowing into InfluxDB")
            influx_server.stop()
            wait_for_more(run, 500)
            told = {"status": "degraded", "degraded": ["store influx"]}
            eventually(lambda: told.items() <= run.get("/healthz").items(), "said to be away")
            influx_server.start()
            sent = fleet.wait(120 + SECONDS / speed)
        expected = sent_observations(sent)
        assert len(expected) == 2 * DEVICES * SECONDS
        wait_for(lambda: influx_count(influx_server), len(expected))
        eventually(lambda: run.get("/healthz")["status"] == "ok", "well again")
        assert run.stop() == 0
    offline = replayed(sent, tmp_path / "replayed.parquet")
    influx, embedded = influx_content(influx_server), embedded_content(run.store)
    assert_same(influx.observations, expected, "observations in InfluxDB")
    assert_same(influx.estimates, offline, "estimates in InfluxDB")
    assert_same(embedded.observations, expected, "observations in the embedded store")
    assert_same(embedded.estimates, rounded_estimates(offline), "estimates in the embedded store")


def wait_for_more(run: TwinRun, observations: int) -> None:
    """Until so many more are in the embedded store."""
    seen = embedded_count(run.store)
    eventually(lambda: embedded_count(run.store) > seen + observations, "flowing")
