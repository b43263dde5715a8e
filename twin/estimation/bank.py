"""The bank: which (patient, signal) has which slot, and the kernel's call on a batch of events.

Slots are handed to partitions in blocks, so that one partition's patients lie together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES, ROWS, SIGNALS, declare
from ingest.instant import SECOND
from ingest.journal.protocol import partition_of
from twin.bands import Z50, Z90, Z95
from twin.estimation.ahead import FOLLOWED, Forecast, UsualOf
from twin.estimation.anchors import Anchored
from twin.estimation.devices import ENTRIES
from twin.estimation.events import Events, Updated
from twin.estimation.kalman import DISCRETE, ESTIMATE, NEVER, STATE, STEPS, M
from twin.estimation.models import MEAN, PARAMETERS, SPREAD2, ModelError, ModelFile
from twin.estimation.names import Names
from twin.estimation.ring import process
from twin.estimation.robust import FAR2, MEMORY, OUT_COUNT, TROUBLE, expect_all
from twin.estimation.slots import Slots
from twin.estimation.tracker import BANDS, TH, WIDTHS, widths
from twin.estimation.usual import ROOM, TERMS, project, rescale

BLOCK = 1024
#: Room for revisions in one kernel call beyond one per event; it is called again when it is full.
REVISION_ROOM = 4096
#: Seconds over which what is done once a minute is spread.
TURNS = 60
#: So many horizons' factors on the bands are remembered: a tick asks for a handful.
_SCALES_KEPT = 16
_Z = np.array([Z50, Z90, Z95])
SIGNAL_ROW = ROWS


@dataclass(slots=True)
class Bank:
    """State of every (patient, signal): slot_of[patient number, signal row] (−1: none yet).

    By patient number: partition, and turn, the second of a minute in which what is done once a
    minute is done for the patient.
    """

    model_file: ModelFile
    partitions: int = 16
    patients: Names = field(default_factory=Names)
    slots: Slots = field(default_factory=Slots)
    signals: int = field(init=False)
    slot_of: NDArray[np.int32] = field(init=False)
    partition: NDArray[np.int32] = field(init=False)
    turn: NDArray[np.int32] = field(init=False)
    params: NDArray[np.float64] = field(init=False)
    expected: NDArray[np.int64] = field(init=False)
    modelled: NDArray[np.bool_] = field(init=False)
    _free: dict[int, list[int]] = field(default_factory=dict)
    _scales: dict[float, NDArray[np.float64]] = field(default_factory=dict)
    _cache: NDArray[np.float64] = field(init=False)
    _cache_dt: NDArray[np.int64] = field(init=False)
    _spread: NDArray[np.float64] = field(init=False)  # in force, or the last that was

    def __post_init__(self) -> None:
        declare(self.model_file.declared)
        self.signals = len(SIGNALS)
        self.slot_of = np.full((0, self.signals), -1, np.int32)
        self.partition = np.empty(0, np.int32)
        self.turn = np.empty(0, np.int32)
        self._spread = np.zeros(self.signals)
        self.adopt(self.model_file)

    def adopt(self, model_file: ModelFile) -> None:
        """Use these models from the next observation on; states and rings stay.

        A signal that they leave out rests: its states are kept, neither updated nor aged. Raises
        ModelError: they declare a signal that this process, which started without it, has not.
        """
        for code in model_file.codes:
            if ROWS.get(code, self.signals) >= self.signals:
                raise ModelError(f"signal.{code}", code, "a signal that was declared at the start")
        self.model_file = model_file
        self._scales.clear()
        self.params = np.zeros((self.signals, PARAMETERS))
        self.expected = np.ones(self.signals, np.int64)
        self.modelled = np.zeros(self.signals, bool)
        for code, constants in zip(model_file.codes, model_file.table(), strict=True):
            row = SIGNAL_ROW[code]
            self.params[row], self.modelled[row] = constants, True
            interval = model_file.signals[code].expected_interval
            self.expected[row] = int((interval or SIGNALS[code].expected_interval_s) * SECOND)
        self._cache = np.zeros((self.signals * STEPS, DISCRETE))
        self._cache_dt = np.zeros(self.signals * STEPS, np.int64)
        self.slots.wake()
        spread = np.where(self.modelled, np.sqrt(self.params[:, SPREAD2]), self._spread)
        rescale(self.slots.of["usual_root"], self.slots.of["model"], self._spread, spread)
        self._spread = spread

    def number_of(self, patient: str) -> int:
        """The patient's number; a new one is allotted on first sight."""
        return self.numbers_of([patient])[0]

    def numbers_of(self, patients: Sequence[str]) -> list[int]:
        """Their numbers; new ones are allotted on first sight, in order."""
        before = len(self.patients)
        numbers = self.patients.numbers_of(patients)
        if len(self.patients) > before:
            new = self.patients.text[before:]
            self._begin(before, [partition_of(one, self.partitions) for one in new])
        return numbers

    def numbers_in(self, partition: int, patients: Sequence[str]) -> list[int]:
        """`numbers_of` patients of whom it is known that they are of this partition."""
        before = len(self.patients)
        numbers = self.patients.numbers_of(patients)
        if len(self.patients) > before:
            self._begin(before, partition)
        return numbers

    def _begin(self, before: int, partition: int | Sequence[int]) -> None:
        """Room for the patients from number `before` on, all in one partition, or each in its."""
        size = len(self.patients)
        self.reserve(size)
        self.partition[before:size] = partition
        names = self.patients.text[before:]
        self.turn[before:size] = [crc32(one.encode()) % TURNS for one in names]

    @property
    def room(self) -> int:
        """So many patients fit in before anything of the twin grows."""
        return len(self.slot_of)

    def reserve(self, patients: int) -> None:
        """Room for so many patients."""
        if patients > len(self.slot_of):
            size = max(64, patients, 2 * len(self.slot_of))
            self.slot_of = _grown(self.slot_of, size)
            self.partition = _grown(self.partition, size)
            self.turn = _grown(self.turn, size)

    def find(self, patient: NDArray[np.int64], signal: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) slots of patient numbers and signal rows; −1 where the model file has no model."""
        slot = self.slot_of[patient, signal].astype(np.int64)
        new = slot < 0
        if new.any():
            for n in np.flatnonzero(new):
                slot[n] = self._allot(int(patient[n]), int(signal[n]))
        return np.where(self.modelled[signal], slot, -1)

    def _allot(self, patient: int, signal: int) -> int:
        model = self.model_file.signals.get(CODES[signal])
        if model is None or self.slot_of[patient, signal] >= 0:
            return int(self.slot_of[patient, signal])
        free = self._free.setdefault(int(self.partition[patient]), [])
        if not free:
            first = self.slots.add(BLOCK)
            free.extend(range(first + BLOCK - 1, first - 1, -1))
        slot = free.pop()
        self.slots.of["model"][slot] = signal
        self.slots.of["patient"][slot] = patient
        self.slots.open_ring(slot, model.ring)
        self.slot_of[patient, signal] = slot
        return slot

    def update(self, events: Events, states: NDArray[np.float64] | None = None) -> Updated:
        """Take the events in, one after another. One entry to the kernel.

        Revisions and anchors are in order of slot.

        states (n, FOLLOWED), if given, gets after each event what forecasts need: the state, the
        widths of its bands (`scales`), and what is usual.
        """
        states = np.empty((0, FOLLOWED)) if states is None else states
        self.slots.wake(events.slot)
        n = len(events.slot)
        verdict, as_of = np.empty(n, np.uint8), np.empty(n, np.int64)
        estimates = np.empty((n, ESTIMATE))
        room = n + REVISION_ROOM
        parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
        anchored = []
        a = self.slots.of
        scratch, remembered = np.empty((1, STATE)), np.empty((1, MEMORY), np.float32)
        devices = np.empty((1, ENTRIES), np.float32)
        taken, room_of_usual = np.empty((6, 64)), np.empty((ROOM, TERMS))
        done = 0
        while done < n or not parts:
            by, at = np.empty(room, np.int64), np.empty(room, np.int64)
            revised = np.empty((room, ESTIMATE))
            anchor = Anchored.room(64 + n // 4)
            done, m, anchors = process(
                done, events.slot, events.stamp, events.value, events.noise_std,
                events.quality, events.device, self.slots.slot_bytes, self.slots.member_bytes,
                a["entries"], a["base_entries"], a["target"], a["waiting"], a["ring_t"],
                self.params, self._cache, self._cache_dt,
                verdict, as_of, estimates, states, by, at, revised,
                anchor.by, anchor.at, anchor.state, anchor.memory, anchor.entries,
                a["usual"], a["usual_root"], a["usual_hour"], room_of_usual,
                scratch, remembered, devices, taken,
            )  # fmt: skip
            if anchors:
                anchored.append(anchor.first(anchors))
            parts.append((by[:m], at[:m], revised[:m]))
        if anchored:
            anchored = [Anchored.in_order(anchored, events.slot)]
        by, at, revised = parts[0]
        if len(parts) == 1 and not len(by):  # nothing came late, as nearly always
            return Updated(verdict, as_of, estimates, by, at, revised, anchored)
        by, at, revised = (np.concatenate([p[i] for p in parts]) for i in range(3))
        order = np.argsort(events.slot[by], kind="stable")
        return Updated(verdict, as_of, estimates, by[order], at[order], revised[order], anchored)

    def expected_interval(
        self, signal: NDArray[np.int64], seen: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """(n,) ns: the model's for these signal rows, or the seen mean interval (s) if longer."""
        longer: NDArray[np.int64] = np.maximum(
            self.expected[signal], (seen * SECOND).astype(np.int64)
        )
        return longer

    def known(self) -> NDArray[np.int64]:
        """Slots that have had a measurement, of signals that have a model."""
        a = self.slots.of
        return np.flatnonzero((a["state_t"] != NEVER) & self.modelled[a["model"]])

    def ahead(
        self, slots: NDArray[np.int64], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (n,) of the slots, so many seconds (n,) after their stamp."""
        a = self.slots.of
        mean, std = self.project(a["state"], slots, a["model"], seconds, usual=self._usual())
        diverged, spread2 = self._diverged(slots)
        std[diverged] = np.sqrt(std[diverged] ** 2 + spread2)
        return mean, std

    def next_reading(
        self, slots: NDArray[np.int64], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (n,) of what the slots' next measurements are expected to be,
        so many seconds (n,) after their stamp."""
        mean, std = self.ahead(slots, seconds)
        places, *stayed = self.staying(slots, seconds)
        mean[places], std[places] = stayed
        return mean, std

    def staying(
        self, slots: NDArray[np.int64], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Places among the slots (n,) of which a forecast is not what the filter expects of the
        next measurement, so many seconds (n,) after their stamp; mean and standard deviation of
        that (of those alone).

        A forecast expects that who stepped, or is far from all others, comes back, which in the end
        most do. Until the next measurement the filter does not (`robust.expect`): nobody who is
        measured no more is said to be well because of that.
        """
        a = self.slots.of
        signal = a["model"][slots]
        held = a["memory"][slots, OUT_COUNT] < 0.0
        far = (a["state"][slots, M] - self.params[signal, MEAN]) ** 2
        unusual = held | (far > FAR2 * self.params[signal, SPREAD2])
        places = np.flatnonzero(unusual & ~(a["memory"][slots, TROUBLE] < 0.0))
        mean, var = np.empty((2, len(places)))
        if len(places):
            step = (seconds[places] * 1e9).astype(np.int64)
            expect_all(
                a["state"][slots[places]], held[places], step, signal[places], self.params,
                self._cache, self._cache_dt, mean, var,
            )  # fmt: skip
        return places, mean, np.sqrt(var)

    def _diverged(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Places of the diverged among the slots, and the variance to be added ahead: nothing is
        claimed of them, but that people are like people."""
        a = self.slots.of
        diverged = np.flatnonzero(a["memory"][slots, TROUBLE] < 0.0)
        return diverged, self.params[a["model"][slots[diverged]], SPREAD2]

    def _usual(self) -> UsualOf:
        a = self.slots.of
        return UsualOf(a["state_t"], a["usual"], a["usual_root"])

    def project(
        self,
        states: NDArray[np.float64],
        chosen: NDArray[np.int64],
        signal: NDArray[np.int32],
        seconds: NDArray[np.float64],
        core: NDArray[np.float64] | None = None,
        usual: UsualOf | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (n,) of rows `chosen` of states, of signal rows, later.

        core (n,): factors on the 50 % band, by which a signal with a ceiling is cut (1 if absent).
        usual: of the rows of states; without it nothing is usual for a person.
        """
        core = np.ones(len(chosen)) if core is None else core
        usual = usual or UsualOf.nothing(len(states))
        mean, var = np.empty(len(chosen)), np.empty(len(chosen))
        x, cache = np.empty((1, STATE)), np.zeros((self.signals * STEPS, DISCRETE))
        cache_dt = np.zeros(self.signals * STEPS, np.int64)
        project(
            states, usual.at, usual.learnt, usual.root, chosen, self.params, signal, seconds, core,
            x, cache, cache_dt, np.empty((ROOM, TERMS)), mean, var,
        )  # fmt: skip
        return mean, np.sqrt(var)

    def scales(
        self, th: NDArray[np.floating[Any]], signal: NDArray[np.integer[Any]], seconds: float
    ) -> NDArray[np.float64]:
        """(n, 3) factors on the 50, 90 and 95 % bands so many seconds ahead, for signal rows.

        th (n, 6): widths of the persons' bands, as in columns STATE… of a followed state.
        """
        table = self._scales.get(seconds)
        if table is None:
            table = np.ones((self.signals, BANDS))
            for code, model in self.model_file.signals.items():
                table[SIGNAL_ROW[code]] = model.scales(seconds)
            if len(self._scales) < _SCALES_KEPT:
                self._scales[seconds] = table
        # Each band has a width of its own: none may be inside a smaller one.
        half = _Z * table[signal] * widths(th, seconds)
        for band in range(1, BANDS):
            np.maximum(half[:, band - 1], half[:, band], out=half[:, band])
        return np.asarray(half / _Z, np.float64)

    def forecast(self, slots: NDArray[np.int64], seconds: float, at: int | None = None) -> Forecast:
        """What the slots' true values will be, so many seconds after their stamp, or after `at` ns.

        Bands are calibrated by the class (model file) and the person. Nothing is moved on.
        """
        return self.forecasts(slots, (seconds,), at)[0]

    def forecasts(
        self, slots: NDArray[np.int64], horizons: Sequence[float], at: int | None = None
    ) -> list[Forecast]:
        """`forecast` for each of these horizons (s)."""
        a = self.slots.of
        since, signal, usual = a["state_t"][slots], a["model"][slots], self._usual()
        th = TH * a["waiting"][slots, WIDTHS:]
        diverged, spread2 = self._diverged(slots)
        made = []
        for seconds in horizons:
            ahead = np.full(len(slots), seconds)
            if at is not None:
                ahead = np.maximum(ahead + (at - since) * 1e-9, 0.0)
            scales = self.scales(th, signal, seconds)
            core = scales[:, 0].copy()
            mean, std = self.project(a["state"], slots, a["model"], ahead, core, usual)
            std[diverged] = np.sqrt(std[diverged] ** 2 + spread2)
            target = since + (ahead * 1e9).astype(np.int64)
            made.append(Forecast(target, mean, std, scales))
        return made

    def restore(self, partition: int, patients: Sequence[str], slots: NDArray[np.int64]) -> None:
        """Own these slots (as `Slots.put` made them); `patients` names each slot's patient, of this
        partition."""
        numbers = np.array(self.numbers_in(partition, patients), np.int64)
        self.slots.of["patient"][slots] = numbers
        self.slot_of[numbers, self.slots.of["model"][slots]] = slots

    def forget(self, partition: int) -> None:
        """Drop every state of a partition (it now belongs to another worker)."""
        slots = self.in_partition(partition)
        a = self.slots.of
        self.slot_of[a["patient"][slots], a["model"][slots]] = -1
        a["state_t"][slots] = a["base_t"][slots] = NEVER
        a["ring_n"][slots] = 0
        a["patient"][slots] = -1

    def in_partition(self, partition: int) -> NDArray[np.int64]:
        """Slots of the partition's patients, in order."""
        patient = self.slots.of["patient"][: self.slots.count]
        owned = np.flatnonzero(patient >= 0)
        return np.asarray(owned[self.partition[patient[owned]] == partition], np.int64)


def _grown(array: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    grown = np.full((size, *array.shape[1:]), -1, np.int32)
    grown[: len(array)] = array
    return grown
