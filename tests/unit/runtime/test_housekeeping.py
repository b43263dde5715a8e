"""What is trimmed when, and what never is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import DAY, HOUR
from ingest.journal.protocol import Assignment, Progress, Worker
from ingest.journal.sqlite import SqliteJournal
from twin.runtime.housekeeping import Housekeeping, ReaderFiles, needed_from

PARTITIONS = 2
T0 = 1_790_000_000 * 10**9


class Clock:
    def __init__(self) -> None:
        self.at = T0

    def __call__(self) -> int:
        return self.at


class Nobody:
    def assigned(self, partitions: list[Assignment]) -> None: ...
    def revoked(self, partitions: list[int]) -> None: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal", PARTITIONS, now=clock, reserve_bytes=1 << 16)
    yield journal
    journal.close()


@pytest.fixture
def worker(journal: SqliteJournal) -> Iterator[Worker]:
    worker = journal.join(Nobody())
    worker.read(1, 0)
    yield worker
    worker.close()


def keeper(journal: SqliteJournal, clock: Clock, folder: Path, **given: int) -> Housekeeping:
    readers = {name: (lambda at=at: at) for name, at in given.items()}
    files = ReaderFiles(folder / "readers")
    return Housekeeping(
        journal, files, readers, ("embedded", "care"), True, DAY, clock, lambda: None
    )


def filled(journal: SqliteJournal, worker: Worker, snapshots: int = 2) -> None:
    """Ten observations, all committed with an estimate each, and so many snapshots a partition."""
    journal.append("observations", [(n % PARTITIONS, b"record") for n in range(10)])
    for turn in range(snapshots):
        worker.commit(
            {
                p: Progress(5 * (turn + 1), [b"estimate"] * 5, f"p{p}-{3 * (turn + 1)}")
                for p in range(PARTITIONS)
            }
        )


def test_nothing_young_is_trimmed(
    journal: SqliteJournal, worker: Worker, clock: Clock, tmp_path: Path
) -> None:
    filled(journal, worker)
    clock.at += 23 * HOUR
    keeper(journal, clock, tmp_path, embedded=20, care=20).turn()
    assert (journal.oldest("observations"), journal.oldest("estimates")) == (1, 1)


def test_what_is_old_and_unneeded_goes(
    journal: SqliteJournal, worker: Worker, clock: Clock, tmp_path: Path
) -> None:
    filled(journal, worker)
    clock.at += 2 * DAY
    house = keeper(journal, clock, tmp_path, embedded=20, care=12)
    house.turn()
    assert journal.oldest("observations") == 4  # the older kept snapshot has 3
    assert journal.oldest("estimates") == 13  # the slowest reader has 12
    assert house.trimmed == {"observations": 3, "estimates": 12}


def test_before_a_second_snapshot_no_observation_is_trimmed(
    journal: SqliteJournal, worker: Worker, clock: Clock, tmp_path: Path
) -> None:
    filled(journal, worker, snapshots=1)
    clock.at += 30 * DAY
    assert needed_from(journal) == 0
    keeper(journal, clock, tmp_path, embedded=10, care=10).turn()
    assert journal.oldest("observations") == 1


def test_a_configured_reader_that_never_said_where_it_is_holds_everything(
    journal: SqliteJournal, worker: Worker, clock: Clock, tmp_path: Path
) -> None:
    filled(journal, worker)
    clock.at += 30 * DAY
    keeper(journal, clock, tmp_path, embedded=20).turn()
    assert journal.oldest("estimates") == 1


def test_where_positions_cannot_be_saved_the_journal_is_trimmed_all_the_same(
    journal: SqliteJournal, worker: Worker, clock: Clock, tmp_path: Path
) -> None:
    filled(journal, worker)
    clock.at += 2 * DAY
    keeper(journal, clock, tmp_path, embedded=4, care=4).files.remember("care", 4)
    (tmp_path / "readers" / "embedded").write_text("4")
    (tmp_path / "readers" / "embedded.draft").mkdir()  # stands in the way, like a full disk
    keeper(journal, clock, tmp_path, embedded=20, care=20).turn()
    assert journal.oldest("observations") == 4
    assert journal.oldest("estimates") == 5  # as remembered before


def test_a_reader_of_another_process_is_heard_through_its_file(tmp_path: Path) -> None:
    files = ReaderFiles(tmp_path)
    files.remember("embedded", 7)
    assert files.slowest(("embedded", "care")) == 0
    files.remember("care", 5)
    assert files.slowest(("embedded", "care")) == 5
    (tmp_path / "care").write_text("torn")
    assert files.slowest(("embedded", "care")) == 0


def test_nearly_full_the_age_does_not_matter(tmp_path: Path, clock: Clock) -> None:
    allowed = {"observations": 200_000, "estimates": 1 << 24}
    journal = SqliteJournal(
        tmp_path / "journal", PARTITIONS, allowed, now=clock, reserve_bytes=1 << 16
    )
    worker = journal.join(Nobody())
    worker.read(1, 0)
    journal.append("observations", [(n % PARTITIONS, b"x" * 15_000) for n in range(10)])
    for turn in (1, 2):
        worker.commit({p: Progress(10, [], f"p{p}-{4 * turn}") for p in range(PARTITIONS)})
    used, most = journal.fill("observations")
    assert used > 0.7 * most
    keeper(journal, clock, tmp_path, embedded=0, care=0).turn()
    assert journal.oldest("observations") == 5
    worker.close()
    journal.close()
