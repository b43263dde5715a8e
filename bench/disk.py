"""What a patient and a day take on disk: journals, embedded store, windows, scores.

    twin bench disk [--patients 50] [--hours 6] [--interval 5]

Watches say six signals in one message each `--interval` seconds, each patient at moments of its
own; a tick each second. A worker steps it, the embedded store takes it, the retention job makes its
windows; nothing is trimmed or forgotten. Megabytes (10⁶ bytes) of a patient and 24 hours, bytes of
an observation (one value of one signal); CPU of all of it for each observation. JSON out.

Of the store's file: rows (observations, estimates, forecasts, in blocks and still hot, alarms),
windows (of 1 and 15 minutes), scores (one a minute). State: two snapshots of everybody.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np

from bench.store import LEVEL, NOISE, RESOLUTION, SIGNALS
from ingest.instant import DAY, HOUR, SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import OBSERVATION_ROW, ObservationBatch, Tick, encode_record
from twin.snapshot import SnapshotFolder
from twin.store.embedded import EmbeddedStore
from twin.store.retention import Kept, Retention
from twin.store.writer import StoreWriter
from twin.warm_worker import warm_up
from twin.worker import TwinWorker

T0 = 1_790_000_000 * SECOND
_PARTS = {"aggregate": "windows", "score": "scores"}


class Ward:
    """Patients whose six signals wander about their usual levels."""

    def __init__(self, patients: int, interval: int, partitions: int) -> None:
        self._names = [f"p-{n:06d}" for n in range(patients)]
        self._partitions, self._interval = partitions, interval
        self._chance = np.random.default_rng(1)
        self._truth = np.tile(LEVEL, (patients, 1))
        self._said = 0

    def second(self, at: int) -> Iterator[tuple[int, bytes]]:
        """Records of the messages that come within a second from `at` on, and its tick."""
        number = (at - T0) // SECOND
        for patient in range(int(number % self._interval), len(self._names), self._interval):
            name = self._names[patient]
            yield partition_of(name, self._partitions), self._message(patient, name, at)
        yield ALL_PARTITIONS, encode_record(Tick(at + SECOND, True))

    def _message(self, patient: int, name: str, at: int) -> bytes:
        truth = self._truth[patient]
        truth += 0.01 * (LEVEL - truth) + 0.3 * NOISE * self._chance.normal(size=len(LEVEL))
        said = truth + NOISE * self._chance.normal(size=len(LEVEL))
        rows = np.zeros(len(SIGNALS), OBSERVATION_ROW)
        rows["signal"] = np.arange(len(SIGNALS))
        rows["value"] = np.rint(np.minimum(said, [250, 60, 100, 45, 400, 8]) / RESOLUTION)
        rows["value"] *= RESOLUTION
        rows["noise_std"] = rows["quality"] = np.nan
        self._said += 1
        rows["device_sequence"] = self._said
        stamp = at + int(self._chance.integers(0, 900)) * 1_000_000
        rows["measured_at"] = rows["device_stamp"] = stamp
        rows["received_at"] = stamp + int(self._chance.exponential(5e7))
        device = (name.replace("p-", "watch-"),)
        offsets = np.array([0, len(rows)], "<i4").tobytes()
        return encode_record(ObservationBatch((name,), device, SIGNALS, offsets, rows.tobytes()))


def lived(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    """A ward's hours through worker and store."""
    journal = SqliteJournal(folder / "journal", reserve_bytes=1 << 20)
    ward = Ward(asked.patients, asked.interval, journal.partitions)
    worker = TwinWorker(journal, SnapshotFolder(folder / "snapshots"), time.time_ns)
    warm_up()
    end = T0 + int(asked.hours * HOUR)
    began = time.process_time()
    with EmbeddedStore(folder / "store.db") as store:
        writer = StoreWriter(journal, store, "embedded")
        worker.start()
        writer.start()
        for at in range(T0, end, SECOND):
            journal.append("observations", list(ward.second(at)))
        while min(journal.committed().values()) < journal.end("observations"):
            if worker.fault is not None:
                raise worker.fault
            time.sleep(0.05)
        while writer.position < journal.end("estimates"):
            time.sleep(0.05)
        seen = worker.counts.observations
        worker.stop()
        writer.stop()
        Retention(store, Kept()).run(end + HOUR)
    spent = time.process_time() - began
    size = {f"journal_{topic}": journal.fill(topic)[0] for topic in ("observations", "estimates")}
    journal.close()
    size |= store_parts(folder / "store.db")
    days = asked.patients * asked.hours * HOUR / DAY
    return {
        "observations": seen,
        "cpu_us_per_observation": round(spent / seen * 1e6, 1),
        "mb_per_patient_day": {name: round(each / days / 1e6, 2) for name, each in size.items()},
        "bytes_per_observation": {name: round(each / seen, 1) for name, each in size.items()},
        "mb_of_state": round(
            sum(each.stat().st_size for each in (folder / "snapshots").iterdir()) / 1e6, 2
        ),
    }


def store_parts(path: Path) -> dict[str, int]:
    """Bytes of pages of the store's file by what they hold."""
    size = dict.fromkeys(("store_rows", "store_windows", "store_scores"), 0)
    with apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY) as db:
        tables = dict(db.execute("SELECT name, tbl_name FROM sqlite_schema"))
        for name, pages in db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
            size[f"store_{_PARTS.get(tables.get(name, ''), 'rows')}"] += int(pages)
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=50)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--interval", type=int, default=5, help="seconds between messages")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        print(json.dumps(lived(Path(name), asked), indent=1))


if __name__ == "__main__":
    main()
