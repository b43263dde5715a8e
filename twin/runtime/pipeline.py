"""One process of the pipeline: everything from the broker to the page, or some roles of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ingest.instant import DAY
from ingest.onboarding import Onboarding
from twin.care.settings import CareSettings, Health, Metric
from twin.config import Config
from twin.notify.notifier import Notifier
from twin.runtime.calls import call_metrics, notifier_of, purpose_of, receipts_of
from twin.runtime.clock import Clock
from twin.runtime.housekeeping import Housekeeping, ReaderFiles
from twin.runtime.monitor import MonitorServer
from twin.runtime.outward import Outward, outward_of
from twin.runtime.parts import ROLES, Parts, make_parts
from twin.runtime.questions import questions_of
from twin.runtime.watch import health, metrics
from twin.runtime.watchdogs import Watchdogs
from twin.store.writer import StoreWriter

if TYPE_CHECKING:
    from twin.care.feed import Feed
    from twin.care.server import PageServer

# The page's own libraries are imported by who serves it: they take a third of a second to load.


@dataclass(slots=True)
class Pipeline:
    """`start`, then `stop`. simulated: pages carry the ribbon."""

    config: Config
    roles: frozenset[str] = ROLES
    clock: Clock = field(default_factory=Clock)
    simulated: bool = False
    parts: Parts = field(init=False)
    _feed: Feed | None = None
    _page: PageServer | None = None
    _notifier: Notifier | None = None
    _outward: Outward | None = None
    _housekeeping: Housekeeping | None = None
    _watchdogs: Watchdogs = field(init=False)
    _opened: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> str:
        """URL of the page, "" without the role `care`."""
        return "" if self._page is None else self._page.address

    def start(self) -> None:
        """In the flow's order from its end, so that nothing is taken in that nobody carries on.

        Raises what its parts raise when they cannot be opened; then nothing runs.
        """
        try:
            self.parts = make_parts(
                self.config, self.roles, self.clock, self.clock.speed, self._opened
            )
            self._watchdogs = Watchdogs(
                self.parts, self.config.paths.journal, outward_behind=self._outward_behind
            )
            self._start_each()
        except BaseException:
            self._opened.close()
            raise

    def _start_each(self) -> None:
        for writer in self.parts.writers.values():
            writer.start()
            self._opened.callback(writer.stop)
        for job in self.parts.refilters.values():
            job.start()
            self._opened.callback(job.stop)
        if self.parts.retention is not None:
            self.parts.retention.start()
            self._opened.callback(self.parts.retention.stop)
        if "care" in self.roles:
            self._notify()
            self._outward = outward_of(
                self.config, self.parts.journal, self._opened, self.parts.registry
            )
            self._serve()
        if self.parts.worker is not None:
            self.parts.worker.start()
            self._opened.callback(self.parts.worker.stop)
        self._keep_house()
        if self.parts.worker is not None and self.config.model.file is not None:
            # What came before the model that declares its signal would be refused `no_model`.
            while self.parts.worker.alive and not self.parts.worker.told.wait(0.1):
                pass
        if self.parts.ingest is not None:
            self.parts.ingest.start()
            self._opened.callback(self.parts.ingest.stop)
        self._monitor()

    def _monitor(self) -> None:
        monitor = self.config.monitor
        if monitor.port is None:
            return
        server = MonitorServer(monitor.host, monitor.port, self._health, self._metrics)
        server.start()
        self._opened.callback(server.stop)

    def _each_time(self) -> None:
        self._watchdogs.look()
        self.clock.save()

    def _metrics(self) -> Iterator[Metric]:
        yield from metrics(self.parts, self._watchdogs.words)
        if self._notifier is not None:
            yield from call_metrics(self._notifier)
        if self._outward is not None:
            yield from self._outward.metrics()

    def _health(self) -> Health:
        alive = self._feed is None or self._feed.alive
        alive &= self._notifier is None or self._notifier.alive
        if self._outward is None:
            return health(self.parts, alive, self._watchdogs.words)
        alive &= self._outward.teller.alive
        said = health(self.parts, alive, self._watchdogs.words)
        trouble = self._outward.trouble
        degraded = (*said.degraded, *(("outward",) if trouble else ()))
        return replace(said, degraded=degraded, parts={**said.parts, "outward": trouble or "ok"})

    def _outward_behind(self) -> int:
        return 0 if self._outward is None else self._outward.behind

    def _serve(self) -> None:
        from twin.care.app import create_app
        from twin.care.feed import Feed
        from twin.care.server import PageServer

        care, parts = self.config.care, self.parts
        settings = CareSettings(
            simulated=self.simulated or care.simulated,
            token=care.token,
            zone=care.zone,
            language=care.language,
            build=version("wearable-twin"),
            speed=self.clock.speed,
            purpose=purpose_of(self.config),
        )
        zone = ZoneInfo(care.zone)
        feed = Feed(
            parts.journal,
            parts.registry,
            self.clock.now,
            saved=self.config.paths.care,
            pulses={
                "ingest": lambda: parts.journal.end("observations"),
                "worker": lambda: sum(parts.journal.committed().values()),
            },
            covered=lambda at: settings.purpose.covered(at, zone),
            zone=care.zone,
            tracer=parts.tracer,
        )
        if parts.history is None:
            raise RuntimeError("the role care has no history")
        app = create_app(
            settings,
            feed,
            parts.history,
            parts.registry,
            parts.quarantine,
            self._health,
            self._metrics,
            Onboarding(
                parts.registry,
                parts.quarantine,
                parts.journal,
                self.config.ingest_settings(self.clock.speed),
            ),
            receipts_of(self._notifier),
            questions_of(self.config),
            parts.judged,
        )
        page = PageServer(app, care.host, care.port, certificate=care.certificate, key=care.key)
        page.start()
        self._opened.callback(page.stop)
        self._feed, self._page = feed, page

    def _notify(self) -> None:
        self._notifier = notifier_of(self.config, self.parts.journal, self.clock.now, self._opened)

    def _keep_house(self) -> None:
        readers = {name: partial(_written, each) for name, each in self.parts.writers.items()}
        if self._feed is not None:
            readers["care"] = partial(_saved, self._feed)
        if self._notifier is not None:
            readers["notify"] = partial(_noted, self._notifier)
        if self._outward is not None:
            readers["outward"] = partial(_told, self._outward)
        self._housekeeping = Housekeeping(
            self.parts.journal,
            ReaderFiles(self.config.paths.journal / "readers"),
            readers,
            self._readers(),
            "worker" in self.roles,
            int(self.config.journal.keep_days * DAY),
            self.clock.now,
            self._each_time,
        )
        self._housekeeping.start()
        self._opened.callback(self._housekeeping.stop)

    def _readers(self) -> tuple[str, ...]:
        """Every reader of the estimates journal, in whatever process."""
        config = self.config
        calls = ("notify",) if config.notify.calls else ()
        outward = ("outward",) if config.outward.enabled else ()
        return (*config.store.kinds, "care", *calls, *outward)

    def stop(self) -> None:
        """End in the flow's order: what is received is journalled, what is journalled stepped."""
        self._opened.close()

    @property
    def fault(self) -> str:
        """Why this process cannot go on by itself, or "" while it can."""
        worker = self.parts.worker
        if worker is not None and worker.fault is not None:
            return f"worker: {worker.fault}"
        return ""


def _written(writer: StoreWriter) -> int:
    return writer.position


def _saved(feed: Feed) -> int:
    return feed.saved_position


def _noted(notifier: Notifier) -> int:
    return notifier.position


def _told(outward: Outward) -> int:
    return outward.teller.position
