"""/healthz, /readyz and /metrics: for what starts, watches and restarts this process."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Response

from twin.care.api.bodies import HealthBody, answer, answers
from twin.care.exposition import exposition
from twin.care.parts import Parts, PartsOf
from twin.care.pulse import LIVE
from twin.care.settings import Health, Metric

router = APIRouter()
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz", responses=answers(HealthBody))
def healthz(parts: PartsOf) -> Response:
    """503 only if this process cannot go on by itself; what is wrong outside is `degraded`."""
    health = parts.health()
    return _answer(parts, health, health.alive and parts.feed.alive)


@router.get("/readyz", responses=answers(HealthBody))
def readyz(parts: PartsOf) -> Response:
    """503 if this role cannot serve."""
    health = parts.health()
    return _answer(parts, health, health.ready and parts.feed.alive)


@router.get("/metrics")
def metrics(parts: PartsOf) -> Response:
    """Prometheus text format."""
    return Response(exposition([*parts.metrics(), *_own(parts), *_ledger(parts)]), media_type=_TEXT)


def _own(parts: Parts) -> list[Metric]:
    feed = parts.feed
    return [
        Metric("twin_care_viewers", {}, feed.hub.clients, "Open event streams."),
        Metric("twin_care_position", {}, feed.position, "Estimates journal position shown."),
        Metric("twin_care_damaged_total", {}, feed.damaged, "Unreadable estimates records."),
        Metric("twin_care_live", {}, int(feed.state == LIVE), "1 while all parts upstream beat."),
    ]


def _ledger(parts: Parts) -> Iterator[Metric]:
    """Sums over all devices, so that their number makes no more of them: by verdict and reason."""
    totals = parts.feed.totals()
    yield Metric("twin_ledger_devices", {}, totals.devices, "Devices that reached the twin.")
    for verdict, count in totals.verdicts.items():
        labels = {"verdict": verdict}
        yield Metric("twin_ledger_observations", labels, count, "All devices' samples, by verdict.")
    for reason, count in totals.refused.items():
        labels = {"reason": reason}
        yield Metric("twin_ledger_refused", labels, count, "Samples that the twin itself refused.")
    for told, count in totals.messages.items():
        labels = {"numbers": told}
        yield Metric("twin_ledger_messages", labels, count, "What devices' own numbers tell.")


def _answer(parts: Parts, health: Health, well: bool) -> Response:
    state = () if parts.feed.state == LIVE else (parts.feed.state,)
    degraded = (*health.degraded, *state)
    status = ("degraded" if degraded else "ok") if well else "failed"
    body_parts = {**health.parts, "feed": "running" if parts.feed.alive else "dead"}
    return answer(HealthBody(status, degraded, body_parts), 200 if well else 503)
