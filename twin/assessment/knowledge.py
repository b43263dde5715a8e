"""All that the assessment knows, and which limits hold for whom."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from twin.assessment import scoring
from twin.assessment.equipment import Equipment
from twin.assessment.kernel import E_OXYGEN, E_SCALE, HIGH, MEDIUM, NEVER, nearest
from twin.assessment.limits import Levels, LimitTables
from twin.assessment.memory import Memory
from twin.assessment.rules import (
    Limit,
    Rules,
)
from twin.assessment.standing import OpenAlarms
from twin.estimation.bank import Bank
from twin.judgement import Priority

WELLNESS = "wellness"
MODES = (WELLNESS, "remote_monitoring", "research")
#: Why a command that configures alarms is refused in wellness mode.
NO_ALARMS = "in wellness mode there are no clinical alarms"


@dataclass(slots=True)
class PartitionMemory:
    """What a partition knows besides its patients: limits by level, whether alarms are on, and the
    journal time (ns) up to which it was assessed (−1: never)."""

    levels: Levels = field(default_factory=Levels)
    alarms_on: bool = False
    mode: str = WELLNESS
    elapsed: int = -1


@dataclass(slots=True)
class Knowledge:
    """bank: the state's own. Everything of a patient is found by the bank's number of it."""

    bank: Bank
    memory: Memory = field(default_factory=Memory)
    tables: LimitTables = field(default_factory=LimitTables)
    open: OpenAlarms = field(default_factory=OpenAlarms)
    actors: scoring.Actors = field(default_factory=dict)
    equipment: Equipment = field(default_factory=Equipment)
    partitions: list[PartitionMemory] = field(init=False)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self.partitions = [PartitionMemory() for _ in range(self.bank.partitions)]
        self.rules = Rules(self.open)

    def know(self, patients: NDArray[np.int64]) -> None:
        """Room for these patients, and the limits that hold for each of them."""
        self.memory.grow(self.bank.room)
        known, sets = self.memory.of["known"], self.memory.of["set"]
        if (known[patients] & (sets[patients] >= 0)).all():
            return
        plain: dict[tuple[int, int, bool], int] = {}
        for number in np.unique(patients).tolist():
            if not known[number] or sets[number] < 0:
                known[number] = True
                sets[number] = self._set_of(number, plain)
                self.stir(number)
                self.memory.of["turn"][number] = crc32(self.bank.patients.text[number].encode())

    def resolve(self, number: int) -> None:
        """Which limits hold for a patient: row 0 of the tables, none, while alarms are off."""
        self.memory.of["set"][number] = self._set_of(number, {})
        self.stir(number)

    def stir(self, numbers: int | NDArray[np.int64]) -> None:
        """Look at these patients at the next tick: something changed that no observation told."""
        self.memory.of["restless"][numbers] = True
        self.memory.of["rests_until"][numbers] = NEVER

    def _set_of(self, number: int, plain: dict[tuple[int, int, bool], int]) -> int:
        """plain: what was found so far for patients for whom nobody set anything, by partition,
        scale of SpO2 and whether on oxygen; it is added to."""
        partition = int(self.bank.partition[number])
        here, patient = self.partitions[partition], self.bank.patients.text[number]
        if not here.alarms_on:
            return 0
        entered = self.memory.of["entered"][number]
        scale, oxygen = 2 if entered[E_SCALE] == 2 else 1, bool(entered[E_OXYGEN] == 1)
        key, own = (partition, scale, oxygen), here.levels.differ(patient)
        if not own and key in plain:
            return plain[key]
        row = self.tables.row_of(here.levels.in_force(patient, scale, oxygen))
        if not own:
            plain[key] = row
        return row

    def members(self, partitions: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Numbers of the known patients of these partitions (mask)."""
        numbers = np.flatnonzero(self.memory.of["known"])
        return np.asarray(numbers[partitions[self.bank.partition[numbers]]], np.int64)

    def resolve_all(self, partitions: Iterable[int]) -> None:
        """Which limits hold for every patient of these partitions, after they changed."""
        mask = np.zeros(len(self.partitions), bool)
        mask[list(partitions)] = True
        self.memory.grow(self.bank.room)
        numbers = self.members(mask)
        plain: dict[tuple[int, int, bool], int] = {}
        sets = [self._set_of(number, plain) for number in numbers.tolist()]
        self.memory.of["set"][numbers] = np.array(sets, np.int64)
        self.stir(numbers)
        self.equipment.due.update(self.equipment.silent.keys() & set(numbers.tolist()))

    def first(self, number: int, row: int, side: int) -> int:
        """The priority, as the kernel has it, of the limit that is passed first."""
        medium, high = (self.limit(number, row, side, each).value for each in (MEDIUM, HIGH))
        return MEDIUM if medium == nearest(medium, high, side) else HIGH

    def limit(self, number: int, row: int, side: int, reached: int) -> Limit:
        priority = Priority.HIGH if reached == HIGH else Priority.MEDIUM
        rule = self.tables.rule(int(self.memory.of["set"][number]), CODES[row], priority.value)
        if rule is None:
            return Limit(math.nan)
        value = (rule.low, rule.high)[side]
        return Limit(float(value), float(rule.hysteresis), rule.author, rule.reason)
