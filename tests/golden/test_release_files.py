"""Files of earlier releases: read, gone on with; the way back is the backup made before that."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from tests.support.commands import eventually
from tests.support.contents import embedded_content
from twin.config import Config
from twin.runtime.backup import back_up, restore
from twin.runtime.clock import Clock
from twin.runtime.pipeline import Pipeline

pytestmark = [pytest.mark.golden, pytest.mark.timeout(300)]

FILES = Path(__file__).parent / "release_files"
OBSERVATIONS = (729, "0b848cd61cd7e15274da5ce62e3281ec644aaec56fa4c175e291c306a766dd76")
ESTIMATES = (729, "0c6452c8535740353c5ee8b0cd6eb37bb45e7275ac9da348d961066a88ac58cb")
DATABASES = ("store.db", "registry.db", "quarantine.db")
JOURNALS = ("journal/observations.db", "journal/estimates.db")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    with tarfile.open(FILES / "release-0.1.0.tar.xz") as packed:
        packed.extractall(made, filter="data")
    return made


def told(content: Mapping[object, object]) -> tuple[int, str]:
    return len(content), sha256(repr(sorted(content.items())).encode()).hexdigest()  # type: ignore[type-var]


def schema(path: Path) -> dict[str, str]:
    """Table → how it was made."""
    db = apsw.Connection(str(path))
    found = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    db.close()
    return found


def assert_holds_what_it_held(store: Path) -> None:
    content = embedded_content(store)
    assert told(content.observations) == OBSERVATIONS
    assert told(content.estimates) == ESTIMATES


def test_a_folder_of_the_release_before_is_gone_on_with(folder: Path) -> None:
    config = Config.model_validate({"data_dir": folder})
    clock = Clock()
    pipeline = Pipeline(config, frozenset(("worker", "store")), clock=clock)
    pipeline.start()
    try:
        worker, writer = pipeline.parts.worker, pipeline.parts.writers["embedded"]
        assert worker is not None
        end = pipeline.parts.journal.end("observations")
        assert end > 100
        eventually(lambda: worker.position >= end or worker.fault, "stepped", 200.0)  # compiles
        eventually(lambda: writer.progress.behind == 0, "stored")
        assert worker.fault is None
        assert not pipeline.parts.journal.damage
        assert len(pipeline.parts.registry.labels()) == 2
    finally:
        pipeline.stop()
    assert_holds_what_it_held(folder / "store.db")


def test_the_store_becomes_one_that_the_release_before_refuses_by_its_format(folder: Path) -> None:
    before = {name: schema(folder / name) for name in (*DATABASES, *JOURNALS)}

    test_a_folder_of_the_release_before_is_gone_on_with(folder)

    for name in ("store.db", *JOURNALS):
        after = schema(folder / name)
        assert {table: after[table] for table in before[name]} == before[name], name
    db = apsw.Connection(str(folder / "store.db"))
    assert db.execute("SELECT value FROM meta WHERE key = 'format'").get == 3
    db.close()


def test_the_way_back_is_the_backup_made_before_an_upgrade(folder: Path, tmp_path: Path) -> None:
    before = {name: schema(folder / name) for name in (*DATABASES, *JOURNALS)}
    back_up(folder, tmp_path / "backup", "0.1.0", 0)
    test_a_folder_of_the_release_before_is_gone_on_with(folder)

    restore(tmp_path / "backup", tmp_path / "back", lambda: 0)

    for name, tables in before.items():
        assert schema(tmp_path / "back" / name) == tables, name
    assert_holds_what_it_held(tmp_path / "back" / "store.db")
