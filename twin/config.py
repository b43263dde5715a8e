"""The configuration: one TOML file, every key optional, each described under its declaration.

Environment variables override secrets only. A wrong key, type or range is refused with file, line,
key, what is there and what was expected (twin/config_file.py); `twin check --example` prints all of
it (twin/example_config.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from ingest.instant import DAY, MINUTE
from ingest.routes import NATIVE, Routes
from ingest.settings import (
    DeviceSettings,
    IngestSettings,
    MqttSettings,
    QuarantineSettings,
    ScreenSettings,
)
from ingest.topic_filter import apart
from twin.config_broker import MqttTable, OutwardTable, connection_of, overlaps
from twin.config_mapping import MappingTable, TopicTable
from twin.config_paths import Paths, default_data_dir
from twin.config_purpose import NotifyTable, PurposeTable
from twin.config_table import STRICT
from twin.config_values import (
    DeviceName,
    FileName,
    HeaderText,
    Name,
    Url,
    Zone,
    check_pair,
    is_loopback,
    refusal,
)

_KILOBYTE, _MEGABYTE = 1024, 1024 * 1024


class _Table(BaseModel):
    model_config = STRICT


class DevicesTable(_Table):
    """Which devices are known, and what becomes of others."""

    unknown: Literal["quarantine", "register"] = "quarantine"
    """A device that nobody bound: its messages wait in quarantine until it is, or it becomes a new
    pseudonymous patient."""
    register_at_most: Annotated[int, Field(ge=0)] = 1_000
    """`register` makes at most so many patients."""
    file: Annotated[FileName | None, Field(examples=["devices.csv"])] = None
    """Registry file (.toml or .csv: device, patient, label, from, to, model, firmware, serial; in
    TOML also device models and consents) that is read at every start."""
    gateways: list[DeviceName] = []
    """Devices that may publish for others, under twin/v1/<gateway>/<device>/telemetry."""
    ambiguous_minutes: Annotated[float, Field(ge=0, le=1_440)] = 10.0
    """Stamps within this of a device's change of patient are not guessed."""


class ScreenTable(_Table):
    """Stamps that nobody believes."""

    future_minutes: Annotated[float, Field(gt=0, le=1_440)] = 5.0
    """A stamp further ahead is refused `future`."""
    ancient_days: Annotated[float, Field(gt=0, le=36_500)] = 400.0
    """An older stamp is refused `ancient`."""


class QuarantineTable(_Table):
    """How much is kept of what was refused; the oldest goes first, and stays in the sums."""

    max_megabytes: Annotated[float, Field(ge=1)] = 256.0
    """Payloads that are kept."""
    max_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    """Age that is kept."""
    unbound_max_days: Annotated[float, Field(gt=0, le=36_500)] = 7.0
    """Age that is kept of devices that nobody registered: nobody knows whose data it is."""


class PrivacyTable(_Table):
    """What may be kept of whom."""

    require_basis: bool = False
    """Nothing is kept of a patient for whom no consent or other legal basis is registered (`twin
    patients consent`); without it, only of patients who withdrew, or whose consent has ended."""


class IngestTable(_Table):
    """How messages are taken in."""

    payload_max_kilobytes: Annotated[float, Field(ge=1, le=262_144)] = 256.0
    """A larger payload is refused `payload_too_large`."""
    linger_ms: Annotated[float, Field(ge=0, le=1_000)] = 5.0
    """How long messages are collected for a commit; commits of few begin three times that apart."""
    commit_messages: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """Most messages in one commit."""
    topics: list[TopicTable] = []
    """Topics of the fleet's own on which devices speak a known format; subscribed to by
    themselves. Ours need no declaration, Sparkplug only `spBv1.0/#` among the filters."""
    mapping: list[MappingTable] = []
    """Devices that speak a JSON of their own; their topics are subscribed to by themselves."""
    mapping_files: Annotated[list[FileName], Field(examples=[["mappings"]])] = []
    """Files with more such tables `[[mapping]]`, or folders of files."""
    publish_refusals: bool = False
    """Publish each refusal (reason, path, expected; never the payload) on
    twin/v1/<device>/refused, for the device's engineer."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [each.name for each in self.mapping]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise refusal("a name of its own", f"mapping.{index}.name", f'"{name}"')
        return self

    def routes(self) -> Routes:
        """Which topics are understood, and the format that each speaks."""
        if not self.topics and not self.mapping:
            return NATIVE
        return Routes(
            [each.template() for each in self.topics], [each.rule() for each in self.mapping]
        )


class JournalTable(_Table):
    """The journal between ingest, twin and stores."""

    partitions: Annotated[int, Field(ge=1, le=1_024)] = 16
    """Number of partitions; fixed when the journal is made."""
    max_megabytes: Annotated[int, Field(ge=16)] = 2_048
    """Size that each of its two topics may reach. When it is full, nothing more is acknowledged to
    the broker."""
    keep_days: Annotated[float, Field(gt=0)] = 7.0
    """Records that everybody has read are kept this long, space permitting."""

    @property
    def max_bytes(self) -> int:
        """Size that a topic may reach."""
        return self.max_megabytes * _MEGABYTE


class ModelTable(_Table):
    """The twin's model of physiology."""

    file: Annotated[FileName | None, Field(examples=["model.toml"])] = None
    """Model file (TOML); without it, the one that ships."""


