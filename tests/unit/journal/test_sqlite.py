"""What is particular to the SQLite journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import apsw
import pytest

from ingest.journal.lock import WriteLock
from ingest.journal.protocol import Journal, Progress
from ingest.journal.sqlite import SqliteJournal
from ingest.journal.topic_file import LOG_BOUND
from tests.support.journals import Told, child, kept, read_lines

SMALL = 1 << 20


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path, reserve_bytes=SMALL)
    yield journal
    journal.close()


def test_it_is_a_journal(journal: SqliteJournal) -> None:
    as_journal: Journal = journal
    assert as_journal.partitions == 16


def test_another_number_of_partitions_is_refused_and_the_right_one_still_opens(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    with pytest.raises(ValueError, match="made with 16 partitions, not 8"):
        SqliteJournal(tmp_path, partitions=8, reserve_bytes=SMALL)
    SqliteJournal(tmp_path, partitions=16, reserve_bytes=SMALL).close()


def test_a_sqlite_that_corrupts_its_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(RuntimeError, match=r"3\.51\.2 .* 3\.51\.3 is needed"):
        SqliteJournal(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_commits_are_synced_and_what_is_deleted_is_overwritten(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    db = journal._files["observations"]._db
    assert [db.pragma(name) for name in ("journal_mode", "synchronous", "secure_delete")] == [
        "wal",
        2,
        1,
    ]
    journal.append("observations", [(0, b"patient-4711 " * 1_000), (0, b"patient-4711")])
    journal.trim("observations", 2)
    journal.close()
    assert b"4711" not in (tmp_path / "observations.db").read_bytes()


def test_the_reserve_is_held_released_and_held_again(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= SMALL
    assert journal.release_reserve()
    assert not journal.release_reserve()
    assert not (tmp_path / "reserve").exists()
    journal.trim("observations", 0)
    assert (tmp_path / "reserve").exists()


def test_a_full_disk_costs_the_reserve_before_it_stops_a_commit(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    db = journal._files["estimates"]._db
    worker = journal.join(Told())
    worker.commit({0: Progress(1)})
    pages = db.pragma("page_count")
    db.pragma("max_page_count", pages)  # SQLite then answers as it does on a full disk
    with pytest.raises(Exception, match="no space left"):
        worker.commit({0: Progress(2, [bytes(100_000)])})
    assert not (tmp_path / "reserve").exists()
    assert journal.committed()[0] == 1
    worker.close()


APPENDING = """
import sys
from pathlib import Path
from time import perf_counter
from ingest.journal.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]), reserve_bytes=0)
print("ready", flush=True)
taken = []
for i in range(int(sys.argv[3])):
    begin = perf_counter()
    journal.append("observations", [(int(sys.argv[2]), b"%06d" % i + bytes(2_000))])
    taken.append(perf_counter() - begin)
journal.close()
print(sorted(taken)[int(len(taken) * 0.99)] * 1e3, flush=True)
"""


def test_processes_append_at_once_and_nothing_is_lost(
    tmp_path: Path, journal: SqliteJournal, record_property: Callable[[str, object], None]
) -> None:
    appending = [child(APPENDING, tmp_path, process, 60) for process in range(3)]
    for process in appending:
        ready, p99 = read_lines(process, 2)
        assert ready == "ready\n"
        record_property("append_p99_ms", float(p99))  # measured, not asserted: disks differ
        assert process.wait() == 0
        process.communicate()
    entries = kept(journal)
    assert [entry.position for entry in entries] == list(range(1, 181))
    for partition in range(3):
        numbers = [int(e.record[:6]) for e in entries if e.partition == partition]
        assert numbers == list(range(60))


def test_busy_readers_do_not_let_the_log_grow(tmp_path: Path, journal: SqliteJournal) -> None:
    stop = Event()

    def read() -> None:
        while not stop.is_set():
            kept(journal)

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    largest = 0
    log = tmp_path / "observations.db-wal"
    for _ in range(60):
        journal.append("observations", [(0, bytes(1_000_000))])
        journal.trim("observations", journal.end("observations") - 3)
        largest = max(largest, log.stat().st_size)
    stop.set()
    for reader in readers:
        reader.join()
    assert largest < LOG_BOUND + (8 << 20)


def test_a_foreign_reader_that_sits_on_the_log_does_not_stop_commits(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    file = journal._files["observations"]
    file._log_bound = 100_000
    journal.append("observations", [(0, b"a")])
    foreign = apsw.Connection(str(tmp_path / "observations.db"))
    foreign.execute("BEGIN; SELECT count(*) FROM entry").fetchall()
    file._db.set_busy_timeout(1)
    for _ in range(10):
        journal.append("observations", [(0, bytes(60_000))])
    assert file._log_bound > LOG_BOUND  # tried once, then put off
    foreign.close()
    assert len(kept(journal)) == 11


def test_the_mark_outlives_its_writer_never_falls_and_rubbish_is_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    lock = WriteLock(path)
    assert lock.marked() == 0
    with lock:
        lock.mark(41)
        lock.mark(40)
    lock.close()
    lock = WriteLock(path)
    assert lock.marked() == 41
    path.write_bytes(b"\xff" * 12)
    assert lock.marked() == 0
    lock.close()


def test_a_write_lock_excludes_another_of_the_same_file(tmp_path: Path) -> None:
    one, other = WriteLock(tmp_path / "a.lock"), WriteLock(tmp_path / "a.lock")
    inside = Event()

    def enter() -> None:
        with other:
            inside.set()

    with one:
        thread = Thread(target=enter)
        thread.start()
        assert not inside.wait(0.05)
    thread.join(120)
    assert inside.is_set()
    one.close()
    other.close()


def test_a_journal_still_open_elsewhere_is_not_examined(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    journal.append("observations", [(0, b"a")])
    second = SqliteJournal(tmp_path, reserve_bytes=SMALL)
    assert kept(second)[0].record == b"a"
    second.close()
    journal.append("observations", [(0, b"b")])
    assert [entry.record for entry in kept(journal)] == [b"a", b"b"]
