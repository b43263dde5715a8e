"""The assessment's memory of one partition as bytes, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import BEFORE_NAMES, CODES, rows_of
from twin.assessment.alarm import HeldPause, Standing
from twin.assessment.limits import Levels
from twin.judgement import AlarmState

if TYPE_CHECKING:
    from twin.assessment.knowledge import Knowledge

LAYOUT = 1


class _Array(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    shape: tuple[int, ...]
    content: memoryview

    def read(self) -> NDArray[Any]:
        return np.frombuffer(self.content, np.dtype(self.kind)).reshape(self.shape)


class _Kept(msgspec.Struct, frozen=True):
    """Everything of one partition; `of` is the place of a patient in `patients`.

    signals: those the arrays hold, which are those that were seen: of most patients few are.
    """

    layout: int
    patients: tuple[str, ...]
    arrays: dict[str, _Array]
    standing: tuple[tuple[int, Standing, bool], ...]  # of, the alarm, whether it is the current one
    pauses: tuple[tuple[int, HeldPause], ...]
    closed: dict[str, str]
    actors: tuple[tuple[int, int, str], ...]  # of, column, who
    silent: tuple[tuple[int, str, int], ...]  # of, device, why
    levels: Levels
    alarms_on: bool
    mode: str
    elapsed: int
    signals: tuple[str, ...] = BEFORE_NAMES


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Kept)


def packed(known: Knowledge, partition: int) -> bytes:
    """Everything known of the partition."""
    mask = np.zeros(len(known.partitions), bool)
    mask[partition] = True
    numbers = known.members(mask)
    place = {number: n for n, number in enumerate(numbers.tolist())}
    here, alarms = known.partitions[partition], known.open
    signals = known.memory.seen(numbers)
    kept = _Kept(
        LAYOUT,
        tuple(known.bank.patients.text[n] for n in place),
        {
            name: _Array(array.dtype.str, array.shape, memoryview(array.tobytes()))
            for name, array in known.memory.take(numbers, signals).items()
        },
        tuple(
            (place[one.number], one.standing, one.standing.row.state != AlarmState.LATCHED)
            for one in alarms.places()
            if one.number in place
        ),
        tuple(
            (place[number], pause)
            for number, mine in alarms.pauses.items()
            if number in place
            for pause in mine.values()
        ),
        dict(alarms.closed.get(partition, {})),
        tuple(
            (place[number], column, actor)
            for (number, column), actor in known.actors.items()
            if number in place
        ),
        tuple(
            (place[number], device, cause)
            for number, mine in known.equipment.silent.items()
            if number in place
            for device, cause in mine.items()
        ),
        here.levels,
        here.alarms_on,
        here.mode,
        here.elapsed,
        tuple(CODES[row] for row in signals.tolist()),
    )
    return _encoder.encode(kept)


def unpack(known: Knowledge, partition: int, content: bytes | memoryview) -> None:
    """Put what `packed` gave into a knowledge that has nothing of the partition.

    Raises ValueError: another layout.
    """
    try:
        kept = _decoder.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if kept.layout != LAYOUT:
        raise ValueError(f"layout {kept.layout}, this code reads {LAYOUT}")
    numbers = np.array(known.bank.numbers_in(partition, kept.patients), np.int64)
    known.memory.grow(known.bank.room)
    arrays = {name: array.read() for name, array in kept.arrays.items()}
    known.memory.put(numbers, arrays, np.array(rows_of(kept.signals), np.int64))
    here, alarms = known.partitions[partition], known.open
    here.levels, here.alarms_on = kept.levels, kept.alarms_on
    here.mode, here.elapsed = kept.mode, kept.elapsed
    for of, standing, current in kept.standing:
        number = int(numbers[of])
        alarms.put(number, standing, current)
    for of, pause in kept.pauses:
        alarms.set_pause(int(numbers[of]), pause)
    alarms.closed[partition] = kept.closed
    for of, column, actor in kept.actors:
        known.actors[int(numbers[of]), column] = actor
    for of, device, cause in kept.silent:
        known.equipment.put(int(numbers[of]), device, cause)
    known.resolve_all([partition])
