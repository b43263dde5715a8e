"""Streams without thread or socket: their events, and a connection in the place of a real one."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from ingest.journal.protocol import Entry
from tests.support.ward import Said, batch_of
from twin.care.feed import Feed
from twin.care.frames import Frame
from twin.care.wire import Wire
from twin.estimate import encode_output


def frame(number: int, topic: str | None = "", size: int = 1) -> Frame:
    return Frame(topic, number, b"x" * size)


class Line:
    """A connection: what was written to it, in the place of a transport."""

    def __init__(self) -> None:
        self.wire = Wire()
        transport: Any = self
        self.wire.transport = transport
        self.sent: list[bytes] = []
        self.closing = False

    def write(self, chunk: bytes) -> None:
        size, payload = chunk.split(b"\r\n", 1)
        assert len(payload) == int(size, 16) + 2
        assert payload.endswith(b"\n\n\r\n")
        self.sent.append(payload[:-2])

    def is_closing(self) -> bool:
        return self.closing


def tell(feed: Feed, *said: Said) -> None:
    """Fold rows and publish the frames that they make."""
    position = feed.position + 1
    feed.take([Entry(0, position, encode_output(batch_of(*said)))], position)
    feed.hub.publish(feed.make_frames()[0], 0.0)


def parsed(chunk: bytes) -> list[tuple[str, dict, str | None]]:
    """(event, body, id) of each event in a chunk."""
    made = []
    for block in chunk.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            made.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
    return made


async def next_events(stream: AsyncIterator[bytes]) -> list[tuple[str, dict, str | None]]:
    return parsed(await asyncio.wait_for(anext(stream), 5))
