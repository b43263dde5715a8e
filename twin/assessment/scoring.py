"""NEWS2 rows: the sub-scores as they are held, and the score as a probability, now and in an hour.

Sub-scores come from the charted values (means over a minute of good measurements, held at band
edges); probabilities from the estimates, so that a vital which was not measured lately widens
instead of vanishing. A person's cuff or thermometer counts as its own value with its own spread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

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
from twin.estimation.models import ceiling_of
from twin.judgement import PARAMETERS, Chances, Component, Score

#: Places in `held` in the order of `PARAMETERS`.
HELD_OF = (0, 1, H_OXYGEN, 2, 3, H_CONSCIOUSNESS, 4)
_CEILING = np.array([ceiling_of(SIGNALS[code]) for code in SIGNAL_OF]) * PER_UNIT
#: A score is told of now and of an hour later, ns and s.
_AHEAD = (0, HOUR)
_AHEAD_S = [ahead / SECOND for ahead in _AHEAD]
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


def move_on(memory: Memory, patients: NDArray[np.int64], at: int) -> None:
    """Hold the sub-scores of these patients (n,) at a tick; their `seconds` have passed."""
    m = memory.of
    score(
        patients, at, m["seconds"], VITAL_ROW, PER_UNIT, UPPER, POINTS, m["charted"],
        m["charted_at"], m["seen_interval"], m["entered"], m["entered_at"], m["entered_until"],
        m["held"], m["rising"], m["falling"], m["context"], m["source"], m["scored"],
        m["rests_until"],
    )  # fmt: skip


def rows_of(
    memory: Memory, bank: Bank, patients: NDArray[np.int64], at: int, actors: Actors
) -> list[Score]:
    """A score row of each of these patients (n,) as of the tick `at`."""
    if not len(patients):
        return []
    now, later = _chances(memory, patients, _known(memory, bank, patients, at))
    version = bank.model_file.version
    held = memory.of["held"][patients].astype(np.int64)
    total, least, most = np.maximum(held, 0).sum(axis=1), held.min(axis=1), held.max(axis=1)
    scale = np.maximum(memory.of["context"][patients] // 2, 1)
    names = map(bank.patients.text.__getitem__, patients.tolist())
    columns = (x.tolist() for x in (total, least >= 0, most == 3, scale))
    chances_of = (map(Chances, *each.T.tolist()) for each in (now, later))
    parts = _components(memory, patients, held, actors)
    # By column: of a large ward each tick tells thousands.
    return list(map(Score, names, repeat(at), *columns, *chances_of, parts, repeat(version)))


#: (number of the patient, column of the entry) → who made the newest one.
Actors = dict[tuple[int, int], str]


def _components(
    memory: Memory, patients: NDArray[np.int64], held: NDArray[np.int64], actors: Actors
) -> Iterator[tuple[Component, ...]]:
    """The seven parameters of each of these patients (n,); held: (n, 7) points."""
    columns = [
        _parameter(memory, patients, name, place, held[:, place], actors)
        for name, place in zip(PARAMETERS, HELD_OF, strict=True)
    ]
    return zip(*columns, strict=True)


def _parameter(
    memory: Memory,
    patients: NDArray[np.int64],
    name: str,
    place: int,
    points: NDArray[np.int64],
    actors: Actors,
) -> list[Component]:
    """One parameter of each patient (n,), by column: a ward of thousands is told each minute."""
    m = memory.of
    column = _OTHERS.get(place, _ENTRY_OF.get(place, 0))
    entered_at, entry = m["entered_at"][patients, column], m["entered"][patients, column]
    if place in _OTHERS:
        by_hand, at, value = np.ones(len(patients), np.bool_), entered_at, entry
    else:
        row, unit = VITAL_ROW[place], PER_UNIT[place]
        at = m["charted_at"][patients, row]
        value = np.floor(m["charted"][patients, row] * unit + 0.5) / unit
        by_hand = np.zeros(len(patients), np.bool_)
        if place in _ENTRY_OF:
            by_hand = np.where(points >= 0, m["source"][patients, place] == 1, entered_at > at)
            at, value = np.where(by_hand, entered_at, at), np.where(by_hand, entry, value)
    missing = Component(name, -1, float("nan"), 0)
    if (at == NEVER).all():
        return [missing] * len(patients)
    columns = (x.tolist() for x in (patients, points, value.astype(np.float64), at, by_hand))
    return [
        missing
        if stamp == NEVER
        else Component(name, p, v, stamp, "entry", actors.get((number, column), ""))
        if hand
        else Component(name, p, v, stamp, "device")
        for number, p, v, stamp, hand in zip(*columns, strict=True)
    ]


def _known(memory: Memory, bank: Bank, patients: NDArray[np.int64], at: int) -> list[Known]:
    """What is known of the vitals at the tick `at`, and of an hour later."""
    n = len(patients)
    slots = bank.slot_of[patients[:, None], VITAL_ROW[None, :]].astype(np.int64)
    have = slots >= 0
    state_t = bank.slots.of["state_t"]
    have[have] = state_t[slots[have]] != NO_STATE
    found = []
    for ahead, forecast in zip(_AHEAD, bank.forecasts(slots[have], _AHEAD_S, at), strict=True):
        mean, std = np.zeros((n, 5)), np.ones((n, 5))
        mean[have] = forecast.mean
        # Bands of points are made of one width: that of the 90 % band.
        std[have] = forecast.std * (forecast.scales[:, 1] if ahead else 1.0)
        known = Known(mean, std, have.copy())
        _put_entries(memory, patients, at + ahead, known)
        found.append(Known(mean * PER_UNIT, np.maximum(std * PER_UNIT, 1e-6), known.have))
    return found


def _put_entries(memory: Memory, patients: NDArray[np.int64], at: int, known: Known) -> None:
    """A person's reading newer than the device's is what is known, with a spread that grows."""
    m = memory.of
    for place, column in _ENTRY_OF.items():
        since = m["entered_at"][patients, column]
        newer = (since != NEVER) & (since >= m["charted_at"][patients, VITAL_ROW[place]])
        if not newer.any():
            continue
        age = np.maximum(at - since[newer], 0) / HOUR
        noise = SIGNALS[SIGNAL_OF[place]].noise_std
        known.mean[newer, place] = m["entered"][patients[newer], column]
        known.std[newer, place] = noise * np.sqrt(1.0 + age)
        known.have[newer, place] = True


def _chances(
    memory: Memory, patients: NDArray[np.int64], of: list[Known]
) -> list[NDArray[np.float64]]:
    """(n, 4) of each of these, as `kernel.chances` has it."""
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
    entered = 2 * oxygen.astype(np.int64) + 3 * awry.astype(np.int64)
    pmf, part, made = np.empty(HIGHEST_SCORE + 1), np.empty(4), []
    for known in of:
        out = np.empty((n, 4))
        chances(
            known.mean, known.std, known.have, charts, LOWEST, HIGHEST, _CEILING, UPPER, POINTS,
            entered, awry, pmf, part, out,
        )  # fmt: skip
        made.append(out)
    return made
