"""Messages published with QoS 1, until the broker has acknowledged every one of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping

import paho.mqtt.client as mqtt

from ingest.instant import MILLISECOND

Message = tuple[str, bytes]


def reading(device: str, stamp: int, values: Mapping[str, float], **more: object) -> Message:
    """A native message; stamp in ns, whole milliseconds."""
    said = {"time": stamp // MILLISECOND, "values": dict(values), **more}
    return f"twin/v1/{device}/telemetry", json.dumps(said).encode()


def publish_all(port: int, messages: Iterable[Message], rate: float = 0.0) -> int:
    """Publish in order, `rate` a second (0: as fast as it goes); how many were acknowledged."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(500)
    client.connect("127.0.0.1", port)
    client.loop_start()
    begun, sent = time.monotonic(), []
    for n, (topic, payload) in enumerate(messages):
        if rate:
            time.sleep(max(0.0, begun + n / rate - time.monotonic()))
        sent.append(client.publish(topic, payload, qos=1))
    for each in sent:
        each.wait_for_publish(120)
    acknowledged = sum(each.is_published() for each in sent)
    client.disconnect()
    client.loop_stop()
    return acknowledged
