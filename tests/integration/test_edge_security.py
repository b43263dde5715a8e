"""The shipped broker configuration and certificates with a real mosquitto: who may not, cannot."""

import shutil
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.settings import DeviceSettings, IngestSettings, MqttSettings, TlsSettings
from tests.support.edge import Edge, shipped
from tests.support.ingest_line import IngestLine, eventually
from tests.support.servers import MosquittoServer
from twin.certificates import INGEST, TrialAuthority, utc_now

pytestmark = pytest.mark.integration

GOOD = b'{"time": %d, "values": {"heart_rate": 72}}'
NOT_AUTHORIZED, NOBODY_READS = 135, 16


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    authority = TrialAuthority(folder / "authority", utc_now)
    authority.issue("broker", "127.0.0.1", 30).write(folder)
    with MosquittoServer(settings=shipped(folder, authority)) as server:
        yield Edge(authority, folder, server)


class EdgeClient:
    """A device's or a thief's connection; `connected` after entry says whether it came in."""

    def __init__(self, edge: Edge, tls: TlsSettings | None, client_id: str = "c") -> None:
        self.connected = self.ended = False
        self.subscribed = 0
        self.acknowledged: list[int] = []
        self.came: list[tuple[str, bytes]] = []
        self._port = edge.server.port
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
        context = ssl.create_default_context(cafile=edge.folder / "ca.pem")
        if tls is not None and tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        try:
            self._client.connect("127.0.0.1", self._port, keepalive=10)
        except OSError:  # ssl.SSLError is one
            self.ended = True
            return self
        self._client.loop_start()
        eventually(lambda: self.connected or self.ended, "answered")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> int:
        """With QoS 1; the reason code of the acknowledgement."""
        before = len(self.acknowledged)
        self._client.publish(topic, payload, 1, retain)
        eventually(lambda: len(self.acknowledged) > before, "acknowledged")
        return self.acknowledged[-1]

    def subscribe(self, topic: str) -> None:
        """Returns when the broker has answered, whatever it has."""
        before = self.subscribed
        self._client.subscribe(topic, 1)
        eventually(lambda: self.subscribed > before, "answered")

    def _on_connect(
        self, _c: Client, _u: object, _f: object, reason: ReasonCode, _p: object
    ) -> None:
        self.connected, self.ended = not reason.is_failure, reason.is_failure

    def _on_disconnect(
        self, _c: Client, _u: object, _f: object, _r: ReasonCode, _p: object
    ) -> None:
        self.ended = True

    def _on_publish(
        self, _c: Client, _u: object, _mid: int, reason: ReasonCode, _p: object
    ) -> None:
        self.acknowledged.append(reason.value)

    def _on_subscribe(self, *_: object) -> None:
        self.subscribed += 1

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self.came.append((message.topic, message.payload))


@pytest.fixture
def line(edge: Edge, tmp_path: Path) -> Iterator[IngestLine]:
    devices = DeviceSettings(unknown="quarantine", gateways=frozenset({"ward-gw"}))
    mqtt = MqttSettings(tls=edge.issue(INGEST), filters=("twin/v1/#",))
    with IngestLine(
        edge.server.port, tmp_path, settings=IngestSettings(mqtt=mqtt, devices=devices)
    ) as made:
        made.wait_until_connected()
        for device in ("watch-7", "watch-8", "ward-gw/ring-1"):
            made.registry.bind(device, made.registry.add_patient())
        yield made


