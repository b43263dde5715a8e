"""Who listens to which frames. Lives in the event loop; the feed's thread hands frames over to it.

Queue of each client: at most `Client.BOUND` frames, in order. When full, it is emptied and the
client gets a fresh `snap` instead of what it missed. A slow client never delays another. Frames of
alarms are never dropped: they wait in a queue of their own, and a client that leaves `MOST_KEPT` of
them unread is closed; when it comes back it gets them by its cursor.

A client that has read all that there was, on a connection of our own server, flows: its frames are
written to the connection at once. As soon as that takes no more they wait in its queue again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from twin.care.frames import Frame
from twin.care.wire import Wire, chunk_of

#: The ring of ward frames for clients that come back: seconds, and bytes at most.
RING_S, RING_BYTES = 60.0, 32_000_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is published at once to all of one topic: frames, alarms first, and the same as a chunk.

    least: number of the first of the ward's frames, 0 without.
    """

    frames: Sequence[Frame]
    least: int
    chunk: bytes

    @classmethod
    def of(cls, frames: Sequence[Frame], topic: str | None) -> Self:
        """Those that concern a topic."""
        mine = [frame for frame in frames if frame.topic is None or frame.topic == topic]
        mine.sort(key=lambda frame: not frame.kept)
        least = next((frame.number for frame in mine if frame.topic == ""), 0)
        return cls(mine, least, chunk_of([frame.payload for frame in mine]) if mine else b"")


class Client:
    """One open stream: its topic, and frames not yet sent. wire: where its frames may go when none
    wait, None: nowhere."""

    BOUND = 8
    MOST_KEPT = 1_000

    def __init__(self, topic: str | None, who: str = "", wire: Wire | None = None) -> None:
        self.topic = topic
        #: Name of who reads it, "" if unknown.
        self.who = who
        #: Number of the ward's frame as of which it has the whole picture.
        self.seen = -1
        #: It missed frames: it needs a snap before anything else.
        self.behind = False
        self.closed = False
        #: It may see nothing more, not even what waits.
        self.expelled = False
        self._frames: deque[Frame] = deque()
        self._kept: deque[Frame] = deque()
        self._news = asyncio.Event()
        self._wire = wire
        self._flows = False  # all that came before is sent

    def give(self, parcel: Parcel) -> None:
        """Send these frames, or let them wait."""
        if self.expelled:
            return
        known = 0 < parcel.least <= self.seen
        if self._flows and self._wire and not known and self._wire.write(parcel.chunk):
            return
        self._flows = False
        for frame in parcel.frames:
            self.put(frame)

    def put(self, frame: Frame) -> None:
        if frame.kept:
            self._kept.append(frame)
            self.closed |= len(self._kept) > self.MOST_KEPT
        elif len(self._frames) >= self.BOUND:
            self._frames.clear()
            self.behind = self.topic is not None
        else:
            self._frames.append(frame)
        self._news.set()

    def close(self) -> None:
        self.closed = True
        self._news.set()

    def expel(self) -> None:
        """Close it; what waits is not sent."""
        self.expelled = True
        self.close()

    async def take(self) -> list[Frame]:
        """What came since the last call, alarms first; waits until there is something that was not
        sent meanwhile. What was taken before is sent when this is called again."""
        self._flows = not self._news.is_set()
        await self._news.wait()
        self._flows = False
        self._news.clear()
        frames = [*self._kept, *self._frames]
        self._kept.clear()
        self._frames.clear()
        return frames


class Hub:
    """Fans frames out. Everything but `watched` is called in the event loop only."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._ring: deque[tuple[float, Frame]] = deque()
        self._ring_bytes = 0
        self._topics: Counter[str] = Counter()
        #: Patients whose own stream somebody reads; replaced as a whole, safe to read anywhere.
        self.watched: frozenset[str] = frozenset()
        #: Patient → names of who reads its stream, each once; replaced as a whole too.
        self.viewers: Mapping[str, tuple[str, ...]] = {}
        self.closed = False
        self._together: tuple[list[Frame], bytes] = [], b""

    @property
    def clients(self) -> int:
        return len(self._clients)

    def publish(self, frames: list[Frame], at: float) -> None:
        """Give frames to whom they concern. at: seconds of a monotonic clock."""
        for frame in frames:
            if frame.topic == "":
                self._remember(frame, at)
        parcels: dict[str | None, Parcel] = {}
        for client in self._clients:
            parcel = parcels.get(client.topic)
            if parcel is None:
                parcel = parcels[client.topic] = Parcel.of(frames, client.topic)
            if parcel.frames:
                client.give(parcel)

    def subscribe(self, topic: str | None, who: str = "", wire: Wire | None = None) -> Client:
        """A new client of the ward (""), of one patient (its id) or of heartbeats only (None)."""
        client = Client(topic, who, wire)
        if self.closed:
            client.close()
        self._clients.add(client)
        self._count(topic, 1)
        return client

    def unsubscribe(self, client: Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._count(client.topic, -1)

    def missed(self, number: int, newest: int) -> list[Frame] | None:
        """Ward frames after `number`, which a returning client saw; None: no longer all there."""
        if number == newest:
            return []
        frames = [frame for _at, frame in self._ring if frame.number > number]
        complete = frames and frames[0].number == number + 1
        return frames if complete else None

    def together(self, frames: list[Frame]) -> bytes:
        """Their payloads one after the other: the same bytes for all who get the same frames."""
        if frames != self._together[0]:
            self._together = frames, b"".join(frame.payload for frame in frames)
        return self._together[1]

    def close(self) -> None:
        """End every stream; later ones end at once."""
        self.closed = True
        for client in self._clients:
            client.close()

    def _remember(self, frame: Frame, at: float) -> None:
        self._ring.append((at, frame))
        self._ring_bytes += len(frame.payload)
        while self._ring and (self._ring[0][0] < at - RING_S or self._ring_bytes > RING_BYTES):
            self._ring_bytes -= len(self._ring.popleft()[1].payload)

    def _count(self, topic: str | None, by: int) -> None:
        if topic:
            self._topics[topic] += by
            self._topics = +self._topics
            self.watched = frozenset(self._topics)
            readers = sorted(c.who for c in self._clients if c.topic == topic)
            told = {**self.viewers, topic: tuple(dict.fromkeys(readers))}
            self.viewers = {each: names for each, names in told.items() if each in self.watched}
