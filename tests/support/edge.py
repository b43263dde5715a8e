"""A broker as `deploy/mosquitto` ships it, with certificates of an authority of its own."""

import re
from dataclasses import dataclass
from pathlib import Path

from ingest.settings import TlsSettings
from tests.support.servers import MosquittoServer
from twin.certificates import INGEST, TrialAuthority

SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto"


def shipped(folder: Path, authority: TrialAuthority) -> dict[str, str]:
    """The lines of the shipped configuration, with the paths of this test."""
    acl = folder / "acl"
    # As an operator does who has a gateway and Sparkplug: the lines that are commented out.
    examples = re.compile(r"^#(user|topic|pattern) ", re.M)
    acl.write_text(examples.sub(r"\1 ", (SHIPPED / "acl").read_text("utf-8")))
    places = {
        "/etc/mosquitto/certs/ca.pem": folder / "ca.pem",
        "/etc/mosquitto/certs/broker.pem": folder / "127.0.0.1.pem",
        "/etc/mosquitto/certs/broker.key": folder / "127.0.0.1.key",
        "/etc/mosquitto/certs/crl.pem": authority.revocations,
        "/etc/mosquitto/acl": acl,
    }
    lines = {}
    for line in (SHIPPED / "mosquitto-tls.conf").read_text("utf-8").splitlines():
        key, _, value = line.partition(" ")
        if line and not line.startswith("#") and key not in ("listener", "persistence_location"):
            lines[key] = str(places.get(value, value))
    return lines | {"log_dest": "stdout"}


@dataclass
class Edge:
    """A broker with certificates of its own authority."""

    authority: TrialAuthority
    folder: Path
    server: MosquittoServer

    def issue(self, name: str, authority: TrialAuthority | None = None) -> TlsSettings:
        role = "ingest" if name == INGEST else "device"
        issued = (authority or self.authority).issue(role, name, 30)
        folder = self.folder / (authority or self.authority).folder.name
        certificate, key, _ = issued.write(folder)
        return TlsSettings(self.folder / "ca.pem", certificate, key)
