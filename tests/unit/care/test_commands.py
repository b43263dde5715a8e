"""The way of a command from a request into the journal, and of its outcome back."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.journal.protocol import ALL_PARTITIONS, JournalFull, Topic, partition_of
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Command, decode_record
from twin.care.commands import Commands, NoOutcome, NotJournalled, Outcomes
from twin.estimate import Outcome


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path, reserve_bytes=1 << 16)
    yield journal
    journal.close()


class Answering:
    """Reads the journal as a worker would, once, and answers what it finds."""

    def __init__(self, journal: SqliteJournal, outcomes: Outcomes) -> None:
        self.seen: list[tuple[int, Command]] = []
        self._reader = journal.reader("observations", 0)
        self._outcomes = outcomes
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        for entry in self._reader.read(10, 60.0):
            record = decode_record(entry.record)
            assert isinstance(record, Command)
            self.seen.append((entry.partition, record))
            self._outcomes.tell(Outcome(record.id, False, "closed", record.issued_at))

    def stop(self) -> None:
        self._thread.join()
        self._reader.close()


def test_a_command_is_in_its_patients_partition_and_its_outcome_comes_back(
    journal: SqliteJournal,
) -> None:
    commands = Commands(journal, Outcomes(), lambda: 42, wait_s=60.0)
    worker = Answering(journal, commands.outcomes)
    outcome = commands.give("acknowledge", "I. Roux", {"alarm": "a1"}, "p1", id="once")
    worker.stop()
    assert outcome == Outcome("once", False, "closed", 42)
    expected = Command("once", "acknowledge", "I. Roux", 42, {"alarm": "a1"}, "p1")
    assert worker.seen == [(partition_of("p1", journal.partitions), expected)]


def test_a_command_about_no_patient_is_for_all_partitions(journal: SqliteJournal) -> None:
    commands = Commands(journal, Outcomes(), lambda: 42, wait_s=60.0)
    worker = Answering(journal, commands.outcomes)
    commands.give("limits", "I. Roux", {}, None)
    worker.stop()
    assert worker.seen[0][0] == ALL_PARTITIONS


def test_a_worker_that_does_not_answer_is_said_and_the_command_stays(
    journal: SqliteJournal,
) -> None:
    commands = Commands(journal, Outcomes(), lambda: 42, wait_s=0.01)
    with pytest.raises(NoOutcome) as silent:
        commands.give("pause", "I. Roux", {}, "p1")
    reader = journal.reader("observations", 0)
    (entry,) = reader.read(10, 60.0)
    record = decode_record(entry.record)
    assert isinstance(record, Command)
    assert record.id == silent.value.id
    reader.close()


def test_a_journal_that_takes_nothing_is_said(tmp_path: Path) -> None:
    sizes: dict[Topic, int] = {"observations": 1 << 16}
    full = SqliteJournal(tmp_path, max_bytes=sizes, reserve_bytes=1 << 16)
    with suppress(JournalFull):
        for _ in range(100):
            full.append("observations", [(0, b"x" * 4_000)])
    with pytest.raises(NotJournalled):
        Commands(full, Outcomes(), lambda: 42).give("entry", "I. Roux", {"note": "x" * 4_000}, "p1")
    full.close()


def test_somebody_waits_from_a_command_to_its_outcome_or_its_end() -> None:
    outcomes = Outcomes()
    told, given_up = outcomes.expect("told", 7), outcomes.expect("given up", 7)
    assert outcomes.awaited.is_set()
    outcomes.tell(Outcome("told", True, "", 7))
    outcomes.forget("told", told)
    assert outcomes.awaited.is_set()
    outcomes.forget("given up", given_up)
    assert not outcomes.awaited.is_set()


def test_of_two_requests_at_once_with_one_key_each_is_told_its_own_outcome() -> None:
    outcomes = Outcomes()
    first, second = outcomes.expect("key", 1), outcomes.expect("key", 2)
    done, refused = Outcome("key", True, "", 1), Outcome("key", False, "another request", 2)
    outcomes.tell(done)
    assert (first.outcome, second.outcome) == (done, None)
    assert outcomes.awaited.is_set()
    outcomes.tell(refused)
    assert (first.outcome, second.outcome) == (done, refused)
    assert not outcomes.awaited.is_set()
