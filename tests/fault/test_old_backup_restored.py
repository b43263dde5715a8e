"""Fault: a backup made while the service ran is restored. Budget: 0 lost of what it held, and what
came after it is not hidden: the journal says so, and the twin goes on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.commands import eventually, succeeded, twin, twin_json, wait_for
from tests.support.contents import assert_same, embedded_content, embedded_count
from tests.support.fleets import (
    FleetRun,
    fitting_speed,
    sent_observations,
    synthetic_registry,
    synthetic_samples,
    write_recording,
)
from tests.support.runs import TwinRun
from tests.support.servers import MosquittoServer

pytestmark = [pytest.mark.fault, pytest.mark.slow]

DEVICES, SECONDS, SPEED = 30, 32, 2.0


def test_what_an_old_backup_held_is_back_and_what_came_after_it_is_said(tmp_path: Path) -> None:
    recording = write_recording(
        tmp_path / "recording.csv", synthetic_samples(DEVICES, SECONDS, seed=5)
    )
    later = write_recording(tmp_path / "later.csv", synthetic_samples(DEVICES, 4, seed=6))
    registry = synthetic_registry(tmp_path / "devices.csv", DEVICES)
    with ExitStack() as running:
        broker = running.enter_context(MosquittoServer())
        tables = {"mqtt": {"port": broker.port}, "devices": {"file": str(registry)}}
        run = running.enter_context(TwinRun(tmp_path / "run", tables))
        run.wait_until_connected()
        speed = fitting_speed(SPEED, run.connected_s)
        fleet = running.enter_context(FleetRun(tmp_path, recording, broker.port, speed))
        eventually(lambda: embedded_count(run.store) > DEVICES * 10, "stored")
        backup = tmp_path / "backup"
        made = twin_json("backup", "--data-dir", run.data_dir, "--out", backup)
        assert fleet.running  # it was made while everything was written
        sent = sent_observations(fleet.wait(120 + SECONDS / speed))
        wait_for(lambda: embedded_count(run.store), len(sent))
        assert run.stop() == 0
        held = embedded_content(run.store)

        refused = twin("restore", backup, "--data-dir", run.data_dir)
        assert (refused.returncode, "is not empty" in refused.stderr) == (2, True)
        again = TwinRun(tmp_path / "again", tables)
        succeeded(twin("restore", backup, "--data-dir", again.data_dir))
        running.enter_context(again)
        again.wait_until_connected()
        health = again.get("/healthz")
        assert (health["status"], "journal damaged" in health["degraded"]) == ("degraded", True)
        assert twin("backup", "--data-dir", again.data_dir, "--out", backup).returncode == 2

        new = sent_observations(
            running.enter_context(FleetRun(tmp_path, later, broker.port, SPEED)).wait()
        )
        restored = backup_content(backup)
        wait_for(lambda: embedded_count(again.store), len(restored) + len(new))
        assert again.stop() == 0
    found = embedded_content(again.store).observations
    journalled = {key: found[key] for key in found.keys() - new.keys()}
    assert made["bytes"] > 0
    assert restored.keys() <= journalled.keys() <= held.observations.keys()
    assert_same(journalled, {key: sent[key] for key in journalled}, "observations of the backup")
    assert_same({k: v for k, v in found.items() if k in new}, new, "observations after it")


def backup_content(backup: Path) -> dict:  # type: ignore[type-arg]
    """Observations in the backup's store."""
    return embedded_content(backup / "store.db").observations
