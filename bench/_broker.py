"""A broker in appearance: takes one subscriber and feeds it frames made beforehand, QoS 1.

    python -m bench._broker --port 1883 --devices 200 --messages 400000

Speaks as `bench._load` does to who started it: "ready" when each device's first message is
acknowledged; a line on stdin; one line of JSON. It costs next to nothing, so that what is measured
is the subscriber. At most `--window` messages are unacknowledged (a Receive Maximum, or
mosquitto's max_inflight_messages); a PUBACK is counted by its four bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import socket
import sys
import time
from dataclasses import dataclass

from bench._load import _frame, _payload, _publish

_MIDS = 60_000
_CONNECT, _SUBSCRIBE, _PING, _PUBACK = 0x10, 0x80, 0xC0, 0x40


@dataclass(slots=True)
class Subscriber:
    """The one connection. acked: PUBACKs that came; five: it speaks MQTT 5."""

    connection: socket.socket
    rest: bytes = b""
    acked: int = 0
    five: bool = False
    subscribed: bool = False

    def read(self, timeout: float) -> None:
        if not select.select([self.connection], [], [], timeout)[0]:
            return
        came = self.connection.recv(1 << 18)
        if not came:
            raise SystemExit("the subscriber left")
        self.rest += came
        acks = 0
        while self.rest[4 * acks : 4 * acks + 2] == b"\x40\x02" and len(self.rest) >= 4 * acks + 4:
            acks += 1
        self.acked += acks
        self.rest = self.rest[4 * acks :]
        while len(self.rest) >= 2 and len(self.rest) >= 2 + self.rest[1]:
            packet, self.rest = self.rest[: 2 + self.rest[1]], self.rest[2 + self.rest[1] :]
            self.answer(packet)

    def answer(self, packet: bytes) -> None:
        """Packets shorter than 128 bytes, which is what a subscriber sends."""
        kind, properties = packet[0] & 0xF0, b"\x00" if self.five else b""
        if kind == _CONNECT:
            self.five = packet[8] == 5
            properties = b"\x00" if self.five else b""
            self.connection.sendall(_frame(0x20, b"\x00\x00" + properties))
        elif kind == _SUBSCRIBE:
            granted = packet.count(b"twin/v1/") or 1
            self.connection.sendall(_frame(0x90, packet[2:4] + properties + b"\x01" * granted))
            self.subscribed = True
        elif kind == _PING:
            self.connection.sendall(b"\xd0\x00")
        elif kind == _PUBACK:
            self.acked += 1


def feed(subscriber: Subscriber, frames: list[bytes], window: int) -> None:
    """All frames, never more than `window` unacknowledged, written by hundreds."""
    sent, first = 0, subscriber.acked
    stream, ends = memoryview(b"".join(frames)), [0]
    for frame in frames:
        ends.append(ends[-1] + len(frame))
    while subscriber.acked - first < len(frames):
        until = min(len(frames), subscriber.acked - first + window)
        if until - sent >= min(window // 4, len(frames) - sent) > 0:
            subscriber.connection.sendall(stream[ends[sent] : ends[until]])
            sent = until
        subscriber.read(1.0)


def made(devices: int, numbers: range, samples: int, five: bool) -> list[bytes]:
    """Messages of these numbers of each device, one device after the other in turn."""
    begin = time.time_ns() // 1_000_000 - 3_600_000
    if numbers[0]:
        begin -= 1_000 * numbers[-1]
    else:  # the greeting, before all others
        begin -= 7_200_000
    frames = []
    for n in numbers:
        for k in range(devices):
            mid = 1 + len(frames) % _MIDS
            frames.append(_publish(f"load-{k:05d}", mid, _payload(n, begin + 1_000 * n, samples)))
    return [_with_properties(frame) for frame in frames] if five else frames


def _with_properties(frame: bytes) -> bytes:
    """The PUBLISH as version 5 writes it: no properties, said by a length of 0."""
    body = frame[2:] if frame[1] < 128 else frame[3:]
    at = 4 + (body[0] << 8 | body[1])
    return _frame(frame[0], body[:at] + b"\x00" + body[at:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--window", type=int, default=10_000)
    parser.add_argument("--core", type=int)
    chosen = parser.parse_args()
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    with socket.create_server(("127.0.0.1", chosen.port)) as server:
        subscriber = Subscriber(server.accept()[0])
    while not subscriber.subscribed:
        subscriber.read(10.0)
    feed(subscriber, made(chosen.devices, range(1), 1, subscriber.five), chosen.window)
    numbers = range(1, 1 + chosen.messages // chosen.devices)
    frames = made(chosen.devices, numbers, chosen.samples, subscriber.five)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        subscriber.read(0.05)
    sys.stdin.readline()
    spent, first = resource.getrusage(resource.RUSAGE_SELF), subscriber.acked
    begin = time.time_ns()
    feed(subscriber, frames, chosen.window)
    end = time.time_ns()
    after = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "published": len(frames),
        "acked": subscriber.acked - first,
        "samples": chosen.samples,
        "begin": begin,
        "end": end,
        "cpu_s": after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime,
    }
    print(json.dumps(report), flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        subscriber.read(0.05)


if __name__ == "__main__":
    main()
