"""Frames of QoS 0 as the publisher makes them, read by our own reader and beside paho's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from ingest.frames import FrameReader
from ingest.mqtt_publish import Outgoing, frame_of


class Bytes:
    """Stands for a connected socket of paho's; keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def send(self, part: bytes) -> int:
        self.written += part
        return len(part)


def of_paho(message: Outgoing, five: bool) -> bytes:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5 if five else MQTTv311)
    sock = Bytes()
    client._sock = sock  # type: ignore[assignment]
    client.publish(message.topic, message.payload, 0, message.retain)
    client._sock = None
    return sock.written


@pytest.mark.parametrize("five", [True, False])
@pytest.mark.parametrize("retain", [True, False])
@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_370, 16_383, 16_384, 40_000])
def test_a_frame_is_byte_for_byte_what_paho_writes(five: bool, retain: bool, size: int) -> None:
    message = Outgoing("out/p é/state", b"x" * size, retain, 0)
    assert frame_of(message, five) == of_paho(message, five)


@given(
    st.lists(st.tuples(st.text("abc/é", min_size=1), st.binary(max_size=300), st.booleans())),
    st.booleans(),
)
def test_frames_in_a_row_are_cut_where_they_were_joined(
    told: list[tuple[str, bytes, bool]], five: bool
) -> None:
    reader = FrameReader(five, 1 << 20)
    reader.feed(b"".join(frame_of(Outgoing(*each, 0), five) for each in told))
    messages, then = reader.cut(1, 1)
    assert then is None
    assert [(m.topic, bytes(m.payload)) for m in messages] == [each[:2] for each in told]
    assert {m.mid for m in messages} <= {0}


def test_a_topic_longer_than_a_frame_can_name_is_refused() -> None:
    with pytest.raises(ValueError, match="topic of 65536 bytes"):
        frame_of(Outgoing("x" * 65_536, b"", True, 0), True)
