"""Running a fleet: messages at their time, over MQTT, with a record of what was acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.fleet.crowd import Connecting, Crowd
from ingest.fleet.message import Message
from ingest.fleet.playback import device_names, played
from ingest.fleet.publish import Counts, Publisher
from ingest.fleet.record import SentRecord
from ingest.fleet.script import FaultScript, crowds, scripted
from ingest.fleet.settings import FleetSettings
from ingest.fleet.simulation import bindings, messages
from ingest.fleet.theft import Thieves
from ingest.instant import HOUR, MILLISECOND, SECOND
from ingest.recording import Recording

Clock = Callable[[], int]

#: How long the end of a run waits for the last acknowledgements.
_SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a fleet publishes and what it keeps.

    now: the clock its stamps follow (int64 ns UTC, at `speed` if the receiver's does). record: a
    file for what was acknowledged; patients: device → patient as that file names it. watch is
    told the counts after each message, acknowledged each message that the broker has, in order.
    """

    host: str
    port: int
    now: Clock = time.time_ns
    record: Path | None = None
    patients: Mapping[str, str] | None = None
    watch: Callable[[Counts], None] | None = None
    acknowledged: Callable[[Message], None] | None = None


def run_fleet(
    settings: FleetSettings,
    host: str,
    port: int,
    now: Clock,
    stop: threading.Event,
    *,
    record: Path | None = None,
    patients: Mapping[str, str] | None = None,
    watch: Callable[[Counts], None] | None = None,
    acknowledged: Callable[[Message], None] | None = None,
) -> Counts:
    """Simulate and publish until `stop` is set. Raises BrokerUnreachable if it is refused.

    `now` drives it: at speed X hand in the receiver's scaled clock, or `catching_up`.
    """
    named = {device: f"patient-{i + 1}" for device, i, _ in bindings(settings)}
    target = Target(host, port, now, record, patients or named, watch, acknowledged)
    stream = messages(settings)
    if isinstance(settings, FaultScript):
        stream = scripted(settings, stream)
    return publish_all(stream, settings, target, stop)


def play_recording(
    recording: Recording,
    settings: FleetSettings,
    target: Target,
    stop: threading.Event,
) -> Counts:
    """Publish a recording once, `settings.speed` times as fast. Raises BrokerUnreachable.

    Stamps are moved by whole milliseconds (`playback.restamp`) to the time of `target.now`, which
    is a clock at the usual speed.
    """
    named = {name: patient for (patient, _), name in device_names(recording).items()}
    paced = Target(
        target.host,
        target.port,
        target.now,
        target.record,
        target.patients or named,
        target.watch,
    )
    return publish_all(played(recording, settings.speed), settings, paced, stop, pace=1.0)


def publish_all(
    stream: Iterator[Message],
    settings: FleetSettings,
    target: Target,
    stop: threading.Event,
    pace: float | None = None,
) -> Counts:
    """Each message of the stream when its time has come; then wait for the acknowledgements.

    pace: seconds of `target.now` in one of the wall clock, by default the settings' speed.
    """
    record = SentRecord(target.record, target.patients or {}) if target.record else None
    publisher = Publisher(settings.connection, target.host, target.port)
    thieves = Thieves(settings.connection, target.host, target.port)
    publisher.start()
    start = target.now() // MILLISECOND * MILLISECOND
    waiting = _crowds(settings, target)
    began: list[Crowd] = []
    try:
        for message in stream:
            while waiting and waiting[0][0] <= message.at:
                at, crowd = waiting.pop(0)
                _wait(publisher, start + at, target.now, pace or settings.speed, stop)
                began.append(crowd)
                crowd.start(start)
            _wait(publisher, start + message.at, target.now, pace or settings.speed, stop)
            if stop.is_set():
                break
            sent_at = target.now()
            written = _writing(record, target.acknowledged, message, start, sent_at)
            payload = message.payload(start)
            if message.signed_as is not None:
                told = _writing(None, target.acknowledged, message, start, sent_at)
                thieves.publish(message, payload, told, stop)
                continue
            if not publisher.publish(message.device, message.topic, payload, written, stop):
                break
            if target.watch is not None:
                target.watch(publisher.counts())
        for at, crowd in waiting:  # of a script whose patients have no devices
            _wait(publisher, start + at, target.now, pace or settings.speed, stop)
            if not stop.is_set():
                began.append(crowd)
                crowd.start(start)
        publisher.settle(_SETTLE_S)
        connecting = tuple(_finished(crowd, target) for crowd in began)
    finally:
        publisher.close()
        thieves.close()
        if record is not None:
            record.close()
    outcomes = tuple(thieves.outcomes.values())
    return replace(publisher.counts(), stolen=outcomes, connecting=connecting)


def _wait(publisher: Publisher, until: int, now: Clock, pace: float, stop: threading.Event) -> None:
    while (left := until - now()) > 0 and not stop.is_set():
        publisher.wait(min(left / SECOND / pace, 1.0), stop)


def _crowds(settings: FleetSettings, target: Target) -> list[tuple[int, Crowd]]:
    if not isinstance(settings, FaultScript):
        return []
    found = [(at, Crowd(of, target.host, target.port)) for at, of in crowds(settings)]
    return sorted(found, key=lambda each: each[0])


def _finished(crowd: Crowd, target: Target) -> Connecting:
    """Wait for its end, and tell what the broker has."""
    found, done = crowd.finish()
    if target.acknowledged is not None:
        for message in done:
            target.acknowledged(message)
    return found


def _writing(
    record: SentRecord | None,
    acknowledged: Callable[[Message], None] | None,
    message: Message,
    start: int,
    sent_at: int,
) -> Callable[[], None]:
    def written() -> None:
        if record is not None:
            record.write(message, start, sent_at)
        if acknowledged is not None:
            acknowledged(message)

    return written


def catching_up(wall: Clock, speed: float, span_s: float | None = None) -> Clock:
    """A clock that runs at `speed` from the past and meets the wall clock after `span_s` seconds.

    From then on it is the wall clock: stamps that follow it are never in the future of a receiver
    whose clock is not scaled. Without span_s it meets it after simulating 24 h.
    """
    begun = wall()
    if speed <= 1:
        return wall
    span = span_s * SECOND if span_s is not None else 24 * HOUR / speed
    lag = round(span * (speed - 1))

    def now() -> int:
        passed = wall() - begun
        return begun - max(lag - round(passed * (speed - 1)), 0) + passed

    return now


class FleetThread:
    """A simulated fleet in a thread of its own, for the demo: `start`, later `stop`."""

    def __init__(self, settings: FleetSettings, host: str, port: int, now: Clock) -> None:
        self._stop = threading.Event()
        self._arguments = (settings, host, port, now)
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._counts = Counts(0, 0, 0)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, patience_s: float = 7.0) -> Counts:
        """End it, wait for the last acknowledgements, return the counts."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)
        return self._counts

    @property
    def alive(self) -> bool:
        """Whether it runs; if not and never stopped, `failure` says why."""
        return self._thread.is_alive()

    @property
    def counts(self) -> Counts:
        """Messages so far."""
        return self._counts

    def _run(self) -> None:
        try:
            self._counts = run_fleet(*self._arguments, self._stop, watch=self._watch)
        except Exception as error:  # noqa: BLE001 — shown by whoever owns the thread
            self.failure = error

    def _watch(self, counts: Counts) -> None:
        self._counts = counts
