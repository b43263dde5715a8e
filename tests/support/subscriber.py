"""A subscriber that notes what arrives, in order."""

import threading
import time
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt


class Subscriber:
    """Subscribes with QoS 1 under a persistent session (MQTT 3.1.1) while it is entered."""

    def __init__(self, port: int, topic: str = "twin/v1/#", client_id: str = "listener") -> None:
        self.received: list[tuple[str, bytes]] = []
        self.resumed: list[bool] = []
        self._port, self._topic = port, topic
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _u, m: self.received.append((m.topic, m.payload))

    def _connected(
        self,
        client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
        reason: object,
        _properties: object,
    ) -> None:
        self.resumed.append(flags.session_present)
        client.subscribe(self._topic, qos=1)

    def wait_for(self, messages: int, seconds: float = 60.0) -> set[tuple[str, bytes]]:
        """The different messages received, once there are so many or the time is up."""
        deadline = time.monotonic() + seconds
        while len(found := set(self.received)) < messages and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._subscribed.wait(60):
            raise TimeoutError("the broker did not take the subscription")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