def good() -> bytes:
    return GOOD % (time.time_ns() // 1_000_000)


def test_a_device_reaches_ingest_on_its_own_topic_and_on_no_other(
    edge: Edge, line: IngestLine
) -> None:
    with EdgeClient(edge, edge.issue("watch-7")) as watch:
        assert watch.connected
        for topic in (
            "twin/v1/watch-8/telemetry",
            "twin/v1/watch-8/status",
            "twin/v1/watch-7/ring/telemetry",  # as if it were a gateway
            "twin/v1/ward-gw/ring-1/telemetry",
            "twin/v1/watch-7/refused",
            "twin/v1/watch-8/senml",
            "spBv1.0/ward/NDATA/gateway",
            "spBv1.0/ward/DDATA/gateway/watch-7",
            "spBv1.0/ward/NCMD/gateway",
            "other/topic",
        ):
            assert watch.publish(topic, good()) == NOT_AUTHORIZED, topic
        assert watch.publish("twin/v1/watch-7/telemetry", good()) == 0
        assert watch.publish("twin/v1/watch-7/announce", b'{"firmware": "1.4"}') == 0
        eventually(lambda: line.service.counters.received == 2, "received")
    (observation,) = line.observations()
    assert observation.device == "watch-7"
    assert line.service.counters.received == 2  # what the broker refused reached nobody
    assert line.quarantine.items(10) == []


def test_a_gateway_speaks_for_its_devices_only(edge: Edge, line: IngestLine) -> None:
    with EdgeClient(edge, edge.issue("ward-gw")) as gateway:
        assert gateway.publish("twin/v1/ward-gw/ring-1/telemetry", good()) == 0
        assert gateway.publish("twin/v1/watch-7/telemetry", good()) == NOT_AUTHORIZED
        assert gateway.publish("twin/v1/other-gw/ring-1/telemetry", good()) == NOT_AUTHORIZED
        eventually(lambda: len(line.observations()) == 1, "journalled")
    assert [each.device for each in line.observations()] == ["ward-gw/ring-1"]


def test_an_edge_node_speaks_under_its_own_name_in_its_own_group(edge: Edge) -> None:
    with EdgeClient(edge, edge.issue("gateway")) as node:
        assert node.publish("spBv1.0/ward/DDATA/gateway/watch-7", b"") == NOBODY_READS
        for topic in ("spBv1.0/icu/NDATA/gateway", "spBv1.0/ward/NDATA/other"):
            assert node.publish(topic, b"") == NOT_AUTHORIZED


def test_a_payload_that_names_another_device_is_refused(edge: Edge, line: IngestLine) -> None:
    stolen = good()[:-1] + b', "device": "watch-8"}'
    with EdgeClient(edge, edge.issue("watch-7")) as watch:
        assert watch.publish("twin/v1/watch-7/telemetry", stolen) == 0
        eventually(lambda: bool(line.quarantine.items(10)), "quarantined")
    (item,) = line.quarantine.items(10)
    assert (item.reason, item.device) == ("identity_mismatch", "watch-7")
    assert line.observations() == []


def test_a_gateways_payload_that_names_another_device_is_refused(
    edge: Edge, line: IngestLine
) -> None:
    """Neither a device beside it behind the gateway, nor one that signs in by itself."""
    with EdgeClient(edge, edge.issue("ward-gw")) as gateway:
        for named in ("ward-gw/ring-2", "watch-8"):
            stolen = good()[:-1] + b', "device": "%s"}' % named.encode()
            assert gateway.publish("twin/v1/ward-gw/ring-1/telemetry", stolen) == 0
        eventually(lambda: len(line.quarantine.items(10)) == 2, "quarantined")
    found = {(item.reason, item.device) for item in line.quarantine.items(10)}
    assert found == {("identity_mismatch", "ward-gw/ring-1")}
    assert line.observations() == []


def test_with_another_devices_certificate_one_is_that_device_and_never_oneself(
    edge: Edge, line: IngestLine
) -> None:
    """Whoever has a stolen pair is taken for its owner, whatever id it signs in with."""
    with EdgeClient(edge, edge.issue("watch-7"), client_id="watch-8") as thief:
        assert thief.publish("twin/v1/watch-8/telemetry", good()) == NOT_AUTHORIZED
        named = good()[:-1] + b', "device": "watch-8"}'
        assert thief.publish("twin/v1/watch-7/telemetry", named) == 0
        eventually(lambda: bool(line.quarantine.items(10)), "quarantined")
    (item,) = line.quarantine.items(10)
    assert (item.reason, item.device) == ("identity_mismatch", "watch-7")
    assert line.observations() == []


def test_a_device_reads_its_refusals_and_nobody_elses_data(edge: Edge, line: IngestLine) -> None:
    with (
        EdgeClient(edge, edge.issue("watch-7")) as watch,
        EdgeClient(edge, edge.issue("watch-8")) as spy,
    ):
        for topic in ("twin/v1/#", "#", "twin/v1/watch-7/refused", "twin/v1/watch-7/telemetry"):
            spy.subscribe(topic)
        watch.subscribe("twin/v1/watch-7/refused")
        assert watch.publish("twin/v1/watch-7/telemetry", good()) == 0
        eventually(lambda: len(line.observations()) == 1, "journalled")
        line.service.subscriber.publish("twin/v1/watch-7/refused", b"why")
        eventually(lambda: watch.came == [("twin/v1/watch-7/refused", b"why")], "told")
        assert spy.came == []


def test_without_a_certificate_of_the_authority_nobody_connects(edge: Edge) -> None:
    foreign = TrialAuthority(edge.folder / "foreign", utc_now)
    for tls in (None, edge.issue("watch-7", foreign), edge.issue(INGEST, foreign)):
        with EdgeClient(edge, tls) as thief:
            assert not thief.connected


def test_the_brokers_own_certificate_is_no_clients(edge: Edge) -> None:
    tls = TlsSettings(None, edge.folder / "127.0.0.1.pem", edge.folder / "127.0.0.1.key")
    with EdgeClient(edge, tls) as thief:
        assert not thief.connected


def test_another_clients_id_is_not_taken(edge: Edge, line: IngestLine) -> None:
    with EdgeClient(edge, edge.issue("watch-7"), client_id=INGEST) as thief:
        assert thief.connected  # under its own name
        assert thief.publish("twin/v1/watch-7/telemetry", good()) == 0
        eventually(lambda: len(line.observations()) == 1, "journalled")
        assert line.service.subscriber.connected
        assert line.service.subscriber.generation == 2  # its first connection


def test_a_revoked_certificate_connects_no_more_and_a_new_one_does(edge: Edge) -> None:
    stolen = edge.issue("watch-9")
    with EdgeClient(edge, stolen) as thief:
        assert thief.connected
    copies = [
        Path(shutil.copy(path, edge.folder / f"stolen{path.suffix}"))
        for path in (stolen.certificate, stolen.key)
        if path is not None
    ]
    assert edge.authority.revoke("watch-9") == 1
    edge.server.restart()
    with EdgeClient(edge, TlsSettings(None, *copies)) as thief:
        assert not thief.connected
    with EdgeClient(edge, edge.issue("watch-9")) as owner:
        assert owner.connected
