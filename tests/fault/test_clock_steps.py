"""Fault: the machine's clock steps forward and back. Budget: 0 lost, 0 double; the step is said."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.instant import HOUR, SECOND
from ingest.observation import Tick, decode_record
from tests.fault.conftest import Account
from tests.support.commands import eventually
from tests.support.contents import embedded_count
from tests.support.publisher import publish_all, reading
from tests.support.servers import MosquittoServer
from twin.config import Config
from twin.runtime.clock import Clock
from twin.runtime.pipeline import Pipeline
from twin.store.embedded import EmbeddedStore

pytestmark = [pytest.mark.fault, pytest.mark.slow]

READINGS = 20


@dataclass(slots=True)
class SteppingClock(Clock):
    """The machine's clock, and how far somebody has set it ahead."""

    ahead: int = 0

    def now(self) -> int:
        return time.time_ns() + self.ahead


def test_nothing_is_lost_when_the_clock_steps_and_what_seemed_wrong_can_be_replayed(
    mosquitto_server: MosquittoServer, tmp_path: Path, account: Account
) -> None:
    tables = {"mqtt": {"port": mosquitto_server.port}, "devices": {"unknown": "register"}}
    config = Config.model_validate({"data_dir": tmp_path, "care": {"port": 0}, **tables})
    clock = SteppingClock()
    pipeline = Pipeline(config, frozenset(("ingest", "worker", "store")), clock=clock)
    pipeline.start()
    start = time.time_ns() // SECOND * SECOND - 600 * SECOND
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        stamps = [start + (sent + n) * SECOND for n in range(count)]
        publish_all(
            mosquitto_server.port,
            [reading("watch-1", stamp, {"heart_rate": 70}) for stamp in stamps],
        )
        sent += count
        counters = pipeline.parts.ingest.counters if pipeline.parts.ingest else None
        assert counters is not None
        eventually(lambda: counters.received == sent, "received")

    def step(ahead: int) -> None:
        clock.ahead = ahead
        assert pipeline.parts.ingest is not None
        before = pipeline.parts.ingest.counters.ticks
        ticks = pipeline.parts.ingest.counters
        eventually(lambda: ticks.ticks >= before + 2, "ticked")

    try:
        ingest = pipeline.parts.ingest
        assert ingest is not None
        eventually(lambda: ingest.subscriber.connected, "connected")
        step(0)
        send(READINGS)
        step(HOUR)  # forward: what is measured now seems an hour old
        send(READINGS)
        step(-2 * HOUR)  # back: what was measured ten minutes ago is in the future
        send(READINGS)
        step(0)
        send(READINGS)
        ticked = pipeline.parts.journal
        eventually(lambda: embedded_count(config.paths.store) >= 3 * READINGS, "stored")
        by_reason = dict(pipeline.parts.quarantine.summary())
        reader = ticked.reader("observations", 0)
        records = [decode_record(entry.record) for entry in reader.read(10_000, 0)]
        reader.close()
        stepped = [
            record for record in records if isinstance(record, Tick) and record.clock_stepped
        ]
        worker = pipeline.parts.worker
        assert worker is not None
        assert worker.fault is None
    finally:
        pipeline.stop()

    with EmbeddedStore(config.paths.store, readonly=True) as store:
        stored = sum(store.stored().values())
    assert by_reason == {"future": READINGS}
    assert stored == 3 * READINGS
    assert len(stepped) >= 3
    account(runs=3)
