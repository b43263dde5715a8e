"""What can be set about ingest, with the defaults that the configuration file documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ingest.instant import DAY, MINUTE
from ingest.routes import NATIVE, Routes


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS to the broker; a client certificate needs both certificate and key."""

    #: Certificate authority file (PEM); None: the system's.
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The connection to the broker."""

    host: str = "127.0.0.1"
    port: int = 1883
    #: "5" or "3.1.1"; a NATS broker speaks only 3.1.1.
    protocol: Literal["5", "3.1.1"] = "5"
    #: The broker keeps our session, and what we have not acknowledged, under this name. Two
    #: processes with the same name throw each other out.
    client_id: str = "twin-ingest"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsSettings | None = None
    #: Seconds without traffic after which the connection is probed.
    keepalive_s: int = 30
    #: Seconds for which the broker keeps our session while we are away (MQTT 5; with 3.1.1 the
    #: broker's own limit holds). Default a week.
    session_expiry_s: int = 7 * 86_400
    #: Unacknowledged messages that the broker may have under way to us (MQTT 5). Highest rate is
    #: this divided by the time of a commit; the broker's own window is the other limit.
    receive_maximum: int = 4_000
    #: What is subscribed to, QoS 1. All under twin/v1, so that what has a wrong topic is seen too.
    filters: tuple[str, ...] = ("twin/v1/#",)
    #: Longest pause between two attempts to connect, seconds.
    reconnect_max_s: float = 30.0
    #: Received messages that may wait for the writer; see the card in ingest/mqtt.py.
    queue_messages: int = 100_000
    #: How the socket is read: bulk (ingest/mqtt_bulk.py), or stock, paho's own way, at a multiple
    #: of its cost.
    reader: Literal["bulk", "stock"] = "bulk"
    #: Name under which several ingest processes share the filters (MQTT 5); None: this one alone.
    shared_group: str | None = None

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What is asked of the broker. Sparkplug is never shared: its births and its data must come
        to the same process, in order."""
        if self.shared_group is None:
            return self.filters
        return tuple(
            each
            if each.startswith(("$share/", "spBv1.0/"))
            else f"$share/{self.shared_group}/{each}"
            for each in self.filters
        )


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """Limits of what one message allows to judge."""

    #: A stamp further ahead of its receipt is refused `future`, ns.
    future_ns: int = 5 * MINUTE
    #: A stamp older than this at its receipt is refused `ancient`, ns.
    ancient_ns: int = 400 * DAY

    def can_be(self, stamp: int, received_at: int) -> bool:
        """Whether the stamp is neither in the future nor ancient at its receipt (ns UTC)."""
        return -self.future_ns <= received_at - stamp <= self.ancient_ns


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """Which devices are known, and what happens to others."""

    #: quarantine: an unknown device waits until it is bound; register: it becomes a new patient.
    unknown: Literal["quarantine", "register"] = "quarantine"
    #: `register` makes at most this many patients.
    register_at_most: int = 1_000
    #: Registry file (TOML or CSV) that is read at start; None: only what the commands made.
    file: Path | None = None
    #: Devices that may publish for others, under twin/v1/<gateway>/<device>/telemetry.
    gateways: frozenset[str] = frozenset()
    #: Stamps within this of a change from one patient to another are not guessed, ns.
    ambiguous_ns: int = 10 * MINUTE
    #: Nothing is kept of a patient for whom no consent or other basis is registered.
    require_basis: bool = False


@dataclass(frozen=True, slots=True)
class QuarantineSettings:
    """How much is kept of what was refused; the oldest goes first, and is counted as expired."""

    max_bytes: int = 256 * 1024 * 1024
    max_age_ns: int = 30 * DAY
    #: Of devices that nobody registered: nobody knows whose data it is, nor who could agree to it.
    max_age_unbound_ns: int = 7 * DAY


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """All of ingest."""

    mqtt: MqttSettings = field(default_factory=MqttSettings)
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    devices: DeviceSettings = field(default_factory=DeviceSettings)
    quarantine: QuarantineSettings = field(default_factory=QuarantineSettings)
    #: A larger payload is refused `payload_too_large`, bytes.
    payload_max_bytes: int = 256 * 1024
    #: How long the writer collects messages for one commit, seconds.
    linger_s: float = 0.005
    #: Most messages in one commit.
    commit_messages: int = 5_000
    #: Publish each refusal (reason, path, expected) on twin/v1/<device>/refused.
    publish_refusals: bool = False
    #: Journal seconds that pass in one second of wall time; other than 1 only in the demo.
    speed: float = 1.0
    #: Which topics are understood, and the format that each speaks.
    routes: Routes = NATIVE
