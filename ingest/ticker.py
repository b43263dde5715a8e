"""The ticker thread: journal time, second by second, and the registry's commands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

import apsw

from ingest.instant import MINUTE, SECOND
from ingest.journal.protocol import ALL_PARTITIONS, Journal, JournalFull
from ingest.mqtt import Subscriber
from ingest.observation import Tick, encode_record
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.registry_commands import records_of
from ingest.tail import TailWriter
from ingest.writer import Counters

_log = logging.getLogger(__name__)
#: Ticks are appended at most so often, however fast the demo's clock runs.
_SHORTEST_S = 0.05


class Ticker:
    """Appends a tick for each second of journal time that passes; renews what must be looked at.

    now: ns UTC of ingest's clock, which runs `speed` times as fast as monotonic (ns) does. Between
    two ticks a difference of a second or more is a stepped clock, and the tick says so. fault: why
    no tick can be written just now, or "" (read by any thread).
    """

    def __init__(
        self,
        subscriber: Subscriber,
        journal: Journal,
        registry: Registry,
        quarantine: Quarantine,
        tail: TailWriter,
        counters: Counters,
        now: Callable[[], int],
        monotonic: Callable[[], int],
        speed: float,
    ) -> None:
        self._subscriber = subscriber
        self._journal = journal
        self._registry = registry
        self._quarantine = quarantine
        self._tail = tail
        self._counters = counters
        self._now = now
        self._monotonic = monotonic
        self._speed = speed
        self._interval_s = max(1.0 / speed, _SHORTEST_S)
        self._last: tuple[int, int] | None = None
        self._expired_at = now()
        self._stopping = Event()
        self.fault = ""
        self._thread = Thread(target=self._run, name="ingest-ticker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """A last tick and the commands that wait; then the end."""
        self._stopping.set()
        self._thread.join(2.0)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(self._interval_s)
            try:
                self.beat()
            except (JournalFull, apsw.Error, OSError) as error:
                self._counters.ticks_lost += 1
                if self.fault != type(error).__name__:
                    self.fault = type(error).__name__
                    _log.error("no tick can be written: %s", self.fault)
            else:
                self.fault = ""

    def beat(self) -> None:
        """One turn. Raises JournalFull, apsw.Error."""
        self._tail.look()
        if self._subscriber.revive():
            _log.error("the MQTT loop had died; it was started again")
        outbox = self._registry.take_outbox()
        ticks = self._ticks()
        records = records_of((command for _, command in outbox), self._journal.partitions)
        records += [(ALL_PARTITIONS, encode_record(tick)) for tick in ticks]
        self._journal.append("observations", records)
        self._counters.ticks += len(ticks)
        if outbox:
            self._registry.forget(outbox[-1][0])
        if abs(ticks[-1].at - self._expired_at) >= MINUTE:
            self._expired_at = ticks[-1].at
            self._quarantine.expire(ticks[-1].at)

    def _ticks(self) -> list[Tick]:
        """A tick for now, and for each further whole second of a turn of a fast clock."""
        now, monotonic = self._now(), self._monotonic()
        stepped = False
        if self._last is not None:
            ran = (monotonic - self._last[1]) * self._speed
            stepped = abs(now - self._last[0] - ran) >= SECOND * max(1.0, self._speed)
        self._counters.clock_steps += stepped
        self._last = (now, monotonic)
        connected = self._subscriber.connected
        earlier = 0 if stepped else max(0, round(self._speed * self._interval_s) - 1)
        return [
            *(Tick(now - i * SECOND, connected) for i in range(earlier, 0, -1)),
            Tick(now, connected, stepped),
        ]