class InfluxTable(_Table):
    """The InfluxDB 2 that estimates and observations are written to."""

    url: Url = "http://127.0.0.1:8086"
    """Address of the database."""
    org: Name = "twin"
    """Organisation."""
    bucket: Name = "twin"
    """Bucket; made at the start if it is missing."""
    token: Annotated[HeaderText | None, Field(examples=["secret"], repr=False)] = None
    """Token that may read and write the bucket; better in the environment variable
    TWIN_INFLUX_TOKEN, which overrides it."""
    fields: Literal["default", "full"] = "default"
    """`default` writes mean, std, lo95, hi95, trend; `full` all that an estimate has, at three
    times the database's work."""
    retention_days: Annotated[float, Field(ge=0)] = 0.0
    """Retention of a bucket that we make; 0 keeps for ever."""
    record_days: Annotated[float, Field(ge=1)] = 30.0
    """Observations and anchors in the file beside the database (`influx-record.db`) are kept this
    long, or as long as store.retention.raw_days where that is shorter; what comes later than this
    can be filtered again only from there on."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Longest wait for one answer."""


class RetentionTable(_Table):
    """What the stores keep how long; 0 is for ever. Aggregates are made before rows go."""

    raw_days: Annotated[float, Field(ge=0)] = 0.0
    """Observations."""
    derived_days: Annotated[float, Field(ge=0)] = 0.0
    """Estimates and forecasts."""
    logs_days: Annotated[float, Field(ge=0)] = 0.0
    """Changes of status."""
    minutes_days: Annotated[float, Field(ge=0)] = 0.0
    """Windows of 1 minute."""
    quarters_days: Annotated[float, Field(ge=0)] = 0.0
    """Windows of 15 minutes."""
    judgements_days: Annotated[float, Field(ge=0)] = 0.0
    """Alarms that are over, scores and change indexes."""
    every_minutes: Annotated[float, Field(ge=1, le=1_440)] = 15.0
    """How often windows are made and what is too old is removed."""

    @model_validator(mode="after")
    def _not_at_once(self) -> Self:
        for name in ("raw_days", "derived_days", "logs_days", "judgements_days"):
            if 0 < getattr(self, name) < 1:
                raise refusal("0 or at least 1", name, str(getattr(self, name)))
        return self


