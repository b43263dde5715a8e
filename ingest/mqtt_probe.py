"""What a broker does to us, tried out: does it take us, how much does it send, how much it keeps.

Mosquitto's defaults (20 messages in flight, 1 000 queued) lose acknowledged QoS 1 messages
silently, for online subscribers too. So it is measured, on a topic of its own, session-less.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.mqtt import secure
from ingest.settings import MqttSettings

#: More than mosquitto's defaults hold (20 + 1 000).
MESSAGES = 2_500
#: Nothing more comes, if for so long nothing came; a busy machine may pause for a second.
_QUIET_S = 2.0


class BrokerRefused(Exception):
    """The broker does not take us, or cannot be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Room:
    """Of `sent` messages that the broker acknowledged to their publisher: how many it sent before
    the first was acknowledged by us (in_flight), and how many came at all (arrived)."""

    sent: int
    in_flight: int
    arrived: int


@dataclass(slots=True)
class _Received:
    """Numbers of the probe messages that came, and the tokens (mid) to confirm them."""

    numbers: set[bytes] = field(default_factory=set)
    waiting: SimpleQueue[int] = field(default_factory=SimpleQueue)
    last: float = 0.0

    def take(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.numbers.add(bytes(message.payload))
        self.waiting.put(message.mid)
        self.last = time.monotonic()


def measure_room(
    settings: MqttSettings, messages: int = MESSAGES, patience_s: float = 10.0
) -> Room:
    """Connect as a publisher and a subscriber that does not acknowledge, then does.

    Blocks a few seconds, each step `patience_s` at most. Raises BrokerRefused.
    """
    topic = f"twin-check/{secrets.token_hex(8)}"
    received = _Received()
    subscriber = _client(settings, "in")
    subscriber.manual_ack_set(True)
    subscriber.on_message = received.take
    publisher = _client(settings, "out")
    publisher.max_inflight_messages_set(1_000)
    try:
        _connect(subscriber, settings, patience_s)
        _subscribe(subscriber, topic, patience_s)
        _connect(publisher, settings, patience_s)
        _publish(publisher, topic, messages, patience_s)
        in_flight = _settled(received, messages, patience_s)
        if not in_flight:
            raise BrokerRefused(f"nothing that is published on {topic} arrives")
        arrived = _settled(received, messages, patience_s, lambda mid: subscriber.ack(mid, 1))
        return Room(messages, in_flight, arrived)
    finally:
        for client in (subscriber, publisher):
            client.disconnect()
            client.loop_stop()


def _client(settings: MqttSettings, suffix: str) -> Client:
    five = settings.protocol == "5"
    return Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"{settings.client_id}-check-{suffix}",
        protocol=MQTTv5 if five else MQTTv311,
    )


def _connect(client: Client, settings: MqttSettings, patience_s: float) -> None:
    answers: SimpleQueue[str] = SimpleQueue()

    def answered(
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        answers.put(str(reason) if reason.is_failure else "")

    client.on_connect = answered
    client.connect_timeout = patience_s
    try:
        secure(client, settings)
        client.connect(settings.host, settings.port, settings.keepalive_s)
        client.loop_start()
        refused = answers.get(timeout=patience_s)
    except OSError as error:
        raise BrokerRefused(error.strerror or str(error) or type(error).__name__) from error
    except Empty:
        raise BrokerRefused(f"no answer to CONNECT within {patience_s:g} s") from None
    if refused:
        raise BrokerRefused(refused)


def _subscribe(client: Client, topic: str, patience_s: float) -> None:
    answers: SimpleQueue[ReasonCode] = SimpleQueue()

    def answered(
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        answers.put(reasons[0])

    client.on_subscribe = answered
    client.subscribe(topic, 1)
    try:
        reason = answers.get(timeout=patience_s)
    except Empty:
        raise BrokerRefused(f"no answer to SUBSCRIBE within {patience_s:g} s") from None
    if reason.is_failure:
        raise BrokerRefused(f"may not subscribe to {topic}: {reason}")


def _publish(client: Client, topic: str, messages: int, patience_s: float) -> None:
    acknowledged = threading.Semaphore(0)

    def answered(
        _client: Client,
        _userdata: object,
        _mid: int,
        _reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        acknowledged.release()

    client.on_publish = answered
    for number in range(messages):
        client.publish(topic, str(number), qos=1)
    deadline = time.monotonic() + patience_s
    for done in range(messages):
        if not acknowledged.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise BrokerRefused(f"acknowledged {done} of {messages} within {patience_s:g} s")


def _settled(
    received: _Received,
    messages: int,
    patience_s: float,
    confirm: Callable[[int], object] | None = None,
) -> int:
    """How many are there once all are, or nothing more comes. confirm: told each one's token."""
    begun = received.last = time.monotonic()
    while len(received.numbers) < messages or (confirm and not received.waiting.empty()):
        now = time.monotonic()
        if now - received.last > _QUIET_S or now - begun > patience_s:
            break
        with suppress(Empty):
            if confirm is None:
                time.sleep(0.01)
            else:
                confirm(received.waiting.get(timeout=0.01))
    return len(received.numbers)
