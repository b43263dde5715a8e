"""A thief on a connection of its own, signed in with another device's certificate.

What the broker makes of it is what a fault script counts: no connection, a topic refused, or taken.
It speaks MQTT 5, in which a broker says why it refuses. Blocks the caller for each message; paho's
thread for each connection only leaves what the broker said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.fleet.message import Message
from ingest.fleet.settings import Connection

#: How long the broker may take for an answer (s), and how often it is looked whether it came.
_PATIENCE_S, _POLL_S = 5.0, 0.05
#: Reason codes from here on are refusals (MQTT 5, 2.4).
_REFUSED = 128


@dataclass(slots=True)
class Stolen:
    """What became of a thief's messages: whose identity it had, the topic of which device it took.

    no_connection: it did not get in; refused: by the broker, for the topic; acknowledged: taken.
    """

    owner: str
    device: str
    no_connection: int = 0
    refused: int = 0
    acknowledged: int = 0


@dataclass(slots=True)
class Thieves:
    """`publish` as often as wanted, then `close`. Use from one thread."""

    settings: Connection
    host: str
    port: int
    outcomes: dict[tuple[str, str], Stolen] = field(default_factory=dict)
    _lines: dict[str, _Line] = field(default_factory=dict)

    def publish(
        self, message: Message, payload: bytes, taken: Callable[[], None], stop: threading.Event
    ) -> None:
        """Send it as the device that it is signed in as; `taken` is called if the broker has it.

        Raises OSError: there is no such pair of certificate and key.
        """
        owner = message.signed_as or message.device
        found = self.outcomes.setdefault((owner, message.device), Stolen(owner, message.device))
        line = self._lines.get(owner)
        if line is None:
            line = self._lines[owner] = _Line(self.settings, owner, self.host, self.port)
        answer = line.publish(message.topic, payload, stop)
        if answer is None:
            found.no_connection += 1
        elif answer >= _REFUSED:
            found.refused += 1
        else:
            found.acknowledged += 1
            taken()

    def close(self) -> None:
        """Disconnect all."""
        for line in self._lines.values():
            line.close()


class _Line:
    """One connection, of whoever has this identity's pair; a new one where it has ended.

    A broker that takes the certificate's name for the client's id lets only one of the two be
    connected: the thief ends its victim's connection, which comes back and ends the thief's.
    """

    def __init__(self, settings: Connection, owner: str, host: str, port: int) -> None:
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"thief-of-{owner}",
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        settings.sign_in(self._client, owner)
        self._host, self._port = host, port
        self._up, self._ended = threading.Event(), threading.Event()
        self._answers: dict[int, int] = {}
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    def publish(self, topic: str, payload: bytes, stop: threading.Event) -> int | None:
        """The reason code of the acknowledgement; None: it is not connected, or not any more."""
        if not self._up.is_set() and not self._connected(stop):
            return None
        number = self._client.publish(topic, payload, qos=1).mid
        self._wait(lambda: number in self._answers or self._ended.is_set(), stop)
        return self._answers.pop(number, None)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, stop: threading.Event) -> bool:
        self._client.loop_stop()
        self._ended.clear()
        try:
            self._client.connect(self._host, self._port, keepalive=30)
        except OSError:  # also that of TLS: the broker takes no such certificate
            return False
        self._client.loop_start()
        self._wait(lambda: self._up.is_set() or self._ended.is_set(), stop)
        return self._up.is_set()

    def _wait(self, until: Callable[[], bool], stop: threading.Event) -> None:
        for _ in range(round(_PATIENCE_S / _POLL_S)):
            if until() or stop.wait(_POLL_S):
                return

    def _on_connect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        (self._ended if reason.is_failure else self._up).set()

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._up.clear()
        self._ended.set()

    def _on_publish(
        self,
        _client: mqtt.Client,
        _userdata: object,
        number: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._answers[number] = reason.value
