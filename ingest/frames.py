"""MQTT's stream of bytes, cut into packets: PUBLISH read here, every other one left as it came.

Pure: no socket, no clock. Both versions (3.1.1: OASIS mqtt-v3.1.1 §2.2 and §3.3; 5: mqtt-v5.0,
the same sections). Of a message's properties (version 5) only the length is read: nothing that we
ask for is said in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import count, repeat
from typing import NamedTuple

import numpy as np

from ingest.frames_kernel import PLACES, publishes

#: Topic of a message whose topic is no UTF-8; it follows no grammar, so it is refused as such.
NOT_UTF8 = "not UTF-8"

_PUBLISH = 0x30
#: Longest packet other than PUBLISH: a DISCONNECT with two texts of 64 kB, with room to spare.
_OTHER_LONGEST = 256 * 1024
_TOPICS_KEPT = 1 << 16
#: Bytes from which on the compiled way is worth its call, and the shortest packet that it takes.
_WORTH_IT, _SHORTEST = 2_048, 4


class Delivery(NamedTuple):
    """One MQTT message; received_at is ns UTC of ingest's clock.

    Of what one read brought each is received 1 ns after the one before: receipt and the device's
    number tell a message that was sent twice from one message with two samples. mid is its number
    for the acknowledgement, 0 where it needs none (QoS 0); it counts on the connection of this
    generation, and on no other.
    """

    topic: str
    payload: bytes
    received_at: int
    mid: int
    generation: int


class Packet(NamedTuple):
    """A packet other than PUBLISH: first byte of its header, and all after its length."""

    command: int
    body: bytes


class Malformed(Exception):
    """These bytes are no MQTT; the connection cannot go on. `why`: which rule they break.

    Given as a value by `FrameReader.cut`, never raised.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class FrameReader:
    """Takes in a connection's bytes, cut anywhere, and gives its packets in order.

    A PUBLISH longer than `largest` bytes is not gathered whole: what goes beyond is dropped as it
    comes and its payload ends there, which the size limit of payloads then refuses. (To break the
    connection would be worse: the broker would send the same message again, for ever.) So the
    memory used is bounded by `largest` and what one `feed` brings.
    """

    def __init__(self, five: bool, largest: int) -> None:
        self._five = five
        self._largest = largest
        self._topics: dict[bytes, str] = {}
        self.clear()

    def clear(self) -> None:
        """Forget what is gathered: another connection begins."""
        self._stream = b""
        self._at = 0
        self._parts: list[bytes] = []
        self._held = 0  # bytes in parts
        self._needed = 0  # bytes from which on the first packet is complete
        self._skip = 0  # bytes still to come of a message that is too long

    def feed(self, received: bytes) -> None:
        """Add bytes to the stream. Call `cut` until it gives neither before the next ones."""
        if self._skip:
            skipped = min(self._skip, len(received))
            self._skip -= skipped
            received = received[skipped:]
        if received:
            self._parts.append(received)
            self._held += len(received)

    def cut(self, now: int, generation: int) -> tuple[list[Delivery], Packet | Malformed | None]:
        """The next messages, received from now on (ns UTC), and what ended them: another packet,
        bytes that are none, or (None) the end of what was fed."""
        if self._parts and self._held >= self._needed:
            rest = self._stream[self._at :]
            self._stream = rest + b"".join(self._parts) if rest else b"".join(self._parts)
            self._at, self._held = 0, 0
            self._parts.clear()
        if self._parts:
            return [], None
        messages: list[Delivery] = []
        try:
            return messages, self._cut(messages, now, generation)
        except Malformed as broken:
            return messages, broken

    def _usual(self, messages: list[Delivery], now: int, generation: int) -> None:
        """The messages at the front of the stream that are whole and need no look at each."""
        stream = np.frombuffer(self._stream, np.uint8)
        most = min(4_096, 1 + (len(stream) - self._at) // _SHORTEST)
        room = np.empty((most, PLACES), np.int64)
        while True:
            n, self._at = publishes(stream, self._at, self._five, self._largest, room)
            messages += self._made(room[:n].T.tolist(), now + len(messages), generation)
            if n < len(room):
                return

    def _made(self, places: list[list[int]], now: int, generation: int) -> Iterable[Delivery]:
        """The messages at these places, column by column: no step of a loop in Python for one."""
        raw, topics = self._stream, self._topics
        topic_at, topic_end, begins, ends, numbers = places
        names = [raw[a:b] for a, b in zip(topic_at, topic_end, strict=True)]
        found = [*map(topics.get, names)]
        if None in found:
            found = [topics.get(name) or self._remember(name) for name in names]
        payloads = [raw[a:b] for a, b in zip(begins, ends, strict=True)]
        columns = zip(found, payloads, count(now), numbers, repeat(generation), strict=False)
        return map(partial(tuple.__new__, Delivery), columns)

    def _cut(self, messages: list[Delivery], now: int, generation: int) -> Packet | None:
        if len(self._stream) - self._at >= _WORTH_IT:
            self._usual(messages, now, generation)
            now += len(messages)
        # One loop, over 50 lines, no calls: in a quiet fleet every message comes this way.
        stream, at = self._stream, self._at
        end = len(stream)
        five, largest, topics = self._five, self._largest, self._topics
        append, make = messages.append, tuple.__new__
        need = 2
        try:
            while end - at >= 2:
                command = stream[at]
                length = stream[at + 1]
                body = at + 2
                if length > 127:
                    length &= 127
                    shift = 7
                    while body < end:
                        more = stream[body]
                        body += 1
                        length |= (more & 127) << shift
                        if more < 128:
                            break
                        shift += 7
                        if shift > 21:
                            raise Malformed("length of more than four bytes")
                    else:
                        need = body - at + 1
                        break
                stop = body + length
                if command & 0xF0 != _PUBLISH:
                    if length > _OTHER_LONGEST:
                        raise Malformed("packet too long")
                    if stop > end:
                        need = stop - at
                        break
                    self._at = stop
                    return Packet(command, stream[body:stop])
                if length > largest:
                    stop = body + largest
                if stop > end:
                    need = stop - at
                    break
                topic_at = body + 2
                if topic_at > stop:
                    raise Malformed("message without topic")
                mid_at = topic_at + (stream[body] << 8) + stream[body + 1]
                qos = command & 0x06
                if qos == 2:
                    payload_at = mid_at + 2
                    if payload_at > stop:
                        raise Malformed("message shorter than its header")
                    mid = stream[mid_at] << 8 | stream[mid_at + 1]
                    if not mid:
                        raise Malformed("message number 0")
                elif qos:
                    raise Malformed("QoS higher than asked for")
                else:
                    payload_at, mid = mid_at, 0
                if five:
                    if payload_at < stop and not stream[payload_at]:
                        payload_at += 1  # no properties, as usual
                    else:
                        payload_at = _after_properties(stream, payload_at, stop)
                elif topic_at == mid_at:
                    raise Malformed("empty topic")
                if payload_at > stop:
                    raise Malformed("message shorter than its header")
                raw = stream[topic_at:mid_at]
                topic = topics.get(raw)
                if topic is None:
                    topic = self._remember(raw)
                append(make(Delivery, (topic, stream[payload_at:stop], now, mid, generation)))
                now += 1
                at = stop
                if length > largest:
                    self._skip = skip = length - largest
                    at = min(end, stop + skip)
                    self._skip -= at - stop
        finally:
            if self._at < at:
                self._at = at
        self._needed = max(0, need - (end - at))
        return None

    def _remember(self, raw: bytes) -> str:
        """Devices say the same topic all their life: one text for all their messages."""
        try:
            topic = raw.decode()
        except UnicodeDecodeError:
            return NOT_UTF8
        if len(self._topics) >= _TOPICS_KEPT:
            self._topics.clear()
        self._topics[raw] = topic
        return topic


def _after_properties(stream: bytes, at: int, stop: int) -> int:
    """Where a message's payload begins, of a packet that ends at `stop`; at: of the properties."""
    length = shift = 0
    while at < stop:
        byte = stream[at]
        at += 1
        length |= (byte & 127) << shift
        if byte < 128:
            return at + length
        shift += 7
        if shift > 21:
            break
    raise Malformed("properties without a length")
