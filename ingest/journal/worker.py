"""The embedded journal's one worker: owns all partitions for as long as it holds its lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic

from ingest.journal.lock import Ownership
from ingest.journal.protocol import (
    ALL_PARTITIONS,
    Assignment,
    Entry,
    KeptSnapshot,
    Listener,
    PartitionLost,
    Progress,
)
from ingest.journal.reading import Bell, Pager
from ingest.journal.topic_file import TopicFile


class SqliteWorker:
    """`Worker` for all partitions. For one thread, but `commit` may come from another."""

    def __init__(
        self,
        ownership: Ownership,
        observations: Pager,
        estimates: TopicFile,
        bell: Bell,
        partitions: int,
        listener: Listener,
    ) -> None:
        self._ownership = ownership
        self._pager = observations
        self._estimates = estimates
        self._bell = bell
        self._listener = listener
        committed = estimates.committed()
        #: Nobody else commits while this one owns the journal.
        self._committed = {p: committed.get(p, 0) for p in range(partitions)}
        #: What each partition was told or given last.
        self._read_up_to = dict(self._committed)
        #: At this version of the topic there is nothing more.
        self._drained: tuple[int, int] | None = None
        self._assigned = False
        self._closed = False

    def seek(self, partition: int, position: int) -> None:
        """Read this partition from the entry after `position` (its snapshot's) on."""
        self._check_owned([partition])
        self._read_up_to[partition] = position
        self._drained = None

    def read(self, max_records: int, timeout: float) -> Sequence[Entry]:
        """The next entries of all partitions in the journal's order; the first call assigns them.

        Raises PartitionLost after `close`, JournalDamaged.
        """
        self._check_owned(())
        if not self._assigned:
            self._assigned = True
            self._listener.assigned(self._assignments())
        deadline = monotonic() + timeout
        while True:
            seen = self._pager.version()
            page: Sequence[Entry] = ()
            if seen != self._drained:
                page = self._pager.fetch(min(self._read_up_to.values()), max_records)
                self._drained = seen if self._pager.drained else None
            wanted = [entry for entry in page if self._wants(entry)]
            if page:
                end = page[-1].position
                self._read_up_to = {p: max(end, at) for p, at in self._read_up_to.items()}
            if wanted:
                return wanted
            if not page and not self._pager.wait(seen, deadline):
                return []

    def commit(self, progress: Mapping[int, Progress]) -> None:
        """One atomic, durable act. Raises PartitionLost, JournalFull, ValueError."""
        self._check_owned(progress)
        before = self._committed
        for partition, step in progress.items():
            if step.position < before[partition]:
                raise ValueError(
                    f"partition {partition} is committed up to {before[partition]}, "
                    f"not to be moved back to {step.position}"
                )
        self._estimates.commit(progress)
        before.update((partition, step.position) for partition, step in progress.items())
        self._bell.ring()

    def snapshots(self, partition: int) -> Sequence[KeptSnapshot]:
        """The two newest committed snapshots of the partition, newest first."""
        return self._estimates.snapshots(partition)

    def close(self) -> None:
        """Give the journal to the next worker. Does not commit."""
        if not self._closed:
            self._closed = True
            self._pager.close()
            self._ownership.close()

    def _assignments(self) -> list[Assignment]:
        names = {p: [kept.name for kept in self.snapshots(p)] for p in self._read_up_to}
        return [
            Assignment(p, position, names[p][0] if names[p] else None)
            for p, position in self._read_up_to.items()
        ]

    def _wants(self, entry: Entry) -> bool:
        if entry.partition == ALL_PARTITIONS:
            return True  # the page starts after the partition that is furthest behind
        return entry.position > self._read_up_to[entry.partition]

    def _check_owned(self, partitions: Mapping[int, Progress] | Sequence[int]) -> None:
        if self._closed:
            raise PartitionLost("this worker was closed")
        for partition in partitions:
            if partition not in self._read_up_to:
                raise PartitionLost(f"there is no partition {partition}")
