"""A database file that was torn: seen at opening, set aside, its readable rows saved.

Called before anybody opens the file (`Presence.alone`). A damaged file is never mended in place:
it is kept beside the new one as `<name>.damaged-<n>`, so that nothing that could still be read by
other means is destroyed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from mmap import ACCESS_READ, mmap
from pathlib import Path

import apsw

from ingest.journal import tables
from ingest.journal.pages import PAGE_SIZE, Pages, Row
from ingest.journal.protocol import JournalDamaged, Topic
from ingest.journal.wal import read_log

_log = logging.getLogger(__name__)
#: No journal gets that far: a number beyond it is a flipped byte.
_NO_POSITION = 1 << 56


def recover(path: Path, topic: Topic, partitions: int) -> None:
    """Leaves a sound file (or none, where there was none) at path; losses stand in its `damage`.

    Reads the whole file once. A recovery that was killed is resumed.
    """
    aside = _unfinished(path)
    if aside is None:
        why = _fault(path)
        if why is None:
            return
        aside = _next_aside(path)
        _new_of(path).write_bytes(b"")  # from here on until it is renamed: unfinished
        if path.exists():
            os.rename(path, aside)
    else:
        why = "damaged file, recovered in a second attempt"
    if _log_of(path).exists():
        os.rename(_log_of(path), _log_of(aside))
    _shm_of(path).unlink(missing_ok=True)
    _salvage(aside, path, topic, partitions, why)


def _fault(path: Path) -> str | None:
    """What is wrong with the file and its log, or None."""
    log = read_log(_bytes(_log_of(path)), PAGE_SIZE)
    if log.sound < log.claimed:
        return "write-ahead log is damaged"
    if not path.exists() or path.stat().st_size == 0:
        return "database file is empty" if log.claimed else None
    whole_pages, rest = divmod(path.stat().st_size, PAGE_SIZE)
    if rest and whole_pages + 1 not in log.pages:  # else a checkpoint was killed: SQLite redoes it
        return "database file is cut"
    try:
        db = tables.connect(path)
        try:
            return _verdict(db, path)
        finally:
            db.close()
    except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, JournalDamaged) as error:
        return str(error)


def _verdict(db: apsw.Connection, path: Path) -> str | None:
    verdict = str(db.execute("PRAGMA quick_check(1)").fetchall()[0][0])
    if verdict != "ok":
        return verdict
    if db.readonly("main") and os.access(path, os.W_OK):
        return "the header says a newer format"
    if db.table_exists("main", "progress"):
        tables.committed(db)
    return None


def _salvage(aside: Path, path: Path, topic: Topic, partitions: int, why: str) -> None:
    """Build the new file beside, complete and synced, then move it to its place."""
    new = _new_of(path)
    new.write_bytes(b"")
    # Without a journal of its own: a build that is killed starts anew, and a full copy in a
    # write-ahead log would take the disk space a second time.
    db = tables.connect(new)
    db.execute(
        f"PRAGMA page_size={PAGE_SIZE}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF"
    ).fetchall()
    db.execute("BEGIN")
    tables.create(db, partitions)
    saved = _copy(aside, db)
    lost = tables.missing(db)
    for gap in lost:
        tables.note_damage(db, gap, why)
    if topic == "estimates":
        _mend_progress(db, why)
    db.execute("COMMIT")
    db.close()
    sync(new)
    os.rename(new, path)
    sync(path.parent)
    count = sum(last - first + 1 for first, last in lost)
    _log.error(
        "journal %s was damaged (%s): %d entries saved, %d lost, the file is kept as %s",
        topic, why, saved, count, aside.name,
    )  # fmt: skip


def _copy(aside: Path, db: apsw.Connection) -> int:
    """Insert what can be read of the file set aside; returns the number of entries."""
    log = read_log(_bytes(_log_of(aside)), PAGE_SIZE)
    if not aside.exists() or aside.stat().st_size == 0:
        return _insert(Pages(b"", log.pages).rows(), db)
    with aside.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as main:
        return _insert(Pages(main, log.pages).rows(), db)


def _insert(rows: Iterable[Row], db: apsw.Connection) -> int:
    """Insert the rows that prove what they are; returns the number of entries."""
    saved, last, settings = 0, 0, dict[str, int]()
    for row_id, row in rows:
        match row:
            case (None, int(partition), int(at), int(crc), bytes(record)):
                if crc == tables.crc_of(row_id, partition, at):
                    place = (row_id, partition, at, crc, record)
                    db.execute("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?)", place)
                    saved, last = saved + 1, max(last, row_id)
            case ("entry", int(sequence)) if sequence < _NO_POSITION:
                last = max(last, sequence)
            case (str(name), int(value)) if name in ("partitions", "trimmed"):
                settings[name] = value
            case (int(first), int(end), str(why)):
                tables.note_damage(db, (first, end), why)
            case (None, int(position), int(crc)):
                if crc == tables.crc_of(row_id, position):
                    tables.set_progress(db, {row_id: position})
            case (None, int(partition), int(position), int(crc), str(name)):
                if crc == tables.named_crc(name, partition, position):
                    tables.add_snapshot(db, partition, position, name)
    tables.number_on_above(db, last)
    for name, value in settings.items():
        if 0 < value <= last or name == "partitions":
            tables.set_setting(db, name, value)
    return saved


def _mend_progress(db: apsw.Connection, why: str) -> None:
    """A partition whose committed position is lost goes on from its newest snapshot, and that is
    reported: its observations since then are estimated a second time."""
    known = tables.committed(db)
    lost = [p for p in range(tables.setting(db, "partitions") or 0) if p not in known]
    for partition in lost:
        for newest in tables.snapshots(db, partition)[:1]:
            tables.set_progress(db, {partition: newest.position})
    if lost and tables.last_position(db):
        tables.note_damage(db, (0, 0), f"{why}: worker's position unknown in partitions {lost}")


def _unfinished(path: Path) -> Path | None:
    """The file that a killed recovery had set aside without finishing the new one."""
    if path.exists() or not _new_of(path).exists():
        return None
    set_aside = sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]"), key=_count)
    return set_aside[-1] if set_aside else None


def _next_aside(path: Path) -> Path:
    counts = [_count(p) for p in path.parent.glob(f"{path.name}.damaged-*[0-9]")]
    return path.with_name(f"{path.name}.damaged-{max(counts, default=0) + 1}")


def _count(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _new_of(path: Path) -> Path:
    return path.with_name(path.name + ".salvage")


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _shm_of(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def sync(path: Path) -> None:
    """fsync of a file, or of a folder (makes renames and new files in it durable)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
