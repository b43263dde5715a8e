"""Torn journal files: cut tails, flipped bytes. Loss budget: 0 unreported.

Every record that was acknowledged is read as it was, or read as damaged at its position, or named
in `damage`; what lies behind the damage is not skipped; no position is given a second time.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from ingest.journal.protocol import Progress
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import KIND_BATCH, RecordDamaged, seal, unseal
from tests.support.journals import Told, kept

pytestmark = pytest.mark.fault

COUNT = 120


def _record(number: int) -> bytes:
    """Small ones lie in a leaf page, each fifth spreads over overflow pages."""
    body = b"%06d" % number
    return seal(KIND_BATCH, body * (3_000 if number % 5 == 0 else 20))


def _write(journal: SqliteJournal, count: int = COUNT) -> None:
    for number in range(1, count + 1):
        journal.append("observations", [(number % 16, _record(number))])


def _open(folder: Path, **known: int) -> SqliteJournal:
    return SqliteJournal(folder, reserve_bytes=0, known_positions=dict(known))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with all entries in the database file, none in the log."""
    folder = tmp_path_factory.mktemp("whole")
    journal = _open(folder)
    _write(journal)
    worker = journal.join(Told())
    worker.commit({p: Progress(COUNT // 2, [_record(p)], f"snapshot-{p}") for p in range(16)})
    worker.close()
    journal.close()
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process leaves: most entries only in the log."""
    folder, copy = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("killed")
    journal = _open(folder)
    _write(journal)
    shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    assert (copy / "observations.db-wal").stat().st_size > 100_000
    return copy


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0x55]))


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def _account(folder: Path) -> tuple[int, int, int]:
    """(sound, read as damaged, reported lost) of the COUNT records; fails for an unreported one."""
    journal = _open(folder)
    try:
        entries = {entry.position: entry for entry in kept(journal)}
        lost = {
            position
            for damage in journal.damage
            if damage.topic == "observations"
            for position in range(damage.positions[0], damage.positions[1] + 1)
        }
        sound = damaged = 0
        for position in range(1, COUNT + 1):
            assert (position in entries) != (position in lost), position
            if position in entries:
                intact = _intact(entries[position].record)
                sound, damaged = sound + intact, damaged + (not intact)
                if intact:
                    assert entries[position].record == _record(position)
                    assert entries[position].partition == position % 16
        journal.append("observations", [(0, b"next")])
        assert kept(journal)[-1].position > COUNT
        return sound, damaged, len(lost)
    finally:
        journal.close()


def _intact(record: bytes) -> bool:
    try:
        unseal(record)
    except RecordDamaged:
        return False
    return True


def test_the_untouched_journals_are_whole(whole: Path, killed: Path, tmp_path: Path) -> None:
    assert _account(_copy(whole, tmp_path / "a")) == (COUNT, 0, 0)
    assert _account(_copy(killed, tmp_path / "b")) == (COUNT, 0, 0)


def test_no_flipped_byte_of_the_database_file_goes_unreported(whole: Path, tmp_path: Path) -> None:
    size = (whole / "observations.db").stat().st_size
    dice = random.Random(2)
    places = [*range(0, 110, 2), 4096, 4099, 4101, 4104, 4108]
    places += [page * 4096 + dice.randrange(12) for page in range(0, size // 4096, 9)]
    places += [dice.randrange(size) for _ in range(25)]
    for count, offset in enumerate(places):
        folder = _copy(whole, tmp_path / str(count))
        _flip(folder / "observations.db", offset)
        sound, _damaged, _lost = _account(folder)
        # One page of small records at most, or one large record: what lies behind is not skipped.
        assert sound >= COUNT - 30, offset


def test_no_flipped_byte_of_the_log_makes_commits_vanish(killed: Path, tmp_path: Path) -> None:
    size = (killed / "observations.db-wal").stat().st_size
    dice = random.Random(3)
    places = [0, 3, 8, 16, 24, 32, 36, 40, 44, 48, 56]
    places += [dice.randrange(size) for _ in range(25)]
    for count, offset in enumerate(places):
        folder = _copy(killed, tmp_path / str(count))
        _flip(folder / "observations.db-wal", offset)
        sound, _damaged, _lost = _account(folder)
        assert sound >= COUNT - 30, offset


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_database_file_is_reported(whole: Path, tmp_path: Path, share: float) -> None:
    folder = _copy(whole, tmp_path / "cut")
    path = folder / "observations.db"
    _cut(path, int(path.stat().st_size * share))
    _sound, damaged, lost = _account(folder)
    assert damaged + lost > 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_log_is_reported(killed: Path, tmp_path: Path, share: float) -> None:
    folder = _copy(killed, tmp_path / "cut")
    path = folder / "observations.db-wal"
    _cut(path, int(path.stat().st_size * share))
    _sound, damaged, lost = _account(folder)
    assert damaged + lost > 0


def test_a_lost_log_is_reported(killed: Path, tmp_path: Path) -> None:
    folder = _copy(killed, tmp_path / "lost")
    (folder / "observations.db-wal").unlink()
    assert _account(folder)[2] > 0


def test_a_lost_database_file_is_reported_and_its_log_is_saved(
    killed: Path, tmp_path: Path
) -> None:
    folder = _copy(killed, tmp_path / "lost")
    (folder / "observations.db").unlink()
    sound, damaged, lost = _account(folder)
    assert sound > 0
    assert damaged + lost == COUNT - sound


def test_the_damaged_file_is_kept_beside(whole: Path, tmp_path: Path) -> None:
    folder = _copy(whole, tmp_path / "torn")
    path = folder / "observations.db"
    _cut(path, path.stat().st_size // 2)
    torn = path.read_bytes()
    _account(folder)
    assert (folder / "observations.db.damaged-1").read_bytes() == torn


def test_losses_stay_reported_until_they_are_trimmed(whole: Path, tmp_path: Path) -> None:
    folder = _copy(whole, tmp_path / "torn")
    path = folder / "observations.db"
    _cut(path, path.stat().st_size // 2)
    _account(folder)
    journal = _open(folder)
    lost = [damage.positions for damage in journal.damage]
    assert lost
    journal.close()
    journal = _open(folder)
    assert [damage.positions for damage in journal.damage] == lost
    journal.trim("observations", lost[-1][1])
    assert journal.damage == []
    journal.close()


def test_a_killed_recovery_is_resumed(whole: Path, tmp_path: Path) -> None:
    folder = _copy(whole, tmp_path / "torn")
    path = folder / "observations.db"
    _cut(path, path.stat().st_size // 2)
    expected = _account(_copy(folder, tmp_path / "undisturbed"))
    path.rename(folder / "observations.db.damaged-1")
    (folder / "observations.db.salvage").write_bytes(b"half of a new file")
    assert _account(folder) == expected


def test_a_file_removed_on_purpose_is_not_brought_back_from_an_earlier_recovery(
    whole: Path, tmp_path: Path
) -> None:
    folder = _copy(whole, tmp_path / "torn")
    path = folder / "observations.db"
    _cut(path, path.stat().st_size // 2)
    _account(folder)
    path.unlink()
    journal = _open(folder)
    assert kept(journal) == []
    assert journal.damage[0].positions == (1, COUNT + 1)
    journal.close()


def test_an_old_backup_is_reported_and_numbering_goes_on(whole: Path, tmp_path: Path) -> None:
    folder = _copy(whole, tmp_path / "journal")
    backup = (folder / "observations.db").read_bytes()
    journal = _open(folder)
    journal.append("observations", [(0, _record(n)) for n in range(COUNT + 1, COUNT + 11)])
    worker = journal.join(Told())
    worker.commit({0: Progress(COUNT + 8)})
    worker.close()
    journal.close()
    (folder / "observations.db").write_bytes(backup)
    (folder / "observations.lock").unlink()  # nothing but the worker's position knows better
    journal = _open(folder)
    (lost,) = journal.damage
    assert (lost.topic, lost.positions) == ("observations", (COUNT + 1, COUNT + 8))
    journal.append("observations", [(0, b"next")])
    assert journal.end("observations") == COUNT + 9
    journal.close()


@pytest.mark.parametrize("topic", ["observations", "estimates"])
def test_a_readers_position_beyond_the_end_is_a_loss(
    whole: Path, tmp_path: Path, topic: str
) -> None:
    folder = _copy(whole, tmp_path / "journal")
    end = {"observations": COUNT, "estimates": 16}[topic]
    journal = _open(folder, **{topic: end + 5})
    (lost,) = journal.damage
    assert (lost.topic, lost.positions) == (topic, (end + 1, end + 5))
    journal.close()


def test_flipped_bytes_of_the_estimates_never_move_the_worker_unreported(
    whole: Path, tmp_path: Path
) -> None:
    path = whole / "estimates.db"
    content = path.read_bytes()
    dice = random.Random(4)
    places = _places_of_progress(content) + [dice.randrange(len(content)) for _ in range(20)]
    for count, offset in enumerate(places):
        folder = _copy(whole, tmp_path / str(count))
        _flip(folder / "estimates.db", offset)
        journal = _open(folder)
        reported = [d for d in journal.damage if d.topic == "estimates"]
        moved = {p for p, at in journal.committed().items() if at != COUNT // 2}
        assert not moved or reported, offset
        assert all(journal.committed()[p] <= COUNT // 2 for p in moved), offset
        journal.close()


def _places_of_progress(content: bytes) -> list[int]:
    """Offsets of the committed positions (60) in the pages of small tables."""
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    return [
        number * 4096 + offset
        for number, page in enumerate(pages)
        for offset in range(3_000, 4_096, 7)
        if page[offset] == COUNT // 2
    ]


def test_a_record_that_breaks_while_the_journal_is_open_is_read_as_damaged(
    whole: Path, tmp_path: Path
) -> None:
    folder = _copy(whole, tmp_path / "open")
    journal = _open(folder)
    path = folder / "observations.db"
    content = path.read_bytes()
    # Record 60 is large: one of its overflow pages that names a next one.
    page = next(
        number
        for number in range(1, len(content) // 4096)
        if content[number * 4096 :][4:4096].count(b"000060") > 600
        and content[number * 4096 :][:4] != bytes(4)
    )
    _flip(path, page * 4096 + 1)  # the number of the chain's next page
    records = {entry.position: entry.record for entry in kept(journal)}
    assert not _intact(records[60])
    assert all(records[n] == _record(n) for n in range(1, COUNT + 1) if n != 60)
    journal.close()
