"""Which partition is snapshotted when: turn by turn, one in flight, written in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from ingest.instant import SECOND
from ingest.journal.protocol import Entry, Progress
from twin.snapshot import Captured, SnapshotFolder, capture
from twin.step import TwinState

log = logging.getLogger(__name__)

#: A partition's turn comes after this long or this many journal entries, whichever is first.
EVERY = 60 * SECOND
ENTRIES = 200_000


@dataclass(slots=True)
class Rotation:
    """Partitions take turns. A snapshot's name is committed only once its file is durable.

    The two newest of each partition are kept; older files are deleted after the commit that named
    their successor.
    """

    folder: SnapshotFolder
    partitions: int
    now: Callable[[], int]
    _next: int = 0
    _started: int = 0
    _entries: int = 0
    _model: str = ""
    _flight: tuple[int, Future[str]] | None = None
    _kept: dict[int, list[str]] = field(default_factory=dict)
    _writer: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "twin-snapshot")
    )

    def begin(self, state: TwinState) -> None:
        """The state is restored: a model other than this one is a change."""
        self._model = state.bank.model_file.version

    def due(self, state: TwinState, entries: Sequence[Entry]) -> Mapping[int, str]:
        """Names to put into the next commit: a snapshot that landed, or, after a change of model,
        one of every partition (so that no recovery crosses it)."""
        model = state.bank.model_file.version
        if model != self._model:
            self._model = model
            self._abandon_flight()  # of before the change: it must not land after those written now
            return self._write_all(state)
        self._entries += len(entries)
        landed = self._landed()
        if self._flight is None and self._turn():
            captured = capture(state, self._next)
            self._flight = (self._next, self._writer.submit(self._write, captured))
            self._next = (self._next + 1) % self.partitions
        return landed

    def _turn(self) -> bool:
        now = self.now()
        waited = abs(now - self._started) >= EVERY // self.partitions
        if not waited and self._entries < ENTRIES // self.partitions:
            return False
        self._started, self._entries = now, 0
        return True

    def _landed(self) -> dict[int, str]:
        if self._flight is None or not self._flight[1].done():
            return {}
        partition, future = self._flight
        self._flight = None
        try:
            return {partition: future.result()}
        except OSError as error:  # a full disk: the journal keeps what this would have spared it
            log.error("snapshot of partition %d cannot be written: %s", partition, error)
            return {}

    def _abandon_flight(self) -> None:
        if self._flight is not None:
            wait([self._flight[1]])
            for name in self._landed().values():
                self.folder.delete(name)

    def _write(self, captured: Captured) -> str:
        self.folder.write(captured.name, captured.encode())
        return captured.name

    def _write_all(self, state: TwinState) -> dict[int, str]:
        return {p: self._write(capture(state, p)) for p in range(self.partitions)}

    def everything(self, state: TwinState, committed: Mapping[int, int]) -> Mapping[int, Progress]:
        """Snapshot every partition now (a graceful stop); the progress to commit.

        committed: each partition's position; beyond the state's if recovery was not finished.
        """
        self._abandon_flight()  # two writers of one file would take each other's draft away
        names = self._write_all(state)
        return {
            p: Progress(position, (), names[p], int(state.position[p]))
            for p, position in committed.items()
            if state.position[p] > 0
        }

    def committed(self, names: Mapping[int, str]) -> None:
        """These names are now in the journal: forget the file before the one before."""
        for partition, name in names.items():
            kept = self._kept.setdefault(partition, [])
            if name in kept:  # nothing had come for the partition since
                continue
            kept.append(name)
            for old in kept[:-2]:
                self.folder.delete(old)
            del kept[:-2]

    def close(self) -> None:
        """Wait for what is being written."""
        self._writer.shutdown()
