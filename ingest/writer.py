"""The writer thread: deliveries → decisions → quarantine → journal → acknowledgements.

A message is acknowledged only after its observations and its quarantine record are on disk. While
the journal is full or the disk refuses, nothing is acknowledged and the connection stays.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic

import apsw
import msgspec

from ingest.decide import Decided, Decider, Decision, replay_quarantined
from ingest.frames import Delivery
from ingest.journal.protocol import Journal, JournalFull
from ingest.mqtt import Subscriber
from ingest.observation import DeviceId
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.rebirth import Rebirths, waiting_for
from ingest.registry import Registry
from ingest.routes import Routes
from ingest.settings import IngestSettings
from ingest.tail import TailEvent, TailWriter
from ingest.topic import refused_topic
from ingest.trace import Tracer

_log = logging.getLogger(__name__)
_TAKE_TIMEOUT_S = 0.1
_RETRY_S, _RETRY_MAX_S = 0.1, 5.0
#: Commits of fewer messages than this begin at least so many times `linger_s` apart: what follows a
#: commit (a step, its own commit, who reads) costs nearly the same for one message as for fifty. A
#: message after a silence never waits for that, nor do many, whose senders wait for their PUBACKs.
_MANY, _APART = 96, 3.0
#: Refusals of one message that are published or shown to who tails.
_TOLD = 10


@dataclass(slots=True)
class Counters:
    """Counts since this process began, for metrics; the ledger is made from durable records.

    received, ignored: messages; accepted, journalled, refused (by reason): samples; surplus:
    fields; stalls: attempts to write that failed; ticks, ticks_lost: ticks (not) appended;
    rebirths: Sparkplug's edge nodes asked for their births, missing: messages that they numbered
    and that never came; clock_steps: ticks that said that the clock stepped.
    """

    received: int = 0
    ignored: int = 0
    accepted: int = 0
    journalled: int = 0
    surplus: int = 0
    stalls: int = 0
    ticks: int = 0
    ticks_lost: int = 0
    rebirths: int = 0
    missing: int = 0
    clock_steps: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Writer:
    """fault: why nothing can be written just now, or "" (read by any thread)."""

    def __init__(
        self,
        settings: IngestSettings,
        subscriber: Subscriber,
        journal: Journal,
        registry: Registry,
        quarantine: Quarantine,
        tail: TailWriter,
        counters: Counters,
        tracer: Tracer | None = None,
    ) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._journal = journal
        self._decider = Decider(registry, settings, journal.partitions)
        self._registry = registry
        self._quarantine = quarantine
        self._rebirths = Rebirths(subscriber.publish)
        self._tail = tail
        self._counters = counters
        self._tracer = tracer
        self._stopping = Event()
        self._deadline = float("inf")
        self._thread = Thread(target=self._run, name="ingest-writer", daemon=True)
        self.fault = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Write and acknowledge what was received; what cannot be written by then is left."""
        self._deadline = monotonic() + within_s
        self._stopping.set()
        self._thread.join(within_s + 1.0)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        settings = self._settings
        not_before = 0.0
        while monotonic() < self._deadline:
            taken = self._subscriber.take(
                settings.commit_messages, _TAKE_TIMEOUT_S, settings.linger_s, not_before, _MANY
            )
            if taken:
                began = monotonic()
                self._write(taken)
                few = len(taken) < _MANY
                not_before = began + _APART * settings.linger_s if few else 0.0
            elif self._stopping.is_set():
                return

    def _write(self, deliveries: Sequence[Delivery]) -> None:
        group: list[Decided] = []
        last, times = 0, [self._now()]

        def decide_all() -> None:
            group[:] = [self._decider.decide(deliveries)]

        def keep_refused() -> None:
            refused = [
                RefusedMessage(
                    m.topic, m.payload, m.received_at, d.reading.device, d.rejections, d.kept
                )
                for m, d in group[0].explained
                if d.rejections
            ]
            if refused:
                self._quarantine.put(refused, deliveries[-1].received_at)

        def journal() -> None:
            nonlocal last
            times[1:] = [self._now()]
            if group[0].records:
                last = self._journal.append("observations", group[0].records)
            times.append(self._now())

        def use_what_waited() -> None:
            waiting = waiting_for(group[0].explained, self._quarantine)
            if waiting:
                replay_quarantined(
                    self._quarantine, self._registry, self._journal, self._settings, waiting
                )

        if all(
            self._persist(step) for step in (decide_all, keep_refused, journal, use_what_waited)
        ):
            self._count(group[0])
            self._subscriber.acknowledge(deliveries)
            self._trace(deliveries, group[0], last, times)
            self._tell(deliveries, group[0])

    def _persist(self, step: Callable[[], None]) -> bool:
        """Do it, again and again until the disk takes it; False if the stop came first."""
        pause = _RETRY_S
        while True:
            try:
                step()
            except (JournalFull, apsw.Error, OSError) as error:
                self._counters.stalls += 1
                if self.fault != type(error).__name__:
                    self.fault = type(error).__name__
                    _log.error("ingest cannot write: %s; nothing is acknowledged", self.fault)
                if self._stopping.wait(pause):
                    return False
                pause = min(2 * pause, _RETRY_MAX_S)
            else:
                if self.fault:
                    _log.warning("ingest writes again")
                    self.fault = ""
                return True

    def _now(self) -> int:
        return self._tracer.now() if self._tracer else 0

    def _trace(
        self, deliveries: Sequence[Delivery], decided: Decided, last: int, times: Sequence[int]
    ) -> None:
        """last: position of the last of the records; times, ns UTC: taken, decided, on disk."""
        tracer, records = self._tracer, len(decided.records)
        if tracer is None or not records:
            return
        taken, at, written = times
        sampled = tracer.sampled(last - records, last)
        messages = len(deliveries)
        tracer.span("receive", sampled, deliveries[0].received_at, taken, messages=messages)
        tracer.span("decide", sampled, taken, at, samples=decided.accepted)
        tracer.span("journal", sampled, at, written, records=records, up_to=last)

    def _count(self, decided: Decided) -> None:
        counters = self._counters
        counters.received += len(decided.samples)
        counters.accepted += decided.accepted
        counters.journalled += decided.accepted
        counters.missing += self._rebirths.missing(decided.explained)
        for _, decision in decided.explained:
            counters.surplus += decision.reading.surplus
            counters.ignored += not decision.reading.telemetry
            for rejection in decision.rejections:
                counters.refused[rejection.reason] += rejection.samples

    def _tell(self, deliveries: Sequence[Delivery], decided: Decided) -> None:
        """Edge nodes whose birth is missing, whoever tails, and the device's engineer where
        configured."""
        self._counters.rebirths += self._rebirths.ask(decided.explained)
        if self._settings.publish_refusals:
            for _, decision in decided.explained:
                self._publish(decision)
        if self._tail.watched:
            with suppress(apsw.Error):  # a lost line of a tail stops nothing
                self._tail.write(_all_events(deliveries, decided, self._settings.routes))

    def _publish(self, decision: Decision) -> None:
        device = decision.reading.device
        for rejection in decision.rejections[:_TOLD] if device else ():
            told = {key: getattr(rejection, key) for key in ("reason", "path", "expected")}
            self._subscriber.publish(refused_topic(device), msgspec.json.encode(told))


def _all_events(
    deliveries: Sequence[Delivery], decided: Decided, routes: Routes
) -> list[TailEvent]:
    """In order of receipt."""
    events: list[TailEvent] = []
    explained = iter(decided.explained)
    for delivery, samples in zip(deliveries, decided.samples, strict=True):
        if samples < 0:
            events += _events(delivery.received_at, next(explained)[1])
        else:
            address = routes.address(delivery.topic)
            device = DeviceId("") if address is None else address.device
            events.append(TailEvent(device, delivery.received_at, samples))
    return events


def _events(received_at: int, decision: Decision) -> list[TailEvent]:
    device = decision.reading.device
    events = [
        TailEvent(device, received_at, 0, str(r.reason), r.path, r.expected, r.got)
        for r in decision.rejections[:_TOLD]
    ]
    accepted, surplus = len(decision.observations), decision.reading.surplus
    if accepted or not events:  # each message shows, also one that only says a battery's level
        events.append(TailEvent(device, received_at, accepted, surplus=surplus))
    return events
