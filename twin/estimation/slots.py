"""Arrays of the bank's slots and of their rings, growing by doubling.

Slots first: the sequential kernel touches one slot's row at a time. What it touches at every event
lies together, one record a slot, one a ring member, and the arrays are views into these records: a
sweep waits for few streams of memory, and a key at random for few cache lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.estimation.consistency import TALLIED, TALLY
from twin.estimation.devices import ENTRIES
from twin.estimation.kalman import NEVER, STATE
from twin.estimation.robust import MEMORY
from twin.estimation.tracker import FORECASTS, HORIZONS, WAITING
from twin.estimation.usual import ROOT, USUAL

#: name, dtype, width (0 = one number a slot), filled with.
_SLOT_ARRAYS: tuple[tuple[str, Any, int, int], ...] = (
    ("state", np.float64, STATE, 0),
    ("base", np.float64, STATE, 0),
    ("memory", np.float32, MEMORY, 0),
    ("base_memory", np.float32, MEMORY, 0),
    ("entries", np.float32, ENTRIES, 0),
    ("base_entries", np.float32, ENTRIES, 0),
    ("state_t", np.int64, 0, NEVER),
    ("base_t", np.int64, 0, NEVER),
    ("model", np.int16, 0, 0),
    ("patient", np.int32, 0, -1),
    ("ring_start", np.int32, 0, 0),  # in the ring arrays
    ("ring_head", np.int16, 0, 0),  # index of the oldest
    ("ring_size", np.int16, 0, 0),
    ("ring_n", np.int16, 0, 0),
    ("due", np.uint32, 0, 0),  # whole seconds: no earlier forecast waits for its reading
    ("target", np.uint32, WAITING * HORIZONS, 0),
    ("waiting", np.int16, FORECASTS, 0),
    ("status", np.uint8, 0, 0),
    ("coasted", np.uint32, 0, 0),  # when it last gave a coasting row, whole seconds
    ("declared", np.uint16, 0, 0),  # s between values by the newest one's device, 0: not said
    ("forecast_at", np.uint32, 0, 0),  # the stamp that was last forecast from, whole seconds
    ("shares", np.int16, TALLIED * TALLY, 0),
    ("share_device", np.int32, TALLIED, -1),
    ("usual", np.float32, USUAL, 0),
    ("usual_root", np.int16, ROOT, 0),
    ("usual_hour", np.int32, 0, 0),  # last learnt of, since the epoch
)
_RING_ARRAYS: tuple[tuple[str, Any, int, int], ...] = (
    ("ring_t", np.int64, 0, 0),
    ("ring_z", np.float32, 0, 0),
    ("ring_r", np.float32, 0, 0),
    ("ring_device", np.int32, 0, 0),
)


def _record(names: Sequence[str], kinds: Sequence[tuple[str, Any, int, int]]) -> np.dtype[Any]:
    of = {name: (name, kind, (width,)) if width else (name, kind) for name, kind, width, _ in kinds}
    return np.dtype([of[name] for name in names], align=True)


#: Records: what of one slot, or of one ring member, lies together, in this order. Wider numbers
#: come first, so that nothing is padded between them, nor at the end.
SLOT = _record(
    (
        "state", "state_t", "base_t", "base", "memory", "base_memory", "due", "share_device",
        "ring_start", "patient", "forecast_at", "shares", "ring_head", "ring_n", "ring_size",
        "model",
    ),
    _SLOT_ARRAYS,
)  # fmt: skip
MEMBER = _record(("ring_z", "ring_r", "ring_device"), _RING_ARRAYS)
_LINE = 64


def filled(shape: int | tuple[int, ...], kind: Any, filling: float) -> NDArray[Any]:
    """An array filled with a number. Zeros take no memory and no time before they are touched."""
    return np.full(shape, filling, kind) if filling else np.zeros(shape, kind)


def _arrays(
    kinds: Sequence[tuple[str, Any, int, int]], capacity: int, together: np.dtype[Any]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
    """Arrays of these names, types and widths, filled; views of the records where they lie
    together, and the records as bytes."""
    records = _records(capacity, together)
    made: dict[str, NDArray[Any]] = {name: records[name] for name in together.names or ()}
    for name, kind, width, filling in kinds:
        if name not in made:
            made[name] = filled((capacity, width) if width else capacity, kind, filling)
        elif filling:
            made[name][...] = filling
    return made, records.view(np.uint8)


def _records(n: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """n records of zeros, the first of which begins a cache line."""
    room = np.zeros(n * kind.itemsize + _LINE, np.uint8)
    begin = -room.ctypes.data % _LINE
    return room[begin : begin + n * kind.itemsize].view(kind)


class Slots:
    """`of[name]` are the arrays, (capacity, width) or (capacity,); `count` slots are handed out.

    slot_bytes, member_bytes: the records of which some of them are views, for the kernel.
    """

    def __init__(self) -> None:
        self.of: dict[str, NDArray[Any]] = {}
        #: (capacity,) as `status.grow_old` has it; 0: the next tick looks. In no snapshot.
        self.rests_until = np.zeros(0, np.uint32)
        self.count = 0
        self.ring_count = 0
        # A column of no or one record counts as contiguous, and a kernel is compiled anew for it.
        self._grow_slots(2)
        self._grow_rings(2)

    def add(self, slots: int) -> int:
        """Hand out so many slots in a row; returns the first."""
        first, self.count = self.count, self.count + slots
        if self.count > len(self.of["state_t"]):
            self._grow_slots(max(self.count, 2 * len(self.of["state_t"])))
        return first

    def reserve(self, times: float) -> None:
        """Room for so many times what is handed out, so that it need not grow on the way there."""
        if times * self.count > len(self.of["state_t"]):
            self._grow_slots(int(times * self.count))
        if times * self.ring_count > len(self.of["ring_t"]):
            self._grow_rings(int(times * self.ring_count))

    def open_ring(self, slot: int, size: int) -> None:
        """Give the slot a ring of `size` measurements."""
        self.of["ring_start"][slot], self.ring_count = self.ring_count, self.ring_count + size
        self.of["ring_size"][slot] = size
        if self.ring_count > len(self.of["ring_t"]):
            self._grow_rings(max(self.ring_count, 2 * len(self.of["ring_t"]), 4096))

    def _open_rings(self, slots: NDArray[np.int64]) -> None:
        """Give each of these slots a ring of its `ring_size`, one after another."""
        ends = self.ring_count + np.cumsum(self.of["ring_size"][slots], dtype=np.int64)
        if not len(ends):
            return
        self.of["ring_start"][slots] = ends - self.of["ring_size"][slots]
        self.ring_count = int(ends[-1])
        if self.ring_count > len(self.of["ring_t"]):
            self._grow_rings(max(self.ring_count, 2 * len(self.of["ring_t"]), 4096))

    def _grow_slots(self, capacity: int) -> None:
        grown, self.slot_bytes = _arrays(_SLOT_ARRAYS, capacity, SLOT)
        self._replace(grown)
        resting = np.zeros(capacity, np.uint32)
        resting[: len(self.rests_until)] = self.rests_until
        self.rests_until = resting

    def _grow_rings(self, capacity: int) -> None:
        grown, self.member_bytes = _arrays(_RING_ARRAYS, capacity, MEMBER)
        self._replace(grown)

    def _replace(self, grown: Mapping[str, NDArray[Any]]) -> None:
        for name, array in grown.items():
            old = self.of.get(name)
            if old is not None:
                array[: len(old)] = old
            self.of[name] = array

    def wake(self, slots: NDArray[np.int64] | None = None) -> None:
        """Look at these slots (None: at all) at the next tick: something of them changed."""
        self.rests_until[slice(None) if slots is None else slots] = 0

    def ring_index(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indexes into the ring arrays of these slots' measurements, slot by slot, oldest first."""
        n = self.of["ring_n"][slots].astype(np.int64)
        start, head, size = (
            np.repeat(self.of[name][slots].astype(np.int64), n)
            for name in ("ring_start", "ring_head", "ring_size")
        )
        nth = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        return np.asarray(start + (head + nth) % np.maximum(size, 1), np.int64)

    def take(self, slots: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Copies of everything these slots hold; rings packed in slot order."""
        part = {name: self.of[name][slots] for name, *_ in _SLOT_ARRAYS}
        index = self.ring_index(slots)
        return part | {name: self.of[name][index] for name, *_ in _RING_ARRAYS}

    def put(self, part: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        """The inverse of `take` into new slots; returns their numbers, in the order taken.

        An array that is not in `part` (an older snapshot) stays as it is of a new slot.
        """
        n = len(part["state_t"])
        first = self.add(n)
        slots = np.arange(first, self.count, dtype=np.int64)
        for name, *_ in _SLOT_ARRAYS:
            if name in part:
                self.of[name][first : self.count] = part[name]
        self._open_rings(slots)
        self.of["ring_head"][slots] = 0  # `take` packed the oldest first
        index = self.ring_index(slots)
        for name, *_ in _RING_ARRAYS:
            self.of[name][index] = part[name]
        return slots
