"""The pure step: records of the observations journal → the state moved on, rows for `estimates`.

intake → estimation → the other parts of the state. No clock, no thread, no file: every time comes
from the records, so replaying the same journal gives the same rows, wherever batches were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS
from ingest.observation import Command, DeviceStates, ObservationBatch, Record, Tick
from twin.assessment.activity_response import ActivityResponse
from twin.assessment.assessment import Assessment
from twin.assessment.change_index import ChangeIndex
from twin.assessment.consistency_told import ConsistencyTold
from twin.estimate import Outcome, Output, Verdict
from twin.estimation.anchors import anchors_by_partition
from twin.estimation.bank import Bank
from twin.estimation.events import Events, Updated
from twin.estimation.kalman import NEVER
from twin.estimation.models import ModelError, ModelFile, base_model, parse_model
from twin.estimation.names import Names
from twin.foresight import forecast_due
from twin.intake.arrivals import Arrivals, arrivals
from twin.intake.intake import Intake
from twin.intake.page import PagedBatch
from twin.part import Moment, Part, Said, Seen
from twin.rows import REASONS, RowBuilder

#: A tick nearer to the last one than this (several ingest processes tick) changes nothing.
TICK_MINIMUM = SECOND // 2
#: At most this much journal time passes between two ticks for delays and dwell.
TICK_LONGEST = 3 * SECOND
#: What the registry tells; it stands in the journal, whether or not a part acts on it.
REGISTRY_KINDS = frozenset({"binding", "patient", "device", "consent"})
#: So many ids of commands are remembered, in each partition.
REMEMBERED_COMMANDS = 10_000
#: Why a command is refused whose id a person has used before, to ask for something else.
OTHER_REQUEST = "idempotency-key: it stands for another request, which was answered before"


@dataclass(slots=True)
class TwinState:
    """Everything that has a memory. One worker's partitions; moved on only by `step`.

    parts: what remembers besides the bank, in the order in which they are told of a record; the
    first is `intake`, which sees observations before the bank.
    commands: of each partition the ids of the commands that it was told, the newest last, and why
    each was refused ("": it acted). requests: of those that a person's request gave, its hash.
    position, tick_at, elapsed: (partitions,) int64. The journal position taken in last, the last
    tick (ns, NEVER: none yet), the journal time that has passed for delays and dwell (ns).
    """

    bank: Bank
    devices: Names = field(default_factory=Names)
    parts: Sequence[Part] = ()
    intake: Intake = field(init=False)
    commands: list[dict[str, str]] = field(init=False)
    requests: list[dict[str, str]] = field(init=False)
    position: NDArray[np.int64] = field(init=False)
    tick_at: NDArray[np.int64] = field(init=False)
    elapsed: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.intake = Intake(self.bank, self.devices)
        self.parts = (self.intake, *self.parts)
        self.commands = [{} for _ in range(self.bank.partitions)]
        self.requests = [{} for _ in range(self.bank.partitions)]
        self.position = np.zeros(self.bank.partitions, np.int64)
        self.tick_at = np.full(self.bank.partitions, NEVER, np.int64)
        self.elapsed = np.zeros(self.bank.partitions, np.int64)

    def forget(self, partition: int) -> None:
        """Drop everything of a partition (it now belongs to another worker)."""
        self.bank.forget(partition)
        for part in self.parts:
            part.forget(partition)


@dataclass(frozen=True, slots=True)
class Placed:
    """A record at its place in the journal; partition ALL_PARTITIONS: it concerns all of them."""

    partition: int
    position: int
    record: Record | PagedBatch


def new_state(
    partitions: int, model: ModelFile | None = None, parts: Sequence[Part] = ()
) -> TwinState:
    """A twin that knows nobody yet, with its assessment; other `parts` come before it, as new."""
    bank, devices = Bank(model or base_model(), partitions), Names()
    own = (
        Assessment(bank),
        ChangeIndex(bank),
        ConsistencyTold(bank, devices),
        ActivityResponse(bank),
    )
    return TwinState(bank, devices, (*parts, *own))


def assessment_of(state: TwinState) -> Assessment:
    """The state's assessment."""
    return next(part for part in state.parts if isinstance(part, Assessment))


