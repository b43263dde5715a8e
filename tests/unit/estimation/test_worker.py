"""The worker on a real journal: stop, start, model, damage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from ingest.journal.protocol import Progress
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Record, batch_of, encode_record
from tests.support.journals import kept
from tests.support.twin_journals import (
    PARTITIONS,
    Line,
    by_patient,
    model_command,
    placed,
    ward_records,
)
from tests.support.twins import HEART_RATE, T0, model_of, observation
from twin.estimate import Outcome, Output, decode_output
from twin.estimation.models import ModelFile, base_model
from twin.snapshot import SnapshotFolder, position_in
from twin.step import new_state, step
from twin.worker import TwinWorker

RECORDS = ward_records(30, patients=4, seed=5)


def opened(folder: Path) -> SqliteJournal:
    return SqliteJournal(folder, PARTITIONS, linger=0.0, reserve_bytes=1 << 20)


def append(journal: SqliteJournal, records: Sequence[tuple[int, Record]]) -> None:
    journal.append("observations", [(p, encode_record(record)) for p, record in records])


@contextmanager
def working(
    journal: SqliteJournal, folder: Path, model: ModelFile | None = None
) -> Iterator[TwinWorker]:
    worker = TwinWorker(journal, SnapshotFolder(folder), lambda: T0, model or base_model())
    worker.start()
    yield worker
    worker.stop()
    if worker.fault is not None:
        raise worker.fault


def wait_for(worker: TwinWorker, journal: SqliteJournal, position: int = 0) -> None:
    """Until everything, and at least `position`, is committed."""
    end = time.monotonic() + 120
    while min(journal.committed().values(), default=0) < max(journal.end("observations"), position):
        assert worker.alive, worker.fault
        assert time.monotonic() < end
        worker._thread.join(0.01)  # type: ignore[union-attr]


def said(journal: SqliteJournal) -> dict[object, list[Line]]:
    """All rows of the estimates journal by patient, in order."""
    outputs: dict[int, list[Output]] = {}
    for entry in kept(journal, "estimates"):
        outputs.setdefault(entry.partition, []).append(decode_output(entry.record))
    return by_patient(outputs)


def expected(records: Sequence[tuple[int, Record]]) -> dict[object, list[Line]]:
    return by_patient(step(new_state(PARTITIONS), placed(records))[1])


def test_stopped_and_started_it_goes_on_where_it_was(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    for first in range(0, len(RECORDS), 40):
        append(journal, RECORDS[first : first + 40])
        with working(journal, tmp_path / "s") as worker:
            wait_for(worker, journal)
        assert worker.counts.recovered == 0  # every stop leaves snapshots of everything
    assert said(journal) == expected(RECORDS)
    journal.close()


def test_without_any_snapshot_left_it_recovers_from_the_whole_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    append(journal, RECORDS[:60])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    for path in (tmp_path / "s").iterdir():
        path.write_bytes(b"rust")
    append(journal, RECORDS[60:])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    assert worker.counts.recovered == 60
    assert said(journal) == expected(RECORDS)
    journal.close()


def test_one_unreadable_snapshot_falls_back_to_the_one_before(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    for part in (RECORDS[:40], RECORDS[40:80]):
        append(journal, part)
        with working(journal, tmp_path / "s") as worker:
            wait_for(worker, journal)
    newest = journal.snapshots(2)[0]
    (tmp_path / "s" / newest.name).write_bytes(b"rust")
    append(journal, RECORDS[80:])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    assert 0 < worker.counts.recovered <= 40
    assert said(journal) == expected(RECORDS)
    journal.close()


def test_a_stop_after_records_of_one_partition_only_is_graceful(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    only = [(p, record) for p, record in RECORDS if p == 2][:5]
    append(journal, RECORDS[:20])
    append(journal, only)
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    assert worker.fault is None
    assert all(position_in(journal.snapshots(p)[0].name) >= 0 for p in range(PARTITIONS))
    assert said(journal) == expected([*RECORDS[:20], *only])
    journal.close()


def test_a_stop_in_the_middle_of_a_step_finishes_it_and_snapshots(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    append(journal, RECORDS)

    def stopping_once_stepped() -> int:
        if worker.counts.observations:
            worker._stopping.set()
        return T0

    worker = TwinWorker(journal, SnapshotFolder(tmp_path / "s"), stopping_once_stepped)
    worker.start()
    worker._thread.join(90)  # type: ignore[union-attr]
    assert not worker.alive
    assert worker.fault is None
    end = journal.committed()[0]
    assert end > 0
    assert all(journal.snapshots(p) for p in range(PARTITIONS))
    assert set(journal.committed().values()) == {end}
    with working(journal, tmp_path / "s") as second:
        wait_for(second, journal)
    assert said(journal) == expected(RECORDS)
    journal.close()


def test_where_no_snapshot_can_be_written_the_twin_goes_on(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    (tmp_path / "s").write_text("in the place of the folder")
    with working(journal, tmp_path / "s") as worker:
        for n in range(0, len(RECORDS), 20):
            append(journal, RECORDS[n : n + 20])
            wait_for(worker, journal)
    assert worker.fault is None
    assert said(journal) == expected(RECORDS)
    journal.close()


def test_a_damaged_record_is_counted_and_skipped(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    append(journal, RECORDS[:20])
    torn = bytearray(encode_record(batch_of([observation(0, 75.0)])))
    torn[-1] ^= 1
    journal.append("observations", [(1, bytes(torn))])
    append(journal, RECORDS[20:40])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    assert worker.counts.damaged == 1
    assert worker.counts.entries == 41
    assert said(journal) == expected(RECORDS[:40])
    journal.close()


def test_another_model_comes_through_the_journal_and_snapshots_everything(tmp_path: Path) -> None:
    journal, model = opened(tmp_path / "j"), model_of(**HEART_RATE)
    append(journal, RECORDS[:40])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    with working(journal, tmp_path / "s", model) as worker:
        wait_for(worker, journal, 41)
        for partition in range(PARTITIONS):
            assert position_in(journal.snapshots(partition)[0].name) == 41
        append(journal, RECORDS[40:80])
        wait_for(worker, journal)
    (command,) = [o for o in outcomes(journal) if o.done]
    records = [*RECORDS[:40], (-1, model_command(model.content, command.id)), *RECORDS[40:80]]
    assert said(journal) == expected(records)
    journal.close()


def test_the_first_model_too_is_told_to_the_journal(tmp_path: Path) -> None:
    """So that a recovery from the journal's beginning uses what was used."""
    journal, model = opened(tmp_path / "j"), model_of(**HEART_RATE)
    append(journal, RECORDS[:20])
    with working(journal, tmp_path / "s", model) as worker:
        wait_for(worker, journal, 21)
        append(journal, RECORDS[20:40])
        wait_for(worker, journal)
    (command,) = outcomes(journal)
    records = [*RECORDS[:20], (-1, model_command(model.content, command.id)), *RECORDS[20:40]]
    assert said(journal) == expected(records)
    journal.close()


