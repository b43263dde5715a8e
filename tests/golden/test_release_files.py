"""Files of earlier releases: read, gone on with; the way back is the backup made before that."""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import apsw
import numpy as np
import pytest

from ingest.instant import SECOND
from ingest.journal.sqlite import SqliteJournal
from tests.support.commands import eventually
from tests.support.contents import embedded_content
from twin.config import Config
from twin.estimation.bank import SIGNAL_ROW, Events
from twin.estimation.devices import ALONE, ENTRY, LAGS, NUMBER, flag, suspicion
from twin.estimation.kalman import E_MEAN, D, M
from twin.runtime.backup import back_up, restore
from twin.runtime.clock import Clock
from twin.runtime.housekeeping import needed_from
from twin.runtime.pipeline import Pipeline
from twin.snapshot import restore as restore_snapshot
from twin.step import new_state
from twin.store.blocks import rounded
from twin.store.embedded import EmbeddedStore

pytestmark = [pytest.mark.golden]

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
    assert db.execute("SELECT value FROM meta WHERE key = 'format'").get == 4
    db.close()


def test_the_way_back_is_the_backup_made_before_an_upgrade(folder: Path, tmp_path: Path) -> None:
    before = {name: schema(folder / name) for name in (*DATABASES, *JOURNALS)}
    back_up(folder, tmp_path / "backup", "0.1.0", 0)
    test_a_folder_of_the_release_before_is_gone_on_with(folder)

    restore(tmp_path / "backup", tmp_path / "back", lambda: 0)

    for name, tables in before.items():
        assert schema(tmp_path / "back" / name) == tables, name
    assert_holds_what_it_held(tmp_path / "back" / "store.db")


def test_its_snapshots_are_read_so_that_a_trimmed_journal_is_no_obstacle(folder: Path) -> None:
    state, numbers = new_state(16), dict[tuple[str, str], float]()
    for path in sorted((folder / "snapshots").iterdir()):  # the newest of a partition wins
        if path.name.endswith("575"):
            restore_snapshot(state, path.name, path.read_bytes())
    a, bank = state.bank.slots.of, state.bank
    with EmbeddedStore(folder / "store.db", readonly=True) as store:
        for part in store.estimates():
            numbers[part.patient, part.signal] = float(part.rows["mean"][-1])
            slot = bank.slot_of[bank.number_of(part.patient), SIGNAL_ROW[part.signal]]
            assert a["state_t"][slot] == part.rows["time"][-1]
            mean = a["state"][slot, M] + a["state"][slot, D]
            assert rounded(np.array([mean]), part.signal)[0] == numbers[part.patient, part.signal]
    assert len(numbers) == len(bank.known()) > 10
    assert (state.position == 575).all()


def test_it_goes_on_where_the_journal_was_trimmed(folder: Path) -> None:
    with closing(SqliteJournal(folder / "journal")) as journal:
        assert journal.trim("observations", needed_from(journal)) > 0
        assert journal.oldest("observations") > 1
    test_a_folder_of_the_release_before_is_gone_on_with(folder)


def test_a_snapshot_of_layout_5_is_gone_on_with_as_it_was_left() -> None:
    """Two people with a watch and a band; the band of one lags, that of the other went wild."""
    state = new_state(1)
    content = lzma.decompress((FILES / "snapshot-layout-5.xz").read_bytes())
    restore_snapshot(state, "p000-000000000000800", content)
    bank, a = state.bank, state.bank.slots.of
    lagging, jumping = (
        int(bank.slot_of[bank.number_of(name), SIGNAL_ROW["heart_rate"]])
        for name in ("lagging", "jumping")
    )
    watch, band = state.devices.numbers_of(["watch", "band"])
    said = {}
    for slot in (lagging, jumping):
        for at in (0, ENTRY):
            why = int(suspicion.py_func(a["entries"], slot, at))
            lags = flag.py_func(a["entries"], slot, at, LAGS)
            said[slot, int(a["entries"][slot, at + NUMBER])] = (why, bool(lags))
    assert said == {
        (lagging, watch): (0, False),
        (lagging, band): (0, True),
        (jumping, watch): (0, False),
        (jumping, band): (ALONE, False),
    }
    assert a["due"][[lagging, jumping]].tolist() == [1795594000] * 2
    assert a["target"][lagging, :4].tolist() == [1795594020, 1795594040, 1795594000, 1795595400]

    n, at = 40, int(a["state_t"][lagging])
    slots = np.tile([lagging, lagging, jumping, jumping], n // 4)
    later = at + SECOND // 2 * (1 + np.arange(n) // 4)
    value = np.tile([80.0, 120.0, 70.0, 120.0], n // 4)
    nothing = np.full(n, np.nan)
    devices = np.tile([watch, band], n // 2).astype(np.int32)
    estimates = bank.update(Events(slots, later, value, nothing, nothing, devices)).estimates
    assert np.abs(estimates[2::4, E_MEAN] - 70.0).max() < 1.0  # neither band is believed
    assert np.abs(estimates[-4::4, E_MEAN] - 80.0).max() < 5.0