def step(
    state: TwinState, records: Iterable[Placed]
) -> tuple[TwinState, Mapping[int, Sequence[Output]]]:
    """Take in records in journal order; returns (state, outputs by partition).

    `state` is moved on in place and returned. Ticks and commands act at their place in the order;
    a record that a partition has already taken in (recovery from snapshots of different age) does
    not act on that partition again.
    """
    outputs: dict[int, list[Output]] = {}
    waiting: list[ObservationBatch | PagedBatch] = []
    for placed in records:
        record = placed.record
        if isinstance(record, ObservationBatch | PagedBatch):  # most: of one partition, no mask
            if state.position[placed.partition] < placed.position:
                waiting.append(record)
                state.position[placed.partition] = placed.position
            continue
        due = _due(state, placed)
        if not due.any():
            continue
        _observe(state, waiting, outputs)
        waiting = []
        if isinstance(record, Tick):
            _tick(state, record, due, outputs)
        elif isinstance(record, DeviceStates):
            for part in state.parts:
                _add(outputs, part.hear(record, Moment(due, state.elapsed)))
        else:
            _obey(state, record, due, outputs)
        state.position[due] = placed.position
    _observe(state, waiting, outputs)
    return state, outputs


def _due(state: TwinState, placed: Placed) -> NDArray[np.bool_]:
    """(partitions,) which partitions the record concerns and has not acted on."""
    due = state.position < placed.position
    if placed.partition != ALL_PARTITIONS:
        only = due[placed.partition]
        due[:] = False
        due[placed.partition] = only
    return due


def _observe(
    state: TwinState,
    batches: Sequence[ObservationBatch | PagedBatch],
    outputs: dict[int, list[Output]],
) -> None:
    if not batches:
        return
    arrived = arrivals(batches, state.bank, state.devices)
    admitted = state.intake.admit(arrived, state.elapsed)
    if admitted.measured_at is not None:
        arrived = arrived.measured(admitted.measured_at)
    rows = RowBuilder(state.bank, state.devices)
    slot = _slots(state.bank, arrived)
    reason = _reasons(arrived, slot, admitted.over)
    used = np.arange(len(arrived)) if reason is None else np.flatnonzero(reason == 0)
    if reason is not None:
        for number in np.unique(reason[reason > 0]).tolist():
            refused = np.flatnonzero(reason == number)
            rows.refuse(arrived, refused, REASONS[number])
            state.intake.refuse(admitted.row[refused], REASONS[number])
        slot = slot[used]
    taken = arrived.of(used)
    events = _events(taken, slot)
    updated = state.bank.update(events)
    verdict = updated.verdict
    if reason is not None:
        verdict = np.full(len(arrived), Verdict.REFUSED, np.uint8)
        verdict[used] = updated.verdict
    state.intake.count(admitted.row, verdict)
    declared = state.intake.declared(admitted.row[used], taken.signal)
    rows.add(taken, used, slot, updated, declared)
    _add(outputs, rows.batches())
    if updated.anchored:
        _add(outputs, _anchors(state, taken, updated))
    if len(used):
        seen = _seen(taken, events, updated)
        for part in state.parts:
            _add(outputs, part.observe(seen))


def _anchors(state: TwinState, taken: Arrivals, updated: Updated) -> Iterable[tuple[int, Output]]:
    bank = state.bank
    keys: dict[str, NDArray[Any]] = {
        "partition": bank.partition[taken.patient],
        "patient": taken.patient,
        "signal": taken.signal,
    }
    return anchors_by_partition(
        updated.anchored,
        keys,
        bank.patients.text,
        tuple(SIGNALS),
        state.devices.text,
        bank.model_file.version,
    )


def _slots(bank: Bank, arrived: Arrivals) -> NDArray[np.int64]:
    """(n,) the bank's slots, −1 where there is no model."""
    known = arrived.signal >= 0
    if known.all():
        return bank.find(arrived.patient, arrived.signal)
    slot = np.full(len(arrived), -1, np.int64)
    slot[known] = bank.find(arrived.patient[known], arrived.signal[known])
    return slot


