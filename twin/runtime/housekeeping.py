"""What must be done every few seconds: remember readers' positions, trim the journals.

Trim never passes a position that somebody may still need: the older of two kept snapshots for the
observations, the slowest configured reader for the estimates.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from ingest.journal.protocol import Journal, Topic
from twin.snapshot import position_in

_log = logging.getLogger(__name__)

EVERY_S = 10.0
#: Above this share of the allowed size, everything that nobody needs goes, whatever its age.
NEARLY_FULL = 0.7


@dataclass(frozen=True, slots=True)
class ReaderFiles:
    """Positions of the readers of `estimates`, a small file each, so that any process can trim."""

    folder: Path

    def remember(self, name: str, position: int) -> None:
        """Write atomically; a reader that crashes is never ahead of its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{name}.draft"
        draft.write_text(str(position), "ascii")
        os.replace(draft, self.folder / name)

    def slowest(self, names: Sequence[str]) -> int:
        """The least position of these readers; 0 while one of them never said."""
        try:
            return min(int((self.folder / name).read_text("ascii")) for name in names)
        except (FileNotFoundError, ValueError):
            return 0


def needed_from(journal: Journal) -> int:
    """Observations up to here are in the older kept snapshot of every partition."""
    positions = []
    for partition in range(journal.partitions):
        kept = journal.snapshots(partition)
        if len(kept) < 2:
            return 0
        positions.append(position_in(kept[-1].name))
    return min(positions)


@dataclass(slots=True)
class Housekeeping:
    """A thread. readers: durable positions of this process's readers; trims: this process trims.

    configured: every reader there is, in whatever process; keep_ns: how long entries are kept.
    """

    journal: Journal
    files: ReaderFiles
    readers: Mapping[str, Callable[[], int]]
    configured: Sequence[str]
    trims: bool
    keep_ns: int
    now: Callable[[], int]
    each_time: Callable[[], None]
    trimmed: dict[Topic, int] = field(default_factory=dict)
    _stopping: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; once more for what changed since."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self.turn()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.turn()
            except Exception:  # noqa: BLE001 — the thread must go on; the log has it
                _log.exception("housekeeping failed; tried again in %s s", EVERY_S)

    def turn(self) -> None:
        """Do everything once. On a full disk nothing can be remembered, and trimming is what helps:
        what was remembered before is then an older position, which is safe."""
        try:
            for name, position in self.readers.items():
                self.files.remember(name, position())
            self.each_time()
        except OSError as error:
            _log.error("readers' positions cannot be saved: %s", error)
        if self.trims:
            self._trim("observations", needed_from(self.journal))
            self._trim("estimates", self.files.slowest(self.configured))

    def _trim(self, topic: Topic, unneeded: int) -> None:
        used, allowed = self.journal.fill(topic)
        old = self.journal.position_before(topic, self.now() - self.keep_ns)
        up_to = unneeded if used > NEARLY_FULL * allowed else min(unneeded, old)
        if up_to > 0:
            gone = self.journal.trim(topic, up_to)
            self.trimmed[topic] = self.trimmed.get(topic, 0) + gone
