"""`Judgements` as a record of the estimates journal."""

from __future__ import annotations

import msgspec

from twin.judgement import Alarm, Entered, Judgements, LimitSet, Pause, Score, Switched
from twin.personal import Change, Consistency
from twin.score_row import RowsWire, ScoreRows, rows_of, wire_of


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    """The fields of `Judgements`, and rows of scores: before 2026-11-27 all scores were objects, a
    validated one still is."""

    alarms: tuple[Alarm, ...] = ()
    scores: tuple[Score, ...] = ()
    limits: tuple[LimitSet, ...] = ()
    pauses: tuple[Pause, ...] = ()
    switched: tuple[Switched, ...] = ()
    changes: tuple[Change, ...] = ()
    entries: tuple[Entered, ...] = ()
    consistency: tuple[Consistency, ...] = ()
    rows: RowsWire | None = None


_encode = msgspec.msgpack.Encoder().encode
_wire = msgspec.msgpack.Decoder(_Wire)


def encode_judgements(said: Judgements) -> bytes:
    """The body of a record."""
    if not isinstance(said.scores, ScoreRows):
        return _encode(said)
    alarms, _, *others = msgspec.structs.astuple(said)
    return _encode((alarms, (), *others, wire_of(said.scores)))  # as `_Wire`


def decode_judgements(body: bytes) -> Judgements:
    """The inverse. Raises msgspec.DecodeError, ValueError: another layout."""
    alarms, scores, *others, rows = msgspec.structs.astuple(_wire.decode(body))
    return Judgements(alarms, scores if rows is None else rows_of(rows), *others)
