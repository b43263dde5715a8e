"""The fleet's thief against the broker as it ships: what it is refused, what it is taken for."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.fleet.message import Message
from ingest.fleet.settings import Connection
from ingest.fleet.theft import Stolen, Thieves
from ingest.settings import DeviceSettings, IngestSettings, MqttSettings
from tests.support.commands import twin_json
from tests.support.edge import Edge, shipped
from tests.support.ingest_line import IngestLine, eventually
from tests.support.servers import MosquittoServer
from twin.certificates import INGEST, TrialAuthority, utc_now

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DEVICES = ("watch-01", "patch-01", "cuff-01", "thermometer-01")
SCRIPT = """
patients = 1
[connection]
authority = "{folder}/ca.pem"
certificates = "{folder}/{pairs}"
[[fault]]
kind = "stolen"
device = "watch-01"
thief = "watch-66"
at_s = 1
every = 2
"""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    authority = TrialAuthority(tmp_path / "authority", utc_now)
    authority.issue("broker", "127.0.0.1", 30).write(tmp_path)
    with MosquittoServer(settings=shipped(tmp_path, authority)) as server:
        yield Edge(authority, tmp_path, server)


def test_a_thief_gets_nothing_under_its_own_name_and_is_found_under_its_victims(
    edge: Edge, tmp_path: Path
) -> None:
    pairs = [edge.issue(device).certificate for device in DEVICES]
    assert pairs[0] is not None
    script = tmp_path / "faults.toml"
    script.write_text(SCRIPT.format(folder=tmp_path, pairs=pairs[0].parent.name))
    mqtt = MqttSettings(tls=edge.issue(INGEST), filters=("twin/v1/#",))
    settings = IngestSettings(mqtt=mqtt, devices=DeviceSettings(unknown="quarantine"))
    with IngestLine(edge.server.port, tmp_path / "line", settings=settings) as line:
        line.wait_until_connected()
        for device in (*DEVICES, "watch-66"):
            line.registry.bind(device, line.registry.add_patient())
        said = twin_json(
            *("fleet", "--script", script, "--port", str(edge.server.port), "--duration", "8"),
        )
        ledger = said["ledgers"]["watch-01"]
        own, victims = sorted(said["stolen"], key=lambda each: str(each["device"]), reverse=True)
        assert (own["device"], own["owner"], own["acknowledged"]) == ("watch-66", "watch-01", 0)
        assert own["refused"] >= 1  # by the broker: not authorised
        assert (victims["device"], victims["refused"]) == ("watch-01", 0)
        assert victims["acknowledged"] >= 1
        mismatch = ledger["refused"]["identity_mismatch"]
        assert ledger["refused"] == {"identity_mismatch": mismatch}
        assert "watch-66" not in said["ledgers"]

        def refused() -> int:
            return sum(line.quarantine.by_device().get("watch-01", {}).values())

        # As the two end each other's connections, an acknowledgement may be lost on the way: what
        # the broker has is at least what the fleet knows of.
        eventually(lambda: refused() >= mismatch, "the thief's messages are in quarantine", 30)
        good = sum(each["received"] for each in said["ledgers"].values()) - mismatch
        eventually(lambda: len(line.observations()) >= good, "its victim's own are used", 30)
        assert {each.device for each in line.observations()} <= {*DEVICES}
        assert line.quarantine.by_device().keys() == {"watch-01"}


def test_a_certificate_that_was_revoked_gets_the_thief_no_connection(edge: Edge) -> None:
    folder = edge.folder / "pairs"
    edge.authority.issue("device", "patch-01", 30).write(folder)
    connection = Connection(
        certificates=str(folder), authority=str(edge.folder / "ca.pem"), protocol="5"
    )
    message = Message("patch-01", 0, (0,), {"spo2": (97.0,)}, signed_as="patch-01")
    taken: list[Message] = []

    def steal() -> Stolen:
        thieves = Thieves(connection, "127.0.0.1", edge.server.port)
        payload = message.payload(time.time_ns())
        thieves.publish(message, payload, lambda: taken.append(message), threading.Event())
        thieves.close()
        return thieves.outcomes["patch-01", "patch-01"]

    assert steal() == Stolen("patch-01", "patch-01", acknowledged=1)
    assert edge.authority.revoke("patch-01") == 1
    edge.server.restart()
    assert steal() == Stolen("patch-01", "patch-01", no_connection=1)
    assert taken == [message]
