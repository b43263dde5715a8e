"""What is wrong around this process though all its threads live: watched every few seconds.

Each watchdog names what it sees in words. None of them is a reason to restart: they are `degraded`
in /healthz, `twin_watchdog` in /metrics, and a technical alarm for whoever runs this.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from ingest.journal.protocol import Topic
from twin.runtime.parts import Parts

Watchdog = Literal["quiet", "worker_behind", "store_behind", "journal_filling", "disk_low",
                   "clock_stepped", "outward_behind"]  # fmt: skip
WATCHDOGS: tuple[Watchdog, ...] = get_args(Watchdog)

#: Nothing received for this many expected intervals, and so many seconds at least, is quiet.
QUIET_INTERVALS, QUIET_LEAST_S = 3, 60.0
#: Journal records that a worker or a store may be behind.
BEHIND_RECORDS = 5_000
#: A journal fuller than this is told, with the hours that are left at the pace of the last hour.
NEARLY_FULL, PACE_S = 0.8, 3600.0
#: Less of the disk than this share, or bytes, is low.
DISK_SHARE, DISK_BYTES = 0.05, 1 << 30
#: How long a stepped clock is told.
STEP_TOLD_S = 600.0
_TOPICS: tuple[Topic, ...] = ("observations", "estimates")


@dataclass(slots=True)
class Receipts:
    """Whether messages still come. Their usual pause is learned where no interval is declared."""

    received: int = 0
    at: float = 0.0
    pause: float = 0.0

    def look(self, now: float, received: int, connected: bool, expected_s: float) -> str:
        """received: messages so far; expected_s: the shortest declared interval, 0: none."""
        if received != self.received or not connected:
            if self.received and connected:
                self.pause = max(now - self.at, 0.9 * self.pause)
            self.received, self.at = received, now
            return ""
        limit = max(QUIET_LEAST_S, QUIET_INTERVALS * (expected_s or self.pause))
        if not received or now - self.at <= limit:
            return ""
        return f"connected, and nothing received for {now - self.at:.0f} s"


def _nothing() -> int:
    return 0


@dataclass(slots=True)
class Watchdogs:
    """`look` is called every few seconds by one thread; `words` may be read by any.

    folder: on the disk that is watched; monotonic: seconds. words: what is wrong, by watchdog.
    outward_behind: journal records that other systems were not told yet.
    """

    parts: Parts
    folder: Path
    monotonic: Callable[[], float] = time.monotonic
    words: Mapping[Watchdog, str] = field(default_factory=dict)
    outward_behind: Callable[[], int] = _nothing
    _receipts: Receipts = field(default_factory=Receipts)
    _steps: int = 0
    _stepped_at: float = -STEP_TOLD_S
    _filled: dict[Topic, deque[tuple[float, int]]] = field(default_factory=dict)

    def look(self) -> None:
        """Look at everything once."""
        now = self.monotonic()
        seen: dict[Watchdog, str] = {
            "quiet": self._quiet(now),
            "worker_behind": self._worker(),
            "store_behind": self._stores(),
            "journal_filling": self._journal(now),
            "disk_low": self._disk(),
            "clock_stepped": self._clock(now),
            "outward_behind": self._outward(),
        }
        self.words = {name: words for name, words in seen.items() if words}

    def _quiet(self, now: float) -> str:
        """The broker is there, devices have spoken, and nothing comes."""
        ingest = self.parts.ingest
        if ingest is None:
            return ""
        received, connected = ingest.counters.received, ingest.subscriber.connected
        return self._receipts.look(now, received, connected, self._expected_s())

    def _expected_s(self) -> float:
        """The shortest interval that a device's model declares; 0: none does."""
        models = self.parts.registry.content.models.values()
        declared = [s for model in models for s in model.expected_interval_s.values()]
        return min(declared, default=0.0)

    def _worker(self) -> str:
        worker = self.parts.worker
        if worker is None:
            return ""
        behind = self.parts.journal.end("observations") - worker.position
        return f"{behind} journal records not stepped yet" if behind > BEHIND_RECORDS else ""

    def _stores(self) -> str:
        behind = {name: w.progress.behind for name, w in self.parts.writers.items()}
        return ", ".join(
            f"{name}: {records} records not stored yet"
            for name, records in behind.items()
            if records > BEHIND_RECORDS
        )

    def _outward(self) -> str:
        behind = self.outward_behind()
        return f"{behind} journal records not told outward yet" if behind > BEHIND_RECORDS else ""

    def _journal(self, now: float) -> str:
        return ", ".join(filter(None, (self._filling(topic, now) for topic in _TOPICS)))

    def _filling(self, topic: Topic, now: float) -> str:
        used, allowed = self.parts.journal.fill(topic)
        filled = self._filled.setdefault(topic, deque())
        while filled and now - filled[0][0] > PACE_S:
            filled.popleft()
        if not filled or now - filled[-1][0] >= PACE_S / 120:
            filled.append((now, used))
        if used <= NEARLY_FULL * allowed:
            return ""
        began, before = filled[0]
        pace = (used - before) / max(now - began, 1.0)
        left = f", {(allowed - used) / pace / 3600:.1f} h left" if pace > 0 else ""
        return f"{topic} {used / allowed:.0%} full{left}"

    def _disk(self) -> str:
        disk = shutil.disk_usage(self.folder)
        if disk.free >= max(DISK_SHARE * disk.total, DISK_BYTES):
            return ""
        return f"{disk.free / 1e9:.1f} GB of {disk.total / 1e9:.0f} GB free"

    def _clock(self, now: float) -> str:
        """The host's clock stepped: told for ten minutes."""
        ingest = self.parts.ingest
        if ingest is None:
            return ""
        if ingest.counters.clock_steps != self._steps:
            self._steps, self._stepped_at = ingest.counters.clock_steps, now
        if now - self._stepped_at >= STEP_TOLD_S:
            return ""
        return f"stepped {self._steps} times since the start"


def names(words: Mapping[Watchdog, str]) -> Iterator[tuple[Watchdog, float]]:
    """Each watchdog, 1 while it sees something."""
    for name in WATCHDOGS:
        yield name, float(name in words)
