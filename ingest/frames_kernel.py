"""A run of usual PUBLISH packets in a stream of bytes, compiled: where each of them lies.

Usual: whole, QoS 0 or 1, not too long, no properties. At the first byte of anything else it stops,
and `frames` goes on from there.
"""

from __future__ import annotations

from pathlib import Path

from ingest.compiled import kernels

compiled, _ = kernels([Path(__file__)])

#: Columns: where topic and payload begin and end, and the number for the acknowledgement (0: none).
TOPIC, TOPIC_END, PAYLOAD, END, NUMBER, PLACES = range(6)


@compiled
def publishes(stream, at, five, largest, places):  # type: ignore[no-untyped-def]
    """Write where the packets from byte `at` of stream (uint8) lie into places (most, PLACES).

    Returns how many there are, and the byte after the last of them.
    """
    n, end = 0, stream.shape[0]
    while n < places.shape[0] and end - at >= 4:
        command = stream[at]
        if command & 0xF0 != 0x30 or command & 0x04:
            break
        body, length, shift = at + 1, 0, 0
        while body < end and shift <= 21:
            more = stream[body]
            body += 1
            length |= (more & 127) << shift
            shift += 7
            if more < 128:
                shift = 99
        stop = body + length
        if shift != 99 or stop > end or length > largest or length < 2:
            break
        topic_end = body + 2 + (stream[body] << 8) + stream[body + 1]
        payload, number = topic_end, 0
        if command & 0x02:
            payload += 2
            if payload > stop:
                break
            number = stream[topic_end] << 8 | stream[topic_end + 1]
            if number == 0:
                break
        if five:
            if payload >= stop or stream[payload] != 0:
                break
            payload += 1
        elif topic_end == body + 2:
            break
        if payload > stop:
            break
        places[n, TOPIC], places[n, TOPIC_END], places[n, PAYLOAD] = body + 2, topic_end, payload
        places[n, END], places[n, NUMBER] = stop, number
        n += 1
        at = stop
    return n, at
