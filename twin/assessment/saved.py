"""The assessment's memory of one partition as bytes, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.assessment.alarm import HeldPause, Standing
from twin.assessment.limits import Levels
from twin.judgement import AlarmState

if TYPE_CHECKING:
    from twin.assessment.assessment import Assessment

LAYOUT = 1


class _Array(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    shape: tuple[int, ...]
    content: bytes

    def read(self) -> NDArray[Any]:
        return np.frombuffer(self.content, np.dtype(self.kind)).reshape(self.shape)


class _Kept(msgspec.Struct, frozen=True):
    """Everything of one partition; `of` is the place of a patient in `patients`."""

    layout: int
    patients: tuple[str, ...]
    arrays: dict[str, _Array]
    standing: tuple[tuple[int, Standing, bool], ...]  # of, the alarm, whether it is the current one
    pauses: tuple[tuple[int, HeldPause], ...]
    closed: dict[str, str]
    actors: tuple[tuple[int, int, str], ...]  # of, column, who
    levels: Levels
    alarms_on: bool
    mode: str
    elapsed: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Kept)


def packed(assessment: Assessment, partition: int) -> bytes:
    """Everything known of the partition."""
    mask = np.zeros(len(assessment.partitions), bool)
    mask[partition] = True
    numbers = assessment.members(mask)
    place = {number: n for n, number in enumerate(numbers.tolist())}
    here, alarms = assessment.partitions[partition], assessment.open
    kept = _Kept(
        LAYOUT,
        tuple(assessment.bank.patients.text[n] for n in place),
        {
            name: _Array(array.dtype.str, array.shape, array.tobytes())
            for name, array in assessment.memory.take(numbers).items()
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
            for (number, column), actor in assessment.actors.items()
            if number in place
        ),
        here.levels,
        here.alarms_on,
        here.mode,
        here.elapsed,
    )
    return _encoder.encode(kept)


def unpack(assessment: Assessment, partition: int, content: bytes) -> None:
    """Put what `packed` gave into an assessment that knows nothing of the partition.

    Raises ValueError: another layout.
    """
    try:
        kept = _decoder.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if kept.layout != LAYOUT:
        raise ValueError(f"layout {kept.layout}, this code reads {LAYOUT}")
    numbers = np.array([assessment.bank.number_of(one) for one in kept.patients], np.int64)
    assessment.memory.grow(len(assessment.bank.patients))
    assessment.memory.put(numbers, {name: array.read() for name, array in kept.arrays.items()})
    here, alarms = assessment.partitions[partition], assessment.open
    here.levels, here.alarms_on = kept.levels, kept.alarms_on
    here.mode, here.elapsed = kept.mode, kept.elapsed
    for of, standing, current in kept.standing:
        number = int(numbers[of])
        alarms.put(number, standing, current)
    for of, pause in kept.pauses:
        alarms.set_pause(int(numbers[of]), pause)
    alarms.closed[partition] = kept.closed
    for of, column, actor in kept.actors:
        assessment.actors[int(numbers[of]), column] = actor
    assessment.resolve_all([partition])
