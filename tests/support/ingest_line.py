"""A whole ingest in a folder of its own, with what it wrote ready to be read."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Semaphore
from types import TracebackType
from typing import Literal, Self

import pytest

from ingest.journal.protocol import Journal, Topic
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import (
    KIND_BATCH,
    DeviceId,
    Observation,
    ObservationBatch,
    PatientId,
    Record,
    SignalCode,
    decode_record,
    unseal,
)
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.service import IngestService
from ingest.settings import DeviceSettings, IngestSettings
from tests.support.programs import mosquitto_path


class HeldJournal(SqliteJournal):
    """A journal whose batches of observations each wait for a permit."""

    def __init__(self, folder: Path, **options: int) -> None:
        super().__init__(folder, reserve_bytes=1 << 20, **options)
        self.permits = Semaphore(0)
        self.waiting = 0

    def append(self, topic: Topic, records: Sequence[tuple[int, bytes]]) -> int:
        if records and unseal(records[0][1])[0] == KIND_BATCH:
            self.waiting += 1
            self.permits.acquire()
        return super().append(topic, records)


class IngestLine:
    """Started on entry, stopped on exit; unknown devices become patients unless said otherwise."""

    def __init__(
        self,
        port: int,
        folder: Path,
        protocol: Literal["5", "3.1.1"] = "5",
        journal: Journal | None = None,
        settings: IngestSettings | None = None,
        reader: Literal["bulk", "stock"] = "bulk",
    ) -> None:
        given = settings or IngestSettings(devices=DeviceSettings(unknown="register"))
        mqtt = replace(given.mqtt, port=port, protocol=protocol, reconnect_max_s=0.5, reader=reader)
        self.settings = replace(given, mqtt=mqtt)
        self.folder = folder
        self.journal = journal or SqliteJournal(folder, reserve_bytes=1 << 20)
        self.registry = Registry(folder / "registry.db", self.settings.devices, time.time_ns)
        self.quarantine = Quarantine(folder / "quarantine.db", self.settings.quarantine)
        self.service = self._make_service()

    def _make_service(self) -> IngestService:
        return IngestService(
            self.settings, self.journal, self.registry, self.quarantine, self.folder
        )

    def wait_until_connected(self) -> None:
        """And subscribed: before, a broker sends what comes to nobody."""
        eventually(lambda: self.service.subscriber.subscribed, "subscribed")

    def records(self) -> list[Record]:
        """All that was journalled."""
        reader = self.journal.reader("observations", 0)
        records: list[Record] = []
        while entries := reader.read(10_000, 0):
            records += [decode_record(entry.record) for entry in entries]
        reader.close()
        return records

    def observations(self) -> list[Observation]:
        """All observations in the journal, duplicates included."""
        batches = [each for each in self.records() if isinstance(each, ObservationBatch)]
        return [
            Observation(
                PatientId(batch.patients[row["patient"]]),
                DeviceId(batch.devices[row["device"]]),
                SignalCode(batch.signals[row["signal"]]),
                float(row["value"]),
                int(row["measured_at"]),
                int(row["received_at"]),
                int(row["device_stamp"]),
                device_sequence=int(row["device_sequence"]),
            )
            for batch in batches
            for row in batch.table()
        ]

    def __enter__(self) -> Self:
        self.service.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.service.stop()
        self.quarantine.close()
        self.registry.close()
        self.journal.close()


def eventually(holds: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Waits until it holds; fails the test if it does not in time."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not {what} after {timeout} s")
        time.sleep(0.01)


def publish(port: int, topic: str, payload: bytes | str, qos: int = 1) -> None:
    """One message by mosquitto_pub, as a device's engineer would send it."""
    mosquitto_path()  # skips the test where the programs are not installed
    sent = payload.encode() if isinstance(payload, str) else payload
    command = ["mosquitto_pub", "-p", str(port), "-q", str(qos), "-t", topic, "-s"]
    subprocess.run(command, input=sent, check=True, timeout=90)
