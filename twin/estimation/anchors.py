"""Anchors: the filter of a key as of a stamp after which alone anything can still come late.

The base of a key, before its ring, as it was when it moved over a full hour of measured time: a
function of the set of accepted measurements up to there. From it and the raw record after it the
estimates of the key follow bit for bit (`refilter.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.anchor import Anchor, Anchors
from twin.estimation.devices import ENTRIES, ENTRIES_BEFORE, NAMED, NAMED_ENTRIES, flagged
from twin.estimation.kalman import STATE
from twin.estimation.names import Names
from twin.estimation.robust import MEMORY, SPREAD

#: Of the bytes of an anchor: another number, another meaning; such an anchor is as good as none.
#: 1: memory without `SPREAD` and `TROUBLE`, which begin anew; 2: entries with a column a flag.
LAYOUT = 3
_NARROWER = {1: SPREAD}


@dataclass(frozen=True, slots=True)
class Anchored:
    """m bases of slots as they were before they moved over a full hour of measured time.

    by (m,) the event that moved each, at (m,) its stamp (ns); state (m, STATE), memory (m, MEMORY)
    and entries (m, ENTRIES): what `robust.py` and `devices.py` keep beside a state.
    """

    by: NDArray[np.int64]
    at: NDArray[np.int64]
    state: NDArray[np.float64]
    memory: NDArray[np.float32]
    entries: NDArray[np.float32]

    @classmethod
    def room(cls, n: int) -> Anchored:
        """Arrays for n of them."""
        return cls(
            np.empty(n, np.int64),
            np.empty(n, np.int64),
            np.empty((n, STATE)),
            np.empty((n, MEMORY), np.float32),
            np.empty((n, ENTRIES), np.float32),
        )

    def first(self, n: int) -> Anchored:
        """The first n."""
        return Anchored(self.by[:n], self.at[:n], self.state[:n], self.memory[:n], self.entries[:n])

    @classmethod
    def in_order(cls, parts: Sequence[Anchored], slot: NDArray[np.int64]) -> Anchored:
        """All of the parts, in order of the slots (n,) of the events that moved them."""
        by, at, state, memory, entries = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("by", "at", "state", "memory", "entries")
        )
        order = np.argsort(slot[by], kind="stable")
        return cls(by[order], at[order], state[order], memory[order], entries[order])


class _Body(msgspec.Struct, frozen=True, array_like=True):
    layout: int
    devices: tuple[str, ...]
    state: bytes
    memory: bytes
    entries: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)


def packed(
    state: NDArray[np.float64],
    memory: NDArray[np.float32],
    entries: NDArray[np.float32],
    devices: Sequence[str],
) -> bytes:
    """One base as bytes: state (STATE,), memory (MEMORY,), entries (ENTRIES,); devices: names by
    number. Equal bases give equal bytes, whatever numbers their devices have."""
    memory, entries = memory.copy(), entries.copy()
    named = [(memory, column) for column in NAMED] + [(entries, c) for c in NAMED_ENTRIES]
    names = {n: devices[n] for row, column in named if (n := int(row[column])) >= 0}
    known = sorted(set(names.values()))
    for row, column in named:
        if row[column] >= 0:
            row[column] = known.index(names[int(row[column])])
    several = bool((entries[list(NAMED_ENTRIES)] >= 0).any())
    return _encoder.encode(
        _Body(
            LAYOUT,
            tuple(known),
            state.astype("<f8").tobytes(),
            memory.astype("<f4").tobytes(),
            entries.astype("<f4").tobytes() if several else b"",
        )
    )


@dataclass(frozen=True, slots=True)
class Base:
    """One base, to go on from: state (STATE,), memory (MEMORY,), entries (ENTRIES,)."""

    state: NDArray[np.float64]
    memory: NDArray[np.float32]
    entries: NDArray[np.float32]


def unpacked(body: bytes, devices: Names) -> Base | None:
    """The inverse of `packed`, with the numbers of `devices`; None: of another layout."""
    try:
        read = _decoder.decode(body)
    except msgspec.DecodeError:
        return None
    width = _NARROWER.get(read.layout, MEMORY)
    columns = ENTRIES if read.layout == LAYOUT else ENTRIES_BEFORE
    sizes = (len(read.state), len(read.memory), len(read.entries) or 4 * columns)
    if not 1 <= read.layout <= LAYOUT or sizes != (8 * STATE, 4 * width, 4 * columns):
        return None
    memory = np.pad(np.frombuffer(read.memory, "<f4"), (0, MEMORY - width))
    entries = np.zeros(ENTRIES, np.float32)
    entries[list(NAMED_ENTRIES)] = -1.0
    if read.entries:
        entries = np.frombuffer(read.entries, "<f4").copy()
        if columns == ENTRIES_BEFORE:
            (entries,) = flagged(entries[None, :])
    for row, named in ((memory, NAMED), (entries, NAMED_ENTRIES)):
        for column in named:
            if row[column] >= 0:
                row[column] = devices.number(read.devices[int(row[column])])
    return Base(np.frombuffer(read.state, "<f8"), memory, entries)


def anchors_by_partition(
    anchored: Sequence[Anchored],
    keys: Mapping[str, NDArray[Any]],
    patients: Sequence[str],
    signals: Sequence[str],
    devices: Sequence[str],
    model: str,
) -> Iterator[tuple[int, Anchors]]:
    """(partition, what the journal keeps), in order of partition, patient and event.

    keys: of each event its `partition`, `patient` and `signal`, numbers that index the names.
    """
    whole = [(part, i) for part in anchored for i in range(len(part.by))]
    if not whole:
        return
    event = np.array([part.by[i] for part, i in whole])
    partition, patient = keys["partition"][event], keys["patient"][event]
    order = np.lexsort((event, patient, partition))
    cuts = np.flatnonzero(np.diff(partition[order], prepend=-1, append=-1))
    for begin, end in pairwise(cuts.tolist()):
        chosen = order[begin:end].tolist()
        made = [
            Anchor(
                patients[patient[n]],
                signals[keys["signal"][event[n]]],
                int(part.at[i]),
                packed(part.state[i], part.memory[i], part.entries[i], devices),
            )
            for n in chosen
            for part, i in [whole[n]]
        ]
        yield int(partition[order[begin]]), Anchors(model, tuple(made))
