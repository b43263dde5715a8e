"""Snapshots: the state of one partition as a file, so that recovery need not start at the start.

A snapshot names its layout, model, code and numpy version and carries a hash; one that cannot be
read is refused with the reason, and the worker falls back to the older one or the whole journal.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import BEFORE_NAMES, CODES, rows_of
from twin import snapshot_before
from twin.estimation.consistency import TALLIED
from twin.estimation.devices import NAMED, NAMED_ENTRIES
from twin.estimation.models import parse_model
from twin.step import TwinState

LAYOUT = 6
#: 3: slots without `forecast_at`; 4: memory without `SPREAD` and `TROUBLE`, no `shares`;
#: 5: entries with a column for each flag, `due` in ns.
_READABLE = (3, 4, 5, LAYOUT)
_DIGEST = 16
#: Instead of a snapshot's model: it says none.
_IN_FORCE = ""
#: Arrays and columns of the bank that hold a device's number.
_NAMED = [
    *((name, column) for name in ("memory", "base_memory") for column in NAMED),
    *((name, column) for name in ("entries", "base_entries") for column in NAMED_ENTRIES),
    *(("share_device", column) for column in range(TALLIED)),
]
_encoder = msgspec.msgpack.Encoder()


class SnapshotUnreadable(Exception):
    """A snapshot that cannot be used; `why` says whether it is damaged or of another layout."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"snapshot {name}: {why}")
        self.name, self.why = name, why


