"""Many MQTT connections in one cheap process: raw sockets, PUBLISH frames made beforehand.

    python -m bench._load --port 1883 --connections 200 --messages 100000

Prints "ready" when all are connected and each device has sent its first message; goes on when a
line comes in on stdin; then prints one line of JSON. QoS 1, MQTT 3.1.1. At most `--in-flight`
messages of a connection are unacknowledged; a PUBACK is counted by its four bytes. With `--rate`
messages leave evenly spaced, each stamped (µs) with the moment of its departure.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

SECOND = 1_000_000_000
_MIDS = 60_000


def _frame(command: int, body: bytes) -> bytes:
    n, length = len(body), bytearray()
    while True:
        n, low = divmod(n, 128)
        length.append(low | (0x80 if n else 0))
        if not n:
            return bytes([command]) + bytes(length) + body


def _connect(port: int, client_id: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack("!H", len(name)) + name
    connection.sendall(_frame(0x10, body))
    if connection.recv(4) != b"\x20\x02\x00\x00":
        raise SystemExit("the broker does not take the connection")
    return connection


def _publish(device: str, mid: int, payload: bytes) -> bytes:
    topic = f"twin/v1/{device}/telemetry".encode()
    return _frame(0x32, struct.pack("!H", len(topic)) + topic + struct.pack("!H", mid) + payload)


def _payload(number: int, stamp_ms: int, samples: int) -> bytes:
    """About 100 bytes; with several samples a list of them, 10 ms apart."""
    value = 60 + number % 40
    if samples == 1:
        return b'{"time":%d,"values":{"heart_rate":%d.5},"sequence":%08d}' % (
            stamp_ms, value, 10_000_000 + number,
        )  # fmt: skip
    times = b",".join(b"%d" % (stamp_ms + 10 * k) for k in range(samples))
    values = b",".join(b"%d.5" % value for _ in range(samples))
    return b'{"times":[%s],"values":{"heart_rate":[%s]},"sequence":%08d}' % (
        times, values, 10_000_000 + number,
    )  # fmt: skip


@dataclass(slots=True)
class Device:
    """One connection, its frames one after the other (all of one length), how far it is."""

    name: str
    connection: socket.socket
    frames: memoryview = field(default_factory=lambda: memoryview(b""))
    size: int = 1
    count: int = 0
    sent: int = 0
    acked: int = 0
    left: int = 0  # bytes of a frame that the socket did not take

    def make_frames(self, count: int, samples: int, begin_ms: int) -> None:
        made = [
            _publish(self.name, 1 + n % _MIDS, _payload(n, begin_ms + 1_000 * n, samples))
            for n in range(1, count + 1)
        ]
        self.size = len(made[0])
        assert all(len(each) == self.size for each in made)
        self.frames, self.count = memoryview(b"".join(made)), count

    def fill(self, in_flight: int) -> None:
        """Send as many as may be under way."""
        until = min(self.count, self.acked + in_flight)
        start, end = self.sent * self.size - self.left, until * self.size
        if start < end:
            try:
                gone = start + self.connection.send(self.frames[start:end])
            except BlockingIOError:
                return
            self.sent = -(-gone // self.size)
            self.left = self.sent * self.size - gone

    def take_acks(self, pending: bytes) -> bytes:
        came = pending + self.connection.recv(65_536)
        self.acked += len(came) // 4
        return came[len(came) - len(came) % 4 :] if len(came) % 4 else b""


def flood(devices: list[Device], in_flight: int) -> None:
    """As fast as the acknowledgements allow."""
    poll = select.epoll()
    by_fd = {device.connection.fileno(): device for device in devices}
    rests = dict.fromkeys(by_fd, b"")
    for fd, device in by_fd.items():
        device.connection.setblocking(False)
        poll.register(fd, select.EPOLLIN)
        device.fill(in_flight)
    open_ones = len(devices)
    while open_ones:
        for fd, _ in poll.poll(1.0):
            device = by_fd[fd]
            rests[fd] = device.take_acks(rests[fd])
            # Refilled by halves: a send and a receive are then shared by many messages.
            if device.sent - device.acked <= in_flight // 2 and device.sent < device.count:
                device.fill(in_flight)
            if device.acked >= device.count:
                open_ones -= 1
                poll.unregister(fd)
        time.sleep(0.0005)


LATE_S = 60


def steady(devices: list[Device], rate: float, count: int, late: float = 0.0) -> None:
    """Evenly, each message made as it leaves; a share of them is stamped a minute before."""
    poll, chance = select.epoll(), random.Random(1)
    by_fd = {device.connection.fileno(): device for device in devices}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    begin = time.monotonic()
    for number in range(count):
        wait = begin + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        device = devices[number % len(devices)]
        behind = LATE_S if late and chance.random() < late else 0
        now = datetime.fromtimestamp(time.time_ns() / SECOND - behind, UTC)
        stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()
        payload = b'{"time":"%s","values":{"heart_rate":%d.5},"sequence":%d}' % (
            stamp, 60 + number % 40, device.sent + 1,
        )  # fmt: skip
        device.connection.sendall(_publish(device.name, 1 + device.sent % _MIDS, payload))
        device.sent += 1
        if number % 50 == 0:
            _take_all(poll, by_fd, 0)
    deadline = time.monotonic() + 10
    while any(d.acked < d.sent for d in devices) and time.monotonic() < deadline:
        _take_all(poll, by_fd, 0.1)


def _take_all(poll: select.epoll, by_fd: dict[int, Device], timeout: float) -> None:
    for fd, _ in poll.poll(timeout):
        by_fd[fd].take_acks(b"")


def greet(devices: list[Device], stamp_ms: int) -> None:
    """Each device's first message, acknowledged: so that it is known before the clock starts."""
    for device in devices:
        device.connection.sendall(_publish(device.name, 65_000, _payload(0, stamp_ms, 1)))
        assert len(device.connection.recv(4)) == 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=20)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--late", type=float, default=0.0)
    chosen = parser.parse_args()
    count = chosen.messages // chosen.connections
    devices = [
        Device(name, _connect(chosen.port, name))
        for name in (f"load-{n:05d}" for n in range(chosen.connections))
    ]
    begin_ms = time.time_ns() // 1_000_000 - 3_600_000 - 1_000 * count
    if chosen.rate is None:
        for device in devices:
            device.make_frames(count, chosen.samples, begin_ms)
    greet(devices, begin_ms - 1_000)
    print("ready", flush=True)
    sys.stdin.readline()
    spent = resource.getrusage(resource.RUSAGE_SELF)
    begin = time.time_ns()
    if chosen.rate is None:
        flood(devices, chosen.in_flight)
    else:
        steady(devices, chosen.rate, count * chosen.connections, chosen.late)
    end = time.time_ns()
    after = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "published": sum(d.sent for d in devices),
        "acked": sum(min(d.acked, d.sent) for d in devices),
        "samples": chosen.samples,
        "begin": begin,
        "end": end,
        "cpu_s": after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime,
    }
    print(json.dumps(report), flush=True)
    sys.stdin.readline()  # stay connected: a disconnect is traffic too


if __name__ == "__main__":
    main()
