"""A page on a true twin whose time a test moves: journal, worker, assessment, feed, server.

Everything runs in the test's process; observations and ticks go into the journal as ingest would
write them, as fast as the worker takes them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import (
    DeviceId,
    Observation,
    PatientId,
    SignalCode,
    Tick,
    batch_of,
    encode_record,
)
from tests.support.ward import T0, MemoryHistory, MemoryPeople, MemoryQuarantine
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.purpose import Purpose
from twin.care.server import PageServer
from twin.care.settings import CareSettings
from twin.snapshot import SnapshotFolder
from twin.worker import TwinWorker

#: patient → signal → value of one second; a signal left out is not measured then.
Second = Mapping[str, Mapping[str, float]]
WELL = {"heart_rate": 72.0, "respiratory_rate": 15.0, "spo2": 97.0}
PARTITIONS = 2


class TwinWard:
    """`run` lets seconds pass; `page.address` serves what the twin says of them."""

    def __init__(
        self,
        folder: Path,
        labels: Mapping[str, str],
        mode: str = "research",
        purpose: Purpose | None = None,
    ) -> None:
        self.at = T0
        self.folder = folder
        self._beats = 0
        self.journal = SqliteJournal(folder / "journal", PARTITIONS, reserve_bytes=1 << 16)
        snapshots = SnapshotFolder(folder / "snapshots")
        self.worker = TwinWorker(self.journal, snapshots, lambda: self.at, mode=mode)
        self.people = MemoryPeople(dict(labels))
        self.quarantine = MemoryQuarantine()
        purpose = purpose or Purpose("research")
        self.feed = Feed(
            self.journal,
            self.people,
            lambda: self.at,
            pulses={"ingest": self._beat},
            covered=lambda at: purpose.covered(at, ZoneInfo("UTC")),
        )
        # Whoever acts waits for the worker, however busy this machine is.
        self.feed.commands = replace(self.feed.commands, wait_s=60.0)
        settings = CareSettings(simulated=True, token=None, purpose=purpose)
        self.app = create_app(settings, self.feed, MemoryHistory(), self.people, self.quarantine)
        self.page = PageServer(self.app)
        self.worker.start()
        self.page.start()

    def _beat(self) -> int:
        self._beats += 1
        return self._beats

    def run(
        self, seconds: int, second: Callable[[int], Second] | Second, quality: float = 1.0
    ) -> None:
        """Let so many seconds pass; second: what is measured in each (from 0), or in all alike."""
        for i in range(seconds):
            self.at += SECOND
            values = second(i) if callable(second) else second
            records = []
            for patient, measured in values.items():
                rows = [
                    Observation(
                        PatientId(patient), DeviceId(f"watch-{patient}"), SignalCode(code), value,
                        self.at - SECOND // 2, self.at, self.at - SECOND // 2, quality=quality,
                    )
                    for code, value in measured.items()
                ]  # fmt: skip
                if rows:
                    place = partition_of(patient, PARTITIONS)
                    records.append((place, encode_record(batch_of(rows))))
            records.append((ALL_PARTITIONS, encode_record(Tick(self.at, True))))
            self.journal.append("observations", records)
        self.wait()

    def wait(self) -> None:
        """Until the page has folded all that the twin says of the journal as it is."""
        until = time.monotonic() + 200.0
        pause = threading.Event()
        end = self.journal.end("observations")
        while min(self.journal.committed().values()) < end or (
            self.feed.position < self.journal.end("estimates")
        ):
            if self.worker.fault is not None or time.monotonic() > until:
                raise TimeoutError(f"the worker did not take everything: {self.worker.fault}")
            pause.wait(0.01)

    def stop(self) -> None:
        self.page.stop()
        self.worker.stop()
        self.journal.close()
