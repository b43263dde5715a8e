"""A recording through the whole step, offline: the very code of the worker, with made-up ticks.

A tick for each second of the recording's time (its received_at), so that delays, holds and ages
pass as they would have passed live. Deterministic: the same recording gives the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.instant import DAY, MINUTE, SECOND
from ingest.observation import OBSERVATION_ROW, Command, ObservationBatch, Tick
from ingest.recording import Recording
from twin.assessment.assessment import Assessment
from twin.estimate import EstimateBatch, Kind, Outcome, Output, Verdict
from twin.estimation.bank import Bank
from twin.estimation.models import ModelFile
from twin.estimation.replay import refusals
from twin.judgement import Alarm, Judgements, Score
from twin.step import Placed, TwinState, assessment_of, new_state, step

#: Nothing came for so long: time jumps to the next observation (all that can age has aged).
SILENCE = DAY
#: Told the outputs of a second, gives commands.
Answer = Callable[[Sequence[Output], int], Sequence[Command]]
ON = {"alarms": True, "mode": "research"}


@dataclass(slots=True)
class Assessed:
    """What the rules said of a recording.

    scores: of every known patient at each whole minute; alarms: every transition, in order; counts:
    observations by verdict or reason; refused: (id, reason) of commands that were refused.
    """

    scores: list[Score] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Offline:
    """A twin of one partition that is given a recording, second by second."""

    model: ModelFile | None = None
    state: TwinState = field(init=False)
    position: int = 0

    def __post_init__(self) -> None:
        self.state = new_state(1, self.model)

    @property
    def assessment(self) -> Assessment:
        """The state's assessment."""
        return assessment_of(self.state)

    def take(self, records: Sequence[ObservationBatch | Tick | Command]) -> Sequence[Output]:
        """Step the records; returns what the twin says."""
        placed = []
        for record in records:
            self.position += 1
            placed.append(Placed(0, self.position, record))
        return step(self.state, placed)[1].get(0, ())

    def known(self) -> NDArray[np.int64]:
        """Numbers of the patients of whom anything is known, in the order of their ids."""
        numbers = self.assessment.members(np.ones(1, bool))
        text = self.state.bank.patients.text
        return np.array(sorted(numbers.tolist(), key=text.__getitem__), np.int64)


def assess(
    recording: Recording,
    commands: Sequence[Command] = (),
    model: ModelFile | None = None,
    scores: bool = True,
    progress: Callable[[int, int], None] | None = None,
    answer: Answer | None = None,
) -> Assessed:
    """Assess a recording with these commands (entries, limits), each at its `issued_at`.

    Alarms are on. scores False: no rows of the score (quicker). progress is told (seconds done, of
    how many). answer is told what the twin says at each second (ns UTC); the commands that it gives
    come before the next one's tick. Commands after the end are not given, but counted
    (`after_the_end`). Raises ValueError: nothing in it is usable.
    """
    twin = Offline(model)
    done = Assessed()
    done.counts.update(recording.refused)
    rows = _usable(recording, twin.state.bank, done.counts)
    received = recording.received_at[rows]
    begin = int(received[0]) // SECOND * SECOND
    first = Command("assess", "alarm_settings", "assess", begin, ON)
    told = sorted(commands, key=lambda one: one.issued_at)
    _note(twin.take([first]), done)
    ticks = _ticks(received)
    table = _Table(recording, rows)
    place = given = 0
    answered: Sequence[Command] = ()
    for n, at in enumerate(ticks):
        records: list[ObservationBatch | Tick | Command] = [*answered]
        while given < len(told) and told[given].issued_at <= at:
            records.append(told[given])
            given += 1
        end = int(np.searchsorted(received, at, side="right"))
        if end > place:
            records.append(table.batch(place, end))
            place = end
        said = twin.take([*records, Tick(at, True)])
        _note(said, done)
        answered = () if answer is None else answer(said, at)
        if scores and at % MINUTE == 0:
            done.scores += twin.assessment.scores(twin.known(), at)
        if progress is not None and n % 600 == 0:
            progress(n, len(ticks))
    if given < len(told):
        done.counts["after_the_end"] = len(told) - given
    return done


def _usable(recording: Recording, bank: Bank, counts: Counter[str]) -> NDArray[np.int64]:
    """Rows that the twin takes, in the order of their receipt; what it refuses is counted."""
    order = np.lexsort((np.arange(len(recording)), recording.received_at))
    refused = refusals(recording, order, bank)
    counts.update(refused.reasons)
    rows = order[refused.usable]
    if not len(rows):
        raise ValueError("no observation that can be used")
    return np.asarray(rows, np.int64)


def _ticks(received: NDArray[np.int64]) -> Sequence[int]:
    """Whole seconds from the first observation to the end of the last one's minute."""
    begin, end = int(received[0]) // SECOND * SECOND, -(-int(received[-1]) // MINUTE) * MINUTE
    ticks = np.arange(begin + SECOND, max(end, begin + SECOND) + SECOND, SECOND)
    if end - begin <= SILENCE:
        return ticks.tolist()
    place = np.searchsorted(received, ticks, side="right")
    last = received[np.maximum(place - 1, 0)]
    following = received[np.minimum(place, len(received) - 1)]
    asleep = (ticks - last > SILENCE) & (following - ticks > SECOND)
    return ticks[~asleep].tolist()  # type: ignore[no-any-return]


class _Table:
    """The recording's rows as batches of the journal."""

    def __init__(self, recording: Recording, chosen: NDArray[np.int64]) -> None:
        self._names: dict[str, list[str]] = {}
        rows = np.zeros(len(chosen), OBSERVATION_ROW)
        for name in ("patient", "device", "signal"):
            texts: list[str] = getattr(recording, name)
            self._names[name] = sorted(set(texts))
            place = {text: n for n, text in enumerate(self._names[name])}
            rows[name] = np.fromiter(map(place.__getitem__, texts), np.int64, len(texts))[chosen]
        for name in ("value", "noise_std", "quality", "measured_at", "received_at"):
            rows[name] = getattr(recording, name)[chosen]
        rows["device_stamp"] = rows["measured_at"]
        rows["device_sequence"] = -1
        self._rows = rows

    def batch(self, begin: int, end: int) -> ObservationBatch:
        """Rows begin to end, sorted by patient."""
        rows = self._rows[begin:end]
        rows = rows[np.argsort(rows["patient"], kind="stable")]
        tables: dict[str, tuple[str, ...]] = {}
        for name, texts in self._names.items():
            used, index = np.unique(rows[name], return_inverse=True)
            rows[name] = index
            tables[name] = tuple(map(texts.__getitem__, used.tolist()))
        offsets = np.searchsorted(rows["patient"], np.arange(len(tables["patient"]) + 1))
        return ObservationBatch(
            tables["patient"],
            tables["device"],
            tables["signal"],
            offsets.astype("<i4").tobytes(),
            rows.tobytes(),
        )


def _note(outputs: Sequence[Output], done: Assessed) -> None:
    for output in outputs:
        if isinstance(output, Judgements):
            done.alarms += output.alarms
        elif isinstance(output, Outcome):
            if not output.done:
                done.refused.append((output.id, output.reason))
        elif isinstance(output, EstimateBatch):
            verdicts = output.rows["verdict"][output.rows["kind"] == Kind.VERDICT]
            for verdict, count in enumerate(np.bincount(verdicts).tolist()):
                if count:
                    done.counts[Verdict(verdict).name.lower()] += count
