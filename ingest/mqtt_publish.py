"""The only MQTT publisher of messages that must arrive: QoS 1, each waited for.

Card of the queue: paho's own list of unacknowledged messages, `AT_ONCE` at most; `publish` waits
for the broker's PUBACK of each, also while the broker is away. When it is back, paho sends what was
not acknowledged again, in order. Threads: paho's loop; all else runs in the caller's, a PUBACK only
leaves its number in a deque.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTv5, MQTTv311
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


class Publisher:
    """A connection of its own, without a session at the broker. Use `publish` from one thread.

    connected, connections (made so far) and refused (why the broker refused the connection or the
    last message, or "") may be read by any thread.
    """

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
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
            waiting = {self._sent(each) for each in messages[first : first + AT_ONCE]}
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

    def _sent(self, message: Outgoing) -> int:
        return self._client.publish(message.topic, message.payload, 1, message.retain).mid

    def _make_client(self) -> Client:
        settings = self._settings
        five = settings.protocol == "5"
        client = Client(
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
