"""Password, TLS and client certificate against a real mosquitto."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ingest.mqtt import Subscriber
from ingest.settings import MqttSettings, TlsSettings
from tests.support.ingest_line import eventually
from tests.support.servers import MosquittoServer

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Certificates:
    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and one certificate for server and client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    at = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=at, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    openssl(
        *new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-addext", usage
    )
    openssl(*new, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=twin-ingest")
    (at / "names").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    openssl("x509", "-req", "-in", "request.pem", "-out", "cert.pem", "-days", "2", *signing)
    return Certificates(at / "ca.pem", at / "cert.pem", at / "key.pem")


@pytest.fixture
def secured(certificates: Certificates, tmp_path: Path) -> Iterator[MosquittoServer]:
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    command = ["mosquitto_passwd", "-b", str(passwords), "ingest", "right"]
    subprocess.run(command, check=True, capture_output=True)
    settings = {
        "allow_anonymous": "false",
        "password_file": str(passwords),
        "cafile": str(certificates.authority),
        "certfile": str(certificates.certificate),
        "keyfile": str(certificates.key),
        "require_certificate": "true",
    }
    with MosquittoServer(settings=settings) as server:
        yield server


def test_ingest_signs_in_by_certificate_and_password(
    secured: MosquittoServer, certificates: Certificates
) -> None:
    tls = TlsSettings(certificates.authority, certificates.certificate, certificates.key)
    settings = MqttSettings(port=secured.port, username="ingest", password="right", tls=tls)
    subscriber = Subscriber(settings, time.time_ns)
    subscriber.start()
    eventually(lambda: subscriber.connected, "connected")
    subscriber.stop()
    assert not subscriber.connected


@pytest.mark.parametrize("reader", ["bulk", "stock"])
def test_messages_larger_and_smaller_than_a_tls_record_all_come_through(
    secured: MosquittoServer, certificates: Certificates, reader: Literal["bulk", "stock"]
) -> None:
    tls = TlsSettings(certificates.authority, certificates.certificate, certificates.key)
    settings = MqttSettings(
        port=secured.port, username="ingest", password="right", tls=tls, reader=reader
    )
    subscriber = Subscriber(settings, time.time_ns)
    subscriber.start()
    eventually(lambda: subscriber.connected, "connected")
    sent = {b"%d" % n + b"x" * (50_000 if n % 20 == 0 else 50) for n in range(400)}
    device = Client(CallbackAPIVersion.VERSION2, client_id="watch-7")
    device.max_inflight_messages_set(200)
    device.username_pw_set("ingest", "right")
    device.tls_set(*map(str, (tls.authority, tls.certificate, tls.key)))
    device.connect("127.0.0.1", secured.port)
    device.loop_start()

    def subscribed() -> bool:
        device.publish("twin/v1/watch-7/telemetry", b"probe")
        return bool(subscriber.take(100, 0.1, 0.0))

    eventually(subscribed, "subscribed")
    for payload in sent:
        device.publish("twin/v1/watch-7/telemetry", payload, qos=1)
    came: set[bytes] = set()
    deadline = time.monotonic() + 60
    while not sent <= came and time.monotonic() < deadline:
        taken = subscriber.take(100, 0.2, 0.0)
        came |= {each.payload for each in taken}
        assert subscriber.acknowledge(taken) == len(taken)
    device.disconnect()
    device.loop_stop()
    subscriber.stop()
    assert came - {b"probe"} == sent


def test_a_refusal_of_the_broker_is_said_and_tried_again(
    secured: MosquittoServer, certificates: Certificates
) -> None:
    tls = TlsSettings(certificates.authority, certificates.certificate, certificates.key)
    settings = MqttSettings(port=secured.port, username="ingest", password="wrong", tls=tls)
    subscriber = Subscriber(settings, time.time_ns)
    subscriber.start()
    eventually(lambda: subscriber.refused == "Not authorized", "refused")
    assert not subscriber.connected
    assert subscriber.alive
    subscriber.stop()


def test_the_password_is_in_no_text_of_the_settings() -> None:
    assert "hidden" not in repr(MqttSettings(password="hidden"))
