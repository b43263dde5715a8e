"""Reading a topic page by page, without ever holding a transaction for long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from time import monotonic

import apsw

from ingest.journal import tables
from ingest.journal.protocol import ALL_PARTITIONS, Entry, JournalDamaged, Topic

#: A page ends at this many bytes or seconds: an open transaction keeps the log from starting anew
#: (a reader of 20 s grew it to 500 MB).
PAGE_BYTES = 8 << 20
PAGE_SECONDS = 0.5
#: How often other processes' appends are looked for.
POLL_SECONDS = 0.005
#: Flipped bytes; a file cut short or a bad sector.
_UNREADABLE = (apsw.CorruptError, apsw.IOError)


@dataclass(slots=True)
class Bell:
    """Rung at each append of this process, so that its own readers need not wait for a poll."""

    changed: Condition = field(default_factory=Condition)
    count: int = 0

    def ring(self) -> None:
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Until it was rung since `seen`, at most timeout seconds."""
        with self.changed:
            self.changed.wait_for(lambda: self.count != seen, timeout)


class Pager:
    """Entries of one topic after a position. For one thread; has a connection of its own.

    drained: the last page ended where the topic did. Whoever asked for the version before that page
    need not look again until it differs.
    """

    def __init__(self, path: Path, topic: Topic, partitions: int, bell: Bell) -> None:
        self._db = tables.connect(path)
        self._topic = topic
        self._partitions = partitions
        self._bell = bell
        self.drained = False

    def version(self) -> tuple[int, int]:
        """Differs from an earlier answer when there may be new entries since."""
        # The pragma, not the file control of the same name: that one does not look at the file.
        return self._bell.count, tables.number(self._db, "PRAGMA data_version") or 0

    def wait(self, seen: tuple[int, int], deadline: float) -> bool:
        """Until the version differs from `seen` (True) or the deadline (monotonic) has passed."""
        while (left := deadline - monotonic()) > 0:
            if self.version() != seen:
                return True
            self._bell.wait(seen[0], min(POLL_SECONDS, left))
        return False

    def fetch(self, after: int, max_records: int) -> list[Entry]:
        """The next entries, [] if there are none yet.

        A record that SQLite cannot read, or whose place does not match its checksum, comes as an
        empty record: damaged for whoever unseals it, at its position, and nothing after it is
        skipped. Raises JournalDamaged where not even the next position can be found.
        """
        self.drained = False
        try:
            return self._page(after, max_records)
        except _UNREADABLE:
            return [self._single(after)]

    def close(self) -> None:
        self._db.close()

    def _page(self, after: int, max_records: int) -> list[Entry]:
        until = monotonic() + PAGE_SECONDS
        entries, size = list[Entry](), 0
        cursor = tables.ask(
            self._db,
            "SELECT position, partition, appended_at, crc, record FROM entry "
            "WHERE position > ? ORDER BY position LIMIT ?",
            (after, max_records),
        )
        for position, partition, at, crc, record in cursor:
            entries.append(self._entry(position, partition, at, crc, record))
            size += len(record)
            if size >= PAGE_BYTES or monotonic() > until:
                break
        else:
            self.drained = len(entries) < max_records
        cursor.close()
        return entries

    def _single(self, after: int) -> Entry:
        """The next entry alone, its record b"" if that cannot be read."""
        try:
            place = tables.ask(
                self._db,
                "SELECT position, partition, appended_at, crc FROM entry "
                "WHERE position > ? ORDER BY position LIMIT 1",
                (after,),
            ).fetchall()
            end = tables.last_position(self._db)
        except _UNREADABLE as error:
            raise JournalDamaged((after + 1, after + 1), str(error), self._topic) from error
        if not place:
            raise JournalDamaged((after + 1, end), "entries cannot be found", self._topic)
        position, partition, at, crc = place[0]
        try:
            found = tables.ask(self._db, "SELECT record FROM entry WHERE position = ?", (position,))
            record = found.fetchall()[0][0]
        except _UNREADABLE:
            record = b""
        return self._entry(position, partition, at, crc, record)

    def _entry(self, position: int, partition: int, at: int, crc: int, record: bytes) -> Entry:
        if crc != tables.crc_of(position, partition, at):
            return Entry(ALL_PARTITIONS, position, b"")
        return Entry(partition, position, record)


class TopicReader:
    """`Reader` over a pager."""

    def __init__(self, pager: Pager, position: int) -> None:
        self._pager = pager
        self._position = position
        self._drained: tuple[int, int] | None = None  # at this version there is nothing more

    @property
    def position(self) -> int:
        """Position of the last entry read."""
        return self._position

    def read(self, max_records: int, timeout: float) -> Sequence[Entry]:
        """Up to max_records next entries; [] after timeout seconds. Raises JournalDamaged."""
        deadline = monotonic() + timeout
        while True:
            seen = self._pager.version()
            if seen != self._drained:
                entries = self._pager.fetch(self._position, max_records)
                if self._pager.drained:
                    self._drained = seen
                if entries:
                    self._position = entries[-1].position
                    return entries
            if not self._pager.wait(seen, deadline):
                return []

    def close(self) -> None:
        self._pager.close()
