"""A broker for one client that shows what the client writes, packet by packet (MQTT 3.1.1).

It answers CONNECT and SUBSCRIBE, sends the QoS 1 messages it is told to, and records each PUBACK
as it comes in. It keeps no session: the test says what is sent on which connection.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Self

CONNECT, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x40, 0x80, 0xC0, 0xE0


def _length(n: int) -> bytes:
    encoded = bytearray()
    while True:
        n, low = divmod(n, 128)
        encoded.append(low | (0x80 if n else 0))
        if not n:
            return bytes(encoded)


class FakeBroker:
    """`acknowledged` holds the message numbers of the PUBACKs in order of arrival, per connection.

    on_puback is called in the broker's thread at each PUBACK.
    """

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._client: socket.socket | None = None
        self.subscribed = threading.Event()
        #: Leaves a SUBSCRIBE without its SUBACK until `grant`.
        self.holds_subscriptions = False
        self._asked: SimpleQueue[bytes] = SimpleQueue()
        self._changed = threading.Condition()
        self.acknowledged: list[list[int]] = []
        self.on_puback: Callable[[int], None] = lambda mid: None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def publish(self, mid: int, topic: str, payload: bytes) -> None:
        """One QoS 1 PUBLISH on the present connection."""
        name = topic.encode()
        body = struct.pack("!H", len(name)) + name + struct.pack("!H", mid) + payload
        assert self._client is not None
        self._client.sendall(b"\x32" + _length(len(body)) + body)

    def grant(self) -> None:
        """The SUBACK of the oldest SUBSCRIBE that has none, once one has come."""
        mid = self._asked.get(timeout=60)
        assert self._client is not None
        self._client.sendall(b"\x90\x03" + mid + b"\x01")
        self.subscribed.set()

    def send(self, stream: bytes) -> None:
        """Any bytes on the present connection."""
        assert self._client is not None
        self._client.sendall(stream)

    def drop(self) -> None:
        """Cut the connection without a word."""
        self.subscribed.clear()
        assert self._client is not None
        self._client.shutdown(socket.SHUT_RDWR)

    def wait_for_pubacks(self, count: int, connection: int = -1, timeout: float = 60) -> list[int]:
        """The PUBACKs of a connection, once there are so many (or the time is over)."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.acknowledged[connection]) >= count, timeout)
            return list(self.acknowledged[connection])

    def _serve(self) -> None:
        while True:
            try:
                self._client, _ = self._server.accept()
            except OSError:
                return
            self.acknowledged.append([])
            with self._client, self._client.makefile("rb") as stream, suppress(OSError):
                while self._answer(stream.read(1), stream.read):
                    pass

    def _answer(self, first: bytes, read: Callable[[int], bytes]) -> bool:
        if not first or first[0] & 0xF0 == DISCONNECT:
            return False
        length = shift = 0
        while True:
            (byte,) = read(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = read(length)
        assert self._client is not None
        kind = first[0] & 0xF0
        if kind == CONNECT:
            self._client.sendall(b"\x20\x02\x00\x00")
        elif kind == SUBSCRIBE:
            self._asked.put(body[:2])
            if not self.holds_subscriptions:
                self.grant()
        elif kind == PINGREQ:
            self._client.sendall(b"\xd0\x00")
        elif kind == PUBACK:
            mid = struct.unpack("!H", body[:2])[0]
            self.on_puback(mid)
            with self._changed:
                self.acknowledged[-1].append(mid)
                self._changed.notify_all()
        return True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        if self._client is not None:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
