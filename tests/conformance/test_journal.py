"""What every journal keeps, whatever engine lies under it (its worker: test_journal_worker.py)."""

from __future__ import annotations

import random
from pathlib import Path
from threading import Thread

import pytest

from ingest.journal.protocol import (
    Journal,
    JournalFull,
    Progress,
)
from tests.support.journals import (
    Open,
    Told,
    all_entries,
    child,
    kept,
    kill,
    read_lines,
)


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert (journal.end("observations"), journal.oldest("observations")) == (0, 1)
    assert kept(journal) == []
    assert set(journal.committed().values()) == {0}
    assert journal.damage == []


def test_an_append_says_the_position_of_its_last_record(journal: Journal) -> None:
    assert journal.append("observations", [(0, b"a"), (1, b"b")]) == 2
    assert journal.append("observations", [(0, b"c")]) == 3
    assert journal.append("observations", []) == 0
    assert [(entry.position, entry.record) for entry in kept(journal)] == [
        (1, b"a"),
        (2, b"b"),
        (3, b"c"),
    ]


def test_entries_of_a_partition_keep_the_order_of_their_appends(journal: Journal) -> None:
    for i in range(0, 30, 3):
        journal.append("observations", [(n % 4, b"%d" % n) for n in range(i, i + 3)])
    for partition in range(4):
        records = [e.record for e in kept(journal) if e.partition == partition]
        assert records == [b"%d" % n for n in range(30) if n % 4 == partition]


def test_records_of_every_size_come_back_as_they_were(journal: Journal) -> None:
    dice = random.Random(1)
    sizes = [0, 1, 4_000, 4_060, 4_061, 4_062, 8_200, 100_000, 3_000_000]
    records = [dice.randbytes(size) for size in sizes]
    journal.append("observations", [(0, record) for record in records])
    assert [entry.record for entry in kept(journal)] == records


