"""The bulk client does on the same bytes what stock paho does, and writes its PUBACKs as one."""

import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from ingest.frames import NOT_UTF8, Delivery
from ingest.mqtt_bulk import BulkClient
from tests.support.mqtt_bytes import PINGRESP, connack, packet, publish, suback

TOPIC = "twin/v1/watch-7/telemetry"
Events = list[tuple[object, ...]]


def listen(client: Client, events: Events) -> None:
    client.on_connect = lambda _c, _u, _f, reason, _p: events.append(("connect", str(reason)))
    client.on_subscribe = lambda _c, _u, mid, codes, _p: events.append(
        ("subscribe", mid, [code.value for code in codes])
    )
    client.on_disconnect = lambda _c, _u, flags, _r, _p: events.append(
        ("disconnect", flags.is_disconnect_packet_from_server)
    )


def stock(five: bool, events: Events) -> Client:
    def arrived(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = NOT_UTF8
        events.append(("message", topic, bytes(message.payload), message.mid))

    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id="ingest",
        clean_session=None if five else False,
        protocol=MQTTv5 if five else MQTTv311,
        manual_ack=True,
    )
    listen(client, events)
    client.on_message = arrived
    return client


def bulk(five: bool, events: Events, largest: int = 1 << 20) -> BulkClient:
    def arrived(messages: list[Delivery], _size: int) -> None:
        events.extend(("message", m.topic, m.payload, m.mid) for m in messages)

    client = BulkClient("ingest", five, lambda: 1, lambda: 1, arrived, largest=largest)
    listen(client, events)
    return client


