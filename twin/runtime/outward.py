"""The twin's state and alarms outward over MQTT, made from the configuration."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from ingest.journal.protocol import Journal
from ingest.mqtt_publish import Publisher
from ingest.registry import Registry
from twin.care.settings import Metric
from twin.config import Config
from twin.outward.present import Allowed, all_allowed
from twin.outward.record import Record
from twin.outward.teller import Teller


@dataclass(frozen=True, slots=True)
class Outward:
    """The thread that tells, and the connection over which it does."""

    teller: Teller
    publisher: Publisher
    journal: Journal

    @property
    def behind(self) -> int:
        """Records of the estimates journal that the broker has not acknowledged yet."""
        return max(self.journal.end("estimates") - self.teller.position, 0)

    @property
    def trouble(self) -> str:
        """Why nothing is told now, or ""."""
        if self.publisher.refused:
            return f"refused: {self.publisher.refused}"
        return "" if self.publisher.connected else "broker not connected"

    def metrics(self) -> Iterator[Metric]:
        """How far it is and what it told."""
        up, teller = float(self.publisher.connected), self.teller
        yield Metric("twin_outward_connected", {}, up, "1 while the broker outward is connected.")
        yield Metric("twin_outward_behind_records", {}, self.behind, "Records not told outward.")
        for kind, count in (("state", teller.states), ("alarm", teller.transitions)):
            labels = {"kind": kind}
            yield Metric("twin_outward_messages_total", labels, count, "Told outward, by kind.")
        yield Metric("twin_outward_refused_total", {}, teller.refused, "Refused by that broker.")


@dataclass(slots=True)
class Consents:
    """What may be said of whom, by the registry; other processes change it, so it is read again
    once a second."""

    registry: Registry
    _read_at: float = -math.inf

    def __call__(self, patient: str) -> frozenset[str] | None:
        now = time.monotonic()
        if now - self._read_at >= 1.0:
            self._read_at = now
            self.registry.refresh()
        return self.registry.content.allowed(patient, self.registry.now())


def outward_of(
    config: Config, journal: Journal, opened: ExitStack, registry: Registry | None = None
) -> Outward | None:
    """Started, and stopped again by `opened`; None where nothing is told outward. registry: where
    consents are withdrawn; None: nobody withdraws any."""
    if not config.outward.enabled:
        return None
    record = Record(config.paths.outward)
    opened.callback(record.close)
    publisher = Publisher(config.outward_settings())
    alarms = config.purpose.mode != "wellness"
    allowed: Allowed = all_allowed if registry is None else Consents(registry)
    prefix = config.outward.prefix
    teller = Teller(journal, record, publisher, prefix, alarms, allowed=allowed)
    publisher.start()
    opened.callback(publisher.stop)
    teller.start()
    opened.callback(teller.stop)
    return Outward(teller, publisher, journal)
