"""The only MQTT subscriber: it hands messages over and acknowledges them when told.

Hand-over queue, of lists of messages: each is what one read of the socket brought
  bound   `queue_messages`. With MQTT 5 the Receive Maximum, with 3.1.1 the broker's own window,
          keeps QoS 1 messages far below it; not so mosquitto 2.0.11, which sends all that it
          has queued as soon as one of a full window is acknowledged.
  half    the bulk reader reads no more for a while, and TCP holds the broker back.
  full    QoS 0: dropped, counted in `dropped`. QoS 1: left unacknowledged, and so is all that
          follows on this connection (counted in `left`); once the queue is half empty the
          connection is made anew and the broker sends them again. Nothing acknowledged is lost.
  order   order of receipt.
  threads paho's loop thread puts, one writer thread takes and acknowledges.
"""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.frames import NOT_UTF8, Delivery
from ingest.mqtt_bulk import LARGEST, BulkClient
from ingest.settings import MqttSettings, TlsSettings

_FIRST_PAUSE_S = 0.5
_TAKEN_BYTES = 4 * 1024 * 1024
#: How often it is looked whether many messages have come meanwhile.
_LOOK_S = 0.005


class Subscriber:
    """A persistent session at the broker. Starts with the broker down, comes back by itself.

    connected, subscribed (the broker said so: what is published from now on comes to us, if late),
    since (ns UTC of the last change of connected), last_message_at (0: none yet), generation,
    received, dropped, left, refused (why the broker refused us last, or "") may be read by any
    thread. `now` gives ns UTC. largest: bytes that are kept of a larger message, at least.
    """

    def __init__(
        self, settings: MqttSettings, now: Callable[[], int], largest: int = LARGEST
    ) -> None:
        self._settings = settings
        self._now = now
        self._largest = max(largest, LARGEST)
        self._queue: SimpleQueue[tuple[list[Delivery], int]] = SimpleQueue()
        self._put = 0  # messages ever put into the queue, by the loop thread alone
        self._taken = 0  # and ever taken out of it, by the writer's thread alone
        self._rest: list[Delivery] = []  # taken out, but too many for one `take`
        # Held while an acknowledgement is checked and queued, and while the generation changes:
        # paho clears its queue only after it has told us of the disconnect, so one that is checked
        # under the lock can never reach the next connection.
        self._lock = threading.Lock()
        self._taking = True
        self._overflowed = -1  # generation that is to be left for a new one
        self._loop: threading.Thread | None = None
        self.connected = self.subscribed = False
        self.since = now()
        self.last_message_at = 0
        self.generation = 0
        self.received = 0
        self.dropped = 0
        self.left = 0
        self.refused = ""
        self._client = self._make_client()

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; returns at once, also while the broker is down."""
        settings = self._settings
        if settings.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = settings.session_expiry_s
            properties.ReceiveMaximum = settings.receive_maximum
            self._client.connect_async(
                settings.host,
                settings.port,
                settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        else:
            self._client.connect_async(settings.host, settings.port, settings.keepalive_s)
        self._client.loop_start()

    def pause(self) -> None:
        """Take no more; what comes is left unacknowledged, for the next connection."""
        self._taking = False

    def stop(self) -> None:
        """Send what is acknowledged, disconnect (the session stays), end the loop thread.

        Takes at most 3 s: a broker that no longer reads is left alone.
        """
        self.pause()
        self._client.disconnect()
        if self._loop is not None:
            self._loop.join(2.0)
            if self._loop.is_alive():
                self._renew()
                self._loop.join(1.0)
        self._set_connected(False)

    @property
    def alive(self) -> bool:
        """Whether the loop thread lives (also before its first connection)."""
        return self._loop is None or self._loop.is_alive()

    def revive(self) -> bool:
        """Start the loop thread again if it died; whether it had."""
        if self.alive or not self._taking:
            return False
        self._set_connected(False)
        self._loop = None
        self._client.loop_start()
        return True

    # --- the writer's side --------------------------------------------------------------------

    def take(
        self, at_most: int, timeout: float, linger: float, not_before: float = 0.0, many: int = 0
    ) -> list[Delivery]:
        """Deliveries in order of receipt: waits up to timeout s for the first, then linger s for
        others, and while they are not many until not_before (monotonic). Empty if nothing came;
        fewer than are there if they are large."""
        taken, size = self._rest, 0
        try:
            if not taken:
                taken, size = self._queue.get(timeout=timeout)
            if self.waiting + len(taken) < at_most:
                time.sleep(linger)
            while self.waiting < many and (left := not_before - time.monotonic()) > 0:
                time.sleep(min(left, _LOOK_S))
            while len(taken) < at_most and size < _TAKEN_BYTES:
                more, length = self._queue.get_nowait()
                taken += more
                size += length
        except Empty:
            pass
        self._rest = taken[at_most:]
        del taken[at_most:]
        self._taken += len(taken)
        return taken

    @property
    def waiting(self) -> int:
        """Messages received and not yet taken."""
        return self._put - self._taken

    @property
    def malformed(self) -> int:
        """Connections given up because what came was no MQTT (bulk reader only)."""
        return self._client.malformed if isinstance(self._client, BulkClient) else 0

    def acknowledge(self, deliveries: Sequence[Delivery]) -> int:
        """Confirm, in the order given (that of receipt); returns how many could still be.

        One of an earlier connection confirms nothing: its number may mean another message now, and
        the broker sends the old one again.
        """
        with self._lock:
            now = self.generation if self.connected else -1
            mids = [each.mid for each in deliveries if each.generation == now and each.mid]
            if mids:
                self._confirm(mids)
        if self._overflowed == self.generation and self.waiting < self._bound // 2:
            self._renew()
        return len(mids)

    def _confirm(self, mids: list[int]) -> None:
        if isinstance(self._client, BulkClient):
            self._client.acknowledge(mids)
        else:
            for mid in mids:
                self._client.ack(mid, 1)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send once, QoS 0; nothing happens while the broker is away."""
        if self.connected:
            self._client.publish(topic, payload, qos=0)

    # --- paho's side: these run in its loop thread and never raise -------------------------------

    def _make_client(self) -> Client:
        settings = self._settings
        five = settings.protocol == "5"
        client: Client
        if settings.reader == "bulk":
            client = BulkClient(
                settings.client_id,
                five,
                self._now,
                lambda: self.generation,
                self._on_messages,
                self._has_room,
                self._largest,
            )
        else:
            client = Client(
                CallbackAPIVersion.VERSION2,
                client_id=settings.client_id,
                clean_session=None if five else False,
                protocol=MQTTv5 if five else MQTTv311,
                manual_ack=True,
            )
        secure(client, settings)
        # Processes that lost the same broker do not come back in step.
        jitter = random.uniform(0.7, 1.0)
        client.reconnect_delay_set(_FIRST_PAUSE_S * jitter, settings.reconnect_max_s * jitter)  # type: ignore[arg-type]
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_pre_connect(self, client: Client, userdata: object) -> None:
        self._loop = threading.current_thread()
        self._set_connected(False)

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.refused = str(reason)
            return
        self.refused = ""
        self._set_connected(True)
        client.subscribe([(each, 1) for each in self._settings.subscriptions])

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._set_connected(False)

    def _on_subscribe(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reasons: Sequence[ReasonCode],
        properties: Properties | None,
    ) -> None:
        self.subscribed = not any(each.is_failure for each in reasons)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = NOT_UTF8
        mid = message.mid if message.qos else 0
        delivery = Delivery(topic, bytes(message.payload), self._now(), mid, self.generation)
        self._on_messages([delivery], len(message.payload))

    def _on_messages(self, messages: list[Delivery], size: int) -> None:
        self.received += len(messages)
        self.last_message_at = messages[-1].received_at
        if not self._taking or self._overflowed == self.generation:
            self.left += len(messages)
            return
        room = self._bound - self.waiting
        if len(messages) > room:
            messages = self._fitting(messages, room)
        if messages:
            self._put += len(messages)
            self._queue.put((messages, size))

    def _has_room(self) -> bool:
        """Whether to read on. What is only left for another connection takes no room."""
        leaves = not self._taking or self._overflowed == self.generation
        return leaves or self.waiting < self._bound // 2

    def _fitting(self, messages: list[Delivery], room: int) -> list[Delivery]:
        """Those for which there is room. QoS 0: the others are dropped; QoS 1: from the first
        other on, all are left to the next connection."""
        fitting: list[Delivery] = []
        for place, message in enumerate(messages):
            if len(fitting) < room:
                fitting.append(message)
            elif message.mid:
                self._overflowed = self.generation
                self.left += len(messages) - place
                break
            else:
                self.dropped += 1
        return fitting

    # ------------------------------------------------------------------------------------------

    @property
    def _bound(self) -> int:
        return self._settings.queue_messages

    def _set_connected(self, connected: bool) -> None:
        with self._lock:
            self.generation += 1
            self.subscribed = False
            if connected != self.connected:
                self.connected = connected
                self.since = self._now()

    def _renew(self) -> None:
        """Break the connection, so that the broker sends again what was left."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with suppress(OSError):  # it is gone already
                connection.shutdown(socket.SHUT_RDWR)


def secure(client: Client, settings: MqttSettings) -> None:
    """Name, password and TLS as the settings say. Raises OSError where a file cannot be read."""
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls is not None:
        client.tls_set_context(_tls_context(settings.tls))


def _tls_context(tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.authority)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
