"""MQTT packets as a broker writes them, for tests of who reads them."""

import struct


def length(n: int) -> bytes:
    """A variable byte integer."""
    encoded = bytearray()
    while True:
        n, low = divmod(n, 128)
        encoded.append(low | (0x80 if n else 0))
        if not n:
            return bytes(encoded)


def packet(command: int, body: bytes) -> bytes:
    """Header and body."""
    return bytes([command]) + length(len(body)) + body


def publish(
    topic: str | bytes,
    payload: bytes,
    mid: int = 0,
    five: bool = False,
    properties: bytes = b"",
    flags: int = 0,
) -> bytes:
    """A PUBLISH: QoS 1 if it has a number. flags: 1 retain, 8 sent again."""
    name = topic.encode() if isinstance(topic, str) else topic
    body = struct.pack("!H", len(name)) + name
    if mid:
        body += struct.pack("!H", mid)
    if five:
        body += length(len(properties)) + properties
    return packet(0x30 | flags | (2 if mid else 0), body + payload)


def connack(five: bool = False) -> bytes:
    """Accepted, session not present; with version 5 a receive maximum of 20."""
    return packet(0x20, b"\x00\x00" + (b"\x03\x21\x00\x14" if five else b""))


def suback(mid: int, five: bool = False) -> bytes:
    """QoS 1 granted."""
    return packet(0x90, struct.pack("!H", mid) + (b"\x00" if five else b"") + b"\x01")


PINGRESP = b"\xd0\x00"
