"""NEWS2 rows: the sub-scores as they are held, and the score as a probability, now and in an hour.

Sub-scores come from the charted values (means over a minute of good measurements, held at band
edges); probabilities from the estimates, so that a vital which was not measured lately widens
instead of vanishing. A person's cuff or thermometer counts as its own value with its own spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    chart_of,
)
from twin.estimation.bank import Bank
from twin.estimation.kalman import NEVER as NO_STATE
from twin.judgement import PARAMETERS, Chances, Component, Score

#: Places in `held` in the order of `PARAMETERS`.
HELD_OF = (0, 1, H_OXYGEN, 2, 3, H_CONSCIOUSNESS, 4)
_ENTRY_OF = {2: E_SBP, 4: E_TEMPERATURE}
_OTHERS = {H_OXYGEN: E_OXYGEN, H_CONSCIOUSNESS: E_CONSCIOUSNESS}


@dataclass(frozen=True, slots=True)
class Known:
    """Means and standard deviations (n, 5) of n patients' vitals, in reporting units.

    have (n, 5): whether anything is known; where not, the numbers mean nothing.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    have: NDArray[np.bool_]


def move_on(
    memory: Memory, patients: NDArray[np.int64], at: int, seconds: NDArray[np.float64]
) -> None:
    """Hold the sub-scores of these patients (n,) at a tick; seconds (capacity,) have passed."""
    m = memory.of
    score(
        patients, at, seconds, VITAL_ROW, PER_UNIT, UPPER, POINTS, m["charted"], m["charted_at"],
        m["seen_interval"], m["entered"], m["entered_at"], m["entered_until"], m["held"],
        m["rising"], m["falling"], m["context"], m["source"], m["scored"],
    )  # fmt: skip


def rows_of(
    memory: Memory, bank: Bank, patients: NDArray[np.int64], at: int, actors: Actors
) -> list[Score]:
    """A score row of each of these patients (n,) as of the tick `at`."""
    if not len(patients):
        return []
    now = _chances(memory, patients, _known(memory, bank, patients, at, 0))
    later = _chances(memory, patients, _known(memory, bank, patients, at, HOUR))
    version = bank.model_file.version
    held = memory.of["held"][patients].astype(int).tolist()
    scale = (memory.of["context"][patients] // 2).tolist()
    rows = []
    for n, number in enumerate(patients.tolist()):
        points = held[n]
        rows.append(
            Score(
                bank.patients.text[number],
                at,
                sum(max(p, 0) for p in points),
                min(points) >= 0,
                max(points) == 3,
                max(scale[n], 1),
                Chances(*now[n].tolist()),
                Chances(*later[n].tolist()),
                _components(memory, number, points, actors),
                version,
            )
        )
    return rows


#: (number of the patient, column of the entry) → who made the newest one.
Actors = dict[tuple[int, int], str]


def _components(
    memory: Memory, number: int, points: Sequence[int], actors: Actors
) -> tuple[Component, ...]:
    return tuple(
        _component(memory, number, name, place, points[place], actors)
        for name, place in zip(PARAMETERS, HELD_OF, strict=True)
    )


def _component(
    memory: Memory, number: int, name: str, place: int, points: int, actors: Actors
) -> Component:
    m = memory.of
    if place >= 5:
        return _entered(memory, number, name, _OTHERS[place], points, actors)
    by_hand = _ENTRY_OF.get(place)
    if by_hand is not None:
        row = VITAL_ROW[place]
        newer = m["entered_at"][number, by_hand] > m["charted_at"][number, row]
        if m["source"][number, place] == 1 if points >= 0 else newer:
            return _entered(memory, number, name, by_hand, points, actors)
    at = int(m["charted_at"][number, VITAL_ROW[place]])
    if at == NEVER:
        return Component(name, -1, float("nan"), 0)
    value = float(np.floor(m["charted"][number, VITAL_ROW[place]] * PER_UNIT[place] + 0.5))
    return Component(name, points, round(value / float(PER_UNIT[place]), 1), at, "device")


def _entered(
    memory: Memory, number: int, name: str, column: int, points: int, actors: Actors
) -> Component:
    at = int(memory.of["entered_at"][number, column])
    if at == NEVER:
        return Component(name, -1, float("nan"), 0)
    value = float(memory.of["entered"][number, column])
    return Component(name, points, value, at, "entry", actors.get((number, column), ""))


def _known(memory: Memory, bank: Bank, patients: NDArray[np.int64], at: int, ahead: int) -> Known:
    n = len(patients)
    slots = bank.slot_of[patients[:, None], VITAL_ROW[None, :]].astype(np.int64)
    have = slots >= 0
    state_t = bank.slots.of["state_t"]
    have[have] = state_t[slots[have]] != NO_STATE
    mean, std = np.zeros((n, 5)), np.ones((n, 5))
    chosen = slots[have]
    forecast = bank.forecast(chosen, ahead / SECOND, at)
    mean[have] = forecast.mean
    # Bands of points are made of one width: that of the 90 % band.
    std[have] = forecast.std * (forecast.scales[:, 1] if ahead else 1.0)
    _put_entries(memory, patients, at + ahead, Known(mean, std, have))
    return Known(mean * PER_UNIT, np.maximum(std * PER_UNIT, 1e-6), have)


def _put_entries(memory: Memory, patients: NDArray[np.int64], at: int, known: Known) -> None:
    """A person's reading newer than the device's is what is known, with a spread that grows."""
    m = memory.of
    for place, column in _ENTRY_OF.items():
        since = m["entered_at"][patients, column]
        newer = (since != NEVER) & (since >= m["charted_at"][patients, VITAL_ROW[place]])
        age = np.maximum(at - since[newer], 0) / HOUR
        noise = SIGNALS[SIGNAL_OF[place]].noise_std
        known.mean[newer, place] = m["entered"][patients[newer], column]
        known.std[newer, place] = noise * np.sqrt(1.0 + age)
        known.have[newer, place] = True


def _chances(memory: Memory, patients: NDArray[np.int64], known: Known) -> NDArray[np.float64]:
    """(n, 4) as `kernel.chances` has it."""
    m = memory.of
    n = len(patients)
    oxygen = m["entered"][patients, E_OXYGEN] > 0
    awry = m["entered"][patients, E_CONSCIOUSNESS] > 0
    charts = np.zeros((n, 5), np.int64)
    context = m["context"][patients].astype(np.int64)
    for v in range(5):
        charts[:, v] = chart_of(v, 1, False)
    charts[context // 2 == 2, 1] = chart_of(1, 2, False)
    charts[(context // 2 == 2) & (context % 2 == 1), 1] = chart_of(1, 2, True)
    out, pmf, part = np.empty((n, 4)), np.empty(HIGHEST_SCORE + 1), np.empty(4)
    chances(
        known.mean, known.std, known.have, charts, LOWEST, HIGHEST, UPPER, POINTS,
        2 * oxygen.astype(np.int64) + 3 * awry.astype(np.int64), awry, pmf, part, out,
    )  # fmt: skip
    return out
