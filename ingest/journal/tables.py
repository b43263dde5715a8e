"""The tables of one topic's database file, and the sentences spoken to them.

Every row that steers (place of an entry, progress, snapshot) carries a CRC-32 of its numbers: a
flipped byte in the file must not move an entry to another partition or the worker to another
position. The records themselves carry their own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32

import apsw

from ingest.journal.pages import PAGE_SIZE
from ingest.journal.protocol import (
    JournalDamaged,
    KeptSnapshot,
    PartitionsDiffer,
    Progress,
    Topic,
)

#: Before this, two connections that write and checkpoint at once can corrupt a WAL file.
OLDEST_SQLITE = (3, 51, 3)
#: The log is cut to this size when it starts anew.
LOG_BYTES = 16 << 20

_TABLES = """
CREATE TABLE IF NOT EXISTS entry (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    partition INTEGER NOT NULL, appended_at INTEGER NOT NULL, crc INTEGER NOT NULL,
    record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS setting (name TEXT NOT NULL, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS damage (
    first INTEGER NOT NULL, last INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS progress (
    partition INTEGER PRIMARY KEY, position INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot (
    id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, position INTEGER NOT NULL,
    crc INTEGER NOT NULL, name TEXT NOT NULL);
"""
_SNAPSHOTS_KEPT = 2
#: Rows that go into one statement (SQLite keeps the form of each number of them that was used).
_FEW = 32
_TWO, _THREE = struct.Struct("<2q"), struct.Struct("<3q")
#: First and last position.
Range = tuple[int, int]


def check_sqlite() -> None:
    """Raises RuntimeError where apsw brings a SQLite that is too old to trust."""
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise RuntimeError(f"SQLite {version} can corrupt a WAL file: apsw >= {needed} is needed")


def crc_of(*numbers: int) -> int:
    """CRC-32 of two or three numbers as int64."""
    return crc32((_THREE if len(numbers) == 3 else _TWO).pack(*numbers))


def named_crc(name: str, *numbers: int) -> int:
    """CRC-32 of the numbers and a name."""
    return crc32(name.encode(), crc_of(*numbers))


def connect(path: Path) -> apsw.Connection:
    """A connection that never checkpoints by itself when it closes (that is for lock holders)."""
    db = apsw.Connection(str(path))
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.set_busy_timeout(2_000)
    return db


def connect_to_write(path: Path) -> apsw.Connection:
    """A connection for durable commits. secure_delete: what is trimmed or erased is overwritten."""
    db = connect(path)
    db.execute(
        f"PRAGMA page_size={PAGE_SIZE}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        f"PRAGMA secure_delete=ON; PRAGMA journal_size_limit={LOG_BYTES}"
    ).fetchall()  # apsw carries out only as many of the statements as are asked for answers
    return db


def create(db: apsw.Connection, partitions: int) -> None:
    """Make the tables where they are missing. Called in a transaction. The number of partitions
    stays that of the first time: raises PartitionsDiffer for another."""
    db.execute(_TABLES)
    stored = setting(db, "partitions")
    if stored is None:
        set_setting(db, "partitions", partitions)
    elif stored != partitions:
        raise PartitionsDiffer(
            f"the journal was made with {stored} partitions, not {partitions}; "
            "another number would send patients to other partitions"
        )


def number(db: apsw.Connection, question: str, bindings: Sequence[int | str] = ()) -> int | None:
    """The one number that answers, or None."""
    for row in db.execute(question, bindings).fetchall():
        return None if row[0] is None else int(row[0])
    return None


def ask(db: apsw.Connection, question: str, bindings: Sequence[int] = ()) -> Any:
    """Cursor over the answer. SQLite does not say of which types its columns are: the tables do."""
    return db.execute(question, bindings)


def setting(db: apsw.Connection, name: str) -> int | None:
    """`partitions`, or `trimmed`: the highest position ever trimmed."""
    return number(db, "SELECT value FROM setting WHERE name = ?", (name,))


def set_setting(db: apsw.Connection, name: str, value: int) -> None:
    """Replace it."""
    db.execute("DELETE FROM setting WHERE name = ?", (name,))
    db.execute("INSERT INTO setting VALUES (?, ?)", (name, value))


def last_position(db: apsw.Connection) -> int:
    """The last position ever given."""
    return number(db, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'entry'") or 0


def number_on_above(db: apsw.Connection, position: int) -> None:
    """Positions up to this one are never given (again)."""
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'entry'")
    db.execute("INSERT INTO sqlite_sequence VALUES ('entry', ?)", (position,))


def oldest_position(db: apsw.Connection) -> int:
    """Position of the oldest entry kept; last + 1 if none is."""
    oldest = number(db, "SELECT min(position) FROM entry")
    return last_position(db) + 1 if oldest is None else oldest


def bytes_in_use(db: apsw.Connection) -> int:
    """Pages in use: the file itself never shrinks, its free pages are used again."""
    return (number(db, "PRAGMA page_count") or 0) * PAGE_SIZE - bytes_free(db)


def bytes_free(db: apsw.Connection) -> int:
    """Pages of the file that trim has freed."""
    return (number(db, "PRAGMA freelist_count") or 0) * PAGE_SIZE


def insert(db: apsw.Connection, records: Iterable[tuple[int, bytes]], now: int) -> int:
    """Append (partition, record) pairs; returns the last position. appended_at never goes back,
    so that a stepped clock never makes an entry look older than those before it."""
    newest = number(db, "SELECT appended_at FROM entry ORDER BY position DESC LIMIT 1")
    at = now if newest is None else max(now, newest)
    first = last_position(db) + 1
    rows = [
        (position, partition, at, crc_of(position, partition, at), record)
        for position, (partition, record) in enumerate(records, first)
    ]
    _insert_all(db, "INSERT INTO entry VALUES ", rows)
    return first + len(rows) - 1


def committed(db: apsw.Connection) -> dict[int, int]:
    """Partition → committed input position, of the partitions that have one."""
    found = {}
    for partition, position, crc in db.execute("SELECT partition, position, crc FROM progress"):
        if crc != crc_of(partition, position):
            raise JournalDamaged((0, position), f"progress of partition {partition}", "estimates")
        found[partition] = position
    return found


def snapshots(db: apsw.Connection, partition: int) -> Sequence[KeptSnapshot]:
    """Newest first; one whose row is damaged is none."""
    rows = db.execute(
        "SELECT name, position, crc FROM snapshot WHERE partition = ? ORDER BY id DESC",
        (partition,),
    )
    return [
        KeptSnapshot(name, position)
        for name, position, crc in rows
        if crc == named_crc(name, partition, position)
    ]


def advance(db: apsw.Connection, progress: Mapping[int, Progress]) -> None:
    """Move the positions and name the snapshots."""
    for partition, step in progress.items():
        if step.snapshot is not None:
            inside = step.snapshot_position
            add_snapshot(db, partition, step.position if inside is None else inside, step.snapshot)
    set_progress(db, {partition: step.position for partition, step in progress.items()})


def set_progress(db: apsw.Connection, positions: Mapping[int, int]) -> None:
    """Each partition's input is committed up to its position."""
    rows = [(partition, at, crc_of(partition, at)) for partition, at in positions.items()]
    _insert_all(db, "INSERT OR REPLACE INTO progress VALUES ", rows)


def _insert_all(db: apsw.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Few rows as one statement: each statement gives the interpreter's lock away and waits for
    it, which costs a live commit more than its rows."""
    places = f"({', '.join('?' * len(rows[0]))})" if rows else ""
    if 1 < len(rows) <= _FEW:
        db.execute(into + ", ".join([places] * len(rows)), list(chain.from_iterable(rows)))
    elif rows:
        db.executemany(into + places, rows)


def add_snapshot(db: apsw.Connection, partition: int, position: int, name: str) -> None:
    """Name a snapshot; only the newest two of a partition are kept."""
    crc = named_crc(name, partition, position)
    db.execute(
        "INSERT INTO snapshot (partition, position, crc, name) VALUES (?, ?, ?, ?)",
        (partition, position, crc, name),
    )
    db.execute(
        "DELETE FROM snapshot WHERE partition = ?1 AND id NOT IN "
        "(SELECT id FROM snapshot WHERE partition = ?1 ORDER BY id DESC LIMIT ?2)",
        (partition, _SNAPSHOTS_KEPT),
    )


def damage(db: apsw.Connection, topic: Topic) -> list[JournalDamaged]:
    """Losses noted and not yet trimmed."""
    rows = db.execute("SELECT first, last, why FROM damage ORDER BY first")
    return [JournalDamaged((first, last), why, topic) for first, last, why in rows]


def note_damage(db: apsw.Connection, lost: Range, why: str) -> None:
    """Remember a loss until it is trimmed."""
    db.execute("INSERT INTO damage VALUES (?, ?, ?)", (*lost, why))


def missing(db: apsw.Connection) -> list[Range]:
    """Ranges of positions that should have an entry, have none, and are not noted as damage.

    Positions are given without gaps, so each gap between the trimmed and the last is a loss.
    """
    first = (setting(db, "trimmed") or 0) + 1
    last = last_position(db)
    if number(db, "SELECT count(*) FROM entry") == last - first + 1:
        return []
    ranges: list[Range] = ask(
        db,
        "SELECT before + 1, position - 1 FROM (SELECT position, "
        "lag(position, 1, ?1 - 1) OVER (ORDER BY position) AS before FROM entry) "
        "WHERE position > before + 1 AND position > ?1 "
        "UNION ALL SELECT max(coalesce(max(position), 0), ?1 - 1) + 1, ?2 FROM entry",
        (first, last),
    ).fetchall()
    known: list[Range] = ask(db, "SELECT first, last FROM damage ORDER BY first").fetchall()
    return [part for gap in ranges for part in _without(gap, known)]


def _without(gap: Range, known: Iterable[Range]) -> list[Range]:
    """What of the gap no known range covers."""
    left, end = gap
    parts = []
    for first, last in known:
        if last < left or first > end:
            continue
        if first > left:
            parts.append((left, first - 1))
        left = last + 1
    return [*parts, (left, end)] if left <= end else parts


def position_before(db: apsw.Connection, instant: int) -> int:
    """Position of the newest entry appended before instant (ns UTC), 0 if none is kept.

    appended_at grows with the position, so it is found by halving, without an index.
    """
    low, high = oldest_position(db), last_position(db) + 1  # all before low: older; from high: not
    found = 0
    while low < high:
        middle = (low + high) // 2
        row: list[tuple[int, int]] = ask(
            db,
            "SELECT position, appended_at FROM entry WHERE position >= ? ORDER BY position LIMIT 1",
            (middle,),
        ).fetchall()
        if row and row[0][1] < instant:
            found = row[0][0]
            low = found + 1
        else:
            high = middle
    return found
