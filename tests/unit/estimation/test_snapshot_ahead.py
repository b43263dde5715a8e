"""Snapshots read one ahead: in order, in two rooms by turns, what is wrong in its place."""

from __future__ import annotations

from pathlib import Path

from tests.support.twin_journals import PARTITIONS, placed, ward_records
from twin.snapshot import (
    Opened,
    SnapshotFolder,
    SnapshotUnreadable,
    capture,
    opened,
    put_back,
    restore,
)
from twin.snapshot_ahead import read_ahead
from twin.step import TwinState, new_state, step


def captured(state: TwinState) -> dict[str, bytes]:
    return {one.name: one.encode() for one in (capture(state, p) for p in range(PARTITIONS))}


def after_a_restart() -> TwinState:
    """Whose devices are numbered as snapshots have them, so that they give the same bytes again."""
    before, state = new_state(PARTITIONS), new_state(PARTITIONS)
    step(before, placed(ward_records(60, patients=12, seed=5)))
    for name, content in captured(before).items():
        restore(state, name, content)
    return state


FILES = captured(after_a_restart())


def test_all_are_given_in_order_and_put_back_to_the_bit(tmp_path: Path) -> None:
    folder, after = SnapshotFolder(tmp_path), new_state(PARTITIONS)
    for name, content in FILES.items():
        folder.write(name, content)
    for found in read_ahead(folder, list(FILES)):
        assert isinstance(found, Opened)
        put_back(after, found)
    assert captured(after) == FILES


def test_what_cannot_be_read_and_what_is_not_there_have_their_place(tmp_path: Path) -> None:
    folder, (first, second, *_) = SnapshotFolder(tmp_path), FILES
    folder.write(first, FILES[first])
    folder.write(second, FILES[second][:-1])
    found = list(read_ahead(folder, [None, second, "p000-000000000001", first]))
    assert found[0] is None
    assert isinstance(found[1], SnapshotUnreadable)
    assert "hash" in found[1].why
    assert isinstance(found[2], SnapshotUnreadable)
    assert "No such file" in found[2].why
    assert isinstance(found[3], Opened)
    assert found[3].name == first


def test_nothing_of_the_state_is_a_view_of_the_file() -> None:
    after = new_state(PARTITIONS)
    for name, content in FILES.items():
        file = bytearray(content)
        put_back(after, opened(name, memoryview(file)))
        file[:] = bytes(len(file))
    assert captured(after) == FILES


def test_who_stops_early_leaves_no_reader(tmp_path: Path) -> None:
    folder, (first, second, *_) = SnapshotFolder(tmp_path), FILES
    folder.write(first, FILES[first])
    folder.write(second, FILES[second])
    reading = read_ahead(folder, [first, second])
    assert isinstance(next(reading), Opened)
    reading.close()
    assert list(reading) == []
