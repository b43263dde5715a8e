"""NEWS2 scores of one tick as they go through the estimates journal and lie in the embedded store.

As objects in MessagePack a score took 317 bytes and more, whatever was known of the patient: seven
parameters by name, each chance in nine bytes. Here a score is a row of fixed layout, with rows of
the parameters that are known alone, and of the chances those that are not zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.judgement import PARAMETERS, Chances, Component, Score

#: A score. score: sum of the points that are known; marks: as flags; present: bit k says that the
#: k-th of `PARAMETERS` has a PART_ROW, likely: that the k-th of CHANCES is not zero.
HEAD_ROW = np.dtype([("score", "u1"), ("marks", "u1"), ("present", "u1"), ("likely", "u1")])
COMPLETE, ANY3, SCALE_2 = 1, 2, 4
#: A parameter of which something is known, as in `Component`. by: who entered it (place in the
#: table of actors), BY_DEVICE: a device measured it.
PART_ROW = np.dtype([("points", "i1"), ("by", "<u2"), ("value", "<f8"), ("at", "<i8")])
BY_DEVICE = 0xFFFF
#: So many of a score: now, then in an hour, each in the order of `twin.judgement.Chances`.
CHANCES = 8

_HALF = CHANCES // 2
_UNKNOWN = tuple(Component(parameter, -1, float("nan"), 0) for parameter in PARAMETERS)
#: Of each `present`: the places that it names.
_PLACES = [[k for k in range(len(PARAMETERS)) if bits >> k & 1] for bits in range(256)]
_COUNT = np.array([bits.bit_count() for bits in range(256)], np.int64)
_HEAD, _PART = HEAD_ROW.itemsize, PART_ROW.itemsize


@dataclass(frozen=True, slots=True, eq=False)
class ScoreRows(Sequence[Score]):
    """n computed scores (not validated ones) as of a tick `at`; each is a `Score` when looked at.

    patients: (n,) whose score each is. heads: (n,) HEAD_ROW; parts: PART_ROW of what the heads name
    as present, one score after the other, in the order of `PARAMETERS`; chances: float64, likewise
    of what they name as likely. Reading them as objects costs some µs each: who only passes them on
    does not.
    """

    at: int
    model: str
    patients: tuple[str, ...]
    actors: tuple[str, ...]
    heads: NDArray[Any]
    parts: NDArray[Any]
    chances: NDArray[np.float64]

    def read(self) -> tuple[Score, ...]:
        """All of them."""
        return tuple(self)

    @overload
    def __getitem__(self, place: int) -> Score: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Score, ...]: ...
    def __getitem__(self, place: int | slice) -> Score | tuple[Score, ...]:
        return self.read()[place]

    def __len__(self) -> int:
        return len(self.patients)

    def __iter__(self) -> Iterator[Score]:
        parts = zip(*(self.parts[name].tolist() for name in PART_ROW.names or ()), strict=True)
        chances = np.zeros((len(self), CHANCES))
        chances[_likely(self.heads)] = self.chances
        heads = zip(self.patients, self.heads.tolist(), chances.tolist(), strict=True)
        for patient, (score, marks, present, _), of in heads:
            components = list(_UNKNOWN)
            for k in _PLACES[present]:
                points, by, value, at = next(parts)
                source, actor = ("device", "") if by == BY_DEVICE else ("entry", self.actors[by])
                components[k] = Component(PARAMETERS[k], points, value, at, source, actor)
            yield Score(
                patient,
                self.at,
                score,
                marks & COMPLETE != 0,
                marks & ANY3 != 0,
                2 if marks & SCALE_2 else 1,
                Chances(*of[:_HALF]),
                Chances(*of[_HALF:]),
                tuple(components),
                self.model,
            )

    def bodies(self) -> Iterator[bytes]:
        """Each score by itself, without patient and moment: `score_of` reads it."""
        heads, parts, chances = (of.tobytes() for of in (self.heads, self.parts, self.chances))
        part_ends = (np.cumsum(_COUNT[self.heads["present"]]) * _PART).tolist()
        chance_ends = (np.cumsum(_COUNT[self.heads["likely"]]) * 8).tolist()
        part = chance = 0
        for n, (part_end, chance_end) in enumerate(zip(part_ends, chance_ends, strict=True)):
            actors, said = self.actors, parts[part:part_end]
            if actors:
                actors, rows = own_actors(actors, np.frombuffer(said, PART_ROW))
                said = rows.tobytes()
            head = heads[n * _HEAD : (n + 1) * _HEAD]
            yield _encode(_Body(self.model, actors, head, said, chances[chance:chance_end]))
            part, chance = part_end, chance_end


def _likely(heads: NDArray[Any]) -> NDArray[np.bool_]:
    """(n, CHANCES): which chances are not zero."""
    return np.unpackbits(heads["likely"][:, None], axis=1, bitorder="little").astype(bool)


def own_actors(
    actors: tuple[str, ...], parts: NDArray[Any]
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """The actors whom these rows (PART_ROW) name, and the rows as they name these: nobody else's
    names stand beside them."""
    by_hand = parts["by"] != BY_DEVICE
    if not by_hand.any():
        return (), parts
    rows = parts.copy()
    found, rows["by"][by_hand] = np.unique(parts["by"][by_hand], return_inverse=True)
    return tuple(actors[n] for n in found.tolist()), rows


class RowsWire(msgspec.Struct, frozen=True, array_like=True):
    """`ScoreRows` in a record."""

    at: int
    model: str
    patients: tuple[str, ...]
    actors: tuple[str, ...]
    heads: bytes
    parts: bytes
    chances: bytes


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """One score in the store, beside its patient and moment; as RowsWire."""

    model: str
    actors: tuple[str, ...]
    head: bytes
    parts: bytes
    chances: bytes


_encode = msgspec.msgpack.Encoder().encode
_body = msgspec.msgpack.Decoder(_Body)


def wire_of(rows: ScoreRows) -> RowsWire:
    """As it is written."""
    columns = (of.tobytes() for of in (rows.heads, rows.parts, rows.chances))
    return RowsWire(rows.at, rows.model, rows.patients, rows.actors, *columns)


def rows_of(wire: RowsWire) -> ScoreRows:
    """The inverse. Raises ValueError: columns that do not belong together, unknown actors."""
    heads, parts = np.frombuffer(wire.heads, HEAD_ROW), np.frombuffer(wire.parts, PART_ROW)
    chances = np.frombuffer(wire.chances, np.float64)
    if len(heads) != len(wire.patients):
        raise ValueError("as many scores as patients are expected")
    if (heads["present"] >> len(PARAMETERS)).any() or (
        int(_COUNT[heads["present"]].sum()) != len(parts)
        or int(_COUNT[heads["likely"]].sum()) != len(chances)
    ):
        raise ValueError("other rows than a score's head says")
    by = parts["by"][parts["by"] != BY_DEVICE]
    if len(by) and by.max() >= len(wire.actors):
        raise ValueError("a row names an actor outside its table")
    return ScoreRows(wire.at, wire.model, wire.patients, wire.actors, heads, parts, chances)


def score_of(patient: str, at: int, body: bytes) -> Score:
    """One of `ScoreRows.bodies`. Raises msgspec.DecodeError, ValueError: another layout."""
    of = _body.decode(body)
    wire = RowsWire(at, of.model, (patient,), of.actors, of.head, of.parts, of.chances)
    (score,) = rows_of(wire)
    return score