def test_a_full_journal_is_stepped_before_another_model_is_told_to_it(tmp_path: Path) -> None:
    """It would have to wait for room that only its steps can make."""
    journal, model = opened(tmp_path / "j"), model_of(**HEART_RATE)
    append(journal, RECORDS[:20])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    append(journal, RECORDS[20:40])
    observations = journal._files["observations"]
    room, observations._max_bytes = observations._max_bytes, 1
    with working(journal, tmp_path / "s", model) as worker:
        wait_for(worker, journal)
        assert worker.counts.stalls > 0
        assert not worker.told.is_set()
        observations._max_bytes = room
        assert worker.told.wait(30)
        wait_for(worker, journal)
        append(journal, RECORDS[40:60])
        wait_for(worker, journal)
    (command,) = outcomes(journal)
    records = [*RECORDS[:40], (-1, model_command(model.content, command.id)), *RECORDS[40:60]]
    assert said(journal) == expected(records)
    journal.close()


def outcomes(journal: SqliteJournal) -> list[Outcome]:
    decoded = [decode_output(entry.record) for entry in kept(journal, "estimates")]
    return [one for one in decoded if isinstance(one, Outcome)]


def far_behind(monkeypatch: pytest.MonkeyPatch, large: bool = False) -> None:
    """Pages of ten records, or of so large ones that few fill it: each is committed beside the next
    step."""
    if large:
        for module in ("twin.worker", "ingest.journal.reading"):
            monkeypatch.setattr(f"{module}.PAGE_BYTES", 1_000)
    else:
        monkeypatch.setattr("twin.worker.READ_RECORDS", 10)


