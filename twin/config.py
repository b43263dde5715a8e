"""The configuration: one TOML file, every key optional, each described where it is declared.

Environment variables override secrets only. A wrong key, type or range is refused with
file, line, key, what is there and what was expected (twin/config_file.py); `twin check --example`
prints all of it (twin/example_config.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ingest.instant import DAY, MINUTE
from ingest.settings import (
    DeviceSettings,
    IngestSettings,
    MqttSettings,
    QuarantineSettings,
    ScreenSettings,
    TlsSettings,
)

_DEVICE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MEGABYTE = 1024 * 1024


def default_data_dir(name: Literal["run", "demo"]) -> Path:
    """Where `twin run` or `twin demo` keep what they know, unless they are told otherwise."""
    return user_data_path("wearable-twin", appauthor=False) / name


def refusal(expected: str, key: str = "", got: str = "") -> PydanticCustomError:
    """What a check raises; key: within the table that is checked."""
    context = {"expected": expected, "key": key, "got": got}
    return PydanticCustomError("refused", "expected {expected}", context)


def _placed(path: Path, validation: ValidationInfo) -> Path:
    """A relative path is relative to the folder of the file that names it."""
    folder = (validation.context or {}).get("folder", Path())
    return Path(folder, path.expanduser())


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise refusal("the name of a time zone, like UTC or Europe/Paris") from None
    return name


def _filter(topic: str) -> str:
    levels = topic.split("/")
    wild = any(("#" in each or "+" in each) and len(each) > 1 for each in levels)
    if not topic or wild or "#" in levels[:-1] or "\0" in topic:
        raise refusal("an MQTT topic filter, like twin/v1/#")
    return topic


def _gateway(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise refusal("a device id: 1–64 of A–Z a–z 0–9 . _ -")
    return name


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise refusal("an http or https address, like http://127.0.0.1:8086")
    return text.rstrip("/")


FileName = Annotated[Path, Field(strict=False), AfterValidator(_placed)]
Name = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class TlsTable(_Table):
    """TLS to the broker. The table's presence, even empty, turns it on."""

    authority: FileName | None = Field(
        default=None,
        description="Certificate authority that signed the broker's certificate (PEM); without "
        "it, those of the system.",
        examples=["ca.pem"],
    )
    certificate: FileName | None = Field(
        default=None, description="Our own certificate (PEM), with `key`.", examples=["twin.pem"]
    )
    key: FileName | None = Field(
        default=None, description="Private key of `certificate` (PEM).", examples=["twin.key"]
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        _check_pair(self.certificate, self.key)
        return self


class MqttTable(_Table):
    """The broker that the devices publish to."""

    host: Name = Field(default="127.0.0.1", description="Name or address of the broker.")
    port: Port = Field(default=1883, description="Its port; with TLS usually 8883.")
    protocol: Literal["5", "3.1.1"] = Field(
        default="5", description="MQTT version. NATS speaks only 3.1.1."
    )
    client_id: Name = Field(
        default="twin-ingest",
        description="The broker keeps our session, and what we have not acknowledged, under this "
        "name; two processes with one name throw each other out.",
    )
    username: str | None = Field(
        default=None, description="Who we are to the broker.", examples=["twin"]
    )
    password: str | None = Field(
        default=None,
        repr=False,
        description="Our password; better in the environment variable TWIN_MQTT_PASSWORD, which "
        "overrides it.",
        examples=["secret"],
    )
    keepalive_s: int = Field(
        default=30, ge=1, le=65_535, description="Silence after which the connection is probed."
    )
    session_expiry_s: int = Field(
        default=7 * 86_400,
        ge=0,
        le=2**32 - 1,
        description="How long the broker keeps our session while we are away (MQTT 5; "
        "with 3.1.1 the broker's own limit holds).",
    )
    receive_maximum: int = Field(
        default=4_000,
        ge=1,
        le=65_535,
        description="Unacknowledged messages that may be under way to us (MQTT 5).",
    )
    filters: list[Annotated[str, AfterValidator(_filter)]] = Field(
        default=["twin/v1/#"],
        min_length=1,
        description="Topic filters that we subscribe to, QoS 1.",
    )
    reconnect_max_s: float = Field(
        default=30.0,
        ge=1,
        le=3_600,
        description="Longest pause between two attempts to connect.",
    )
    tls: TlsTable | None = Field(
        default=None, description="TLS to the broker; without the table, none."
    )


class DevicesTable(_Table):
    """Which devices are known, and what becomes of others."""

    unknown: Literal["quarantine", "register"] = Field(
        default="quarantine",
        description="A device that nobody bound: its messages wait in quarantine until it is, or "
        "it becomes a new pseudonymous patient.",
    )
    register_at_most: int = Field(
        default=1_000, ge=0, description="`register` makes at most so many patients."
    )
    file: FileName | None = Field(
        default=None,
        description="Registry file (.toml or .csv: device, patient, label, from, to) that is read "
        "at every start.",
        examples=["devices.csv"],
    )
    gateways: list[Annotated[str, AfterValidator(_gateway)]] = Field(
        default=[],
        description="Devices that may publish for others, under "
        "twin/v1/<gateway>/<device>/telemetry.",
    )
    ambiguous_minutes: float = Field(
        default=10.0,
        ge=0,
        le=1_440,
        description="Stamps within this of a device's change of patient are not guessed.",
    )


class ScreenTable(_Table):
    """Stamps that nobody believes."""

    future_minutes: float = Field(
        default=5.0, gt=0, le=1_440, description="A stamp further ahead is refused `future`."
    )
    ancient_days: float = Field(
        default=400.0, gt=0, le=36_500, description="An older stamp is refused `ancient`."
    )


class QuarantineTable(_Table):
    """How much is kept of what was refused; the oldest goes first, and stays in the sums."""

    max_megabytes: float = Field(default=256.0, ge=1, description="Payloads that are kept.")
    max_days: float = Field(default=30.0, gt=0, le=36_500, description="Age that is kept.")


class IngestTable(_Table):
    """How messages are taken in."""

    payload_max_kilobytes: float = Field(
        default=256.0,
        ge=1,
        le=262_144,
        description="A larger payload is refused `payload_too_large`.",
    )
    linger_ms: float = Field(
        default=5.0, ge=0, le=1_000, description="How long messages are collected for one commit."
    )
    commit_messages: int = Field(
        default=5_000, ge=1, le=100_000, description="Most messages in one commit."
    )
    publish_refusals: bool = Field(
        default=False,
        description="Publish each refusal (reason, path, expected; never the payload) on "
        "twin/v1/<device>/refused, for the device's engineer.",
    )


class JournalTable(_Table):
    """The journal between ingest, twin and stores."""

    partitions: int = Field(
        default=16,
        ge=1,
        le=1_024,
        description="Number of partitions; fixed when the journal is made.",
    )
    max_megabytes: int = Field(
        default=2_048,
        ge=16,
        description="Size that each of its two topics may reach. When it is full, "
        "nothing more is acknowledged to the broker.",
    )
    keep_days: float = Field(
        default=7.0,
        gt=0,
        description="Records that everybody has read are kept this long, space permitting.",
    )


class ModelTable(_Table):
    """The twin's model of physiology."""

    file: FileName | None = Field(
        default=None,
        description="Model file (TOML); without it, the one that ships.",
        examples=["model.toml"],
    )


class InfluxTable(_Table):
    """The InfluxDB 2 that estimates and observations are written to."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        default="http://127.0.0.1:8086", description="Address of the database."
    )
    org: Name = Field(default="twin", description="Organisation.")
    bucket: Name = Field(default="twin", description="Bucket; made at the start if it is missing.")
    token: Name | None = Field(
        default=None,
        repr=False,
        description="Token that may read and write the bucket; better in the environment variable "
        "TWIN_INFLUX_TOKEN, which overrides it.",
        examples=["secret"],
    )
    fields: Literal["default", "full"] = Field(
        default="default",
        description="`default` writes mean, std, lo95, hi95, trend; `full` all that an estimate "
        "has, at three times the database's work.",
    )
    retention_days: float = Field(
        default=0.0, ge=0, description="Retention of a bucket that we make; 0 keeps for ever."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=600, description="Longest wait for one answer.")


class StoreTable(_Table):
    """Where the record is kept."""

    kinds: list[Literal["embedded", "influx"]] = Field(
        default=["embedded"],
        min_length=1,
        description="Stores that are written; pages are answered by the first.",
    )
    influx: InfluxTable | None = Field(
        default=None, description="The database, where `kinds` names influx."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(set(self.kinds)) < len(self.kinds):
            raise refusal("each store once", "kinds", ", ".join(self.kinds))
        if "influx" in self.kinds:
            if self.influx is None:
                raise refusal("the table [store.influx], as kinds names influx", "influx", "none")
            if self.influx.token is None:
                raise refusal("a token, here or in TWIN_INFLUX_TOKEN", "influx.token", "none")
        return self


class CareTable(_Table):
    """The page and its API."""

    host: Name = Field(
        default="127.0.0.1",
        description="Address that is served. Any other than this machine's own needs `token`.",
    )
    port: int = Field(default=8_080, ge=0, le=65_535, description="Port; 0 takes a free one.")
    token: str | None = Field(
        default=None,
        min_length=16,
        repr=False,
        description="Whoever has it gets in, 16 characters or more; better in the environment "
        "variable TWIN_CARE_TOKEN, which overrides it.",
        examples=["sixteen characters or more"],
    )
    zone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="Time zone in which pages show times."
    )
    language: Literal["en", "fr"] = Field(
        default="en", description="Language for readers who ask for none that there is."
    )
    certificate: FileName | None = Field(
        default=None,
        description="Certificate (PEM) with which the page is served over HTTPS, with `key`.",
        examples=["page.pem"],
    )
    key: FileName | None = Field(
        default=None, description="Private key of `certificate` (PEM).", examples=["page.key"]
    )
    simulated: bool = Field(
        default=False, description="Everything shown was simulated: a permanent ribbon says so."
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is None and not _is_loopback(self.host):
            expected = "127.0.0.1, ::1 or localhost, or a care.token (or TWIN_CARE_TOKEN)"
            raise refusal(expected, "host", self.host)
        _check_pair(self.certificate, self.key)
        return self


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything lies under the data folder."""

    root: Path

    @property
    def journal(self) -> Path:
        """Folder of the journal."""
        return self.root / "journal"

    @property
    def snapshots(self) -> Path:
        """Folder of the worker's snapshots."""
        return self.root / "snapshots"

    @property
    def registry(self) -> Path:
        return self.root / "registry.db"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine.db"

    @property
    def store(self) -> Path:
        """File of the embedded store."""
        return self.root / "store.db"

    @property
    def influx_progress(self) -> Path:
        return self.root / "influx-progress.db"

    @property
    def care(self) -> Path:
        """File of the live feed's saved fold."""
        return self.root / "care" / "latest.bin"

    @property
    def tail(self) -> Path:
        """Folder of what `twin devices tail` shows."""
        return self.root / "ingest"


class Config(_Table):
    """All of it. `Config()` is the default."""

    data_dir: FileName = Field(
        default_factory=lambda: default_data_dir("run"),
        description="Folder for the journal, the registry, quarantine and embedded store; without "
        "it, `wearable-twin/run` in the user's data folder.",
        examples=["/var/lib/wearable-twin"],
    )
    mqtt: MqttTable = Field(default_factory=MqttTable)
    devices: DevicesTable = Field(default_factory=DevicesTable)
    screen: ScreenTable = Field(default_factory=ScreenTable)
    quarantine: QuarantineTable = Field(default_factory=QuarantineTable)
    ingest: IngestTable = Field(default_factory=IngestTable)
    journal: JournalTable = Field(default_factory=JournalTable)
    model: ModelTable = Field(default_factory=ModelTable)
    store: StoreTable = Field(default_factory=StoreTable)
    care: CareTable = Field(default_factory=CareTable)

    @property
    def paths(self) -> Paths:
        """Where everything lies."""
        return Paths(self.data_dir)

    def ingest_settings(self, speed: float = 1.0) -> IngestSettings:
        """What ingest is told; speed: journal seconds in a second, other than 1 in the demo."""
        wanted = self.ingest
        return IngestSettings(
            self._mqtt(),
            ScreenSettings(
                round(self.screen.future_minutes * MINUTE), round(self.screen.ancient_days * DAY)
            ),
            DeviceSettings(
                self.devices.unknown,
                self.devices.register_at_most,
                self.devices.file,
                frozenset(self.devices.gateways),
                round(self.devices.ambiguous_minutes * MINUTE),
            ),
            QuarantineSettings(
                round(self.quarantine.max_megabytes * _MEGABYTE),
                round(self.quarantine.max_days * DAY),
            ),
            round(wanted.payload_max_kilobytes * 1024),
            wanted.linger_ms / 1_000,
            wanted.commit_messages,
            wanted.publish_refusals,
            speed,
        )

    def _mqtt(self) -> MqttSettings:
        mqtt = self.mqtt
        tls = mqtt.tls
        return MqttSettings(
            mqtt.host,
            mqtt.port,
            mqtt.protocol,
            mqtt.client_id,
            mqtt.username,
            mqtt.password,
            None if tls is None else TlsSettings(tls.authority, tls.certificate, tls.key),
            mqtt.keepalive_s,
            mqtt.session_expiry_s,
            mqtt.receive_maximum,
            tuple(mqtt.filters),
            mqtt.reconnect_max_s,
        )


def _check_pair(certificate: Path | None, key: Path | None) -> None:
    if certificate is not None and key is None:
        raise refusal("the key of the certificate", "key", "none")
    if key is not None and certificate is None:
        raise refusal("the certificate of the key", "certificate", "none")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
