"""A stream of bytes, cut anywhere, gives the same packets."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ingest.frames
from ingest.frames import NOT_UTF8, Delivery, FrameReader, Malformed, Packet
from tests.support.mqtt_bytes import PINGRESP, connack, packet, publish, suback

NOW, GENERATION, LARGEST = 1_000, 3, 1 << 20
TOPIC = "twin/v1/watch-7/telemetry"

Item = Delivery | Packet | Malformed


@pytest.fixture(autouse=True, params=["loop", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test by both ways through a stream."""
    if request.param == "compiled":
        monkeypatch.setattr(ingest.frames, "_WORTH_IT", 0)


def read(pieces: list[bytes], five: bool = False, largest: int = LARGEST) -> list[Item]:
    """All that comes out, in order, up to the first bytes that are no MQTT."""
    reader = FrameReader(five, largest)
    items: list[Item] = []
    for piece in pieces:
        reader.feed(piece)
        while True:
            messages, then = reader.cut(NOW, GENERATION)
            assert [each.received_at for each in messages] == [
                NOW + place for place in range(len(messages))
            ]
            items += [each._replace(received_at=NOW) for each in messages]
            if then is None:
                break
            items.append(then)
            if isinstance(then, Malformed):
                return items
    return items


def test_no_two_messages_of_one_read_are_received_at_once() -> None:
    reader = FrameReader(False, LARGEST)
    reader.feed(publish(TOPIC, b"once", 1) + publish(TOPIC, b"once", 1, flags=8))
    messages, _ = reader.cut(NOW, GENERATION)
    assert [each.received_at for each in messages] == [NOW, NOW + 1]


def message(topic: str, payload: bytes, mid: int = 0) -> Delivery:
    return Delivery(topic, payload, NOW, mid, GENERATION)


def stream_of(five: bool) -> tuple[bytes, list[Item]]:
    """One of each kind: short, over 127 bytes, QoS 0, sent again, empty, between other packets."""
    long = b"x" * 300
    user = b"\x26\x00\x01k\x00\x01v" if five else b""
    wire = [
        connack(five),
        suback(1, five),
        publish(TOPIC, b"a", 1, five),
        publish(TOPIC, long, 65_535, five, user),
        PINGRESP,
        publish("é", b"", 0, five),
        publish(TOPIC, b"again", 7, five, flags=8),
        publish(TOPIC, b"kept", 0, five, flags=1),
    ]
    items: list[Item] = [
        Packet(wire[0][0], wire[0][2:]),
        Packet(wire[1][0], wire[1][2:]),
        message(TOPIC, b"a", 1),
        message(TOPIC, long, 65_535),
        Packet(0xD0, b""),
        message("é", b""),
        message(TOPIC, b"again", 7),
        message(TOPIC, b"kept"),
    ]
    return b"".join(wire), items


@pytest.mark.parametrize("five", [False, True])
def test_a_stream_split_at_any_byte_gives_the_same_packets(five: bool) -> None:
    stream, items = stream_of(five)
    assert read([stream], five) == items
    assert read([bytes([byte]) for byte in stream], five) == items
    for at in range(1, len(stream)):
        assert read([stream[:at], stream[at:]], five) == items


@settings(deadline=None)
@given(st.booleans(), st.lists(st.integers(0, 450), max_size=8), st.data())
def test_a_stream_split_at_many_places_gives_the_same_packets(
    five: bool, cuts: list[int], data: st.DataObject
) -> None:
    stream, items = stream_of(five)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert read([stream[a:b] for a, b in pairwise(edges)], five) == items


def test_a_topic_that_is_no_utf8_is_still_a_message() -> None:
    assert read([publish(b"twin/\xff", b"p", 4)]) == [message(NOT_UTF8, b"p", 4)]


@pytest.mark.parametrize("five", [False, True])
@pytest.mark.parametrize("over", [1, 7, 5_000])
def test_a_message_that_is_too_long_is_cut_and_its_neighbours_stay_whole(
    five: bool, over: int
) -> None:
    largest = 1_000
    header = 2 + len(TOPIC) + 2 + five
    long = publish(TOPIC, b"y" * (largest - header + over), 2, five)
    stream = publish(TOPIC, b"a", 1, five) + long + publish(TOPIC, b"b", 3, five) + PINGRESP
    expected: list[Item] = [
        message(TOPIC, b"a", 1),
        message(TOPIC, b"y" * (largest - header), 2),
        message(TOPIC, b"b", 3),
        Packet(0xD0, b""),
    ]
    assert read([stream], five, largest) == expected
    for size in (1, 3, 64, 999, 1_001, 1_500):
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert read(pieces, five, largest) == expected


def test_what_is_gathered_of_a_long_message_is_bounded() -> None:
    reader = FrameReader(five=False, largest=1_000)
    reader.feed(b"\x32\xff\xff\xff\x7f" + b"\x00\x01t\x00\x09" + b"z" * 2_000)
    messages, then = reader.cut(NOW, GENERATION)
    assert [len(each.payload) for each in messages] == [995]
    assert then is None
    for _ in range(1_000):  # of the 256 MB that its header announces
        reader.feed(b"z" * 2_000)
        assert reader.cut(NOW, GENERATION) == ([], None)
    assert reader._held == 0


@pytest.mark.parametrize(
    ("wrong", "five"),
    [
        (b"\x32\xff\xff\xff\xff\x01", False),  # a length of five bytes
        (packet(0x34, b"\x00\x01t\x00\x01p"), False),  # QoS 2, which nobody asked for
        (packet(0x36, b"\x00\x01t\x00\x01p"), False),  # QoS 3
        (packet(0x32, b"\x00\x01t\x00\x00p"), False),  # number 0
        (packet(0x30, b"\x00"), False),  # no room for the length of a topic
        (packet(0x30, b""), False),
        (packet(0x32, b"\x00\x05topic"), False),  # no number
        (packet(0x30, b"\x00\x09topic"), False),  # topic longer than the packet
        (packet(0x30, b"\x00\x00p"), False),  # empty topic
        (packet(0x30, b"\x00\x01t"), True),  # no properties
        (packet(0x30, b"\x00\x01t\x05\x01"), True),  # properties longer than the packet
        (packet(0x30, b"\x00\x01t\xff\xff\xff\xff\x01"), True),
        (packet(0xE0, b"\x00" * 300_000), True),
    ],
)
def test_bytes_that_are_no_mqtt_end_the_stream_after_the_messages_before_them(
    wrong: bytes, five: bool
) -> None:
    before = publish(TOPIC, b"a", 1, five)
    items = read([before + wrong + before], five)
    assert items[0] == message(TOPIC, b"a", 1)
    assert len(items) == 2
    assert isinstance(items[1], Malformed)


def test_after_clear_nothing_of_the_last_connection_is_left() -> None:
    frame = publish(TOPIC, b"payload", 1)
    for at in range(1, len(frame)):
        reader = FrameReader(five=False, largest=LARGEST)
        reader.feed(frame[:at])
        assert reader.cut(NOW, GENERATION) == ([], None)
        reader.clear()
        reader.feed(frame)
        assert reader.cut(NOW, GENERATION) == ([message(TOPIC, b"payload", 1)], None)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans(), st.integers(8, 80))
def test_any_bytes_are_read_without_an_exception(
    pieces: list[bytes], five: bool, largest: int
) -> None:
    items = read(pieces, five, largest)
    assert all(len(each.payload) <= largest for each in items if isinstance(each, Delivery))
    assert list(map(repr, items)) == list(map(repr, read([b"".join(pieces)], five, largest)))