@contextmanager
def connected(client: Client) -> Iterator[socket.socket]:
    """The broker's end of a connection that the client believes to have made."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    client._sock = ours
    try:
        yield theirs
    finally:
        client._sock_close()
        ours.close()
        theirs.close()


def read_all(client: Client) -> None:
    while (sock := client._sock) is not None and select.select([sock], [], [], 0)[0]:
        client.loop_read()


def heard(
    make: Callable[[bool, Events], Client], five: bool, pieces: list[bytes]
) -> tuple[Events, bool]:
    """What the client tells of, and whether it still holds the connection."""
    events: Events = []
    client = make(five, events)
    with connected(client) as broker:
        for piece in pieces:
            if client._sock is None:
                break
            broker.sendall(piece)
            read_all(client)
        return events, client._sock is not None


def stream_of(five: bool) -> bytes:
    user = b"\x26\x00\x01k\x00\x01v" if five else b""
    return b"".join(
        [
            connack(five),
            suback(1, five),
            publish(TOPIC, b"a", 1, five),
            publish(TOPIC, b"x" * 200, 65_535, five, user),
            PINGRESP,
            publish(b"\xff", b"", 2, five),
            publish("é", b"", 0, five, flags=1),
            publish(TOPIC, b"again", 7, five, flags=8),
        ]
    )


@pytest.mark.parametrize("five", [False, True])
def test_it_hears_what_stock_paho_hears_wherever_the_stream_is_split(five: bool) -> None:
    stream = stream_of(five)
    expected = heard(stock, five, [stream])
    assert len(expected[0]) == 7
    assert expected[1]
    assert heard(bulk, five, [bytes([byte]) for byte in stream]) == expected
    for at in range(len(stream)):
        assert heard(bulk, five, [stream[:at], stream[at:]]) == expected


user_properties = st.lists(
    st.tuples(st.text("ab", max_size=3), st.text("yz", max_size=100)), max_size=2
).map(
    lambda pairs: b"".join(
        b"\x26" + b"".join(struct.pack("!H", len(t)) + t.encode() for t in pair) for pair in pairs
    )
)
packets = st.one_of(
    st.builds(
        SimpleNamespace,
        topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        payload=st.binary(max_size=300),
        mid=st.integers(0, 65_535),
        flags=st.sampled_from([0, 1]),
        properties=user_properties,
    ),
    st.sampled_from(["ping", "suback", "disconnect", "wrong"]),
)


def wire(each: object, five: bool) -> bytes:
    if isinstance(each, SimpleNamespace):
        properties = each.properties if five else b""
        return publish(each.topic, each.payload, each.mid, five, properties, each.flags)
    return {
        "ping": PINGRESP,
        "suback": suback(9, five),
        "disconnect": packet(0xE0, b"\x8b\x00"),  # unknown to 3.1.1
        "wrong": packet(0x30, b"\x00\x09short"),
    }[str(each)]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(packets, max_size=12), st.lists(st.integers(0, 2_000), max_size=4))
def test_it_hears_what_stock_paho_hears_of_any_packets(
    five: bool, sent: list[object], cuts: list[int]
) -> None:
    stream = connack(five) + b"".join(wire(each, five) for each in sent)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges) if a < b]
    assert heard(bulk, five, pieces) == heard(stock, five, [stream])


@settings(deadline=None, max_examples=100)
@given(st.booleans(), st.lists(st.binary(max_size=30), max_size=4))
def test_any_bytes_leave_it_connected_or_without_a_connection_and_never_raise(
    five: bool, pieces: list[bytes]
) -> None:
    events, _ = heard(bulk, five, [piece for piece in pieces if piece])
    assert all(event[0] in ("connect", "subscribe", "disconnect", "message") for event in events)


def test_bytes_that_are_no_mqtt_end_the_connection_and_are_counted() -> None:
    events: Events = []
    client = bulk(False, events)
    with connected(client) as broker:
        broker.sendall(connack() + publish(TOPIC, b"a", 1) + packet(0x36, b"\x00\x01t\x00\x01p"))
        read_all(client)
        assert client._sock is None
    assert [event[0] for event in events] == ["connect", "message", "disconnect"]
    assert client.malformed == 1


def test_a_closed_connection_is_noticed_with_half_a_packet_held() -> None:
    events: Events = []
    client = bulk(False, events)
    with connected(client) as broker:
        broker.sendall(connack() + publish(TOPIC, b"a", 1)[:5])
        read_all(client)
        broker.shutdown(socket.SHUT_RDWR)
        read_all(client)
        assert client._sock is None
    assert [event[0] for event in events] == ["connect", "disconnect"]


def test_what_comes_counts_as_a_sign_of_life() -> None:
    client = bulk(False, [])
    with connected(client) as broker:
        broker.sendall(connack())
        read_all(client)
        client._last_bytes_received = client._last_msg_out = 0.0
        broker.sendall(publish(TOPIC, b"a", 1))
        read_all(client)
        assert client._last_bytes_received > 0


def written(client: Client, broker: socket.socket, size: int, piece: int) -> bytes:
    """What the client writes, taken up slowly, until there is so much."""
    came = bytearray()
    while len(came) < size:
        client.loop_write()
        came += broker.recv(piece)
    return bytes(came)


def test_acknowledgements_are_written_in_order_whole_and_never_into_another_packet() -> None:
    client = bulk(False, [])
    client._thread = SimpleNamespace()  # type: ignore[assignment]  # as in its loop: only queue
    mids = [*range(1, 30_000), *range(40_000, 65_536)]
    frames = b"".join(struct.pack("!BBH", 0x40, 2, mid) for mid in mids)
    with connected(client) as broker:
        client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)  # type: ignore[union-attr]
        client.acknowledge(mids)  # far more than the socket takes at once
        client.loop_write()
        client._send_pingreq()
        client.acknowledge([7])
        expected = frames + b"\xc0\x00" + b"\x40\x02\x00\x07"
        assert written(client, broker, len(expected), 1_000) == expected


def test_acknowledgements_of_a_lost_connection_are_never_written() -> None:
    client = bulk(False, [])
    client._thread = SimpleNamespace()  # type: ignore[assignment]
    ours, theirs = socket.socketpair()
    with connected(client), ours, theirs:
        client.acknowledge([1, 2, 3])
        client._create_socket = lambda: ours  # type: ignore[method-assign]
        client._host, client._port = "127.0.0.1", 1
        client.reconnect()
        client.loop_write()
        assert theirs.recv(4_096)[0] & 0xF0 == 0x10  # CONNECT, and nothing before it


def test_nothing_is_read_while_there_is_no_room_but_not_for_ever() -> None:
    events: Events = []
    client = bulk(False, events)
    client._keepalive = 1_000
    with connected(client) as broker:
        broker.sendall(connack())
        read_all(client)
        client._has_room = lambda: False
        broker.sendall(publish(TOPIC, b"a", 1))
        client.loop_read()
        assert [event[0] for event in events] == ["connect"]
        client._read_at -= 500  # half the keep-alive time ago
        client.loop_read()
        assert [event[0] for event in events] == ["connect", "message"]
