"""Append, commit, read, trim and opening of the SQLite journal, as JSON on stdout.

    python bench/journal.py [--batches 500] [--folder FOLDER]

One batch is a record of 1 000 observations (as ingest makes it at full load). `fsync_ms` is a bare
fsync of a file of one batch, in the same folder and run: the ratio to it is what to compare.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

from ingest.journal.protocol import Assignment, Progress
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import DeviceId, Observation, PatientId, SignalCode, batch_of, encode_record

BATCH = 1_000
PARTITIONS = 16


class Listener:
    def assigned(self, partitions: Sequence[Assignment]) -> None: ...
    def revoked(self, partitions: Sequence[int]) -> None: ...


def record() -> bytes:
    observations = [
        Observation(
            PatientId(f"patient-{i % 100:04d}"), DeviceId(f"watch-{i % 100:04d}"),
            SignalCode("heart_rate"), 60.0 + i % 40, 10**18 + i, 10**18 + i, 10**18 + i,
        )
        for i in range(BATCH)
    ]  # fmt: skip
    return encode_record(batch_of(observations))


def milliseconds(act: Callable[[], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        act()
        taken.append((time.perf_counter() - begin) * 1e3)
    return taken


def spread(taken: Sequence[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {
        "p50_ms": round(statistics.median(ordered), 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 3),
        "worst_ms": round(ordered[-1], 3),
    }


def bare_fsync(folder: Path, body: bytes) -> dict[str, float]:
    with (folder / "bare").open("wb", buffering=0) as file:

        def act() -> None:
            file.write(body)
            os.fsync(file.fileno())

        return spread(milliseconds(act, 100))


def appends(journal: SqliteJournal, body: bytes, count: int) -> dict[str, float]:
    cpu, begin = time.process_time(), time.perf_counter()
    taken = milliseconds(lambda: journal.append("observations", [(3, body)]), count)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return spread(taken) | {
        "observations_per_s": round(count * BATCH / seconds),
        "cpu_us_per_observation": round(cpu / (count * BATCH) * 1e6, 4),
        "us_per_observation": round(seconds / (count * BATCH) * 1e6, 4),
    }


def shared_appends(journal: SqliteJournal, body: bytes, count: int) -> dict[str, float]:
    taken: list[float] = []

    def act() -> None:
        taken.extend(milliseconds(lambda: journal.append("observations", [(3, body)]), count // 4))

    threads = [Thread(target=act) for _ in range(4)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    return spread(taken) | {"observations_per_s": round(len(taken) * BATCH / seconds)}


def reading(journal: SqliteJournal) -> dict[str, float]:
    reader = journal.reader("observations", 0)
    begin, count = time.perf_counter(), 0
    while page := reader.read(1_000, 0.0):
        count += len(page)
    seconds = time.perf_counter() - begin
    reader.close()
    return {"us_per_observation": round(seconds / (count * BATCH) * 1e6, 4)}


def commits(journal: SqliteJournal, body: bytes) -> dict[str, float]:
    worker = journal.join(Listener())
    position = 0

    def act() -> None:
        nonlocal position
        position += 1
        worker.commit({p: Progress(position, [body]) for p in range(PARTITIONS)})

    taken = milliseconds(act, 50)
    worker.close()
    return spread(taken)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batches", type=int, default=500)
    arguments.add_argument("--folder", type=Path, default=None)
    asked = arguments.parse_args()
    body = record()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        place = Path(folder)
        result: dict[str, object] = {"batch": BATCH, "record_bytes": len(body)}
        result["fsync"] = bare_fsync(place, body)
        journal = SqliteJournal(place / "journal")
        result["append"] = appends(journal, body, asked.batches)
        result["append_4_threads"] = shared_appends(journal, body, asked.batches)
        result["commit_16_partitions"] = commits(journal, body)
        result["read"] = reading(journal)
        size = journal.fill("observations")[0]
        journal.close()
        begin = time.perf_counter()
        journal = SqliteJournal(place / "journal")
        opening = time.perf_counter() - begin
        result["open"] = {"megabytes": size >> 20, "ms": round(opening * 1e3, 1)}
        begin = time.perf_counter()
        journal.trim("observations", journal.end("observations"))
        seconds = time.perf_counter() - begin
        result["trim"] = {"megabytes_per_s": round((size >> 20) / seconds)}
        journal.close()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
