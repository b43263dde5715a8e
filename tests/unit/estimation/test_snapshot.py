"""Snapshots: a partition's state as bytes, and what recovery makes of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instant import SECOND
from tests.support.layouts import unflagged
from tests.support.twin_journals import PARTITIONS, model_command, placed, ward_records
from tests.support.twins import HEART_RATE, model_of
from twin.estimate import encode_output
from twin.rotation import Rotation
from twin.snapshot import (
    LAYOUT,
    SnapshotFolder,
    SnapshotUnreadable,
    capture,
    position_in,
    restore,
)
from twin.step import Placed, TwinState, new_state, step

RECORDS = placed(ward_records(60, patients=5, seed=3, pause=(30, 45)))


def snapshots(state: TwinState) -> list[tuple[str, bytes]]:
    captured = [capture(state, p) for p in range(PARTITIONS)]
    return [(one.name, one.encode()) for one in captured]


def restored(parts: Sequence[tuple[str, bytes]]) -> TwinState:
    state = new_state(PARTITIONS)
    for name, content in parts:
        restore(state, name, content)
    return state


def one_by_one(state: TwinState, records: Sequence[Placed]) -> dict[tuple[int, int], list[bytes]]:
    """(position, partition) → the bytes that stepping this record alone put out."""
    said = defaultdict[tuple[int, int], list[bytes]](list)
    for record in records:
        for partition, outputs in step(state, [record])[1].items():
            said[record.position, partition] += map(encode_output, outputs)
    return dict(said)


WHOLE = one_by_one(new_state(PARTITIONS), RECORDS)


@pytest.mark.parametrize("taken_in", [1, 20, 60, 130, len(RECORDS) - 40])
def test_a_restored_state_goes_on_bit_for_bit(taken_in: int) -> None:
    """Partly filled rings, two devices, keys that are late."""
    before = new_state(PARTITIONS)
    step(before, RECORDS[:taken_in])
    after = restored(snapshots(before))
    said = one_by_one(after, RECORDS[taken_in:])
    assert said == {key: o for key, o in WHOLE.items() if key[0] > taken_in}


@given(seed=st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_recovery_from_snapshots_of_different_age_is_the_undisturbed_run(seed: int) -> None:
    rng = random.Random(seed)
    taken = [rng.randrange(1, len(RECORDS)) for _ in range(PARTITIONS)]
    state, parts = new_state(PARTITIONS), dict[int, tuple[str, bytes]]()
    for record in RECORDS:
        for partition, at in enumerate(taken):
            if at == record.position:
                parts[partition] = (
                    capture(state, partition).name,
                    capture(state, partition).encode(),
                )
        step(state, [record])
    positions = {p: position_in(name) for p, (name, _) in parts.items()}
    order = rng.sample(range(PARTITIONS), PARTITIONS)
    recovered = restored([parts[p] for p in order])
    said = one_by_one(recovered, RECORDS[min(positions.values()) :])
    assert said == {key: o for key, o in WHOLE.items() if key[0] > positions[key[1]]}


def test_a_snapshot_survives_growth_and_restoring_into_a_state_with_other_partitions() -> None:
    crowded = new_state(PARTITIONS)
    step(crowded, placed(ward_records(12, patients=400, seed=9)))
    parts = snapshots(crowded)
    again = snapshots(restored(parts[::-1]))
    a, b = dict(parts), dict(again)
    assert a.keys() == b.keys()
    for name, content in a.items():
        one, other = decoded(content), decoded(b[name])
        for key in ("patients", "position", "tick_at", "elapsed", "commands", "model"):
            assert one[key] == other[key]
        for key in ("state_t", "ring_z", "ring_t", "ring_r", "ring_n", "status", "coasted"):
            assert one["arrays"][key] == other["arrays"][key], key


def decoded(content: bytes) -> dict[str, object]:
    fields = msgspec.msgpack.decode(content[16:])
    assert isinstance(fields, dict)
    return fields


def resealed(fields: dict[str, object]) -> bytes:
    from hashlib import blake2b

    body = msgspec.msgpack.encode(fields)
    return blake2b(body, digest_size=16).digest() + body


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_is_refused(where: float, bit: int) -> None:
    content = bytearray(ONE[1])
    content[int(where * len(content))] ^= 1 << bit
    with pytest.raises(SnapshotUnreadable, match="damaged"):
        restore(new_state(PARTITIONS), ONE[0], bytes(content))


def _one() -> tuple[str, bytes]:
    state = new_state(PARTITIONS)
    step(state, RECORDS[:40])
    return snapshots(state)[0]


ONE = _one()


@pytest.mark.parametrize("length", [0, 5, 16, 100])
def test_a_cut_snapshot_is_refused(length: int) -> None:
    with pytest.raises(SnapshotUnreadable):
        restore(new_state(PARTITIONS), ONE[0], ONE[1][:length])


def test_another_layout_is_refused_by_number() -> None:
    fields = decoded(ONE[1]) | {"layout": LAYOUT + 1}
    with pytest.raises(SnapshotUnreadable, match=f"layout {LAYOUT + 1}, this code reads {LAYOUT}"):
        restore(new_state(PARTITIONS), "p000-000000000040", resealed(fields))


def test_one_with_a_column_for_each_flag_and_due_in_ns_goes_on_bit_for_bit() -> None:
    before = new_state(PARTITIONS)
    step(before, RECORDS[:130])
    parts = []
    for name, content in snapshots(before):
        fields = decoded(content)
        arrays = fields["arrays"]
        assert isinstance(arrays, dict)
        for key in ("entries", "base_entries"):
            kind, shape, raw = arrays[key]
            rows = unflagged(np.frombuffer(raw, kind).reshape(shape))
            arrays[key] = [kind, rows.shape, rows.tobytes()]
        kind, shape, raw = arrays["due"]
        due = np.frombuffer(raw, kind).astype(np.int64) * SECOND
        due[due > 0] -= SECOND // 4
        arrays["due"] = ["<i8", shape, np.where(due > 0, due, -(2**63)).tobytes()]
        parts.append((name, resealed(fields | {"layout": 5})))
    said = one_by_one(restored(parts), RECORDS[130:])
    assert said == {key: o for key, o in WHOLE.items() if key[0] > 130}


def test_a_snapshot_with_another_shape_is_refused() -> None:
    fields = decoded(ONE[1])
    del fields["elapsed"]
    with pytest.raises(SnapshotUnreadable, match="another layout"):
        restore(new_state(PARTITIONS), ONE[0], resealed(fields))


def test_a_refused_snapshot_leaves_the_state_as_it_was() -> None:
    state = new_state(PARTITIONS)
    with pytest.raises(SnapshotUnreadable):
        restore(state, ONE[0], ONE[1][:-1])
    assert len(state.bank.known()) == 0
    assert not state.position.any()


def test_the_model_and_the_commands_come_back_with_the_snapshot() -> None:
    state = new_state(PARTITIONS)
    model = model_of(**HEART_RATE | {"noise": 3.0})
    step(state, placed([(-1, model_command(model.content, "once"))]))
    again = restored(snapshots(state))
    assert again.bank.model_file.version == model.version
    assert again.commands == [{"once": ""}] * PARTITIONS
    assert again.bank.params.tolist() == state.bank.params.tolist()


def test_a_name_holds_partition_and_position() -> None:
    state = new_state(PARTITIONS)
    step(state, RECORDS[:40])
    captured = capture(state, 3)
    assert captured.name.startswith("p003-")
    assert position_in(captured.name) == state.position[3] == captured.position


def test_the_state_may_go_on_while_a_captured_one_is_encoded() -> None:
    state = new_state(PARTITIONS)
    step(state, RECORDS[:60])
    captured = capture(state, 1)
    expected = captured.encode()
    step(state, RECORDS[60:])
    assert captured.encode() == expected


# --- folder and rotation ---------------------------------------------------------------------


def test_a_folder_gives_back_what_was_written_and_deletes_leftovers(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshots")
    assert folder.keep(()) == 0
    folder.write("a", b"1")
    folder.write("a", b"2")
    folder.write("b", b"3")
    (tmp_path / "snapshots" / "c.draft").write_bytes(b"torn")
    assert folder.read("a") == b"2"
    assert folder.keep({"a"}) == 2
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["a"]
    with pytest.raises(SnapshotUnreadable, match="snapshot b"):
        folder.read("b")


class Wall:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 10**18

    def __call__(self) -> int:
        return self.at


def test_partitions_take_turns_and_a_name_comes_when_its_file_is_there(tmp_path: Path) -> None:
    wall, folder = Wall(), SnapshotFolder(tmp_path)
    rotation = Rotation(folder, PARTITIONS, wall)
    state = new_state(PARTITIONS)
    rotation.begin(state)
    landed: list[int] = []
    for record in RECORDS:
        step(state, [record])
        wall.at += 5 * SECOND
        names = rotation.due(state, ())
        for partition, name in names.items():
            landed.append(partition)
            assert folder.read(name)
            assert position_in(name) <= record.position
        rotation.committed(names)
        if rotation._flight is not None:
            rotation._flight[1].result()
    rotation.close()
    assert landed[:8] == [0, 1, 2, 3, 0, 1, 2, 3]
    kept = defaultdict[str, int](int)
    for path in tmp_path.iterdir():
        kept[path.name[:4]] += 1
    assert set(kept.values()) <= {2, 3}  # two named, and one that has not been yet


def test_after_a_change_of_model_every_partition_is_snapshotted_and_no_older_one_lands(
    tmp_path: Path,
) -> None:
    wall = Wall()
    rotation = Rotation(SnapshotFolder(tmp_path), PARTITIONS, wall)
    state = new_state(PARTITIONS)
    rotation.begin(state)
    step(state, RECORDS[:40])
    rotation.due(state, ())  # the first turn is in flight now, of the old model
    step(state, [Placed(-1, 41, model_command(model_of(**HEART_RATE).content))])
    names = rotation.due(state, ())
    assert sorted(names) == list(range(PARTITIONS))
    assert {position_in(name) for name in names.values()} == {41}
    for _ in range(8):  # no new turn comes, as the clock stands still
        assert rotation.due(state, ()) == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    rotation.close()


def test_the_two_newest_of_a_partition_are_kept(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    rotation = Rotation(folder, 1, Wall())
    for name in ("p000-1", "p000-1", "p000-2", "p000-3", "p000-3"):
        folder.write(name, b"")
        rotation.committed({0: name})
    rotation.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p000-2", "p000-3"]


def test_rows_of_a_slot_are_taken_and_put_back_whatever_the_ring_holds() -> None:
    state = new_state(PARTITIONS)
    step(state, RECORDS)
    slots = state.bank.slots
    for partition in range(PARTITIONS):
        chosen = state.bank.in_partition(partition)
        part = slots.take(chosen)
        put = slots.put(part)
        again = slots.take(put)
        for name, array in part.items():
            if name not in ("ring_start", "ring_head"):
                np.testing.assert_array_equal(array, again[name], err_msg=name)