def _reasons(
    arrived: Arrivals, slot: NDArray[np.int64], over: NDArray[np.bool_] | None
) -> NDArray[np.int64] | None:
    """(n,) indexes of REASONS: why the twin cannot use each, 0 where it can; None: it can all."""
    without, wild = slot < 0, ~np.isfinite(arrived.value)
    if over is None and not (without | wild).any():
        return None
    reason = np.where(without, REASONS.index("no_model"), 0)
    # Ingest refuses these already; one that came in all the same would be in the state for ever.
    reason[wild] = REASONS.index("value_not_a_number")
    if over is not None:
        reason[over] = REASONS.index("over_rate")
    return reason


def _add(outputs: dict[int, list[Output]], said: Iterable[tuple[int, Output]]) -> None:
    for partition, output in said:
        outputs.setdefault(partition, []).append(output)


def _seen(taken: Arrivals, events: Events, updated: Updated) -> Seen:
    return Seen(
        taken.patient,
        taken.signal,
        events.slot,
        taken.device,
        events.value,
        events.quality,
        events.stamp,
        taken.received_at,
        updated,
    )


def _events(taken: Arrivals, slot: NDArray[np.int64]) -> Events:
    device = taken.device.astype(np.int32)
    return Events(slot, taken.measured_at, taken.value, taken.noise_std, taken.quality, device)


def _tick(
    state: TwinState, tick: Tick, due: NDArray[np.bool_], outputs: dict[int, list[Output]]
) -> None:
    passed = np.where(state.tick_at == NEVER, TICK_LONGEST, tick.at - state.tick_at)
    counts = due & ~((passed >= 0) & (passed < TICK_MINIMUM))
    if not counts.any():
        return
    before = state.elapsed.copy()
    state.elapsed[counts] += np.clip(passed[counts], 0, TICK_LONGEST)
    state.tick_at[counts] = tick.at
    rows = RowBuilder(state.bank, state.devices)
    rows.age(tick.at, counts)
    rows.forecast(forecast_due(state.bank, before, state.elapsed), tick.at)
    _add(outputs, rows.batches())
    heard: Said = ()
    for part in state.parts:
        said = part.tick(tick, Moment(counts, state.elapsed), heard)
        _add(outputs, said)
        heard = (*heard, *said)


def _obey(
    state: TwinState, command: Command, due: NDArray[np.bool_], outputs: dict[int, list[Output]]
) -> None:
    """Act where it is due and has not acted yet, and answer in the first partition it is due in."""
    partitions = np.flatnonzero(due).tolist()
    if _stands_for_another(state, command):
        refusal = Outcome(command.id, False, OTHER_REQUEST, command.issued_at)
        _add(outputs, [(partitions[0], refusal)])
        return
    fresh = due.copy()
    fresh[partitions] = [command.id not in state.commands[p] for p in partitions]
    if not fresh.any():
        before = state.commands[partitions[0]][command.id]
        answer = Outcome(command.id, not before, before or "already done", command.issued_at)
        _add(outputs, [(partitions[0], answer)])
        return
    refused, said = _act(state, command, Moment(fresh, state.elapsed))
    for partition in np.flatnonzero(fresh).tolist():
        remembered = state.commands[partition]
        remembered[command.id] = refused
        if command.request:
            state.requests[partition][command.id] = command.request
        while len(remembered) > REMEMBERED_COMMANDS:
            oldest = next(iter(remembered))
            del remembered[oldest]
            state.requests[partition].pop(oldest, None)
    _add(outputs, said)
    answer = Outcome(command.id, not refused, refused, command.issued_at)
    _add(outputs, [(partitions[0], answer)])


def _stands_for_another(state: TwinState, command: Command) -> bool:
    """Whether a person has used its id to ask for something else, of anybody.

    All partitions are asked, not those alone in which it is due: what concerns everybody would act
    in all but the one that knows the id, and would be called done.
    """
    asked = command.request
    return asked != "" and any(kept.get(command.id, asked) != asked for kept in state.requests)


def _act(state: TwinState, command: Command, moment: Moment) -> tuple[str, Said]:
    """(Why it is refused, "" if done; what the parts say)."""
    if command.kind == "model":
        try:
            state.bank.adopt(parse_model(str(command.body.get("content")), "command model"))
        except ModelError as error:
            return str(error), ()
        return "", ()
    for part in state.parts:
        if command.kind in part.kinds:
            return part.obey(command, moment)
    if command.kind in REGISTRY_KINDS:
        return "", ()
    return f"unknown kind {command.kind!r}", ()
