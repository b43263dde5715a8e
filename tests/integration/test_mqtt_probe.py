"""What `twin check --connect` finds out about a broker."""

from __future__ import annotations

import pytest

from ingest.mqtt_probe import BrokerRefused, Room, measure_room
from ingest.settings import MqttSettings
from tests.support.processes import refusing_port
from tests.support.servers import MosquittoServer, NatsServer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_wide_window_keeps_everything(protocol: str, mosquitto_server: MosquittoServer) -> None:
    settings = MqttSettings(port=mosquitto_server.port, protocol=protocol)  # type: ignore[arg-type]

    assert measure_room(settings, patience_s=60.0) == Room(
        sent=2_500, in_flight=2_000, arrived=2_500
    )


def test_defaults_of_mosquitto_lose_what_they_acknowledged() -> None:
    defaults = {"max_inflight_messages": "20", "max_queued_messages": "1000"}
    with MosquittoServer(settings=defaults) as server:
        room = measure_room(MqttSettings(port=server.port), patience_s=60.0)

    assert room.in_flight == 20
    assert room.arrived < room.sent


def test_window_of_nats_is_measured(nats_server: NatsServer) -> None:
    settings = MqttSettings(port=nats_server.port, protocol="3.1.1")
    room = measure_room(settings, patience_s=60.0)

    assert room == Room(sent=2_500, in_flight=200, arrived=2_500)


def test_broker_that_refuses_or_is_not_there_is_said(nats_server: NatsServer) -> None:
    with pytest.raises(BrokerRefused, match="Unsupported protocol version"):
        measure_room(MqttSettings(port=nats_server.port, protocol="5"), patience_s=60.0)
    with refusing_port() as port, pytest.raises(BrokerRefused, match="Connection refused"):
        measure_room(MqttSettings(port=port))
