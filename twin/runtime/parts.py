"""The parts of one process, made from the configuration: only those that its roles need."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from ingest.catalogue import declare
from ingest.declared import remember
from ingest.instant import DAY
from ingest.journal.lock import Ownership
from ingest.journal.protocol import AlreadyOwned
from ingest.journal.sqlite import SqliteJournal
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.service import IngestService
from ingest.settings import IngestSettings
from ingest.trace import Tracer, TracingMissing, secret_of
from twin.config import Config
from twin.estimate import History
from twin.estimation.models import ModelFile, base_model, parse_model
from twin.judgement_history import JudgementHistory
from twin.runtime.clock import Clock
from twin.runtime.refilter import RefilterJob
from twin.runtime.retention import (
    InfluxRetention,
    Job,
    RetentionJob,
    kept_beside_influx,
    kept_of,
    limits_of,
)
from twin.runtime.shared_store import SharedStore
from twin.snapshot import SnapshotFolder
from twin.store.embedded import EmbeddedStore
from twin.store.judged_reading import JudgedReading
from twin.store.retention import Retention
from twin.store.writer import StoreWriter
from twin.worker import TwinWorker

if TYPE_CHECKING:
    from twin.store.influx import InfluxSettings
    from twin.store.recorded_influx import RecordedInflux

# InfluxDB's client is imported only where it is used: it takes a quarter of a second to load.

ROLES = frozenset({"ingest", "worker", "store", "care"})


@dataclass(slots=True)
class Parts:
    """What this process has, in the order of the flow. None: not one of its roles."""

    journal: SqliteJournal
    registry: Registry
    quarantine: Quarantine
    ingest: IngestService | None = None
    worker: TwinWorker | None = None
    writers: dict[str, StoreWriter] = field(default_factory=dict)
    refilters: dict[str, RefilterJob] = field(default_factory=dict)
    retention: RetentionJob | None = None
    history: History | None = None
    judged: JudgementHistory | None = None
    tracer: Tracer | None = None


def make_parts(
    config: Config, roles: frozenset[str], clock: Clock, speed: float, opened: ExitStack
) -> Parts:
    """Open what the roles need; `opened` closes it again, in reverse order."""
    paths = config.paths
    parents = (paths.store.parent, paths.care.parent)
    for folder in (paths.journal, paths.snapshots, paths.tail, *parents):
        folder.mkdir(parents=True, exist_ok=True)
    declare(model_of(config).declared)
    remember(paths.signals)
    settings = config.ingest_settings(speed)
    if "ingest" in roles:
        opened.callback(_only_ingest(config).close)
    embedded = _embedded(config, roles, opened)
    influx = _influx(config, roles, opened)
    known = max((sink.position for sink in (embedded, influx) if sink is not None), default=0)
    journal = SqliteJournal(
        paths.journal,
        config.journal.partitions,
        dict.fromkeys(("observations", "estimates"), config.journal.max_bytes),
        now=clock.now,
        known_positions={"estimates": known},
    )
    opened.callback(journal.close)
    registry = Registry(paths.registry, settings.devices, clock.now)
    opened.callback(registry.close)
    quarantine = Quarantine(paths.quarantine, settings.quarantine)
    opened.callback(quarantine.close)
    parts = Parts(journal, registry, quarantine, tracer=_tracer(config, roles, opened))
    _add_flow(parts, config, roles, clock, settings)
    if embedded is not None:
        parts.writers["embedded"] = StoreWriter(journal, embedded, "embedded", tracer=parts.tracer)
    if influx is not None:
        parts.writers["influx"] = StoreWriter(journal, influx, "influx", tracer=parts.tracer)
    parts.refilters = refilters_of(embedded, influx, model_of(config))
    if parts.writers:
        parts.retention = _retention(config, embedded, influx, clock)
    if "care" in roles:
        parts.history = _history(config, embedded, opened, clock)
        judged = JudgedReading(
            paths.influx_record if config.store.kinds[0] == "influx" else paths.store
        )
        opened.callback(judged.close)
        parts.judged = judged
    return parts


def _tracer(config: Config, roles: frozenset[str], opened: ExitStack) -> Tracer | None:
    """Raises TracingMissing, OSError."""
    tracing = config.tracing
    if tracing.endpoint is None:
        return None
    try:
        from ingest.trace_otel import Spans, collector
    except ModuleNotFoundError as error:
        raise TracingMissing from error
    spans = Spans(collector(tracing.endpoint), "+".join(sorted(roles)))
    opened.callback(spans.close)
    return Tracer(tracing.every_records, secret_of(config.paths.tracing), spans.tell)


def _only_ingest(config: Config) -> Ownership:
    """Two under one client id would throw each other out of the broker. Raises AlreadyOwned.

    Several ingest processes may share a folder, each under a client id of its own.
    """
    name = config.mqtt.client_id
    try:
        return Ownership(config.paths.journal / f"ingest-{quote(name, safe='')}.lock")
    except BlockingIOError as error:
        raise AlreadyOwned(f"{config.paths.journal} has an ingest process named {name}") from error


def _add_flow(
    parts: Parts, config: Config, roles: frozenset[str], clock: Clock, settings: IngestSettings
) -> None:
    if "ingest" in roles:
        parts.ingest = IngestService(
            settings,
            parts.journal,
            parts.registry,
            parts.quarantine,
            config.paths.tail,
            clock.now,
            tracer=parts.tracer,
        )
    if "worker" in roles:
        folder = SnapshotFolder(config.paths.snapshots)
        model, mode = model_of(config), config.purpose.mode
        parts.worker = TwinWorker(parts.journal, folder, clock.now, model, mode, parts.tracer)


def model_of(config: Config) -> ModelFile:
    """The configured model file, or the one that ships. Raises ModelError, OSError."""
    file = config.model.file
    return base_model() if file is None else parse_model(file.read_text("utf-8"), str(file))


def _embedded(config: Config, roles: frozenset[str], opened: ExitStack) -> EmbeddedStore | None:
    if "store" not in roles or "embedded" not in config.store.kinds:
        return None
    store = EmbeddedStore(config.paths.store)
    opened.callback(store.close)
    return store


def influx_settings(config: Config) -> InfluxSettings:
    """What the store package wants to know of InfluxDB."""
    from twin.store.influx import InfluxSettings

    influx = config.store.influx
    if influx is None:
        raise ValueError("store.influx is not configured")
    return InfluxSettings(
        influx.url,
        influx.token or "",
        influx.org,
        influx.bucket,
        influx.fields,
        int(influx.retention_days * DAY // 1_000_000_000),
        influx.timeout_s,
    )


def _influx(config: Config, roles: frozenset[str], opened: ExitStack) -> RecordedInflux | None:
    if "store" not in roles or "influx" not in config.store.kinds:
        return None
    store = opened_influx(config)
    opened.callback(store.close)
    return store


def opened_influx(config: Config) -> RecordedInflux:
    """The configured database and the record beside it. Raises StoreInUse."""
    from twin.store.influx import InfluxSink
    from twin.store.recorded_influx import RecordedInflux

    sink = InfluxSink(influx_settings(config), config.paths.influx_progress)
    try:
        return RecordedInflux(sink, config.paths.influx_record)
    except BaseException:
        sink.close()
        raise


def refilters_of(
    embedded: EmbeddedStore | None, influx: RecordedInflux | None, model: ModelFile
) -> dict[str, RefilterJob]:
    """A job for each store, which goes on from the record of that store."""
    jobs = {}
    if embedded is not None:
        jobs["embedded"] = RefilterJob("embedded", embedded, embedded, model)
    if influx is not None:
        sink = influx.sink
        jobs["influx"] = RefilterJob("influx", influx.record, sink, model, sink.say_refiltered)
    return jobs


def _retention(
    config: Config,
    embedded: EmbeddedStore | None,
    influx: RecordedInflux | None,
    clock: Clock,
) -> RetentionJob:
    kept = kept_of(config.store.retention)
    jobs: dict[str, Job] = {}
    if embedded is not None:
        jobs["embedded"] = Retention(embedded, kept, limits_of()).run
    if influx is not None:
        jobs["influx"] = InfluxRetention(influx_settings(config), kept)
        days = config.store.influx.record_days if config.store.influx else 1.0
        recorded = kept_beside_influx(config.store.retention, days)
        jobs["influx_record"] = Retention(influx.record, recorded).run
    return RetentionJob(jobs, clock.now, config.store.retention.every_minutes * 60)


def _history(
    config: Config, embedded: EmbeddedStore | None, opened: ExitStack, clock: Clock
) -> History:
    if config.store.kinds[0] == "influx":
        from twin.store.influx_reading import InfluxHistory
        from twin.store.influx_tasks import rows_kept

        settings = influx_settings(config)
        kept = rows_kept(settings, kept_of(config.store.retention))
        return InfluxHistory(settings, lambda: clock.now() - kept if kept else 0)
    if embedded is not None:
        return embedded
    shared = SharedStore(config.paths.store)
    opened.callback(shared.close)
    return shared