class _Array(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    shape: tuple[int, ...]
    content: memoryview  # of the file as it was read: nothing is copied before it is put in place

    @classmethod
    def of(cls, array: NDArray[Any]) -> _Array:
        return cls(array.dtype.str, array.shape, memoryview(array.tobytes()))

    def read(self) -> NDArray[Any]:
        """Read-only."""
        return np.frombuffer(self.content, np.dtype(self.kind)).reshape(self.shape)


class _Snapshot(msgspec.Struct, frozen=True):
    layout: int
    code: str
    numpy: str
    model: str
    partition: int
    position: int
    tick_at: int
    elapsed: int
    commands: dict[str, str]
    parts: dict[str, memoryview]
    patients: tuple[str, ...]
    devices: tuple[str, ...]
    arrays: dict[str, _Array]
    signals: tuple[str, ...] = BEFORE_NAMES
    requests: dict[str, str] = {}


class _Before(msgspec.Struct, frozen=True):
    """As release 0.1.0 wrote it."""

    layout: int
    partition: int
    position: int
    tick_at: int
    elapsed: int
    commands: tuple[str, ...]
    patients: tuple[str, ...]
    devices: tuple[str, ...]
    arrays: dict[str, _Array]


_decoder = msgspec.msgpack.Decoder(_Snapshot)
_before = msgspec.msgpack.Decoder(_Before)


@dataclass(frozen=True, slots=True)
class Captured:
    """A partition's state, copied; `encode` may run while the twin goes on."""

    partition: int
    position: int
    snapshot: _Snapshot
    arrays: dict[str, NDArray[Any]]

    @property
    def name(self) -> str:
        """File name; `position_in` reads the position back."""
        return f"p{self.partition:03d}-{self.position:015d}"

    def encode(self) -> bytes:
        """The bytes of the file: hash and content."""
        arrays = {k: _Array.of(a) for k, a in self.arrays.items()}
        body = _encoder.encode(msgspec.structs.replace(self.snapshot, arrays=arrays))
        return blake2b(body, digest_size=_DIGEST).digest() + body


def position_in(name: str) -> int:
    """The input position that the snapshot of this name includes."""
    return int(name.rpartition("-")[2])


def capture(state: TwinState, partition: int) -> Captured:
    """A copy of all state of the partition, as of the last entry it took in."""
    bank = state.bank
    part = bank.slots.take(bank.in_partition(partition))
    columns = [part[name][:, column] for name, column in _NAMED]
    used = np.concatenate([part["ring_device"], *columns]).astype(np.int64)
    numbers = np.unique(used[used >= 0]).astype(np.int64)
    part["ring_device"] = np.searchsorted(numbers, part["ring_device"]).astype(np.int32)
    for name, column in _NAMED:
        some = part[name][:, column] >= 0
        part[name][some, column] = np.searchsorted(numbers, part[name][some, column])
    snapshot = _Snapshot(
        LAYOUT,
        version("wearable-twin"),
        np.__version__,
        bank.model_file.content,
        partition,
        int(state.position[partition]),
        int(state.tick_at[partition]),
        int(state.elapsed[partition]),
        dict(state.commands[partition]),
        {part.name: memoryview(part.capture(partition)) for part in state.parts},
        tuple(bank.patients.text[n] for n in part["patient"]),
        tuple(state.devices.text[n] for n in numbers),
        {},
        tuple(CODES),
        dict(state.requests[partition]),
    )
    return Captured(partition, snapshot.position, snapshot, part)


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that was read and checked; its arrays are views of the file's bytes."""

    name: str
    snapshot: _Snapshot
    arrays: dict[str, NDArray[Any]]


def opened(name: str, file: bytes | memoryview) -> Opened:
    """The snapshot that a file holds. Raises SnapshotUnreadable."""
    digest, body = file[:_DIGEST], memoryview(file)[_DIGEST:]
    if blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise SnapshotUnreadable(name, "damaged: its hash does not match")
    try:
        snapshot, arrays = _read(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotUnreadable(name, f"another layout: {error}") from error
    if snapshot.layout not in _READABLE:
        raise SnapshotUnreadable(name, f"layout {snapshot.layout}, this code reads {LAYOUT}")
    return Opened(name, snapshot, arrays)


def restore(state: TwinState, name: str, file: bytes) -> None:
    """Put the snapshot's partition into `state`, which has the parts that captured it.

    Raises SnapshotUnreadable; after that the partition must be restored from another one.
    """
    put_back(state, opened(name, file))


def put_back(state: TwinState, found: Opened) -> None:
    """`restore` of what was opened. When it returns nothing of the state is a view of the file."""
    name, snapshot = found.name, found.snapshot
    try:
        signals = np.array(rows_of(snapshot.signals), np.int32)
    except ValueError as error:
        raise SnapshotUnreadable(name, str(error)) from error
    parts = {part.name: part for part in state.parts}
    if not snapshot.parts.keys() <= parts.keys():
        raise SnapshotUnreadable(name, f"of {sorted(snapshot.parts)}, this twin is {sorted(parts)}")
    for named in parts.keys() - snapshot.parts.keys():  # newer than the snapshot: begins to learn
        parts[named].forget(snapshot.partition)
    for named, content in snapshot.parts.items():
        try:
            parts[named].restore(snapshot.partition, content)
        except ValueError as error:
            raise SnapshotUnreadable(name, f"another layout of {named}: {error}") from error
    bank = state.bank
    if snapshot.model not in (_IN_FORCE, bank.model_file.content):
        bank.adopt(parse_model(snapshot.model, f"snapshot {name}"))
    numbers = np.array(state.devices.numbers_of(snapshot.devices), np.int64)
    part = found.arrays
    part["model"] = signals[part["model"]]
    if len(numbers):
        part["ring_device"] = numbers[part["ring_device"]].astype(np.int32)
        for key, column in _NAMED:
            if key not in part:  # an older snapshot
                continue
            part[key] = part[key].copy()
            some = part[key][:, column] >= 0
            part[key][some, column] = numbers[part[key][some, column].astype(np.int64)]
    bank.restore(snapshot.partition, snapshot.patients, bank.slots.put(part))
    state.position[snapshot.partition] = snapshot.position
    state.tick_at[snapshot.partition] = snapshot.tick_at
    state.elapsed[snapshot.partition] = snapshot.elapsed
    state.commands[snapshot.partition] = snapshot.commands
    state.requests[snapshot.partition] = dict(snapshot.requests)


def _read(body: memoryview) -> tuple[_Snapshot, dict[str, NDArray[Any]]]:
    """The snapshot and its arrays; one of release 0.1.0 with the model that is in force, which the
    worker tells anyway. Raises msgspec.DecodeError, ValueError."""
    try:
        snapshot = _decoder.decode(body)
    except msgspec.ValidationError:
        old = _before.decode(body)
        if old.layout != snapshot_before.LAYOUT:
            raise
        arrays = {key: array.read() for key, array in old.arrays.items()}
        now = _Snapshot(
            LAYOUT, "0.1.0", "", _IN_FORCE, old.partition, old.position, old.tick_at, old.elapsed,
            dict.fromkeys(old.commands, ""), {}, old.patients, old.devices, {},
        )  # fmt: skip
        return now, snapshot_before.later_as_now(snapshot_before.as_now(arrays))
    arrays = {key: array.read() for key, array in snapshot.arrays.items()}
    return snapshot, snapshot_before.later_as_now(arrays)


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """Snapshot files; a file is complete or absent, and durable when `write` returns."""

    folder: Path

    def write(self, name: str, content: bytes) -> None:
        """Blocks on the disk (fsync of file and folder)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f"{name}.draft"
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self.folder / name)
        except OSError:
            draft.unlink(missing_ok=True)  # on a full disk half a snapshot is in the way
            raise
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, name: str) -> bytes:
        """Raises SnapshotUnreadable if the file is not there."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise SnapshotUnreadable(name, error.strerror or "not there") from error

    def read_into(self, name: str, room: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], memoryview]:
        """(room, the file in its first bytes): this one (n,), or a new one where it is too small.

        Raises SnapshotUnreadable if the file is not there.
        """
        try:
            with (self.folder / name).open("rb", buffering=0) as file:
                size, done = os.fstat(file.fileno()).st_size, 0
                if size > len(room):
                    room = np.empty(size + size // 8, np.uint8)
                view = room.data
                while done < size and (n := file.readinto(view[done:size])):
                    done += n
        except OSError as error:
            raise SnapshotUnreadable(name, error.strerror or "not there") from error
        return room, view[:done]

    def delete(self, name: str) -> None:
        """Forget a file; it may be gone already."""
        (self.folder / name).unlink(missing_ok=True)

    def keep(self, names: Collection[str]) -> int:
        """Delete every other file (left over from a crash); returns how many."""
        if not self.folder.is_dir():
            return 0
        others = [path.name for path in self.folder.iterdir() if path.name not in names]
        for name in others:
            self.delete(name)
        return len(others)
