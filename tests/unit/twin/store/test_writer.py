"""The store writer: from the journal to a store, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingest.journal.protocol import Entry
from ingest.journal.sqlite import SqliteJournal
from tests.support.estimates import SECOND, T0, batch, observed
from twin.estimate import EstimateBatch, Outcome, Written, encode_output
from twin.store.embedded import EmbeddedStore
from twin.store.protocol import StoreUnavailable
from twin.store.writer import StoreWriter, backoff

END = T0 + 10_000 * SECOND


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal", reserve_bytes=1 << 20)
    yield journal
    journal.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path / "store.db") as store:
        yield store


def append(journal: SqliteJournal, *outputs: EstimateBatch | Outcome | bytes) -> None:
    records = [out if isinstance(out, bytes) else encode_output(out) for out in outputs]
    journal.append("estimates", [(0, record) for record in records])


class Failing:
    """A store that fails as often as it is told before it takes something."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.failures = list(failures)
        self.taken: list[tuple[int, int | None]] = []

    @property
    def position(self) -> int:
        return self.taken[-1][1] or 0 if self.taken else 0

    def write_all(self, batches: Sequence[EstimateBatch], position: int | None) -> Written:
        if self.failures:
            raise self.failures.pop(0)
        rows = sum(len(each.rows) for each in batches)
        self.taken.append((rows, position))
        return Written(rows, (), (), 0)


def test_what_the_journal_says_is_stored_and_the_position_moves(
    journal: SqliteJournal, store: EmbeddedStore
) -> None:
    append(journal, *(batch(observed(T0 + i * SECOND, 60 + i)) for i in range(5)))
    writer = StoreWriter(journal, store, "embedded", linger=0.05)
    assert writer.progress.behind == 5
    assert writer.turn()
    assert writer.position == store.position == journal.end("estimates")
    assert (writer.progress.behind, writer.progress.rows) == (0, 5)
    assert store.series("p1", "heart_rate", T0, END).observed.tolist() == [60, 61, 62, 63, 64]
    assert not writer.turn()


def test_outcomes_of_commands_only_move_the_position(
    journal: SqliteJournal, store: EmbeddedStore
) -> None:
    append(journal, Outcome("c1", True, "", T0))
    writer = StoreWriter(journal, store, "embedded", linger=0.05)
    assert writer.turn()
    assert store.position == journal.end("estimates") == 1


def test_a_damaged_record_is_named_by_position_and_its_neighbours_are_stored(
    journal: SqliteJournal, store: EmbeddedStore
) -> None:
    good = [batch(observed(T0 + i * SECOND, 60 + i)) for i in range(2)]
    broken = bytearray(encode_output(good[0]))
    broken[-3] ^= 1
    append(journal, good[0], bytes(broken), good[1])
    writer = StoreWriter(journal, store, "embedded", linger=0.05)
    assert writer.turn()
    assert (writer.progress.damaged, writer.progress.damaged_positions) == (1, (2,))
    assert len(store.series("p1", "heart_rate", T0, END).time) == 2


def test_a_failing_store_keeps_its_position_and_gets_everything_later(
    journal: SqliteJournal,
) -> None:
    append(journal, batch(observed(T0, 60)), batch(observed(T0 + 1, 61)))
    waited: list[float] = []
    store = Failing([StoreUnavailable("asks to wait", 7.0), OSError("disk"), ValueError("odd")])
    writer = StoreWriter(journal, store, "failing", linger=0.05, wait=waited.append)
    troubles = []
    while not writer.turn():
        troubles.append(writer.progress.trouble)
        assert (writer.position, writer.progress.behind) == (0, 2)
    assert troubles == ["asks to wait", "OSError: disk", "ValueError: odd"]
    assert waited[0] == 7.0
    assert store.taken == [(2, 2)]
    assert (writer.progress.retries, writer.progress.failures) == (3, 0)
    assert writer.progress.trouble == ""


def test_a_restarted_writer_goes_on_where_the_store_is(
    journal: SqliteJournal, store: EmbeddedStore
) -> None:
    append(journal, batch(observed(T0, 60)))
    assert StoreWriter(journal, store, "embedded", linger=0.05).turn()
    append(journal, batch(observed(T0 + 1, 61)))
    again = StoreWriter(journal, store, "embedded", linger=0.05)
    assert again.turn()
    assert (again.progress.rows, store.stored()) == (1, {"watch-1": 2})


def test_its_thread_writes_what_was_read_and_ends(
    journal: SqliteJournal, store: EmbeddedStore
) -> None:
    append(journal, *(batch(observed(T0 + i * SECOND, 60)) for i in range(20)))
    writer = StoreWriter(journal, store, "embedded", linger=0.05)
    reader = journal.reader("estimates", 0)
    writer.start()
    assert writer.alive
    while writer.position < 20:
        assert writer.progress.trouble == ""
        reader.read(1, 0.01)
    writer.stop()
    reader.close()
    assert not writer.alive
    assert store.stored() == {"watch-1": 20}


def test_waiting_grows_to_half_a_minute_and_never_undercuts_what_was_asked() -> None:
    assert [backoff(n, 1.0) for n in (0, 1, 2, 9, 500)] == [0.1, 0.2, 0.4, 30.0, 30.0]
    assert backoff(0, 0.0) == 0.05
    assert backoff(0, 0.5, 12.0) == 12.0


class Dripping:
    """Estimates of which there is always one more, as while a worker commits."""

    def __init__(self) -> None:
        self.reads = 0

    def reader(self, topic: str, position: int) -> Dripping:
        return self

    def read(self, max_records: int, timeout: float) -> list[Entry]:
        self.reads += 1
        return [Entry(0, self.reads, encode_output(batch(observed(T0 + self.reads, 60.0))))]

    def close(self) -> None:
        pass


def test_commits_that_follow_each_other_are_looked_for_a_few_times_in_a_turn() -> None:
    dripping, store = Dripping(), Failing([])
    writer = StoreWriter(dripping, store, "embedded", linger=0.1)  # type: ignore[arg-type]
    assert writer.turn()
    assert store.taken == [(dripping.reads, dripping.reads)]
    assert 1 <= dripping.reads <= 12
