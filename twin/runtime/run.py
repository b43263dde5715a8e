"""`twin run`: the pipeline against a real broker and database, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from collections.abc import Callable
from threading import Event
from types import FrameType

from twin.config import Config
from twin.runtime.clock import Clock
from twin.runtime.pipeline import Pipeline
from twin.runtime.watch import health

_log = logging.getLogger(__name__)

WATCH_S = 0.5
#: New objects after which the collector looks for cycles (Python: 700), and how often it goes on to
#: older ones. Messages make tens of thousands of tuples a second, none of them in a cycle.
GC_THRESHOLDS = (50_000, 20, 20)


def until_told(stop: Event) -> None:
    """SIGTERM and SIGINT set `stop`. Main thread only."""

    def told(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)


def spare_collector() -> None:
    """Once everything has started: what is there stays, so let no collection look at it again.

    Looking for cycles among messages cost a quarter of ingest's CPU, and a full collection over
    all imported modules stops every thread for 0.1 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()  # not while it starts: twin.memory.collector_held


def watch(
    pipeline: Pipeline,
    stop: Event,
    seconds: float | None = None,
    look: Callable[[], None] | None = None,
) -> bool:
    """Wait for `stop`, the time, or a fault; True if the pipeline is still well. look: called twice
    a second."""
    spare_collector()
    waited, away = 0.0, frozenset[str]()
    while not stop.wait(WATCH_S):
        waited += WATCH_S
        if look is not None:
            look()
        away = _log_changes(away, frozenset(health(pipeline.parts, True).degraded))
        if pipeline.fault or (seconds is not None and waited >= seconds):
            break
    if pipeline.fault:
        sys.stderr.write(f"twin: {pipeline.fault}\n")
    return not pipeline.fault


def _log_changes(before: frozenset[str], now: frozenset[str]) -> frozenset[str]:
    """What is degraded outside, as /healthz names it: a process without a page says it here."""
    for name in sorted(now - before):
        _log.warning("degraded: %s", name)
    for name in sorted(before - now):
        _log.info("well again: %s", name)
    return now


def run_pipeline(config: Config, roles: frozenset[str]) -> int:
    """Run these roles until SIGTERM or SIGINT; returns the exit code."""
    stop = Event()
    until_told(stop)
    pipeline = Pipeline(config, roles, Clock())
    pipeline.start()
    try:
        sys.stderr.write(f"twin: running: {', '.join(sorted(roles))}\n")
        if pipeline.address:
            sys.stderr.write(f"twin: the page is at {pipeline.address}\n")
        well = watch(pipeline, stop)
    finally:
        pipeline.stop()
    return 0 if well else 1
