"""paho-mqtt's client with another way to read: the socket in bulk, PUBLISH frames cut by us.

Stock paho makes eight system calls for a message. Here one `recv` takes what is there, up to
256 kB; messages are cut in one loop (`ingest/frames.py`) and handed over as one list. Every other
packet goes to paho's own code, and connect, TLS, keep-alive, pings and reconnecting stay paho's. It
uses private names of paho 2.2 (the version is pinned): tests/unit/ingest/test_mqtt_bulk.py compares
it with the stock client on the same bytes. `mqtt.reader = "stock"` does without it.
"""

from __future__ import annotations

import ssl
import sys
import time
from array import array
from collections.abc import Callable, Sequence

from paho.mqtt.client import PUBACK, Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.exception import MQTTException

from ingest.frames import Delivery, FrameReader, Malformed, Packet

#: Bytes taken from the socket at once.
BULK = 256 * 1024
#: A larger message is cut there, unless larger payloads are allowed (see FrameReader).
LARGEST = 16 * 1024 * 1024
#: Least time between two reads, seconds: each costs about as much as 50 messages, so at a high
#: rate they are left to gather; the delay is small beside a commit.
_BREATH_S = 0.001
#: While the receiver has no room, it is asked again so often, seconds.
_PAUSE_S = 0.005


class BulkClient(Client):
    """A paho client (VERSION2 callbacks, manual acknowledgement, persistent session with 3.1.1).

    hand_over(messages, bytes) is called in the loop thread, in order of receipt, with what one
    read brought; it must not raise, and `on_message` is not called. now: ns UTC. generation: of the
    present connection. has_room: whether more can be taken just now; while not, nothing is read and
    the broker's own sending stands still (but for half the keep-alive time at most: the answer to
    our ping is behind what is not read). malformed: connections given up because of such bytes.
    """

    def __init__(
        self,
        client_id: str,
        five: bool,
        now: Callable[[], int],
        generation: Callable[[], int],
        hand_over: Callable[[list[Delivery], int], None],
        has_room: Callable[[], bool] = lambda: True,
        largest: int = LARGEST,
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else False,
            protocol=MQTTv5 if five else MQTTv311,
            manual_ack=True,
        )
        self._now = now
        self._connection = generation
        self._hand_over = hand_over
        self._has_room = has_room
        self._frames = FrameReader(five, largest)
        self._read_at = time.monotonic()
        self.malformed = 0

    def reconnect(self) -> MQTTErrorCode:
        """As paho's; nothing of the last connection's bytes gets into the next one's."""
        self._frames.clear()
        return super().reconnect()

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Send a PUBACK for each number, in this order, as one write of the loop thread.

        They go through paho's queue as a single packet: so no other is ever written between or
        into them, a part that the socket does not take at once follows later, and whatever is
        still queued when the connection ends is dropped with it.
        """
        frames = array("H", [PUBACK << 8 | 2]) * (2 * len(mids))
        frames[1::2] = array("H", mids)
        if sys.byteorder == "little":
            frames.byteswap()
        self._packet_queue(PUBACK, frames.tobytes(), 0, 1)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Called by paho's loop when there is something to read."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        since = time.monotonic() - self._read_at
        if since < self._keepalive / 2 and not self._has_room():
            time.sleep(_PAUSE_S)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if since < _BREATH_S:
            time.sleep(_BREATH_S - since)
        result = self._read()
        self._read_at = time.monotonic()
        return self._loop_rc_handle(result) if result else MQTTErrorCode.MQTT_ERR_SUCCESS

    def _read(self) -> MQTTErrorCode:
        try:
            received = self._receive()
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not received:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        self._frames.feed(received)
        while True:
            messages, then = self._frames.cut(self._now(), self._connection())
            if messages:
                self._hand_over(messages, len(received))
            if then is None:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            if isinstance(then, Malformed):
                self.malformed += 1
                return MQTTErrorCode.MQTT_ERR_PROTOCOL
            result = self._pass_on(then)
            if result or self._sock is None:
                return result

    def _receive(self) -> bytes:
        """What the socket has. TLS gives at most one record (16 kB) a call, and those that it has
        already taken from the socket never wake a select."""
        received = self._sock_recv(BULK)
        if isinstance(self._sock, ssl.SSLSocket):
            parts, size = [received], len(received)
            while size < BULK and self._sock.pending():
                parts.append(self._sock_recv(BULK - size))
                size += len(parts[-1])
            return b"".join(parts)
        return received

    def _pass_on(self, packet: Packet) -> MQTTErrorCode:
        """Let paho take the packet, as if it had read it."""
        self._in_packet = {
            "command": packet.command,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(packet.body),
            "packet": bytearray(packet.body),
            "to_process": 0,
            "pos": 0,
        }
        try:
            return self._packet_handle()
        except MQTTException:
            self.malformed += 1
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
