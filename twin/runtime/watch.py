"""How this process is: for /healthz, /readyz and /metrics. Documented in docs/operations.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from twin.care.settings import Health, Metric
from twin.estimation.bank import Bank
from twin.estimation.tallies import tallies
from twin.runtime.parts import Parts
from twin.runtime.watchdogs import Watchdog, names

_NOTHING: Mapping[Watchdog, str] = MappingProxyType({})


def health(parts: Parts, feed_alive: bool, watched: Mapping[Watchdog, str] = _NOTHING) -> Health:
    """alive: every thread of this process lives and the journal can be written."""
    words: dict[str, str] = {}
    degraded: list[str] = []
    alive = feed_alive
    if parts.ingest is not None:
        alive &= parts.ingest.alive
        words["ingest"] = parts.ingest.fault or "ok"
        subscriber = parts.ingest.subscriber
        said = "connected" if subscriber.subscribed else "not subscribed"
        words["broker"] = said if subscriber.connected else "not connected"
        if not subscriber.subscribed:
            degraded.append("broker")
        if parts.ingest.fault:
            degraded.append("journal")
    if parts.worker is not None:
        alive &= parts.worker.alive
        words["worker"] = type(parts.worker.fault).__name__ if parts.worker.fault else "ok"
    for name, writer in parts.writers.items():
        alive &= writer.alive
        progress = writer.progress
        words[f"store {name}"] = progress.trouble or "ok"
        if progress.trouble:
            degraded.append(f"store {name}")
    if parts.journal.damage:
        degraded.append("journal damaged")
        words["journal"] = f"{len(parts.journal.damage)} ranges lost or unreadable"
    for name, seen in watched.items():
        words[name] = seen
        degraded.append(name)
    return Health(alive, alive, tuple(degraded), words)


def metrics(parts: Parts, watched: Mapping[Watchdog, str] = _NOTHING) -> Iterator[Metric]:
    """Every counter of the flow, in its order."""
    if parts.ingest is not None:
        yield from _ingest(parts)
    for topic in ("observations", "estimates"):
        used, allowed = parts.journal.fill(topic)
        labels = {"topic": topic}
        yield Metric("twin_journal_bytes", labels, used, "Bytes in use of the journal.")
        yield Metric("twin_journal_allowed_bytes", labels, allowed, "Bytes it may use.")
        end = parts.journal.end(topic)
        yield Metric("twin_journal_position", labels, end, "Position of the last entry.")
    damage = len(parts.journal.damage)
    yield Metric("twin_journal_damage", {}, damage, "Ranges lost or unreadable when opened.")
    if parts.worker is not None:
        yield from _worker(parts)
    for name, writer in parts.writers.items():
        labels, progress = {"store": name}, writer.progress
        yield Metric("twin_store_rows_total", labels, progress.rows, "Rows written.")
        yield Metric("twin_store_rejected_total", labels, progress.rejected, "Rows rejected.")
        yield Metric("twin_store_expired_total", labels, progress.expired, "Rows too old to keep.")
        yield Metric("twin_store_retries_total", labels, progress.retries, "Attempts that failed.")
        yield Metric("twin_store_behind_records", labels, progress.behind, "Records not stored.")
    yield from _refilters(parts)
    yield from _retention(parts)
    for name, sees in names(watched):
        yield Metric("twin_watchdog", {"watchdog": name}, sees, "1 while it sees something.")
    for reason, count in parts.quarantine.summary().items():
        labels = {"reason": reason}
        yield Metric("twin_quarantined", labels, count, "Refused samples, by reason.")
    used, allowed = parts.quarantine.fill()
    yield Metric("twin_quarantine_bytes", {}, used, "Bytes of the messages that are kept.")
    yield Metric("twin_quarantine_allowed_bytes", {}, allowed, "Bytes they may take.")
    for cause, count in parts.quarantine.totals().items():
        labels = {"cause": cause}
        help_text = "Messages expired, erased, or never kept."
        yield Metric("twin_quarantine_gone_total", labels, count, help_text)
    devices = parts.registry.devices()
    bound = sum(each.patient is not None for each in devices)
    yield Metric("twin_devices", {"state": "bound"}, bound, "Registered devices.")
    yield Metric("twin_devices", {"state": "unbound"}, len(devices) - bound, "Registered devices.")
    waiting = len(parts.quarantine.waiting())
    yield Metric("twin_devices", {"state": "waiting"}, waiting, "Registered devices.")


def _ingest(parts: Parts) -> Iterator[Metric]:
    ingest = parts.ingest
    if ingest is None:
        return
    counters, hears = ingest.counters, float(ingest.subscriber.subscribed)
    yield Metric("twin_broker_connected", {}, hears, "1 while subscribed at the broker.")
    yield Metric("twin_messages_received_total", {}, counters.received, "MQTT messages received.")
    malformed = ingest.subscriber.malformed
    yield Metric("twin_mqtt_malformed_total", {}, malformed, "Connections that brought no MQTT.")
    yield Metric("twin_observations_accepted_total", {}, counters.accepted, "Samples accepted.")
    yield Metric("twin_observations_journalled_total", {}, counters.journalled, "Samples on disk.")
    for reason, count in dict(counters.refused).items():
        labels = {"reason": str(reason)}
        yield Metric("twin_observations_refused_total", labels, count, "Samples refused.")
    yield Metric("twin_surplus_fields_total", {}, counters.surplus, "Fields that are not stored.")
    yield Metric("twin_sparkplug_rebirths_total", {}, counters.rebirths, "Rebirths asked for.")
    yield Metric("twin_sparkplug_missing_total", {}, counters.missing, "Numbered and never came.")
    yield Metric("twin_ingest_stalls_total", {}, counters.stalls, "Attempts to write that failed.")
    yield Metric("twin_ticks_total", {}, counters.ticks, "Ticks journalled.")
    steps = counters.clock_steps
    yield Metric("twin_clock_steps_total", {}, steps, "Steps of the host's clock.")


def _refilters(parts: Parts) -> Iterator[Metric]:
    for name, job in parts.refilters.items():
        labels, counts = {"store": name}, job.counts
        yield Metric("twin_refilter_runs_total", labels, counts.runs, "Keys filtered again.")
        yield Metric("twin_refilter_rows_total", labels, counts.rows, "Estimates written anew.")
        yield Metric("twin_refilter_failures_total", labels, counts.failures, "Runs that failed.")
        yield Metric("twin_refilter_waiting", labels, counts.waiting, "Keys to be filtered again.")
        yield Metric("twin_refilter_strayed", labels, counts.strayed, "Keys with belated rows.")


def _retention(parts: Parts) -> Iterator[Metric]:
    if parts.retention is None:
        return
    for name, total in dict(parts.retention.totals).items():
        store = {"store": name}
        yield Metric("twin_store_windows_total", store, total.windows, "Quarters made anew.")
        for kind, count in (
            ("observations", total.observations),
            ("estimates", total.estimates),
            ("logs", total.logs),
            ("minutes", total.minutes),
            ("quarters", total.quarters),
            ("judgements", total.judgements),
        ):
            labels = {"store": name, "kind": kind}
            yield Metric("twin_store_forgotten_total", labels, count, "Removed by retention.")
    for name, count in dict(parts.retention.failures).items():
        labels = {"store": name}
        yield Metric("twin_store_retention_failures_total", labels, count, "Jobs that failed.")


def _worker(parts: Parts) -> Iterator[Metric]:
    if parts.worker is None:
        return
    counts = parts.worker.counts
    behind = max(parts.journal.end("observations") - parts.worker.position, 0)
    yield Metric("twin_worker_observations_total", {}, counts.observations, "Samples stepped.")
    yield Metric("twin_worker_steps_total", {}, counts.steps, "Steps taken.")
    yield Metric("twin_worker_damaged_total", {}, counts.damaged, "Damaged records skipped.")
    yield Metric("twin_worker_behind_records", {}, behind, "Journal records not stepped yet.")
    yield from _consistency(parts.worker.state.bank)


def _consistency(bank: Bank) -> Iterator[Metric]:
    """How well the models fit, over all persons (docs/models.md, Consistency)."""
    for each in tallies(bank):
        of = {"signal": each.signal}
        yield Metric("twin_keys", of, each.keys, "Signals of persons that are estimated.")
        yield Metric("twin_keys_diverged", of, each.diverged, "Those that say raw values.")
        if math.isnan(each.factor):
            continue
        ratio, lag1 = each.factor, each.lag1
        yield Metric("twin_innovation_variance_ratio", of, ratio, "Of innovations to expected.")
        yield Metric("twin_innovation_correlation", of, lag1, "Of neighbouring innovations.")
        for band, inside in zip(("50", "90", "95"), each.coverage, strict=True):
            labels = {"signal": each.signal, "band": band}
            yield Metric("twin_band_coverage", labels, inside, "Share inside predicted bands.")
