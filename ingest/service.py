"""Wiring of ingest, nothing else: subscriber → writer, and the ticker beside them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ingest.journal.protocol import Journal
from ingest.mqtt import Subscriber
from ingest.plain_group import warm_up
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.registry_enrolment import enrol_file, erase_ended
from ingest.registry_file import read_registry_file
from ingest.settings import IngestSettings
from ingest.tail import TailWriter
from ingest.ticker import Ticker
from ingest.trace import Tracer
from ingest.writer import Counters, Writer

_DRAIN_S = 1.5


class IngestService:
    """Devices' messages into the journal. The parts are handed in and stay open after `stop`.

    now: ns UTC, the clock of receipt; folder: where tail.db lies; tracer: None where nothing is
    traced. `subscriber` and `counters` are there to be read.
    """

    def __init__(
        self,
        settings: IngestSettings,
        journal: Journal,
        registry: Registry,
        quarantine: Quarantine,
        folder: Path,
        now: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
        tracer: Tracer | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._quarantine = quarantine
        self.counters = Counters()
        self.subscriber = Subscriber(settings.mqtt, now, settings.payload_max_bytes + 1)
        self._tail = TailWriter(folder)
        self._writer = Writer(
            settings,
            self.subscriber,
            journal,
            registry,
            quarantine,
            self._tail,
            self.counters,
            tracer,
        )
        self._ticker = Ticker(
            self.subscriber,
            journal,
            registry,
            quarantine,
            self._tail,
            self.counters,
            now,
            monotonic,
            settings.speed,
        )

    def start(self) -> None:
        """Read the registry file, then begin; returns at once, also while the broker is down.

        Raises RegistryFileWrong, RegistryRefused, OSError.
        """
        if self._settings.devices.file is not None:
            file = read_registry_file(self._settings.devices.file)
            erase_ended(self._registry, self._quarantine, enrol_file(self._registry, file).ended)
        warm_up()
        self._writer.start()
        self._ticker.start()
        self.subscriber.start()

    def stop(self) -> None:
        """Write and acknowledge what was received, disconnect; at most 5 s where the disk works.

        Whatever was not written is not acknowledged: the broker sends it again.
        """
        self.subscriber.pause()
        self._writer.stop(_DRAIN_S)
        self.subscriber.stop()
        self._ticker.stop()
        self._tail.close()

    @property
    def alive(self) -> bool:
        """Whether every thread of ingest lives."""
        return self._writer.alive and self._ticker.alive and self.subscriber.alive

    @property
    def fault(self) -> str:
        """Why nothing can be written just now (the type of the error), or ""."""
        return self._writer.fault or self._ticker.fault
