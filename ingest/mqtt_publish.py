"""The only MQTT publisher of messages that must arrive: QoS 1, each waited for.

Messages of QoS 0 in a row go as one write of frames that are made here (paho takes 70 µs for each
of its own), but for the last one, which is sent with QoS 1: a broker takes what one connection
sends in order, so its PUBACK says that it took the others, and nothing piles up. They are lost with
the connection: whoever sends such says them again after `connections` grew.

Card of the queue: paho's own list of unacknowledged messages, `AT_ONCE` at most; `publish` waits
for the broker's PUBACK of each, also while the broker is away. When it is back, paho sends what was
not acknowledged again, in order. Threads: paho's loop; all else runs in the caller's, a PUBACK only
leaves its number in a deque.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from paho.mqtt.client import (
    PUBACK,
    PUBLISH,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTv5,
    MQTTv311,
)
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.mqtt import secure
from ingest.settings import MqttSettings

#: Messages that are waited for together.
AT_ONCE = 1_000
_FIRST_PAUSE_S, _POLL_S = 0.5, 0.1


class Outgoing(NamedTuple):
    """One message. retain: the broker keeps it for who subscribes later; an empty one removes what
    it kept."""

    topic: str
    payload: bytes
    retain: bool
    qos: int = 1


class _Client(Client):
    """With a way to write many frames at once; private names of paho 2.2, as in mqtt_bulk."""

    def write(self, frames: bytes) -> None:
        """Queue whole frames as one packet. It goes by as a PUBACK, of which paho keeps no account;
        what is queued when the connection ends is dropped with it."""
        self._packet_queue(PUBACK, frames, 0, 1)


def frame_of(message: Outgoing, five: bool) -> bytes:
    """A PUBLISH of QoS 0 (MQTT 5 §3.3, there without properties; 3.1.1 §3.3). Raises ValueError of
    a topic or message that is longer than a frame can be."""
    topic = message.topic.encode()
    length = 2 + len(topic) + five + len(message.payload)
    if len(topic) > 0xFFFF or length >= 1 << 28:
        raise ValueError(f"topic of {len(topic)} bytes, message of {len(message.payload)}")
    head = bytearray([PUBLISH | message.retain])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return b"".join((head, len(topic).to_bytes(2), topic, b"\0" if five else b"", message.payload))


class Publisher:
    """A connection of its own, without a session at the broker. Use `publish` from one thread.

    connected, connections (made so far) and refused (why the broker refused the connection or the
    last message, or "") may be read by any thread.
    """

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._five = settings.protocol == "5"
        self._news = threading.Event()
        self._acked: deque[tuple[int, str]] = deque()
        self.connected = False
        self.connections = 0
        self.refused = ""
        self._client = self._make_client()

    def start(self) -> None:
        """Begin to connect; returns at once, also while the broker is down."""
        settings = self._settings
        self._client.connect_async(settings.host, settings.port, settings.keepalive_s)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect. What was not acknowledged by now is not sent again."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, messages: Sequence[Outgoing], stop: threading.Event) -> bool:
        """Publish in order and block until the broker has acknowledged each.

        False: `stop` was set before, or the broker refused one (`refused` says why); then nobody
        knows which of them arrived.
        """
        refused = ""
        for first in range(0, len(messages), AT_ONCE):
            while not self.connected:
                if stop.wait(_POLL_S):
                    return False
            waiting = set(self._sent(messages[first : first + AT_ONCE]))
            while waiting:
                self._news.wait(_POLL_S)
                self._news.clear()
                while self._acked:
                    number, why = self._acked.popleft()
                    waiting.discard(number)
                    refused = refused or why
                if waiting and stop.is_set():
                    return False
            if refused:
                break
        self.refused = refused
        return not refused

    def _sent(self, messages: Sequence[Outgoing]) -> Iterator[int]:
        """Send them; the numbers of those for which a PUBACK will come."""
        light: list[Outgoing] = []
        for message, after in zip_longest(messages, messages[1:]):
            if message.qos == 0 and after is not None and after.qos == 0:
                light.append(message)
                continue
            if light:
                self._client.write(b"".join(frame_of(each, self._five) for each in light))
                light.clear()
            yield self._client.publish(message.topic, message.payload, 1, message.retain).mid

    def _make_client(self) -> _Client:
        settings, five = self._settings, self._five
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=None if five else True,
            protocol=MQTTv5 if five else MQTTv311,
        )
        secure(client, settings)
        # Processes that lost the same broker do not come back in step.
        jitter = random.uniform(0.7, 1.0)
        client.reconnect_delay_set(_FIRST_PAUSE_S * jitter, settings.reconnect_max_s * jitter)  # type: ignore[arg-type]
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    # --- these run in paho's loop thread and never raise ----------------------------------------

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.refused = str(reason) if reason.is_failure else ""
        if not reason.is_failure:
            self.connections += 1
            self.connected = True

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.connected = False

    def _on_publish(
        self,
        _client: Client,
        _userdata: object,
        number: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        # Runs under paho's lock of outgoing messages: no lock of ours may be taken here.
        self._acked.append((number, str(reason) if reason.is_failure else ""))
        self._news.set()
