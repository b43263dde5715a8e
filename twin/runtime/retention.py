"""The retention job of a process that writes stores: every few minutes, on a thread of its own."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

from ingest.instant import DAY
from twin.assessment.limits import DEFAULTS
from twin.config import RetentionTable
from twin.judgement import Priority
from twin.store.aggregates import Limits
from twin.store.protocol import StoreUnavailable
from twin.store.retention import Kept, Report

if TYPE_CHECKING:
    from twin.store.influx import InfluxSettings

_log = logging.getLogger(__name__)
_FIRST_S = 20.0

#: What is done at a time (ns), unless the process is stopping, and what came of it.
Job = Callable[[int, Callable[[], bool]], Report]


def kept_of(table: RetentionTable) -> Kept:
    """What the store package wants to know of retention."""
    days = (
        table.raw_days,
        table.derived_days,
        table.logs_days,
        table.minutes_days,
        table.quarters_days,
        table.judgements_days,
    )
    return Kept(*(round(each * DAY) for each in days))


def kept_beside_influx(table: RetentionTable, record_days: float) -> Kept:
    """What the record beside the database keeps: never for ever, but judgements, of which it has
    the only whole copy."""
    kept = kept_of(table)
    raw = min(span for span in (kept.raw, round(record_days * DAY)) if span)
    return Kept(raw=raw, derived=raw, judgements=kept.judgements)


def limits_of() -> Limits:
    """Signal → the starting limits of medium priority: windows say how long it was outside them.

    A patient's own limits change with time; these do not, so windows of all patients compare.
    """
    return {
        signal: (
            -math.inf if math.isnan(rule.low) else rule.low,
            math.inf if math.isnan(rule.high) else rule.high,
        )
        for (signal, priority), rule in DEFAULTS.items()
        if priority == Priority.MEDIUM.value
    }


@dataclass(slots=True)
class InfluxRetention:
    """InfluxDB's job; the first time it also says what an upgrade left behind there."""

    settings: InfluxSettings
    kept: Kept
    _looked: bool = False

    def __call__(self, now: int, stopping: Callable[[], bool]) -> Report:
        from twin.store.influx_tasks import forget, outdated

        if not self._looked:
            try:
                old = outdated(self.settings, self.kept, limits_of())
            except StoreUnavailable as error:
                _log.info("windows in InfluxDB cannot be looked at: %s", error.reason)
            else:
                self._looked = True
                if old:
                    _log.warning("`twin store init` has to make in InfluxDB: %s", ", ".join(old))
        return forget(self.settings, self.kept, now, stopping)


@dataclass(slots=True)
class RetentionJob:
    """`start`, then `stop`. jobs: by store, what is done at a time (ns) and what came of it; each
    asks between its parts whether to leave the rest for the next time.

    A store that is away is left for the next time: what is due stays due.
    """

    jobs: Mapping[str, Job]
    now: Callable[[], int]
    every_s: float
    totals: dict[str, Report] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    _stopping: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Begin, the first time after some seconds."""
        self._thread = Thread(target=self._run, name="retention", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the part in hand, some 100 ms, or a request to a database."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30.0)

    def _run(self) -> None:
        wait = min(_FIRST_S, self.every_s)
        while not self._stopping.wait(wait):
            self.turn()
            wait = self.every_s

    def turn(self) -> None:
        """Every store's job once."""
        for name, job in self.jobs.items():
            if self._stopping.is_set():
                return
            try:
                report = job(self.now(), self._stopping.is_set)
            except Exception as error:  # noqa: BLE001  the stores go on; the next time does it
                self.failures[name] = self.failures.get(name, 0) + 1
                _log.warning("retention of store %s: %s: %s", name, type(error).__name__, error)
            else:
                self.totals[name] = _sum(self.totals.get(name, Report(0)), report)
                _log.info("retention of store %s: %s", name, report)


def _sum(before: Report, report: Report) -> Report:
    return Report(
        report.at,
        before.windows + report.windows,
        before.observations + report.observations,
        before.estimates + report.estimates,
        before.logs + report.logs,
        before.minutes + report.minutes,
        before.quarters + report.quarters,
        before.judgements + report.judgements,
    )
