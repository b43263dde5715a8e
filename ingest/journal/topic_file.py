"""One topic's database file: what is written to it, under which lock, and how full it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from time import sleep
from typing import TypeVar

import apsw

from ingest.journal import tables
from ingest.journal.group_commit import GROUP_BYTES, Records
from ingest.journal.lock import WriteLock
from ingest.journal.pages import PAGE_SIZE
from ingest.journal.protocol import JournalDamaged, JournalFull, KeptSnapshot, Progress, Topic
from ingest.journal.reserve import Reserve

#: Bytes of records that one transaction of a trim forgets.
TRIM_BYTES = 8 << 20
#: A write-ahead log larger than this is made to start anew, which waits for readers (up to 2 s).
LOG_BOUND = 32 << 20

Done = TypeVar("Done")


class TopicFile:
    """The open file of one topic; safe to use from several threads.

    Two connections: one writes, under the lock that all processes share; one asks.
    """

    def __init__(
        self,
        path: Path,
        topic: Topic,
        partitions: int,
        max_bytes: int,
        now: Callable[[], int],
        reserve: Reserve,
    ) -> None:
        self.path = path
        self.topic = topic
        self._max_bytes = max_bytes
        self._now = now
        self._reserve = reserve
        self._log = f"{path}-wal"
        self._log_bound = LOG_BOUND
        self._asking = Lock()
        self._lock = WriteLock(path.with_suffix(".lock"))
        with self._lock:
            self._db = tables.connect_to_write(path)
        with self._transaction() as db:
            tables.create(db, partitions)
        self._questions = tables.connect(path)

    def close(self) -> None:
        """Also moves the log into the database file, where no reader is in the way."""
        with self._asking:
            self._questions.close()
        with self._lock:
            self._db.set_busy_timeout(0)
            with suppress(apsw.BusyError, apsw.FullError):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._db.close()
        self._lock.close()

    # --- written ----------------------------------------------------------------------------------

    def write(self, calls: Sequence[Records]) -> int:
        """Append the records of all calls in one transaction; returns the position of the last.
        Raises JournalFull."""
        records = [record for call in calls for record in call]
        with self._full_disk_is_full_journal(), self._transaction() as db:
            self._check_room(db)
            self._check_reserve(db)
            return tables.insert(db, records, self._now())

    def commit(self, progress: Mapping[int, Progress]) -> None:
        """Outputs, positions and snapshots in one transaction. Raises JournalFull."""
        outputs = [(p, record) for p, step in progress.items() for record in step.outputs]

        def act() -> None:
            with self._transaction() as db:
                if outputs:
                    self._check_room(db)
                    tables.insert(db, outputs, self._now())
                tables.advance(db, progress)

        with self._full_disk_is_full_journal():
            self._with_reserve(act)

    def trim(self, up_to: int) -> int:
        """Forget entries up to the position, in slices between which others write.

        A slice takes its own size in the log, because what is forgotten is overwritten; on a full
        disk smaller slices do. Raises JournalFull where there is not even room for these.
        """
        self._settle_log()
        forgotten, size, finished = 0, TRIM_BYTES, False
        while not finished:
            try:
                count, finished = self._with_reserve(partial(self._trim_slice, up_to, size))
            except apsw.FullError as error:
                size //= 8
                if size < PAGE_SIZE:
                    raise JournalFull(f"{self.topic}: no space left to trim") from error
                continue
            forgotten += count
            sleep(0.001)  # who waits for the lock would otherwise lose the race for it
        self._reserve.hold()
        return forgotten

    def number_on(self, known: int, why: str) -> None:
        """Where the file ends before a known position: report the loss, give those never again."""
        if known <= self.end():
            return
        with self._transaction() as db:
            last = tables.last_position(db)
            if known > last:
                tables.note_damage(db, (last + 1, known), why)
                tables.number_on_above(db, known)

    def note_missing(self, why: str) -> None:
        """Report positions between the kept entries that have none. Reads the whole index."""
        with self._transaction() as db:
            for gap in tables.missing(db):
                tables.note_damage(db, gap, why)

    def marked(self) -> int:
        """The last position that any process committed, as far as known outside the database."""
        return self._lock.marked()

    def _trim_slice(self, up_to: int, bound: int) -> tuple[int, bool]:
        """One transaction over about bound bytes: (entries forgotten, nothing left to forget)."""
        with self._transaction() as db:
            end = min(up_to, tables.last_position(db))
            size, finished = 0, True
            for position, length in db.execute(
                "SELECT position, length(record) FROM entry WHERE position <= ? ORDER BY position",
                (end,),
            ):
                size += length
                if size >= bound:
                    end, finished = position, False
                    break
            db.execute("DELETE FROM entry WHERE position <= ?", (end,))
            count = db.changes()
            if end > (tables.setting(db, "trimmed") or 0):
                tables.set_setting(db, "trimmed", end)
                db.execute("DELETE FROM damage WHERE last <= ?", (end,))
        return count, finished

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        """Durable when it ends without an error, undone otherwise."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                last = tables.last_position(self._db)
                self._db.execute("COMMIT")
            except (apsw.CorruptError, apsw.NotADBError) as error:
                raise JournalDamaged((0, self._lock.marked()), str(error), self.topic) from error
            finally:
                if self._db.in_transaction:
                    with suppress(apsw.Error):
                        self._db.execute("ROLLBACK")
            self._lock.mark(last)
            self._bound_log()

    def _bound_log(self) -> None:
        """SQLite's own checkpoint (at 1 000 pages) starts the log anew only in a moment without
        readers; with busy ones the log would grow for ever."""
        size = os.stat(self._log).st_size
        if size < self._log_bound:
            return
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._log_bound = LOG_BOUND
        except (apsw.BusyError, apsw.FullError):
            # A foreign reader sits on the log, or no room: not to be waited for at every commit.
            self._log_bound = size + LOG_BOUND

    def _check_room(self, db: apsw.Connection) -> None:
        used = tables.bytes_in_use(db)
        if used >= self._max_bytes:
            raise JournalFull(f"{self.topic}: {used} bytes in use of {self._max_bytes} allowed")

    def _check_reserve(self, db: apsw.Connection) -> None:
        """While the reserve is released its space is for commit and trim: what is appended must
        then find its room in the file itself."""
        if not self._reserve.hold() and tables.bytes_free(db) < 2 * GROUP_BYTES:
            raise JournalFull(f"{self.topic}: no space left on the disk but the reserve")

    @contextmanager
    def _full_disk_is_full_journal(self) -> Iterator[None]:
        try:
            yield
        except apsw.FullError as error:
            raise JournalFull(f"{self.topic}: no space left on the disk") from error

    def _with_reserve(self, act: Callable[[], Done]) -> Done:
        """Do it; on a full disk free the reserve and do it once more."""
        try:
            return act()
        except apsw.FullError:
            if not self._reserve.release():
                raise
            self._settle_log()
            return act()

    def _settle_log(self) -> None:
        """Move the log into the database file. On a full disk the file must grow first: a log that
        took the last space and cannot be moved is never empty again."""
        with self._lock, suppress(apsw.BusyError, apsw.FullError):
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    # --- asked ------------------------------------------------------------------------------------

    def end(self) -> int:
        with self._asking:
            return tables.last_position(self._questions)

    def oldest(self) -> int:
        with self._asking:
            return tables.oldest_position(self._questions)

    def position_before(self, instant: int) -> int:
        with self._asking:
            return tables.position_before(self._questions, instant)

    def fill(self) -> tuple[int, int]:
        with self._asking:
            return tables.bytes_in_use(self._questions), self._max_bytes

    def committed(self) -> Mapping[int, int]:
        with self._asking:
            return tables.committed(self._questions)

    def snapshots(self, partition: int) -> Sequence[KeptSnapshot]:
        with self._asking:
            return tables.snapshots(self._questions, partition)

    def damage(self) -> Sequence[JournalDamaged]:
        with self._asking:
            return tables.damage(self._questions, self.topic)
