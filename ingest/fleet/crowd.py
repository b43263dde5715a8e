"""Many devices that connect at once, each on a connection of its own, with one message each.

As after a broker's restart or a power cut. No paho here: a client of it is a thread, and ten
thousand of them are none. MQTT 3.1.1 by hand, as much as one PUBLISH needs; each connection stays
until all have their acknowledgement, or until time is up.
"""

from __future__ import annotations

import asyncio
import resource
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ingest.fleet.message import Message

#: Half-made connections: a listener's queue is short.
_AT_ONCE = 2_000
_TRIES, _AGAIN_S = 50, 0.2
#: Descriptors that a process needs besides.
_SPARE = 256


@dataclass(frozen=True, slots=True)
class Connecting:
    """So many devices connected and had their message acknowledged, all within so many seconds."""

    devices: int
    connected: int
    acknowledged: int
    seconds: float


class Crowd:
    """In a thread of its own: `start`, later `finish`."""

    def __init__(
        self, messages: Sequence[Message], host: str, port: int, patience_s: float = 120.0
    ) -> None:
        self._messages, self._host, self._port = messages, host, port
        self._patience_s = patience_s
        self._connected = 0
        self._took = 0.0
        self._done: list[Message] = []
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
        self._payload: Callable[[Message], bytes] = lambda message: message.payload(0)

    def start(self, start: int) -> None:
        """Begin; start: of the run, ns UTC. Raises OSError: so many connections are not allowed."""
        allow(len(self._messages))
        self._payload = lambda message: message.payload(start)
        self._thread.start()

    def finish(self) -> tuple[Connecting, Sequence[Message]]:
        """Wait for the end; what came of it, and the messages that the broker has."""
        if self._thread.ident is not None:
            self._thread.join()
        count = len(self._messages)
        return Connecting(count, self._connected, len(self._done), round(self._took, 2)), self._done

    def _run(self) -> None:
        with suppress(TimeoutError):
            asyncio.run(asyncio.wait_for(self._all(), self._patience_s))

    async def _all(self) -> None:
        self._begun = time.monotonic()
        gate, over = asyncio.Semaphore(_AT_ONCE), asyncio.Event()
        left = len(self._messages)

        async def device(message: Message) -> None:
            nonlocal left
            try:
                async with gate:
                    writer = await self._one(message)
            except (OSError, EOFError):
                writer = None
            left -= 1
            if left == 0:
                over.set()
            await over.wait()
            if writer is not None:
                writer.close()

        await asyncio.gather(*map(device, self._messages))

    async def _one(self, message: Message) -> asyncio.StreamWriter:
        reader, writer = await self._open()
        topic, payload = message.topic, self._payload(message)
        writer.write(connect_packet(message.device) + publish_packet(topic, payload))
        await writer.drain()
        if (await reader.readexactly(4))[3] != 0:  # CONNACK: its return code
            raise ConnectionRefusedError
        self._connected += 1
        await reader.readexactly(4)  # PUBACK
        self._done.append(message)
        self._took = time.monotonic() - self._begun
        return writer

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(_TRIES - 1):
            with suppress(OSError):
                return await asyncio.open_connection(self._host, self._port)
            await asyncio.sleep(_AGAIN_S)
        return await asyncio.open_connection(self._host, self._port)


def allow(connections: int) -> None:
    """Let this process have so many. Raises OSError: the machine does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE
    if resource.RLIM_INFINITY not in (soft, hard) and hard < wanted:
        raise OSError(f"{connections} connections: this machine allows {hard - _SPARE}")
    if soft not in (resource.RLIM_INFINITY,) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connect_packet(client: str) -> bytes:
    """CONNECT of a clean session, kept alive for a minute."""
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + _text(client)
    return b"\x10" + _length(len(body)) + body


def publish_packet(topic: str, payload: bytes) -> bytes:
    """PUBLISH at QoS 1, number 1."""
    body = _text(topic) + b"\x00\x01" + payload
    return b"\x32" + _length(len(body)) + body


def _text(said: str) -> bytes:
    return struct.pack(">H", len(said)) + said.encode()


def _length(n: int) -> bytes:
    """At most 16 383: no message of one value is longer."""
    return bytes([n]) if n < 128 else bytes([n % 128 | 128, n // 128])
