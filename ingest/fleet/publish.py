"""QoS 1 publishing over a few connections, as a gateway does for many devices.

Card of the queue: paho's own list of unacknowledged messages, `in_flight` for each connection;
when it is full, or while the broker is away, `publish` waits. After a broker restart paho sends
what was not acknowledged again, in order, before anything new. Threads: one of paho's for each
connection; everything here runs in the caller's, a PUBACK only leaves its number in a deque.
Counters: `Counts`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from zlib import crc32

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.fleet.crowd import Connecting
from ingest.fleet.settings import Connection
from ingest.fleet.theft import Stolen

_POLL_S = 0.05
#: Reasons that no waiting mends: protocol, client id, name or password, not authorised, banned.
_FOR_GOOD = frozenset({132, 133, 134, 135, 138})


class BrokerUnreachable(Exception):
    """The broker refused the fleet's connection. host, port and why are for people."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(f"{host}:{port}: {why}")
        self.host, self.port, self.why = host, port, why


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages handed to the broker, acknowledged by it, and connections made beyond the first.

    Of a fault script: stolen, what became of each thief's messages, connecting, of the devices that
    connected at once; neither is in the other counts.
    """

    published: int
    acknowledged: int
    reconnects: int
    stolen: tuple[Stolen, ...] = ()
    connecting: tuple[Connecting, ...] = ()


@dataclass(slots=True)
class _Line:
    """One connection: paho's client and what waits for a PUBACK on it, by message number."""

    client: mqtt.Client
    up: threading.Event = field(default_factory=threading.Event)
    acked: deque[int] = field(default_factory=deque)
    waiting: dict[int, Callable[[], None]] = field(default_factory=dict)
    connects: int = 0
    settled: int = 0  # the connection on which nothing of an earlier one is waiting any more
    refused: str | None = None

    def takes(self, in_flight: int) -> bool:
        """Whether a new message may go out: there is room, and nothing is being sent again.

        paho reports a connection before it sends again what was not acknowledged; a new message
        then would overtake the old ones.
        """
        if not self.waiting:
            self.settled = self.connects
        ready = self.up.is_set() and self.settled == self.connects
        return ready and len(self.waiting) < in_flight


class Publisher:
    """Publishes for many devices; `start` first, `close` last. Use from one thread."""

    def __init__(self, settings: Connection, host: str, port: int) -> None:
        self._settings, self._host, self._port = settings, host, port
        self._news = threading.Event()
        self._published = self._acknowledged = 0
        self._lines: list[_Line] = []
        self._own: dict[str, _Line] = {}
        if settings.certificates is None:
            names = (f"{settings.client_id}-{n}" for n in range(settings.connections))
            self._lines = [self._line(name) for name in names]

    def start(self) -> None:
        """Begin to connect. Does not wait: a broker that is down is tried again and again."""
        for line in self._lines:
            self._connect(line)

    def publish(
        self,
        device: str,
        topic: str,
        payload: bytes,
        acknowledged: Callable[[], None],
        stop: threading.Event,
    ) -> bool:
        """Publish once there is room; False if `stop` was set before. Raises BrokerUnreachable.

        acknowledged is called in the caller's thread, in a later `publish`, `settle` or `wait`.
        Raises OSError where devices have certificates, and this one has none.
        """
        line = self._line_of(device)
        self._collect()
        while not line.takes(self._settings.in_flight):
            if stop.is_set():
                return False
            if line.refused is not None:
                raise BrokerUnreachable(self._host, self._port, line.refused)
            self._pause(_POLL_S)
        line.waiting[self._sent(line, topic, payload)] = acknowledged
        return True

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Let time pass, taking acknowledgements in; returns early if `stop` is set."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not stop.is_set():
            self._pause(min(left, _POLL_S))

    def settle(self, seconds: float) -> bool:
        """Wait until all is acknowledged, at most `seconds`; whether it is."""
        deadline = time.monotonic() + seconds
        while any(line.waiting for line in self._lines):
            if time.monotonic() > deadline:
                return False
            self._pause(_POLL_S)
        return True

    def close(self) -> None:
        """Disconnect. What was not acknowledged by now is not sent again."""
        for line in self._lines:
            line.client.disconnect()
        for line in self._lines:
            line.client.loop_stop()
        self._collect()

    def counts(self) -> Counts:
        """Counts so far; safe from any thread."""
        connects = sum(max(line.connects - 1, 0) for line in self._lines)
        return Counts(self._published, self._acknowledged, connects)

    def _line_of(self, device: str) -> _Line:
        if self._settings.certificates is None:
            return self._lines[crc32(device.encode()) % len(self._lines)]
        line = self._own.get(device)
        if line is None:
            line = self._own[device] = self._line(device)
            self._lines.append(line)
            self._connect(line)
        return line

    def _connect(self, line: _Line) -> None:
        line.client.connect_async(self._host, self._port, keepalive=30)
        line.client.loop_start()

    def _sent(self, line: _Line, topic: str, payload: bytes) -> int:
        self._published += 1
        return line.client.publish(topic, payload, qos=1).mid

    def _pause(self, seconds: float) -> None:
        self._news.wait(seconds)
        self._news.clear()
        self._collect()

    def _collect(self) -> None:
        for line in self._lines:
            while line.acked:
                callback = line.waiting.pop(line.acked.popleft(), None)
                if callback is not None:
                    self._acknowledged += 1
                    callback()

    def _line(self, name: str) -> _Line:
        five = self._settings.protocol == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311,
            clean_session=None if five else True,
        )
        self._settings.sign_in(client, name)
        client.max_inflight_messages_set(self._settings.in_flight)
        client.reconnect_delay_set(1, 10)
        line = _Line(client)
        self._listen(line)
        return line

    def _listen(self, line: _Line) -> None:
        def on_connect(
            _client: mqtt.Client,
            _userdata: object,
            _flags: mqtt.ConnectFlags,
            reason: ReasonCode,
            _properties: Properties | None,
        ) -> None:
            if reason.value in _FOR_GOOD:
                line.refused = str(reason)
            elif not reason.is_failure:
                line.connects += 1
                line.up.set()
            self._news.set()

        def on_disconnect(
            _client: mqtt.Client,
            _userdata: object,
            _flags: mqtt.DisconnectFlags,
            _reason: ReasonCode,
            _properties: Properties | None,
        ) -> None:
            line.up.clear()

        def on_publish(
            _client: mqtt.Client,
            _userdata: object,
            mid: int,
            _reason: ReasonCode,
            _properties: Properties,
        ) -> None:
            # Runs under paho's lock of outgoing messages: no lock of ours may be taken here.
            line.acked.append(mid)
            self._news.set()

        line.client.on_connect = on_connect
        line.client.on_disconnect = on_disconnect
        line.client.on_publish = on_publish
