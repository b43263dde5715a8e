"""A file that is no database is named; the tail, which holds nothing of worth, is made anew."""

from pathlib import Path

import pytest

from ingest.database import DatabaseUnusable, open_database
from ingest.quarantine import Quarantine
from ingest.settings import QuarantineSettings
from ingest.tail import TailEvent, TailWriter
from tests.support.command import twin


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "quarantine.db").write_bytes(b"junk" * 1000)
    with pytest.raises(DatabaseUnusable) as raised:
        Quarantine(tmp_path / "quarantine.db", QuarantineSettings())
    assert raised.value.filename == str(tmp_path / "quarantine.db")
    assert "cannot be used as a database" in str(raised.value)
    assert (tmp_path / "quarantine.db").read_bytes() == b"junk" * 1000


def test_a_folder_that_is_not_there_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="nowhere"):
        open_database(tmp_path / "nowhere" / "registry.db", "")


def test_a_damaged_tail_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "tail.db").write_bytes(b"junk" * 1000)
    (tmp_path / "tail.db-wal").write_bytes(b"junk")
    tail = TailWriter(tmp_path)
    tail.write([TailEvent("watch-7", 1, 1)])
    tail.close()


@pytest.mark.parametrize(
    ("command", "file"),
    [("patients", "registry.db"), ("devices", "registry.db"), ("quarantine", "quarantine.db")],
)
def test_a_command_on_it_fails_with_its_name(tmp_path: Path, command: str, file: str) -> None:
    (tmp_path / file).write_bytes(b"junk" * 1000)
    ended = twin(command, "list", "--data-dir", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert f"{tmp_path / file}: cannot be used as a database" in ended.err
