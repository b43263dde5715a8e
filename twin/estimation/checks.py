"""Verification on the recording itself: order of arrival and redelivery change nothing.

Both checks take the observations that a replay has accepted, disturb them with a fixed seed, and
compare the state at the end with that of the undisturbed ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from ingest.recording import Recording
from twin.estimation.models import ModelFile
from twin.estimation.pairing import rows_of, subset, usual_interval
from twin.estimation.replay import Replayed, replay

#: Relative difference of a state that counts as none (docs/models.md, Numerics).
EQUAL = 1e-9
_SEED = 20_261_125


@dataclass(frozen=True, slots=True)
class Check:
    """A claim about the code, tried on this recording; difference: the largest relative one.

    passed is None where the recording cannot decide it.
    """

    name: str
    observations: int
    disturbed: int
    belated: int
    difference: float
    passed: bool | None
    said: str


def checks(recording: Recording, taken: NDArray[np.int64], model: ModelFile) -> tuple[Check, Check]:
    """Both checks on the rows `taken` of the recording, which a replay has accepted."""
    accepted = subset(recording, np.sort(taken))
    accepted = replace(accepted, received_at=accepted.measured_at)
    undisturbed = replay(accepted, model=model)
    return _order(accepted, undisturbed, model), _duplicates(accepted, undisturbed, model)


def _order(accepted: Recording, undisturbed: Replayed, model: ModelFile) -> Check:
    """Each observation received up to a quarter of its ring late, against the sorted ones."""
    late = np.zeros(len(accepted), np.int64)
    rng = np.random.default_rng(_SEED)
    for (_, code), rows in rows_of(accepted, np.arange(len(accepted))).items():
        interval = usual_interval(np.sort(accepted.measured_at[rows]))
        most = max(interval * model.signals[code].ring // 4, SECOND)
        late[rows] = rng.integers(0, most, len(rows), endpoint=True)
    received = accepted.measured_at + late
    shuffled = replay(replace(accepted, received_at=received), model=model, order="received")
    difference, belated = _difference(undisturbed, shuffled), shuffled.counts.get("belated", 0)
    said = _apart(difference)
    if belated:
        said += f"; undecided, for {belated} observations came later than their ring holds"
    order = np.argsort(accepted.measured_at, kind="stable")
    passed = None if belated else difference <= EQUAL
    moved = int((np.argsort(received, kind="stable") != order).sum())
    return Check("shuffled = sorted", len(accepted), moved, belated, difference, passed, said)


def _duplicates(accepted: Recording, undisturbed: Replayed, model: ModelFile) -> Check:
    """A fifth of the observations given twice, against once."""
    rng = np.random.default_rng(_SEED)
    again = np.sort(rng.choice(len(accepted), len(accepted) // 5, replace=False))
    order = np.sort(np.concatenate([np.arange(len(accepted)), again]), kind="stable")
    twice = replay(subset(accepted, order), model=model)
    found = sum(twice.counts.get(verdict, 0) for verdict in ("duplicate", "belated"))
    difference = _difference(undisturbed, twice)
    return Check(
        "duplicates change nothing",
        len(accepted),
        len(again),
        twice.counts.get("belated", 0),
        difference,
        difference <= EQUAL and found == len(again),
        f"{found} of {len(again)} told as such; {_apart(difference)}",
    )


def _apart(difference: float) -> str:
    if difference == 0:
        return "the same state, bit for bit"
    return f"states differ by at most {difference:.1e}, relative"


def _difference(one: Replayed, other: Replayed) -> float:
    """Largest |a − b| / max(1, |a|) over all states; infinite if they are of other keys."""
    states = dict(zip(other.keys, other.state, strict=True))
    if states.keys() != set(one.keys):
        return float("inf")
    largest = 0.0
    for key, state in zip(one.keys, one.state, strict=True):
        apart = np.abs(state - states[key]) / np.maximum(1.0, np.abs(state))
        largest = max(largest, float(np.max(apart, initial=0.0)))
    return largest
