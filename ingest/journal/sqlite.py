"""The embedded journal: two SQLite files in a folder, for one machine.

`observations.db` is appended by any process, `estimates.db` (outputs, positions, snapshot names) by
the one worker: with one file for all, the p99 of an append was 84–260 ms, by writer 23 ms. How it
survives what happens to files stands in `recovery.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import time_ns  # noqa: TID251, a default of the outermost constructor
from typing import Final

from ingest.journal import tables
from ingest.journal.group_commit import GroupCommit
from ingest.journal.lock import Ownership, Presence
from ingest.journal.protocol import (
    ALL_PARTITIONS,
    AlreadyOwned,
    JournalDamaged,
    KeptSnapshot,
    Listener,
    Topic,
)
from ingest.journal.reading import Bell, Pager, TopicReader
from ingest.journal.recovery import recover
from ingest.journal.reserve import Reserve
from ingest.journal.topic_file import TopicFile
from ingest.journal.worker import SqliteWorker

TOPICS: Final[tuple[Topic, ...]] = ("observations", "estimates")
DEFAULT_MAX_BYTES: Final = 8 << 30
RESERVE_BYTES: Final = 64 << 20


class SqliteJournal:
    """`Journal` in a folder (made if it is not there). Several processes may have it open.

    max_bytes: pages in use that each topic may reach. linger: seconds for which an append waits for
    others to share its commit, if there were others last time and it brings few records. now: ns
    UTC, for `position_before`. known_positions: positions that readers have reached; if the journal
    ends before them, a tail was lost. reserve_bytes: disk space held back for commit and trim.

    Opening examines the files if nobody else has them open (reads them once) and repairs what it
    can; look at `damage` afterwards. Raises PartitionsDiffer for another number of partitions than
    the folder was made with, RuntimeError for a SQLite that is too old.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int = 16,
        max_bytes: Mapping[Topic, int] | None = None,
        linger: float = 0.005,
        now: Callable[[], int] = time_ns,
        known_positions: Mapping[Topic, int] | None = None,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        tables.check_sqlite()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._partitions = partitions
        self._reserve = Reserve(folder, reserve_bytes)
        allowed = dict.fromkeys(TOPICS, DEFAULT_MAX_BYTES) | dict(max_bytes or {})
        with ExitStack() as opened:
            presence = Presence(folder / "journal.lock")
            opened.callback(presence.close)
            alone = presence.alone()
            if alone:
                for topic in TOPICS:
                    recover(folder / f"{topic}.db", topic, partitions)
            presence.share()
            self._files: dict[Topic, TopicFile] = {}
            for topic in TOPICS:
                path = folder / f"{topic}.db"
                file = TopicFile(path, topic, partitions, allowed[topic], now, self._reserve)
                opened.callback(file.close)
                self._files[topic] = file
            self._report_losses(known_positions or {}, alone)
            self._reserve.hold()
            self._bells: dict[Topic, Bell] = {topic: Bell() for topic in TOPICS}
            self._groups: dict[Topic, GroupCommit] = {
                topic: GroupCommit(file.write, linger) for topic, file in self._files.items()
            }
            self._opened = opened.pop_all()

    @property
    def partitions(self) -> int:
        """Number of partitions, fixed when the folder was made."""
        return self._partitions

    @property
    def damage(self) -> Sequence[JournalDamaged]:
        """Ranges of positions that are lost, of both topics, until they are trimmed."""
        return [lost for file in self._files.values() for lost in file.damage()]

    def append(self, topic: Topic, records: Sequence[tuple[int, bytes]]) -> int:
        """Append (partition, record) pairs in order; durable when it returns, the position of the
        last of them. Blocks for a commit.

        Raises JournalFull (nothing is in), ValueError for a partition that does not exist.
        """
        for partition, _ in records:
            if not ALL_PARTITIONS <= partition < self._partitions:
                raise ValueError(f"partition {partition} of {self._partitions}")
        if not records:
            return 0
        last = self._groups[topic].append(records)
        self._bells[topic].ring()
        return last

    def join(self, listener: Listener) -> SqliteWorker:
        """Become the worker. Raises AlreadyOwned, also for a second one in this process."""
        try:
            ownership = Ownership(self._folder / "worker.lock")
        except BlockingIOError as error:
            raise AlreadyOwned(f"{self._folder} has a worker") from error
        return SqliteWorker(
            ownership,
            self._pager("observations"),
            self._files["estimates"],
            self._bells["estimates"],
            self._partitions,
            listener,
        )

    def reader(self, topic: Topic, position: int) -> TopicReader:
        """Reader of the entries after position (0: from the oldest kept). For one thread."""
        return TopicReader(self._pager(topic), position)

    def end(self, topic: Topic) -> int:
        """Position of the last entry, 0 if there never was one."""
        return self._files[topic].end()

    def oldest(self, topic: Topic) -> int:
        """Position of the oldest entry kept; `end` + 1 if none is."""
        return self._files[topic].oldest()

    def committed(self) -> Mapping[int, int]:
        """Input position committed by the worker, for each partition (0 = none yet)."""
        found = self._files["estimates"].committed()
        return {partition: found.get(partition, 0) for partition in range(self._partitions)}

    def snapshots(self, partition: int) -> Sequence[KeptSnapshot]:
        """The two newest committed snapshots of the partition, newest first."""
        return self._files["estimates"].snapshots(partition)

    def position_before(self, topic: Topic, instant: int) -> int:
        """Position of the newest entry appended before instant (ns UTC); 0 if none is kept."""
        return self._files[topic].position_before(instant)

    def trim(self, topic: Topic, up_to: int) -> int:
        """Forget entries with position ≤ up_to; returns how many. Others write in between."""
        return self._files[topic].trim(up_to)

    def fill(self, topic: Topic) -> tuple[int, int]:
        """(bytes of pages in use, bytes allowed)"""
        return self._files[topic].fill()

    def release_reserve(self) -> bool:
        """Free the disk space held back; True if there was any. Held again at trim or opening."""
        return self._reserve.release()

    def close(self) -> None:
        """Readers and the worker are closed by those who opened them."""
        self._opened.close()

    def _pager(self, topic: Topic) -> Pager:
        path = self._files[topic].path
        return Pager(path, topic, self._partitions, self._bells[topic])

    def _report_losses(self, known: Mapping[Topic, int], alone: bool) -> None:
        worker = self._files["estimates"]
        positions = [*self.committed().values()]
        for partition in range(self._partitions):
            positions += [kept.position for kept in worker.snapshots(partition)]
        beyond = {"observations": max(positions), "estimates": 0}
        for topic, file in self._files.items():
            if alone:
                file.note_missing("entries are missing from the file")
            last = max(beyond[topic], known.get(topic, 0), file.marked())
            file.number_on(last, "the end of the journal was lost")
