"""Fault: the broker is restarted while devices publish. Budget: 0 acknowledged lost, 0 double."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.commands import eventually, wait_for
from tests.support.contents import (
    assert_same,
    embedded_content,
    embedded_count,
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
from tests.support.runs import Tables, TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.fault, pytest.mark.slow]

DEVICES = 20
SECONDS = 60
SPEED = 4.0
RESTARTS = 2


def test_a_restarted_broker_costs_nothing(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    broker = mosquitto_server
    samples = synthetic_samples(DEVICES, SECONDS, seed=2)
    recording = write_recording(tmp_path / "recording.csv", samples)
    registry = synthetic_registry(tmp_path / "devices.csv", DEVICES)
    mqtt = {"port": broker.port, "reconnect_max_s": 1}
    tables: Tables = {"mqtt": mqtt, "devices": {"file": str(registry)}}
    with TwinRun(tmp_path / "run", tables) as run:
        run.wait_until_connected()
        speed = fitting_speed(SPEED, run.connected_s)
        with FleetRun(tmp_path, recording, broker.port, speed) as fleet:
            for restart in range(RESTARTS):
                wait_for_more(run, 100)
                assert fleet.running
                broker.stop()
                time.sleep(1.0 + restart)
                broker.start()
            sent = fleet.wait(120 + SECONDS / speed)
        expected = sent_observations(sent)
        assert len(expected) == 2 * DEVICES * SECONDS
        wait_for(lambda: embedded_count(run.store), len(expected))
        ledgers = run.ledgers().values()
        assert sum(ledger["estimated"] for ledger in ledgers) == len(expected)
        assert run.stop() == 0
    content = embedded_content(run.store)
    assert_same(content.observations, expected, "observations")
    assert not content.belated
    offline = rounded_estimates(replayed(sent, tmp_path / "replayed.parquet"))
    assert_same(content.estimates, offline, "estimates")


def wait_for_more(run: TwinRun, observations: int) -> None:
    """Until so many more are in the embedded store."""
    seen = embedded_count(run.store)
    eventually(lambda: embedded_count(run.store) > seen + observations, "flowing")