class StoreTable(_Table):
    """Where the record is kept."""

    kinds: Annotated[list[Literal["embedded", "influx"]], Field(min_length=1)] = ["embedded"]
    """Stores that are written; pages are answered by the first."""
    influx: InfluxTable | None = None
    retention: RetentionTable = RetentionTable()

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

    host: Name = "127.0.0.1"
    """Address that is served. Any other than this machine's own needs `token`."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_080
    """Port; 0 takes a free one."""
    token: Annotated[
        str | None, Field(min_length=16, examples=["sixteen characters or more"], repr=False)
    ] = None
    """Whoever has it gets in; better in the environment variable TWIN_CARE_TOKEN, which overrides
    it."""
    zone: Zone = "UTC"
    """Time zone in which pages show times."""
    language: Literal["en", "fr"] = "en"
    """Language for readers who ask for none that there is."""
    certificate: Annotated[FileName | None, Field(examples=["page.pem"])] = None
    """Certificate (PEM) with which the page is served over HTTPS, with `key`."""
    key: Annotated[FileName | None, Field(examples=["page.key"])] = None
    """Private key of `certificate` (PEM)."""
    simulated: bool = False
    """Everything shown was simulated: a permanent ribbon says so."""

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is None and not is_loopback(self.host):
            expected = "127.0.0.1, ::1 or localhost, or a care.token (or TWIN_CARE_TOKEN)"
            raise refusal(expected, "host", f'"{self.host}"')
        check_pair(self.certificate, self.key)
        return self


class MonitorTable(_Table):
    """/healthz, /readyz and /metrics of a process, whatever its roles: nothing about patients."""

    host: Name = "127.0.0.1"
    """Address that is served."""
    port: Annotated[int | None, Field(ge=0, le=65_535, examples=[9_464])] = None
    """Port; without it nothing is served (the page has these three too). Of several processes with
    one configuration, `twin run --monitor-port` says it for each."""


class TracingTable(_Table):
    """OpenTelemetry traces of some records of the journal (needs the extra `otel`): positions,
    counts and times, nothing about patients."""

    endpoint: Annotated[Url | None, Field(examples=["http://127.0.0.1:4318"])] = None
    """Collector that takes OTLP over HTTP; without it nothing is traced."""
    every_records: Annotated[int, Field(ge=1)] = 1_000
    """One of so many records of the observations journal is traced; the same in every process."""


class Config(_Table):
    """All of it. `Config()` is the default."""

    data_dir: Annotated[FileName, Field(examples=["/var/lib/wearable-twin"])] = Field(
        default_factory=lambda: default_data_dir("run")
    )
    """Folder for journal, registry, quarantine and embedded store; without it, `wearable-twin/run`
    in the user's data folder."""
    mqtt: MqttTable = MqttTable()
    devices: DevicesTable = DevicesTable()
    screen: ScreenTable = ScreenTable()
    quarantine: QuarantineTable = QuarantineTable()
    privacy: PrivacyTable = PrivacyTable()
    ingest: IngestTable = IngestTable()
    journal: JournalTable = JournalTable()
    model: ModelTable = ModelTable()
    store: StoreTable = StoreTable()
    care: CareTable = CareTable()
    monitor: MonitorTable = MonitorTable()
    tracing: TracingTable = TracingTable()
    purpose: PurposeTable = PurposeTable()
    notify: NotifyTable = NotifyTable()
    outward: OutwardTable = OutwardTable()

    @property
    def paths(self) -> Paths:
        """Where everything lies."""
        return Paths.under(self.data_dir)

    def ingest_settings(self, speed: float = 1.0) -> IngestSettings:
        """What ingest is told; speed: journal seconds in a second, other than 1 in the demo."""
        routes = self.ingest.routes()
        return IngestSettings(
            self._mqtt(routes),
            ScreenSettings(
                round(self.screen.future_minutes * MINUTE), round(self.screen.ancient_days * DAY)
            ),
            DeviceSettings(
                self.devices.unknown,
                self.devices.register_at_most,
                self.devices.file,
                frozenset(self.devices.gateways),
                round(self.devices.ambiguous_minutes * MINUTE),
                self.privacy.require_basis,
            ),
            QuarantineSettings(
                round(self.quarantine.max_megabytes * _MEGABYTE),
                round(self.quarantine.max_days * DAY),
                round(self.quarantine.unbound_max_days * DAY),
            ),
            round(self.ingest.payload_max_kilobytes * _KILOBYTE),
            self.ingest.linger_ms / 1_000,
            self.ingest.commit_messages,
            self.ingest.publish_refusals,
            speed,
            routes,
        )

    def _mqtt(self, routes: Routes) -> MqttSettings:
        mqtt = self.mqtt
        return replace(
            connection_of(mqtt, mqtt.client_id),
            session_expiry_s=mqtt.session_expiry_s,
            receive_maximum=mqtt.receive_maximum,
            filters=apart([*mqtt.filters, *routes.filters]),
            shared_group=mqtt.shared_group,
            reader=mqtt.reader,
        )

    def outward_settings(self) -> MqttSettings:
        """The connection over which the twin's state is published."""
        return connection_of(self.outward.broker or self.mqtt, self.outward.client_id)

    @model_validator(mode="after")
    def _nobody_called(self) -> Self:
        """In wellness mode clinical alarms cannot be configured: there is nothing to call for."""
        if self.purpose.mode == "wellness" and self.notify.calls:
            given = "webhooks" if self.notify.webhooks else "mail"
            expected = "nobody to call: purpose.mode is wellness, which has no clinical alarms"
            raise refusal(expected, f"notify.{given}", "calls for alarms")
        return self

    @model_validator(mode="after")
    def _no_loop(self) -> Self:
        """What we publish on the devices' broker must not come back as a device's message."""
        outward, mqtt = self.outward, self.mqtt
        own = outward.broker
        if not outward.enabled or (own and (own.host, own.port) != (mqtt.host, mqtt.port)):
            return self
        for each in (*mqtt.filters, *self.ingest.routes().filters):
            if overlaps(each, outward.prefix):
                expected = f"topics that ingest does not read (it reads {each})"
                raise refusal(expected, "outward.prefix", f'"{outward.prefix}"')
        return self
