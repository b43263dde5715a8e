"""What the writer takes at once: messages that come together share a commit."""

from __future__ import annotations

import time

from ingest.frames import Delivery
from ingest.mqtt import Subscriber
from ingest.settings import MqttSettings


def received(count: int) -> Subscriber:
    """A subscriber to whom its client has handed messages over, each by itself."""
    subscriber = Subscriber(MqttSettings(), time.time_ns)
    hand_over = subscriber._client._hand_over  # type: ignore[attr-defined]
    for mid in range(1, count + 1):
        hand_over([Delivery("twin/v1/w/telemetry", b"{}", mid, mid, subscriber.generation)], 2)
    return subscriber


def test_what_waits_is_taken_at_once_and_not_before_its_time() -> None:
    subscriber, not_before = received(5), time.monotonic() + 0.03
    taken = subscriber.take(100, 1.0, 0.0, not_before, 6)
    assert time.monotonic() >= not_before
    assert [each.mid for each in taken] == [1, 2, 3, 4, 5]
    assert subscriber.waiting == 0


def test_a_message_after_a_silence_waits_for_nothing_but_the_linger() -> None:
    subscriber, long_ago, before = received(1), time.monotonic() - 60.0, time.monotonic()
    assert len(subscriber.take(100, 60.0, 0.0, long_ago, 96)) == 1
    assert time.monotonic() - before < 30.0


def test_many_do_not_wait_for_their_time() -> None:
    subscriber, far = received(7), time.monotonic() + 3_600.0
    assert [each.mid for each in subscriber.take(5, 1.0, 0.0, far, 7)] == [1, 2, 3, 4, 5]
    assert subscriber.waiting == 2
