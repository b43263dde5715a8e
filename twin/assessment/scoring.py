"""NEWS2 rows: the sub-scores as they are held, and the score as a probability, now and in an hour.

Sub-scores come from the charted values (means over a minute of good measurements, held at band
edges); probabilities from the estimates, so that a vital which was not measured lately widens
instead of vanishing. A person's cuff or thermometer counts as its own value with its own spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import HOUR, SECOND
from twin.assessment.kernel import (
    E_CONSCIOUSNESS,
    E_OXYGEN,
    E_SBP,
    E_TEMPERATURE,
    H_CONSCIOUSNESS,
    H_OXYGEN,
    NEVER,
    chances,
    score,
)
from twin.assessment.memory import Memory
from twin.assessment.news2 import (
    HIGHEST,
    HIGHEST_SCORE,
    LOWEST,
    PER_UNIT,
    POINTS,
    SIGNAL_OF,
    UPPER,
    VITAL_ROW,
)
from twin.assessment.score_kernel import lay_out
from twin.assessment.score_row_kernel import lay_down
from twin.estimate import Status
from twin.estimation.bank import Bank
from twin.estimation.kalman import NEVER as NO_STATE
from twin.estimation.models import ceiling_of
from twin.estimation.status import status_of
from twin.judgement import PARAMETERS
from twin.score_row import CHANCES, HEAD_ROW, PART_ROW, ScoreRows, own_actors

#: Places in `held` in the order of `PARAMETERS`.
HELD_OF = np.array([0, 1, H_OXYGEN, 2, 3, H_CONSCIOUSNESS, 4])
_CEILING = np.array([ceiling_of(SIGNALS[code]) for code in SIGNAL_OF]) * PER_UNIT
#: A score is told of now and of an hour later, ns and s.
_AHEAD = (0, HOUR)
_AHEAD_S = [ahead / SECOND for ahead in _AHEAD]
#: Column of the entries of each of `held`; −1: nobody enters it.
_ENTRY_OF = np.array([-1, -1, E_SBP, -1, E_TEMPERATURE, E_CONSCIOUSNESS, E_OXYGEN])
#: How far (std) a person's reading of each vital may be from the truth.
_NOISE = np.array([SIGNALS[code].noise_std for code in SIGNAL_OF])


def move_on(memory: Memory, patients: NDArray[np.int64], at: int) -> None:
    """Hold the sub-scores of these patients (n,) at a tick; their `seconds` have passed."""
    m = memory.of
    score(
        patients, at, m["seconds"], VITAL_ROW, PER_UNIT, UPPER, POINTS, m["charted"],
        m["charted_at"], m["seen_interval"], m["entered"], m["entered_at"], m["entered_until"],
        m["held"], m["rising"], m["falling"], m["context"], m["source"], m["scored"],
        m["rests_until"],
    )  # fmt: skip


#: (number of the patient, column of the entry) → who made the newest one.
Actors = dict[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class Rows:
    """n scores as `ScoreRows` has them; part_ends, chance_ends (n,): where those of each end."""

    at: int
    model: str
    patients: tuple[str, ...]
    actors: tuple[str, ...]
    heads: NDArray[Any]
    parts: NDArray[Any]
    part_ends: NDArray[np.int64]
    chances: NDArray[np.float64]
    chance_ends: NDArray[np.int64]

    def part(self, begin: int, end: int) -> ScoreRows:
        """Rows begin to end."""
        actors, parts = own_actors(self.actors, self.parts[_between(self.part_ends, begin, end)])
        chances = self.chances[_between(self.chance_ends, begin, end)]
        of = self.patients[begin:end], actors, self.heads[begin:end], parts, chances
        return ScoreRows(self.at, self.model, *of)


def _between(ends: NDArray[np.int64], begin: int, end: int) -> slice:
    return slice(int(ends[begin - 1]) if begin else 0, int(ends[end - 1]) if end else 0)


def rows_of(
    memory: Memory, bank: Bank, patients: NDArray[np.int64], at: int, actors: Actors
) -> Rows:
    """A score row of each of these patients (n,) as of the tick `at`."""
    now, later = _chances(memory, bank, patients, at)
    m, n = memory.of, len(patients)
    names = tuple(map(bank.patients.text.__getitem__, patients.tolist()))
    by, who = _who(memory, patients, actors)
    heads, parts = np.empty(n, HEAD_ROW), np.empty(n * len(PARAMETERS), PART_ROW)
    chances = np.empty(n * CHANCES)
    part_ends, chance_ends = np.empty(n, np.int64), np.empty(n, np.int64)
    lay_down(
        patients, HELD_OF, _ENTRY_OF, VITAL_ROW, PER_UNIT, m["held"], m["context"], m["charted"],
        m["charted_at"], m["entered"], m["entered_at"], m["source"], by, now, later, heads, parts,
        part_ends, chances, chance_ends,
    )  # fmt: skip
    version = bank.model_file.version
    return Rows(at, version, names, who, heads, parts, part_ends, chances, chance_ends)


def _who(
    memory: Memory, patients: NDArray[np.int64], actors: Actors
) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    """Who entered each parameter of each of these patients (n, parameters): places in a table."""
    by = np.zeros((len(patients), len(PARAMETERS)), np.uint16)
    table: dict[str, int] = {}
    for place in np.flatnonzero((memory.of["entered_at"][patients] != NEVER).any(axis=1)).tolist():
        for parameter, column in enumerate(_ENTRY_OF[HELD_OF].tolist()):
            name = actors.get((int(patients[place]), column), "")
            by[place, parameter] = table.setdefault(name, len(table))
    return by, tuple(table)


def _staying(
    bank: Bank, slots: NDArray[np.int64], at: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """As the bank has it, of those slots that are not stale at the tick `at`."""
    a = bank.slots.of
    age = np.maximum(at - a["state_t"][slots], 0)
    lately = np.isin(status_of(age, bank.expected[a["model"][slots]]), (Status.FRESH, Status.LATE))
    places, mean, std = bank.staying(slots, age / SECOND)
    kept = lately[places]
    return places[kept], mean[kept], std[kept]


def _chances(
    memory: Memory, bank: Bank, patients: NDArray[np.int64], at: int
) -> list[NDArray[np.float64]]:
    """(n, 4) as `kernel.chances` has it, at the tick `at`, and of an hour later."""
    m, n = memory.of, len(patients)
    slots = bank.slot_of[patients[:, None], VITAL_ROW[None, :]].astype(np.int64)
    have = slots >= 0
    have[have] = bank.slots.of["state_t"][slots[have]] != NO_STATE
    mean, std, known = np.empty((n, 5)), np.empty((n, 5)), np.empty((n, 5), np.bool_)
    charts, fixed, awry = np.empty((n, 5), np.int64), np.empty(n, np.int64), np.empty(n, np.bool_)
    pmf, part, made = np.empty(HIGHEST_SCORE + 1), np.empty(4), []
    for ahead, forecast in zip(_AHEAD, bank.forecasts(slots[have], _AHEAD_S, at), strict=True):
        # Bands of points are made of one width: that of the 90 % band.
        wide = forecast.std * forecast.scales[:, 1] if ahead else forecast.std
        if not ahead:
            places, *stayed = _staying(bank, slots[have], at)
            forecast.mean[places], wide[places] = stayed
        out = np.empty((n, 4))
        lay_out(
            patients, at + ahead, have, forecast.mean, wide, VITAL_ROW, PER_UNIT, _ENTRY_OF, _NOISE,
            m["entered"], m["entered_at"], m["charted_at"], m["context"],
            mean, std, known, charts, fixed, awry,
        )  # fmt: skip
        chances(
            mean, std, known, charts, LOWEST, HIGHEST, _CEILING, UPPER, POINTS, fixed, awry,
            pmf, part, out,
        )  # fmt: skip
        made.append(out)
    return made
