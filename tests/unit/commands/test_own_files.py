"""What is made in a data folder is for the user alone who makes it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.journal.sqlite import SqliteJournal
from tests.support.command import twin
from twin.commands.run import starting


@pytest.fixture(autouse=True)
def usual_mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def for_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_a_pipeline_makes_its_files_for_its_own_user(tmp_path: Path) -> None:
    with starting("page", tmp_path / "data"):
        SqliteJournal(tmp_path / "data" / "journal", 1, reserve_bytes=0).close()

    assert [*(tmp_path / "data" / "journal").iterdir()]
    assert not for_others(tmp_path / "data")
    (tmp_path / "after").touch()
    assert (tmp_path / "after").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_every_user_may_enter_is_said_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o755)
    with caplog.at_level(logging.WARNING), starting("page", tmp_path):
        pass

    (said,) = caplog.messages
    assert "mode 0755" in said
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_backup_and_what_is_restored_of_it_are_for_their_own_user(tmp_path: Path) -> None:
    data, copy, again = (tmp_path / name for name in ("data", "copies/one", "again"))
    SqliteJournal(data / "journal", 1, reserve_bytes=0).close()

    assert twin("backup", "--data-dir", data, "--out", copy).code == 0
    assert twin("restore", copy, "--data-dir", again).code == 0

    assert not for_others(tmp_path / "copies")
    assert not for_others(again)


def test_a_command_that_makes_the_registry_makes_it_for_its_own_user(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)

    assert twin("devices", "add", "w1", "--data-dir", tmp_path / "data").code == 0

    assert (tmp_path / "data" / "registry.db").exists()
    assert not for_others(tmp_path / "data")
