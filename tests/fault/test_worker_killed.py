"""The worker killed at random moments: every row of the estimates journal is there, and once."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from time import sleep

import pytest

from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Record, decode_record, encode_record
from tests.fault.conftest import Account
from tests.support.alarmed import alarms_in, ward, with_people
from tests.support.journals import child, kept, kill
from tests.support.twin_journals import (
    PARTITIONS,
    Line,
    by_patient,
    model_command,
    placed,
    ward_records,
)
from tests.support.twins import HEART_RATE, model_text
from twin.estimate import Output, decode_output
from twin.step import Placed, new_state, step

pytestmark = [pytest.mark.fault, pytest.mark.slow]

KILLS = int(os.environ.get("TWIN_FAULT_KILLS", "5"))

#: Takes a few records at a time, snapshots on every step, says how far it has committed.
WORKER = """
import sys, time
from pathlib import Path
import twin.rotation, twin.worker
from ingest.journal.sqlite import SqliteJournal
from twin.snapshot import SnapshotFolder
twin.worker.READ_RECORDS, twin.rotation.ENTRIES = 5, 1
folder = Path(sys.argv[1])
journal = SqliteJournal(folder / "j", {partitions}, linger=0.0, reserve_bytes=1 << 20)
worker = twin.worker.TwinWorker(journal, SnapshotFolder(folder / "s"), time.time_ns)
worker.start()
reached = -1
while worker.alive and reached < journal.end("observations"):
    if (now := min(journal.committed().values(), default=0)) != reached:
        reached = now
        print(reached, flush=True)
    time.sleep(0.001)
worker.stop()
if worker.fault is not None:
    raise worker.fault
print("done", worker.counts.recovered, flush=True)
"""


def records(seed: int) -> list[tuple[int, Record]]:
    """A ward with a change of model in the midst."""
    told = ward_records(120, patients=4, seed=seed)
    return [*told[:200], (-1, model_command(model_text(**HEART_RATE))), *told[200:]]


def said(folder: Path) -> dict[object, list[Line]]:
    journal = SqliteJournal(folder / "j", PARTITIONS, linger=0.0, reserve_bytes=1 << 20)
    outputs: dict[int, list[Output]] = {}
    for entry in kept(journal, "estimates"):
        outputs.setdefault(entry.partition, []).append(decode_output(entry.record))
    journal.close()
    return by_patient(outputs)


def undisturbed(folder: Path) -> dict[object, list[Line]]:
    """What one step makes of all that is in the journal.

    A worker started after the change of model tells its configured model anew: that is in the
    journal too, at its own position.
    """
    journal = SqliteJournal(folder / "j", PARTITIONS, linger=0.0, reserve_bytes=1 << 20)
    told = [Placed(e.partition, e.position, decode_record(e.record)) for e in kept(journal)]
    journal.close()
    return by_patient(step(new_state(PARTITIONS), told)[1])


def fill(folder: Path, told: Sequence[tuple[int, Record]]) -> None:
    journal = SqliteJournal(folder / "j", PARTITIONS, linger=0.0, reserve_bytes=1 << 20)
    journal.append("observations", [(p, encode_record(record)) for p, record in told])
    journal.close()


def end(folder: Path) -> int:
    """Position of the last entry that the worker has to read."""
    journal = SqliteJournal(folder / "j", PARTITIONS, linger=0.0, reserve_bytes=1 << 20)
    position = journal.end("observations")
    journal.close()
    return position


def committed(folder: Path) -> int:
    journal = SqliteJournal(folder / "j", PARTITIONS, linger=0.0, reserve_bytes=1 << 20)
    position = min(journal.committed().values(), default=0)
    journal.close()
    return position


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("alarms", [False, True], ids=["a change of model", "alarms and people"])
def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, alarms: bool, account: Account
) -> None:
    """With alarms: pending, active, taken, paused and latched ones, as the kills fall."""
    rng = random.Random(11)
    told = with_people(ward()) if alarms else records(seed=11)
    fill(tmp_path, told)
    program = WORKER.replace("{partitions}", str(PARTITIONS))
    reached = [0]
    for _ in range(KILLS):
        worker = child(program, tmp_path)
        assert worker.stdout is not None
        target = min(reached[-1] + rng.randrange(1, 60), end(tmp_path))
        while int(worker.stdout.readline()) < target:
            pass
        sleep(rng.uniform(0, 0.02))
        kill(worker)
        reached.append(committed(tmp_path))
        if reached[-1] >= end(tmp_path):  # finished before it was killed: give it more to do
            fill(tmp_path, [(p, record) for p, record in told if p >= 0])
    assert sorted(set(reached)) == reached
    last = child(program, tmp_path)
    out, _ = last.communicate(timeout=600)
    assert last.returncode == 0
    assert "done" in out
    assert said(tmp_path) == undisturbed(tmp_path)
    account(runs=KILLS)


def phases(told: Sequence[tuple[int, Record]]) -> dict[str, int]:
    """How an alarm stands (also paused) → how many records lead there for the first time."""
    state, found = new_state(PARTITIONS), dict[str, int]()
    for n, placed_record in enumerate(placed(list(told)), start=1):
        state, outputs = step(state, [placed_record])
        for row in alarms_in([each for part in outputs.values() for each in part]):
            found.setdefault(row.shown, n)
    return found


@pytest.mark.timeout(600)
def test_a_worker_killed_while_alarms_are_pending_active_and_taken_loses_no_transition(
    tmp_path: Path,
) -> None:
    """The journal ends where each of these has just begun; there, and only there, it is killed."""
    told = with_people(ward())
    cuts = phases(told)
    assert {"pending", "active", "acknowledged", "paused", "latched"} <= cuts.keys()
    program = WORKER.replace("{partitions}", str(PARTITIONS)).replace(
        'worker.alive and reached < journal.end("observations")', "worker.alive"
    )
    filled = 0
    for cut in sorted(set(cuts.values())):
        fill(tmp_path, told[filled:cut])
        filled = cut
        worker = child(program, tmp_path)
        assert worker.stdout is not None
        while int(worker.stdout.readline()) < end(tmp_path):
            pass
        kill(worker)
    fill(tmp_path, told[filled:])
    last = child(WORKER.replace("{partitions}", str(PARTITIONS)), tmp_path)
    out, _ = last.communicate(timeout=120)
    assert "done" in out
    assert said(tmp_path) == undisturbed(tmp_path)
