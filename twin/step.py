"""The pure step: records of the observations journal → the state moved on, rows for `estimates`.

intake → estimation → (assessment). No clock, no thread, no file: every time comes from the records,
so replaying the same journal gives the same rows, wherever batches were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ingest.instant import SECOND
from ingest.observation import Command, ObservationBatch, Record, Tick

from twin.estimate import EstimateBatch, Outcome
from twin.estimation.bank import Bank, Events
from twin.estimation.models import ModelError, ModelFile, base_model, parse_model
from twin.estimation.names import Names
from twin.intake.arrivals import Arrivals, arrivals
from twin.rows import RowBuilder

#: A tick nearer to the last one than this (several ingest processes tick) changes nothing.
TICK_MINIMUM = SECOND // 2
#: At most this much journal time passes between two ticks for delays and dwell.
TICK_LONGEST = 3 * SECOND
REMEMBERED_COMMANDS = 10_000

Output = EstimateBatch | Outcome


@dataclass(slots=True)
class TwinState:
    """Everything that has a memory. One worker's partitions; moved on only by `step`."""

    bank: Bank
    devices: Names = field(default_factory=Names)
    tick_at: int | None = None
    elapsed: int = 0
    commands: dict[str, None] = field(default_factory=dict)


def new_state(partitions: int, model: ModelFile | None = None) -> TwinState:
    """A twin that knows nobody yet."""
    return TwinState(Bank(model or base_model(), partitions))


def step(
    state: TwinState, records: Iterable[tuple[int, Record]]
) -> tuple[TwinState, Mapping[int, Sequence[Output]]]:
    """Take in (partition, record) pairs in journal order; returns (state, outputs by partition).

    `state` is moved on in place and returned. Ticks and commands act at their place in the order.
    """
    outputs: dict[int, list[Output]] = {}
    waiting: list[ObservationBatch] = []
    for partition, record in records:
        if isinstance(record, ObservationBatch):
            waiting.append(record)
            continue
        _observe(state, waiting, outputs)
        waiting = []
        if isinstance(record, Tick):
            _tick(state, record, outputs)
        else:
            outputs.setdefault(max(partition, 0), []).append(_obey(state, record))
    _observe(state, waiting, outputs)
    return state, outputs


def _observe(
    state: TwinState, batches: Sequence[ObservationBatch], outputs: dict[int, list[Output]]
) -> None:
    if not batches:
        return
    arrived = arrivals(batches, state.bank, state.devices)
    rows = RowBuilder(state.bank, state.devices)
    slot = np.full(len(arrived), -1, np.int64)
    known = arrived.signal >= 0
    slot[known] = state.bank.find(arrived.patient[known], arrived.signal[known])
    modelled = np.flatnonzero(slot >= 0)
    rows.refuse(arrived, np.flatnonzero(slot < 0), "no_model")
    events = _events(arrived, modelled, slot[modelled])
    rows.add(arrived, modelled, events.slot, state.bank.update(events))
    for partition, batch in rows.batches():
        outputs.setdefault(partition, []).append(batch)


def _events(arrived: Arrivals, chosen: np.ndarray, slot: np.ndarray) -> Events:  # type: ignore[type-arg]
    rows = arrived.rows[chosen]
    return Events(
        slot,
        np.ascontiguousarray(rows["measured_at"]),
        np.ascontiguousarray(rows["value"]),
        np.ascontiguousarray(rows["noise_std"]),
        np.ascontiguousarray(rows["quality"]),
        arrived.device[chosen].astype(np.int32),
    )


def _tick(state: TwinState, tick: Tick, outputs: dict[int, list[Output]]) -> None:
    if state.tick_at is not None:
        passed = tick.at - state.tick_at
        if 0 <= passed < TICK_MINIMUM:
            return
        state.elapsed += min(max(passed, 0), TICK_LONGEST)
    state.tick_at = tick.at
    rows = RowBuilder(state.bank, state.devices)
    rows.age(tick.at)
    for partition, batch in rows.batches():
        outputs.setdefault(partition, []).append(batch)


def _obey(state: TwinState, command: Command) -> Outcome:
    if command.id in state.commands:
        return Outcome(command.id, True, "already done", command.issued_at)
    state.commands[command.id] = None
    while len(state.commands) > REMEMBERED_COMMANDS:
        del state.commands[next(iter(state.commands))]
    if command.kind == "model":
        try:
            state.bank.adopt(parse_model(str(command.body.get("content")), "command model"))
        except ModelError as error:
            return Outcome(command.id, False, str(error), command.issued_at)
        return Outcome(command.id, True, "", command.issued_at)
    if command.kind in ("binding", "patient"):
        return Outcome(command.id, True, "", command.issued_at)
    return Outcome(command.id, False, f"unknown kind {command.kind!r}", command.issued_at)