def test_appends_of_several_threads_are_all_in_and_each_in_its_order(journal: Journal) -> None:
    def append(thread: int) -> None:
        for i in range(25):
            journal.append("observations", [(thread, b"%d" % i)])

    threads = [Thread(target=append, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for partition in range(4):
        records = [e.record for e in kept(journal) if e.partition == partition]
        assert records == [b"%d" % i for i in range(25)]


def test_what_append_returned_from_is_seen_by_others_at_once(opened: Open) -> None:
    one, other = opened(), opened()
    one.append("observations", [(3, b"72/min")])
    assert [entry.record for entry in kept(other)] == [b"72/min"]


APPENDING = """
import sys
from pathlib import Path
from tests.support.journals import open_journal
journal = open_journal(sys.argv[1], Path(sys.argv[2]))
for i in range(1_000_000):
    journal.append("observations", [(i % 16, b"%d" % i)])
    print(i, flush=True)
"""


def test_what_append_returned_from_outlives_a_kill(kind: str, tmp_path: Path, opened: Open) -> None:
    process = child(APPENDING, kind, tmp_path)
    lines = read_lines(process, 20) + kill(process)
    records = {entry.record for entry in kept(opened())}
    assert {line.strip().encode() for line in lines} <= records


def test_positions_grow_and_are_never_given_twice(opened: Open) -> None:
    positions: list[int] = []
    for _ in range(3):
        journal = opened()
        journal.append("observations", [(0, b"a"), (1, b"b")])
        positions += [entry.position for entry in kept(journal)]
        journal.trim("observations", journal.end("observations"))
        assert kept(journal) == []
        journal.close()
    assert positions == sorted(set(positions))
    journal = opened()
    assert journal.end("observations") == positions[-1]
    assert journal.oldest("observations") == positions[-1] + 1
    assert journal.damage == []


def test_a_partition_that_does_not_exist_is_refused_and_nothing_is_in(journal: Journal) -> None:
    with pytest.raises(ValueError, match="16"):
        journal.append("observations", [(0, b"good"), (16, b"bad")])
    assert kept(journal) == []


# --- readers --------------------------------------------------------------------------------------


def test_readers_do_not_know_of_each_other(journal: Journal) -> None:
    journal.append("observations", [(0, b"%d" % n) for n in range(6)])
    fast, slow = journal.reader("observations", 0), journal.reader("observations", 0)
    entries = all_entries(fast)
    assert [entry.record for entry in slow.read(2, 0.0)] == [b"0", b"1"]
    assert (fast.position, slow.position) == (entries[5].position, entries[1].position)
    again = journal.reader("observations", entries[3].position)
    assert [entry.record for entry in again.read(10, 0.0)] == [b"4", b"5"]
    for reader in (fast, slow, again):
        reader.close()


def test_a_waiting_reader_gets_what_another_thread_appends(journal: Journal) -> None:
    reader = journal.reader("observations", 0)
    thread = Thread(target=journal.append, args=("observations", [(0, b"a")]))
    thread.start()
    assert [entry.record for entry in reader.read(10, 30.0)] == [b"a"]
    thread.join()
    reader.close()


def test_a_waiting_reader_gets_what_another_journal_object_appends(opened: Open) -> None:
    reader, other = opened().reader("observations", 0), opened()
    thread = Thread(target=other.append, args=("observations", [(0, b"a")]))
    thread.start()
    assert [entry.record for entry in reader.read(10, 30.0)] == [b"a"]
    thread.join()
    reader.close()


def test_a_waiting_reader_of_estimates_gets_what_the_worker_commits(journal: Journal) -> None:
    reader = journal.reader("estimates", 0)
    worker = journal.join(Told())
    thread = Thread(target=worker.commit, args=({0: Progress(1, [b"a"])},))
    thread.start()
    assert [entry.record for entry in reader.read(10, 30.0)] == [b"a"]
    thread.join()
    reader.close()
    worker.close()


# --- size -----------------------------------------------------------------------------------------


def _fill_up(journal: Journal) -> int:
    for count in range(10_000):
        try:
            journal.append("observations", [(0, bytes(20_000))])
        except JournalFull:
            return count
    raise AssertionError("never full")


def test_a_full_journal_refuses_and_nothing_is_in(opened: Open) -> None:
    journal = opened(max_bytes=1_000_000)
    count = _fill_up(journal)
    used, allowed = journal.fill("observations")
    assert used >= allowed == 1_000_000
    assert len(kept(journal)) == count
    with pytest.raises(JournalFull):
        journal.append("observations", [(0, b"small"), (1, b"too")])
    assert len(kept(journal)) == count


def test_trim_makes_room_again(opened: Open) -> None:
    journal = opened(max_bytes=1_000_000)
    count = _fill_up(journal)
    full, _ = journal.fill("observations")
    half = kept(journal)[count // 2].position
    assert journal.trim("observations", half) == count // 2 + 1
    assert journal.fill("observations")[0] < 0.6 * full
    assert journal.oldest("observations") == half + 1
    journal.append("observations", [(0, b"again")])
    assert kept(journal)[-1].record == b"again"


def test_a_large_trim_forgets_all_it_should(journal: Journal) -> None:
    for _ in range(12):
        journal.append("observations", [(0, bytes(1_000_000)) for _ in range(3)])
    journal.append("observations", [(0, b"last")])
    assert journal.trim("observations", journal.end("observations") - 1) == 36
    assert [entry.record for entry in kept(journal)] == [b"last"]
    assert journal.trim("observations", 1 << 40) == 1
    assert journal.trim("observations", 1 << 40) == 0


def test_a_commit_into_full_estimates_moves_nothing(opened: Open) -> None:
    journal = opened(max_bytes=1_000_000)
    worker = journal.join(Told())
    committed = 0
    while journal.fill("estimates")[0] < 1_000_000:
        committed += 1
        worker.commit({0: Progress(committed, [bytes(20_000)])})
    with pytest.raises(JournalFull):
        worker.commit({0: Progress(committed + 1, [b"small"], "snapshot")})
    outputs = kept(journal, "estimates")
    assert journal.committed()[0] == committed == len(outputs)
    assert journal.snapshots(0) == []
    worker.commit({0: Progress(committed, (), "snapshot")})  # takes no room: to be had when full
    journal.trim("estimates", outputs[-1].position)
    worker.commit({0: Progress(committed + 1, [b"a"])})
    assert journal.committed()[0] == committed + 1
    worker.close()


def test_the_position_before_an_instant_is_that_of_the_newest_older_entry(opened: Open) -> None:
    now = [0]
    journal = opened(now=lambda: now[0])
    for instant in (100, 200, 200, 150, 300):  # the clock was stepped back once
        now[0] = instant
        journal.append("observations", [(0, b"a")])
    positions = [entry.position for entry in kept(journal)]
    assert journal.position_before("observations", 100) == 0
    assert journal.position_before("observations", 101) == positions[0]
    assert journal.position_before("observations", 200) == positions[0]
    assert journal.position_before("observations", 300) == positions[3]
    assert journal.position_before("observations", 301) == positions[4]
    journal.trim("observations", positions[2])
    assert journal.position_before("observations", 101) == 0
    assert journal.position_before("observations", 300) == positions[3]
