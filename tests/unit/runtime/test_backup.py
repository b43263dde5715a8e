"""A backup is complete or none, and a restore takes only what is as it was written."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from ingest.journal.protocol import Progress
from ingest.journal.sqlite import SqliteJournal
from tests.support.command import twin
from tests.support.full_disk import files_at_most
from twin.runtime.backup import (
    MANIFEST,
    SKIPPED,
    UNFINISHED,
    BackupUnusable,
    Manifest,
    back_up,
    examine,
    is_half_restored,
    restore,
)

NOW = 1_795_000_000_000_000_000


class Nobody:
    def assigned(self, partitions: object) -> None: ...
    def revoked(self, partitions: object) -> None: ...


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Locked, as by another process that fills it."""
    file = os.open(folder, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
    os.close(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with three records, one of them committed with a snapshot."""
    made = tmp_path / "data"
    snapshots = made / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / "0-1").write_bytes(b"state")
    (made / "broker").mkdir()
    (made / "broker" / "queue.db").write_bytes(b"another program's")
    journal = SqliteJournal(made / "journal", 1, reserve_bytes=0)
    journal.append("observations", [(0, b"a"), (0, b"b"), (0, b"c")])
    worker = journal.join(Nobody())
    worker.read(10, 0)
    worker.commit({0: Progress(1, [b"out"], "0-1", 1)})
    worker.close()
    journal.close()
    return made


def test_a_restored_folder_holds_the_same_and_says_what_may_be_lost(
    folder: Path, tmp_path: Path
) -> None:
    made = back_up(folder, tmp_path / "backup", "1.0", NOW)
    assert not [name for name in made.files if name.startswith("broker")]

    restore(tmp_path / "backup", tmp_path / "again", lambda: NOW)

    journal = SqliteJournal(tmp_path / "again" / "journal", 1, reserve_bytes=0)
    reader = journal.reader("observations", 0)
    assert [(e.position, e.record) for e in reader.read(10, 0)] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert journal.committed() == {0: 1}
    assert journal.snapshots(0)[0].name == "0-1"
    lost = {each.topic: each for each in journal.damage}
    assert lost["observations"].positions == (4, 3 + SKIPPED)
    assert "restored from the backup of 2026-11-18" in lost["observations"].why
    journal.append("observations", [(0, b"d")])
    assert reader.read(10, 1)[0].position == 4 + SKIPPED
    reader.close()
    journal.close()
    assert (tmp_path / "again" / "snapshots" / "0-1").read_bytes() == b"state"


def test_a_backup_of_nothing_and_one_over_another_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupUnusable, match="there is no journal here"):
        back_up(tmp_path, tmp_path / "backup", "1.0", NOW)
    back_up(folder, tmp_path / "backup", "1.0", NOW)
    with pytest.raises(FileExistsError):
        back_up(folder, tmp_path / "backup", "1.0", NOW)


def test_a_folder_in_use_is_not_restored_over(folder: Path, tmp_path: Path) -> None:
    back_up(folder, tmp_path / "backup", "1.0", NOW)
    with pytest.raises(FileExistsError, match="is not empty"):
        restore(tmp_path / "backup", folder, lambda: NOW)


def test_what_stands_in_the_way_of_a_restore_is_named(folder: Path, tmp_path: Path) -> None:
    backup, nowhere, target = (tmp_path / name for name in ("backup", "link", "again"))
    back_up(folder, backup, "1.0", NOW)
    nowhere.symlink_to(tmp_path / "gone")
    target.mkdir()
    (target / UNFINISHED).write_text("mine")

    for wanted, why in (
        (nowhere, "is a link to nothing, expected a folder"),
        (target, "is in the way; move it away first"),
        (backup, "lies in the backup"),
        (backup / "snapshots" / "new", "lies in the backup"),
    ):
        with pytest.raises(FileExistsError, match=why):
            restore(backup, wanted, lambda: NOW)

    assert (target / UNFINISHED).read_text() == "mine"
    assert examine(backup).format == 1
    assert not (backup / "snapshots" / "new").exists()


def test_what_stands_in_the_way_of_a_backup_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "copy.draft").write_text("mine")
    for name, why in (("link", "exists already"), ("copy", "is in the way")):
        with pytest.raises(FileExistsError, match=why):
            back_up(folder, tmp_path / name, "1.0", NOW)
    assert (tmp_path / "copy.draft").read_text() == "mine"


def test_a_snapshot_without_its_file_is_no_backup(folder: Path, tmp_path: Path) -> None:
    (folder / "snapshots" / "0-1").unlink()
    with pytest.raises(BackupUnusable, match="snapshots"):
        back_up(folder, tmp_path / "backup", "1.0", NOW)
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("wrong", ["flipped", "missing", "manifest", "format", "outside"])
def test_a_damaged_backup_is_refused_by_name(folder: Path, tmp_path: Path, wrong: str) -> None:
    backup = tmp_path / "backup"
    back_up(folder, backup, "1.0", NOW)
    journal, manifest = backup / "journal" / "observations.db", backup / MANIFEST
    text = manifest.read_text()
    if wrong == "flipped":
        content = bytearray(journal.read_bytes())
        content[200] ^= 1
        journal.write_bytes(content)
    elif wrong == "missing":
        journal.unlink()
    elif wrong == "manifest":
        manifest.write_text("{")
    elif wrong == "format":
        manifest.write_text(text.replace('"format": 1', '"format": 2'))
    else:
        manifest.write_text(text.replace('"snapshots/0-1"', '"../0-1"'))

    with pytest.raises(BackupUnusable, match={
        "flipped": "not as it was written", "missing": "is missing", "manifest": "cannot be read",
        "format": "format 2", "outside": "outside",
    }[wrong]):  # fmt: skip
        examine(backup)
    with pytest.raises(BackupUnusable):
        restore(backup, tmp_path / "again", lambda: NOW)
    assert not (tmp_path / "again").exists()


def test_a_full_disk_leaves_nothing_of_a_backup_nor_of_a_restored_folder(
    folder: Path, tmp_path: Path
) -> None:
    """A rest keeps the disk full, and a service would take a part of a folder for the whole."""
    room = (folder / "journal" / "observations.db").stat().st_size - 1
    with files_at_most(room), pytest.raises((OSError, apsw.Error)):
        back_up(folder, tmp_path / "small", "1", 0)
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("small")]
    back_up(folder, tmp_path / "b", "1", 0)
    with files_at_most(room), pytest.raises(OSError, match="too large"):
        restore(tmp_path / "b", tmp_path / "back", lambda: 0)
    assert list((tmp_path / "back").iterdir()) == []
    restore(tmp_path / "b", tmp_path / "back", lambda: 0)


def test_of_two_at_once_the_second_does_not_empty_what_the_first_has_half_filled(
    folder: Path, tmp_path: Path
) -> None:
    backup, target = tmp_path / "b", tmp_path / "back"
    ways: list[tuple[Path, Callable[[], Manifest]]] = [
        (tmp_path / "b.draft", lambda: back_up(folder, backup, "1", 0)),
        (target / UNFINISHED, lambda: restore(backup, target, lambda: 0)),
    ]
    for draft, again in ways:
        half = draft / "journal" / "half"
        half.parent.mkdir(parents=True)
        half.touch()
        with held_folder(draft), pytest.raises(FileExistsError, match="another process writes"):
            again()
        assert half.exists()
        assert "journal/half" not in again().files  # left over, of one that was killed
    assert sorted(each.name for each in target.iterdir()) == ["journal", "snapshots"]


def test_a_draft_that_is_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    backup, target, other = (tmp_path / name for name in ("b", "back", "other"))
    back_up(folder, backup, "1", 0)
    other.mkdir()
    (other / "precious").touch()
    target.mkdir()
    (target / UNFINISHED).symlink_to(other)
    with pytest.raises(OSError, match=UNFINISHED.replace(".", r"\.")):
        restore(backup, target, lambda: 0)
    assert (other / "precious").exists()


#: Restores, and is killed before the second call of a function of a module.
KILLED = """
import importlib, os, signal, sys
from pathlib import Path
from twin.runtime.backup import restore
module, name, backup, folder = sys.argv[1:]
does, calls = getattr(importlib.import_module(module), name), []
def once(*given):
    calls.append(given)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return does(*given)
setattr(importlib.import_module(module), name, once)
restore(Path(backup), Path(folder), lambda: 0)
"""


@pytest.mark.parametrize(("function", "again"), [("shutil.copyfile", True), ("os.rename", False)])
def test_a_killed_restore_leaves_nothing_that_a_service_takes_for_the_whole(
    folder: Path, tmp_path: Path, function: str, again: bool
) -> None:
    backup, target = tmp_path / "b", tmp_path / "back"
    back_up(folder, backup, "1", 0)
    arguments = [*function.rsplit("."), str(backup), str(target)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL

    assert is_half_restored(target)
    assert not (target / "journal").exists()
    ended = twin("demo", "--data-dir", target, "--duration", "1")
    assert ended.code == 2
    assert f"{target}: a `twin restore` was cut off" in ended.err
    if again:  # nothing of anybody lies there
        restore(backup, target, lambda: 0)
        assert not is_half_restored(target)
        assert sorted(each.name for each in target.iterdir()) == ["journal", "snapshots"]
    else:
        with pytest.raises(FileExistsError, match="is not empty"):
            restore(backup, target, lambda: 0)
