"""Alarms and scores as records of the estimates journal."""

from __future__ import annotations

from math import nan

import pytest

from ingest.observation import RecordDamaged
from twin.estimate import decode_output, encode_output
from twin.judgement import (
    PARAMETERS,
    Alarm,
    AlarmEvent,
    AlarmKind,
    AlarmState,
    Chances,
    Component,
    Judgements,
    Priority,
    Score,
)

ALARM = Alarm(
    "3f9a", "p1", "spo2", AlarmKind.PHYSIOLOGICAL, "spo2/high/low", Priority.HIGH,
    AlarmState.ACTIVE, AlarmEvent.RAISED, 20, 20, 83.5, 0.6, 82.0, 85.0, "low", 0.97,
    "below_limit", "base-1+ab",
)  # fmt: skip
CHANCES = Chances(5.5, 0.9, 0.2, 0.95)
SCORE = Score(
    "p1", 20, 5, False, True, 1, CHANCES, CHANCES,
    tuple(Component(name, 1, 92.0, 10, "device") for name in PARAMETERS),
)  # fmt: skip


def with_(**changes: object) -> Alarm:
    fields = {name: getattr(ALARM, name) for name in ALARM.__struct_fields__}
    return Alarm(**fields | changes)


def test_what_is_read_is_what_was_written() -> None:
    said = Judgements((ALARM,), (SCORE,))
    assert decode_output(encode_output(said)) == said


def test_a_flipped_byte_is_damage() -> None:
    record = bytearray(encode_output(Judgements((ALARM,), ())))
    record[-3] ^= 4
    with pytest.raises(RecordDamaged, match="checksum"):
        decode_output(bytes(record))


def test_a_missing_number_survives_the_journal() -> None:
    read = decode_output(encode_output(Judgements((with_(limit=nan),), ())))
    assert isinstance(read, Judgements)
    assert read.alarms[0].limit != read.alarms[0].limit


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "active"),
        ({"unverified": True}, "unverified"),
        ({"unverified": True, "paused_until": 99}, "paused"),
        ({"event": AlarmEvent.ESCALATED, "escalation": 1}, "escalated"),
        ({"event": AlarmEvent.SEEN, "escalation": 1}, "escalated"),
        ({"state": AlarmState.ACKNOWLEDGED, "unverified": True}, "unverified"),
        ({"state": AlarmState.LATCHED, "unverified": True}, "latched"),
        ({"state": AlarmState.CLOSED, "paused_until": 99}, "closed"),
    ],
)
def test_the_state_in_one_word(changes: dict[str, object], shown: str) -> None:
    assert with_(**changes).shown == shown
