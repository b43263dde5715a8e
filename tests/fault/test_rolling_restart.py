"""Fault: every process of a split service is stopped and started in turn. Budget: 0 lost, 0 double.

A stop is graceful: what is received is journalled, what is journalled stepped, exit code 0.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fault.conftest import Account
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

DEVICES, SECONDS, SPEED = 30, 48, 4.0
ROLES = ("ingest", "worker", "store", "care")


def test_a_rolling_restart_is_not_to_be_seen_in_the_record(
    mosquitto_server: MosquittoServer, tmp_path: Path, account: Account
) -> None:
    samples = synthetic_samples(DEVICES, SECONDS, seed=8)
    recording = write_recording(tmp_path / "recording.csv", samples)
    registry = synthetic_registry(tmp_path / "devices.csv", DEVICES)
    tables = {"mqtt": {"port": mosquitto_server.port}, "devices": {"file": str(registry)}}
    with ExitStack() as running:
        runs = started_by_role(running, tmp_path, tables)
        runs["ingest"].wait_until_connected()
        speed = fitting_speed(SPEED, runs["ingest"].connected_s)
        fleet = running.enter_context(FleetRun(tmp_path, recording, mosquitto_server.port, speed))
        store = runs["store"].store
        eventually(lambda: embedded_count(store) > 100, "flowing")
        stalls = []
        for role in ROLES:
            assert runs[role].stop() == 0, runs[role].log()
            stalls.append(runs[role].start())
            seen = embedded_count(store)
            eventually(lambda before=seen: embedded_count(store) > before or not fleet.running,
                       f"flowing after the restart of {role}")  # fmt: skip
        sent = fleet.wait(120 + SECONDS / speed)
        expected = sent_observations(sent)
        wait_for(lambda: embedded_count(store), len(expected))
        assert [run.stop() for run in runs.values()] == [0, 0, 0, 0]
    held = embedded_content(store)
    assert_same(held.observations, expected, "observations")
    late = {key[:2] for key in held.belated}
    replay = rounded_estimates(replayed(sent, tmp_path / "replayed.parquet"))
    assert_same(
        {key: numbers for key, numbers in held.estimates.items() if key[:2] not in late},
        {key: numbers for key, numbers in replay.items() if key[:2] not in late},
        "estimates",
    )
    account(runs=len(ROLES), stall_s=max(stalls))


def started_by_role(running: ExitStack, folder: Path, tables: Tables) -> dict[str, TwinRun]:
    """A process of each role on one folder, started side by side."""
    runs = {role: TwinRun(folder / role, tables, (role,), folder / "data") for role in ROLES}
    for run in runs.values():
        running.callback(run.close)
        run.launch()
    for role, run in runs.items():
        eventually(run.answers, f"{role} started; its log ends: {run.log()}", 120.0)
    return runs
