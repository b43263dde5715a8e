"""The intake of the step: what devices' own words, numbers and clocks say, before and beside the
bank.

`admit` sees every observation before the bank and `count` its verdict; as a `Part` of the state it
is told ticks and commands, and is captured, restored and forgotten by partition.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES, SIGNALS
from ingest.instant import MINUTE, SECOND
from ingest.journal.protocol import partition_of
from ingest.observation import Command, DeviceState, DeviceStates, Tick
from twin.device_report import Changed, SystemCause, SystemEvent
from twin.estimation.bank import Bank
from twin.estimation.kalman import NEVER
from twin.estimation.names import Names
from twin.intake import kernel
from twin.intake.arrivals import Arrivals
from twin.intake.clock import Shifts, close_minute, forget_clocks
from twin.intake.declared import apply_binding, apply_device
from twin.intake.gateways import Gateways
from twin.intake.identity import Gaps
from twin.intake.kernel import (
    BATTERY_LEFT,
    CLOCK_FAULT,
    CONTACT,
    HEARD,
    INTERVAL,
    MESSAGE_AT,
    MESSAGE_NUMBER,
    NEWEST,
    ONLINE,
    PARTITION,
    REFUSED_AT,
    settle,
)
from twin.intake.ledger import REFUSALS, reports
from twin.intake.line import Line
from twin.intake.rate import Meters
from twin.intake.saved import packed, unpacked
from twin.intake.silence import RESPITE, judge
from twin.intake.table import DeviceTable
from twin.part import Moment, Said, Unasked

#: A distance between two ticks longer than this is a gap (ns).
GAP = 3 * SECOND


@dataclass(frozen=True, slots=True)
class Admitted:
    """n arrivals as they go on: their rows of the table, what is beyond the declared rate (None:
    nothing), and measured_at where stamps are corrected (None: nowhere)."""

    row: NDArray[np.int64]
    over: NDArray[np.bool_] | None
    measured_at: NDArray[np.int64] | None


@dataclass(slots=True)
class Intake(Unasked):
    """What the worker remembers of devices. bank and devices: the state's own."""

    bank: Bank
    devices: Names
    table: DeviceTable = field(init=False)
    gaps: Gaps = field(default_factory=Gaps)
    shifts: Shifts = field(default_factory=Shifts)
    meters: Meters = field(default_factory=lambda: Meters(len(SIGNALS)))
    gateways: Gateways = field(init=False)
    line: Line = field(init=False)

    def __post_init__(self) -> None:
        self.table = DeviceTable(self.devices)
        self.gateways = Gateways(self.devices, self.bank.partitions)
        self.line = Line.new(self.bank.partitions)

    @property
    def name(self) -> str:
        return "intake"

    @property
    def kinds(self) -> Collection[str]:
        return ("device", "binding")

    # --- observations -----------------------------------------------------------------------------

    def admit(self, arrived: Arrivals, elapsed: NDArray[np.int64]) -> Admitted:
        """Take note of observations before the bank does. elapsed: (partitions,) journal time."""
        row, _born = self.table.rows(arrived.patient, arrived.device, self.bank.partition)
        # Not only of rows that are new: a binding or a battery's level makes the row of a device
        # before its first observation, and a cuff without an interval was late after a minute.
        unheard = np.flatnonzero(self.table.marks[row, kernel.RECEIVED] == 0)
        for place in unheard[::-1].tolist():  # its first observation is written last
            signal = max(int(arrived.signal[place]), 0)
            expected = SIGNALS[CODES[signal]].expected_interval_s
            self.table.marks[row[place], INTERVAL] = int(expected * SECOND)
        # Not device_stamp: of a clock that is declared nine hours ahead ingest has taken these off,
        # and to see the lead again would be to correct it twice.
        stamp = arrived.measured_at
        notes = np.empty((len(row), 5), np.int64)
        written = kernel.hear(
            row,
            stamp,
            arrived.received_at,
            arrived.sequence,
            arrived.boot,
            elapsed,
            self.table.marks,
            self.table.clock,
            self.table.look,
            notes,
        )
        if written:
            self.gaps.note(self.table, notes[:written], elapsed)
        over = self.meters.over(self.table, row, arrived.signal, stamp)
        return Admitted(row, over, self.shifts.apply(self.table, row, stamp))

    def count(self, row: NDArray[np.int64], verdict: NDArray[np.uint8]) -> None:
        """Count the verdicts (n,) of what was admitted in rows (n,)."""
        settle(row, verdict, self.table.marks)

    def declared(
        self, row: NDArray[np.int64], signal: NDArray[np.int64]
    ) -> NDArray[np.uint16] | None:
        """(n,) s between values of a signal as the model of the row's device has it, 0: it does
        not say; None: none does."""
        return self.meters.declared(self.table, row, signal)

    def refuse(self, row: NDArray[np.int64], reason: str) -> None:
        """Count the reason of those that the twin cannot use: rows (n,), one for each of them."""
        np.add.at(self.table.marks[:, REFUSALS[reason]], row, 1)

    # --- devices' own words -----------------------------------------------------------------------

    def hear(self, said: DeviceStates, moment: Moment) -> Said:
        """What devices say of themselves, or the broker of them or (patient "") of a gateway."""
        for state in said.states:
            self._hear(state, moment)
        return ()

    def _hear(self, state: DeviceState, moment: Moment) -> None:
        if not state.patient:
            if state.online is not None:
                self.gateways.tell(state.device, state.online, moment.partitions)
            return
        if not moment.partitions[partition_of(state.patient, self.bank.partitions)]:
            return
        row = self._row(state.patient, state.device, moment)
        marks, clock = self.table.marks, self.table.clock
        before = marks[row, [CONTACT, ONLINE]].tolist(), clock[row, BATTERY_LEFT].item()
        if state.battery is not None:
            clock[row, BATTERY_LEFT] = state.battery
        if state.contact is not None:
            marks[row, CONTACT] = state.contact
        if state.online is not None:
            marks[row, ONLINE] = state.online
        if (marks[row, [CONTACT, ONLINE]].tolist(), clock[row, BATTERY_LEFT].item()) != before:
            self.table.change(row, Changed.STATE)
        if state.refused or state.stamps_refused:  # it speaks, but says nothing that can be used
            marks[row, CLOCK_FAULT] = state.stamps_refused
            marks[row, REFUSED_AT] = max(1, moment.elapsed[marks[row, PARTITION]])
        elif state.online is not False:  # that it went offline is the broker's word, not its own
            marks[row, HEARD] = moment.elapsed[marks[row, PARTITION]]
        if state.sequence >= 0:
            self._number(row, state, moment.elapsed)

    def _number(self, row: int, state: DeviceState, elapsed: NDArray[np.int64]) -> None:
        """The number of a message of which no sample is used: no gap. Where nobody knows its stamp
        (`at` is its receipt) it cannot begin a new count."""
        marks = self.table.marks
        if tuple(marks[row, [MESSAGE_AT, MESSAGE_NUMBER]]) == (state.received_at, state.sequence):
            return
        marks[row, [MESSAGE_AT, MESSAGE_NUMBER]] = state.received_at, state.sequence
        notes = np.empty((1, 5), np.int64)
        stamp = NEVER if state.at == state.received_at else state.at
        message = stamp, state.received_at, state.sequence, state.boot
        if kernel.count(row, *message, marks, notes, 0):
            self.gaps.note(self.table, notes, elapsed)
        marks[row, NEWEST] = max(int(marks[row, NEWEST]), stamp)

    def _row(self, patient: str, device: str, moment: Moment) -> int:
        """The row of the pair; one that was never heard is waited for from now on."""
        who, what = self.bank.number_of(patient), self.devices.number(device)
        row = self.table.row(who, what)
        if row < 0:
            row = self.table.add(who, what, int(self.bank.partition[who]))
            self.table.marks[row, HEARD] = moment.elapsed[self.table.marks[row, PARTITION]]
        self.table.look[row] = NEVER
        return row

    # --- ticks ------------------------------------------------------------------------------------

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """Give up gaps, look at clocks once a minute, judge silence; reports of what changed."""
        events = self._look_at_line(tick, moment)
        self.gaps.give_up(self.table, moment.partitions, moment.elapsed)
        self._close_minutes(moment)
        changed = judge(self.table, self.gateways, tick, moment, self.line.respite)
        first = int(np.argmax(moment.partitions))
        return [
            *((first, event) for event in events),
            *reports(self.table, self.gaps, changed, self.bank.patients, tick.at),
        ]

    def _look_at_line(self, tick: Tick, moment: Moment) -> list[SystemEvent]:
        due, line = moment.partitions, self.line
        passed = np.where(line.tick_at == NEVER, 0, tick.at - line.tick_at)[due]
        gap = int(passed.max())
        events = []
        if tick.clock_stepped:
            seconds = float(passed[np.argmax(np.abs(passed))]) / SECOND - 1
            events.append(SystemEvent(SystemCause.CLOCK_STEPPED, tick.at, seconds))
            forget_clocks(self.table, self.table.in_partitions(due))
        elif gap > GAP:
            events.append(SystemEvent(SystemCause.INGEST_GAP, tick.at, gap / SECOND))
        if tick.clock_stepped or gap > GAP:
            line.respite[due] = moment.elapsed[due] + RESPITE
        lost = line.broker_lost_at[due]
        if not tick.broker_connected and (lost == NEVER).any():
            events.append(SystemEvent(SystemCause.BROKER_LOST, tick.at))
            line.broker_lost_at[due] = np.where(lost == NEVER, tick.at, lost)
        elif tick.broker_connected and (lost != NEVER).any():
            away = (tick.at - int(lost[lost != NEVER].min())) / SECOND
            events.append(SystemEvent(SystemCause.BROKER_BACK, tick.at, away))
            line.broker_lost_at[due] = NEVER
            line.respite[due] = moment.elapsed[due] + RESPITE
        line.tick_at[due] = tick.at
        return events

    def _close_minutes(self, moment: Moment) -> None:
        """Each partition's clocks once a minute, one partition after another."""
        count = len(moment.elapsed)
        minute = (moment.elapsed + np.arange(count) * (MINUTE // count)) // MINUTE
        new = moment.partitions & (minute != self.line.minute)
        over = new & (self.line.minute != NEVER)
        self.line.minute[new] = minute[new]
        if over.any():
            close_minute(self.table, self.shifts, self.table.in_partitions(over))

    # --- commands and snapshots -------------------------------------------------------------------

    def obey(self, command: Command, moment: Moment) -> tuple[str, Said]:
        """`device` says what a device's model declares, `binding` from when to when it is worn."""
        device = command.body.get("device")
        if not isinstance(device, str) or not device or not command.patient:
            return "expected a device and its patient", ()
        partition = partition_of(command.patient, self.bank.partitions)
        if not moment.partitions[partition]:
            return "", ()
        row = self._row(command.patient, device, moment)
        if command.kind == "binding":
            return apply_binding(self.table, row, command.body), ()
        return apply_device(self.table, self.meters, self.shifts, row, command.body), ()

    def capture(self, partition: int) -> bytes:
        """Everything of the partition, packed."""
        return packed(self, partition)

    def restore(self, partition: int, content: bytes | memoryview) -> None:
        """Raises ValueError: another layout."""
        self.forget(partition)
        unpacked(self, partition, content)

    def forget(self, partition: int) -> None:
        """Drop the partition."""
        for row in self.table.in_partition(partition).tolist():
            self.gaps.of.pop(row, None)
            self.shifts.pieces.pop(row, None)
        self.table.forget(partition)
        self.gateways.off[partition].clear()
        fresh = Line.new(len(self.line.tick_at))
        for name in ("tick_at", "broker_lost_at", "respite", "minute"):
            getattr(self.line, name)[partition] = getattr(fresh, name)[partition]
