"""Compile, or load from the cache, every kernel that a step uses, before anything waits for it: a
worker does it before it reads."""

from __future__ import annotations

from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS
from ingest.observation import (
    Command,
    DeviceId,
    DeviceState,
    DeviceStates,
    Observation,
    PatientId,
    Record,
    SignalCode,
    Tick,
    batch_of,
    encode_record,
)
from twin.intake.page import PageReader
from twin.step import Placed, new_state, step

_BEGIN = 1_700_000_000 * SECOND
_USUAL = {"heart_rate": 72.0, "respiratory_rate": 15.0, "spo2": 97.0}
#: From so many seconds on the heart rate is as much higher: a step is held.
_STEPS, _HIGHER = 30, 60.0
#: More than a ring holds, so that its oldest member goes into the base.
_SECONDS = 40


def warm_up() -> None:
    """Step a ward of one for a while; takes a second, or half a minute where it must compile."""
    records: list[Record] = [
        Command("warm", "alarm_settings", "warm", _BEGIN, {"mode": "research", "alarms": True}),
        DeviceStates((DeviceState("watch", "nobody", _BEGIN, _BEGIN, battery=0.5),)),
    ]
    for second in range(_SECONDS):
        at = _BEGIN + second * SECOND
        records += [batch_of(_said(at)), Tick(at + SECOND // 2, True)]
    state = new_state(1)
    step(state, [_placed(n, record) for n, record in enumerate(records, 1)])
    PageReader(state.bank.patients, state.devices).read([encode_record(batch_of(_said(_BEGIN)))])


def _said(at: int) -> list[Observation]:
    """Each signal by two devices; the second one sometimes late."""
    stepped = at >= _BEGIN + _STEPS * SECOND
    values = _USUAL | {"heart_rate": _USUAL["heart_rate"] + _HIGHER * stepped}
    return [
        Observation(
            PatientId("nobody"), DeviceId(device), SignalCode(code), value, at - late, at, at
        )
        for device, late in (("watch", 0), ("patch", at // SECOND % 5 * SECOND))
        for code, value in values.items()
    ]


def _placed(position: int, record: Record) -> Placed:
    everywhere = isinstance(record, Tick | Command)
    return Placed(ALL_PARTITIONS if everywhere else 0, position, record)