@pytest.mark.parametrize("large", [False, True])
def test_the_next_step_goes_on_while_the_one_before_is_being_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    far_behind(monkeypatch, large)
    journal = opened(tmp_path / "j")
    append(journal, RECORDS[:50])
    file, committing, go_on = journal._files["estimates"], Event(), Event()
    commit = file.commit

    def slow(progress: Mapping[int, Progress]) -> None:
        committing.set()
        assert go_on.wait(60)
        commit(progress)

    monkeypatch.setattr(file, "commit", slow)
    with working(journal, tmp_path / "s") as worker:
        assert committing.wait(90)
        while worker.counts.steps < 2:
            worker._thread.join(0.01)  # type: ignore[union-attr]
        assert set(journal.committed().values()) == {0}
        go_on.set()
        wait_for(worker, journal)
    assert said(journal) == expected(RECORDS[:50])
    journal.close()


def test_what_was_stepped_after_a_commit_that_failed_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_behind(monkeypatch)
    journal = opened(tmp_path / "j")
    append(journal, RECORDS[:50])
    file, seen = journal._files["estimates"], list[int]()
    commit = file.commit

    def failing(progress: Mapping[int, Progress]) -> None:
        seen.append(max(each.position for each in progress.values()))
        if len(seen) == 2:
            raise OSError("the disk is gone")
        commit(progress)

    monkeypatch.setattr(file, "commit", failing)
    worker = TwinWorker(journal, SnapshotFolder(tmp_path / "s"), lambda: T0)
    worker.start()
    worker._thread.join(90)  # type: ignore[union-attr]
    assert isinstance(worker.fault, OSError)
    assert seen == [10, 20]
    assert set(journal.committed().values()) == {10}
    monkeypatch.undo()
    with working(journal, tmp_path / "s") as second:
        wait_for(second, journal)
    assert said(journal) == expected(RECORDS[:50])
    journal.close()


def test_stopped_far_behind_in_a_full_journal_it_goes_on_exactly_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_behind(monkeypatch)
    journal = opened(tmp_path / "j")
    append(journal, RECORDS[:50])
    file = journal._files["estimates"]
    room, file._max_bytes = file._max_bytes, 1
    with working(journal, tmp_path / "s") as worker:
        while not worker.counts.stalls:
            worker._thread.join(0.01)  # type: ignore[union-attr]
    assert worker.fault is None
    assert set(journal.committed().values()) == {0}
    assert not any(journal.snapshots(p) for p in range(PARTITIONS))
    file._max_bytes = room
    with working(journal, tmp_path / "s") as second:
        wait_for(second, journal)
    assert said(journal) == expected(RECORDS[:50])
    journal.close()


@pytest.mark.parametrize("count", [1, 7])
def test_the_cuts_of_reading_do_not_matter(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.worker.READ_RECORDS", count)
    journal = opened(tmp_path / "j")
    append(journal, RECORDS[:50])
    with working(journal, tmp_path / "s") as worker:
        wait_for(worker, journal)
    assert worker.counts.steps >= 50 // count
    assert said(journal) == expected(RECORDS[:50])
    journal.close()
