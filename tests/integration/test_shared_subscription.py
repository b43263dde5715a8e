"""Several ingest processes share a subscription; one of them is killed. 0 lost, 0 double."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.commands import eventually, wait_for
from tests.support.contents import (
    assert_same,
    by_device,
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
from tests.support.runs import TwinRun, metric
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEVICES, SECONDS, SPEED = 60, 36, 2.0


def test_two_ingest_processes_share_a_subscription_and_a_killed_one_loses_nothing(
    tmp_path: Path,
) -> None:
    samples = synthetic_samples(DEVICES, SECONDS, seed=3)
    recording = write_recording(tmp_path / "recording.csv", samples)
    registry = synthetic_registry(tmp_path / "devices.csv", DEVICES)
    with ExitStack() as running:
        broker = running.enter_context(MosquittoServer())

        def process(name: str, *roles: str) -> TwinRun:
            mqtt = {"port": broker.port, "client_id": name, "shared_group": "ingest"}
            tables = {"mqtt": mqtt, "devices": {"file": str(registry)}}
            run = TwinRun(tmp_path / name, tables, roles, tmp_path / "data")
            return running.enter_context(run)

        rest = process("rest", "worker", "store", "care")
        first, second = process("first", "ingest"), process("second", "ingest")
        for each in (first, second):
            each.wait_until_connected()
        speed = fitting_speed(SPEED, second.connected_s)
        fleet = running.enter_context(FleetRun(tmp_path, recording, broker.port, speed))
        eventually(lambda: received(first) > 200 and received(second) > 200, "shared")
        first.kill()
        first.launch()  # what was under way to it waits for it in its session
        before = received(second)
        eventually(lambda: received(second) > before, "going on alone")
        assert fleet.running
        first.wait_until_connected()
        eventually(lambda: received(first) > 0, "coming to the one that was killed")
        sent = fleet.wait(120 + SECONDS / speed)
        observations = sent_observations(sent)
        wait_for(lambda: embedded_count(rest.store), len(observations))
        ledgers = rest.ledgers()
        assert [each.stop() for each in (first, second, rest)] == [0, 0, 0]

    stored = embedded_content(rest.store)
    assert len(observations) == 2 * DEVICES * SECONDS
    assert_same(stored.observations, observations, "observations")
    # What waited longer than the ring is deep is in the record, and moves no estimate before it is
    # refiltered: estimates are compared where nothing did.
    late = {key[:2] for key in stored.belated}
    replay = rounded_estimates(replayed(sent, tmp_path / "replayed.parquet"))
    expected = {key: numbers for key, numbers in replay.items() if key[:2] not in late}
    found = {key: numbers for key, numbers in stored.estimates.items() if key[:2] not in late}
    assert len(expected) > len(replay) / 2
    assert_same(found, expected, "estimates")
    counts = by_device(observations)
    assert sum(ledger["journalled"] for ledger in ledgers.values()) >= sum(counts.values())
    assert {device: ledger["stored"] for device, ledger in ledgers.items()} == counts


def received(run: TwinRun) -> float:
    return metric(run.text("/metrics"), "twin_messages_received_total")
