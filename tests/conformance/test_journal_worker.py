"""What every journal keeps for its worker, whatever engine lies under it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ingest.journal.protocol import (
    ALL_PARTITIONS,
    AlreadyOwned,
    Assignment,
    Journal,
    PartitionLost,
    Progress,
)
from tests.support.journals import (
    Open,
    Told,
    child,
    kept,
    kill,
    read_lines,
)


def test_the_worker_is_assigned_every_partition_at_its_first_read(journal: Journal) -> None:
    told = Told()
    worker = journal.join(told)
    assert told.assignments == []
    assert worker.read(10, 0.0) == []
    assert told.assignments == [Assignment(p, 0, None) for p in range(16)]
    worker.read(10, 0.0)
    assert len(told.assignments) == 16
    worker.close()


def test_the_worker_reads_all_partitions_in_the_order_of_the_journal(journal: Journal) -> None:
    worker = journal.join(Told())
    journal.append("observations", [(n % 5, b"%d" % n) for n in range(20)])
    entries = [*worker.read(7, 1.0), *worker.read(100, 1.0)]
    assert [entry.record for entry in entries] == [b"%d" % n for n in range(20)]
    assert worker.read(100, 0.0) == []
    worker.close()


def test_a_second_worker_is_refused_until_the_first_closes(opened: Open) -> None:
    first = opened().join(Told())
    with pytest.raises(AlreadyOwned):
        opened().join(Told())
    first.close()
    opened().join(Told()).close()


COMMITTING = """
import sys
from pathlib import Path
from ingest.journal.protocol import Progress
from tests.support.journals import Told, open_journal
journal = open_journal(sys.argv[1], Path(sys.argv[2]))
worker = journal.join(Told())
begin = journal.committed()[0]
for n in range(begin + 1, 1_000_000):
    outputs = [b"%d" % n] * 3
    worker.commit({p: Progress(n, outputs, f"snapshot-{n}") for p in range(16)})
    print(n, flush=True)
"""


def test_a_kill_leaves_a_commit_whole_or_absent(kind: str, tmp_path: Path, opened: Open) -> None:
    dice = random.Random(7)
    for _ in range(6):
        process = child(COMMITTING, kind, tmp_path)
        lines = read_lines(process, dice.randint(1, 12)) + kill(process)
        journal = opened()
        (position,) = set(journal.committed().values())
        assert position >= int(lines[-1])
        outputs = kept(journal, "estimates")
        assert len(outputs) == 16 * 3 * position
        assert {entry.record for entry in outputs[-48:]} == {b"%d" % position}
        for partition in range(16):
            assert journal.snapshots(partition)[0] == (f"snapshot-{position}", position)
        journal.join(Told()).close()  # the killed worker's ownership ended with it
        journal.close()


def test_a_worker_goes_on_after_the_committed_positions(opened: Open) -> None:
    journal = opened()
    journal.append("observations", [(0, b"a"), (1, b"b"), (0, b"c"), (1, b"d")])
    worker = journal.join(Told())
    entries = worker.read(10, 1.0)
    worker.commit({0: Progress(entries[2].position, [b"A"]), 1: Progress(entries[1].position)})
    worker.close()
    told = Told()
    worker = opened().join(told)
    assert [entry.record for entry in worker.read(10, 1.0)] == [b"d"]
    assert told.assignments[0].position == entries[2].position
    assert told.assignments[1].position == entries[1].position
    assert [entry.record for entry in kept(journal, "estimates")] == [b"A"]
    worker.close()


def test_seek_replays_one_partition_and_no_other(journal: Journal) -> None:
    journal.append("observations", [(n % 2, b"%d" % n) for n in range(10)])
    worker = journal.join(Told())
    entries = worker.read(100, 1.0)
    worker.seek(1, entries[5].position)
    assert [entry.record for entry in worker.read(100, 1.0)] == [b"7", b"9"]
    journal.append("observations", [(0, b"10"), (1, b"11")])
    assert [entry.record for entry in worker.read(100, 1.0)] == [b"10", b"11"]
    worker.close()


def test_seek_inside_the_assignment_starts_at_the_snapshot(journal: Journal) -> None:
    journal.append("observations", [(0, b"a"), (0, b"b"), (0, b"c")])
    worker = journal.join(Told())
    entries = worker.read(10, 1.0)
    whole = Progress(entries[2].position, [], "old", entries[0].position)
    worker.commit(dict.fromkeys(range(16), whole))
    worker.close()

    class FromSnapshot(Told):
        def assigned(self, partitions: object) -> None:
            for partition in range(16):
                worker.seek(partition, worker.snapshots(partition)[0].position)

    worker = journal.join(FromSnapshot())
    assert [entry.record for entry in worker.read(10, 1.0)] == [b"b", b"c"]
    worker.close()


def test_an_entry_for_all_partitions_comes_once(journal: Journal) -> None:
    journal.append("observations", [(0, b"a"), (ALL_PARTITIONS, b"tick"), (1, b"b")])
    worker = journal.join(Told())
    entries = worker.read(10, 1.0)
    assert [entry.record for entry in entries] == [b"a", b"tick", b"b"]
    assert entries[1].partition == ALL_PARTITIONS
    worker.close()


def test_an_entry_for_all_comes_once_when_some_partitions_are_past_it(journal: Journal) -> None:
    journal.append("observations", [(0, b"a"), (ALL_PARTITIONS, b"tick"), (1, b"b")])
    worker = journal.join(Told())
    tick = worker.read(10, 1.0)[1].position
    for partition in (2, 3):
        worker.seek(partition, tick - 1)
    assert [entry.record for entry in worker.read(10, 1.0)] == [b"tick"]
    worker.close()


def test_a_position_never_moves_back(journal: Journal) -> None:
    worker = journal.join(Told())
    worker.commit({0: Progress(5, [b"a"]), 1: Progress(5)})
    with pytest.raises(ValueError, match="moved back"):
        worker.commit({0: Progress(6, [b"b"], "s"), 1: Progress(4, [b"c"])})
    assert journal.committed()[0] == 5
    assert journal.snapshots(0) == []
    assert [entry.record for entry in kept(journal, "estimates")] == [b"a"]
    worker.close()


def test_the_two_newest_snapshots_of_a_partition_are_kept(journal: Journal) -> None:
    worker = journal.join(Told())
    worker.commit({3: Progress(10, (), "first")})
    worker.commit({3: Progress(20, (), "second", 15)})
    worker.commit({3: Progress(25)})
    worker.commit({3: Progress(30, (), "third")})
    assert worker.snapshots(3) == [("third", 30), ("second", 15)]
    assert journal.snapshots(3) == worker.snapshots(3)
    assert worker.snapshots(4) == []
    worker.close()


def test_a_closed_worker_has_lost_its_partitions(journal: Journal) -> None:
    worker = journal.join(Told())
    worker.close()
    with pytest.raises(PartitionLost):
        worker.commit({0: Progress(1, [b"a"])})
    with pytest.raises(PartitionLost):
        worker.read(1, 0.0)
    assert kept(journal, "estimates") == []
