"""A worker's restart, and what an observation costs, by the number of patients.

    twin bench restart [--patients 100 100000] [--observations 1000000 | --seconds 200] [--rate N]

For each number of patients: a worker hears every patient once and is stopped (snapshots of all
partitions); then so many observations come into the journal while nobody works, `--rate` a second
of journal time whatever the number of patients, one commit for each 50 ms. A new process starts a
worker on it: `restart_s` is from its launch until everything is stepped and committed; in it
`begin_s` (Python, imports), `restored_s` (snapshots, and beside them compiled kernels) and
`stepped_s`. `restore_cpu_s` is that
process's CPU while it restores, `cpu_us` for each observation while it steps; `flat` is
that of the largest number of patients over the smallest's. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import OBSERVATION_ROW, ObservationBatch, Tick, encode_record
from twin.memory import keep_freed_memory

GROUPS_A_SECOND = 20
T0 = 1_790_000_000 * SECOND


class Ward:
    """Patients by partition, each with a watch that says its heart rate in turn."""

    def __init__(self, patients: int, partitions: int) -> None:
        self.size = patients
        self.names: list[list[str]] = [[] for _ in range(partitions)]
        for name in sorted(f"patient-{n:06d}" for n in range(patients)):
            self.names[partition_of(name, partitions)].append(name)
        self._said = np.zeros(partitions, np.int64)
        self._chance = np.random.default_rng(1)

    def group(self, at: int, count: int) -> Iterator[tuple[int, bytes]]:
        """About `count` observations stamped `at`: a record of each partition."""
        for partition, names in enumerate(self.names):
            n = round(count * len(names) / self.size)
            if not n:
                continue
            first = self._said[partition]
            self._said[partition] += n
            turn = np.sort((first + np.arange(n)) % len(names))
            who, where = np.unique(turn, return_inverse=True)
            yield partition, self._record([names[i] for i in who.tolist()], where.reshape(-1), at)

    def _record(self, names: list[str], where: np.ndarray, at: int) -> bytes:
        rows = np.zeros(len(where), OBSERVATION_ROW)
        rows["patient"] = rows["device"] = where
        rows["value"] = np.rint(75 + self._chance.normal(0, 4, len(where)))
        rows["noise_std"] = rows["quality"] = np.nan
        rows["device_sequence"] = -1
        # Several of one patient in a group are milliseconds apart, never the same one twice.
        same = np.arange(len(where)) - np.searchsorted(where, where)
        rows["measured_at"] = rows["device_stamp"] = at + same * 1_000_000
        rows["received_at"] = at + 40_000_000
        offsets = np.searchsorted(where, np.arange(len(names) + 1)).astype("<i4")
        devices = tuple(name.replace("patient", "watch") for name in names)
        batch = ObservationBatch(
            tuple(names), devices, ("heart_rate",), offsets.tobytes(), rows.tobytes()
        )
        return encode_record(batch)


def fill(journal: SqliteJournal, ward: Ward, begin: int, observations: int, rate: int) -> int:
    """Journal so many observations, `rate` a second; the time after them."""
    each = rate // GROUPS_A_SECOND
    for n in range(-(-observations // each)):
        at = begin + n * SECOND // GROUPS_A_SECOND
        records = list(ward.group(at, min(each, observations - n * each)))
        journal.append("observations", records)
        if n % GROUPS_A_SECOND == GROUPS_A_SECOND - 1:
            journal.append("observations", [(ALL_PARTITIONS, encode_record(Tick(at, True)))])
    return begin + -(-observations // rate) * SECOND


def work_off(folder: Path, launched: float) -> dict[str, float]:
    """Child: start a worker, wait until it has stepped everything, stop it."""
    keep_freed_memory()  # as `twin` does
    gc.disable()  # as `twin run` does while it starts
    from twin.runtime.run import spare_collector
    from twin.snapshot import SnapshotFolder
    from twin.worker import TwinWorker

    journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 20)
    worker = TwinWorker(journal, SnapshotFolder(folder / "snapshots"), time.time_ns)
    begun, before = time.time(), _cpu()
    worker.start()
    while worker.alive and not worker.told.wait(0.01):
        pass
    restored, cpu = time.time(), _cpu()
    spare_collector()  # as `twin run` does where everything has started
    end = journal.end("observations")
    while min(journal.committed().values()) < end and worker.fault is None:
        time.sleep(0.01)
    stepped, spent = time.time(), _cpu() - cpu
    seen = worker.counts.observations
    worker.stop()
    journal.close()
    if worker.fault is not None:
        raise worker.fault
    return {
        "restart_s": round(stepped - launched, 2),
        "begin_s": round(begun - launched, 2),
        "restored_s": round(restored - begun, 2),
        "stepped_s": round(stepped - restored, 2),
        "observations": seen,
        "restore_cpu_s": round(cpu - before, 2),
        "cpu_us": round(spent / max(seen, 1) * 1e6, 2),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def child(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.restart", "--work-off", folder, "--at", time.time()]
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def measured(patients: int, observations: int, rate: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        folder = Path(name)
        journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 20)
        ward = Ward(patients, journal.partitions)
        after = fill(journal, ward, T0, patients, rate)
        child(folder)
        fill(journal, ward, after + SECOND, observations, rate)
        journal.close()
        return {"patients": patients, **child(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, nargs="*", default=[100, 100_000])
    backlog = parser.add_mutually_exclusive_group()
    backlog.add_argument("--observations", type=int, default=1_000_000)
    backlog.add_argument("--seconds", type=int, help="of journal time that nobody stepped")
    parser.add_argument("--rate", type=int, default=5_000, help="observations a second")
    parser.add_argument("--work-off", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--at", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work_off:
        print(json.dumps(work_off(asked.work_off, asked.at)))
        return
    observations = asked.observations if asked.seconds is None else asked.seconds * asked.rate
    load = os.getloadavg()[0]
    sizes = [measured(patients, observations, asked.rate) for patients in asked.patients]
    flat = round(sizes[-1]["cpu_us"] / sizes[0]["cpu_us"], 2)
    print(json.dumps({"sizes": sizes, "flat": flat, "load_before": load}, indent=1))


if __name__ == "__main__":
    main()
