"""Class constants of a signal by the score of its forecasts at several horizons, on recordings.

One-step likelihood fits the next reading, and at 1 Hz that is mostly the device: bands a minute
ahead then hold half of what they say. So constants are judged by what they are for. The score is
the mean, over persons and horizons, of log(CRPS of the forecast / mean absolute error of
persistence): 0 is as good as saying that nothing changes, −0.2 is a fifth better. The search
(`search`) goes over logarithms, from the constants of a given model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import ROWS
from ingest.recording import Recording
from twin.bands import Z50, Z90, Z95
from twin.estimation.ahead import FOLLOWED
from twin.estimation.bank import Bank
from twin.estimation.events import Events
from twin.estimation.models import ModelFile
from twin.estimation.pairing import held, origins, readings, rows_of, subset
from twin.estimation.scores import crps
from twin.estimation.search import nelder_mead
from twin.estimation.signal_model import ranges_of

Numbers = NDArray[np.float64]
#: What is searched; a velocity's constants only where the model has one.
SEARCHED = ("level_time", "deviation_time", "deviation_noise", "noise")
VELOCITY = ("velocity_time", "velocity_noise")
#: A person with fewer forecasts at a horizon is not judged there.
FEWEST = 20
_LEVELS = ((0.5, Z50), (0.9, Z90), (0.95, Z95))


class NothingToFit(ValueError):
    """The recordings have too little of the signal, with what was found."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Forecasts of one person and horizon: rows they are made after, readings, persistence's."""

    person: int
    horizon: int
    made: NDArray[np.int64]
    truth: Numbers
    persistence: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """One signal of a recording, ready to be replayed again and again. persons: their ids."""

    signal: str
    persons: Sequence[str]
    horizons: Sequence[float]
    recording: Recording
    pairs: Sequence[_Pairs]

    def of(self, persons: Sequence[int]) -> Evidence:
        """With the forecasts of these persons (numbers) alone judged."""
        return replace(self, pairs=[each for each in self.pairs if each.person in persons])


@dataclass(frozen=True, slots=True)
class HorizonFit:
    """One horizon: mean over persons of RMSE and CRPS, of persistence's RMSE, of coverage."""

    seconds: float
    persons: int
    rmse: float
    persistence_rmse: float
    crps: float
    coverage: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Persons that a fit did not see, and the score on them: before, and of that fit."""

    persons: Sequence[str]
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Fit:
    """What a search found. model: with new calibration; constants: name → (before, after);
    before, after: the scores; scores: the best so far after each trial."""

    signal: str
    model: ModelFile
    constants: Mapping[str, tuple[float, float]]
    before: float
    after: float
    scores: Sequence[float]
    left_out: Sequence[LeftOut]


def evidence(recording: Recording, signal: str, horizons: Sequence[float]) -> Evidence:
    """The signal's readings, each judging the forecasts made so long before it.

    Raises NothingToFit: nobody has FEWEST readings that any forecast could be judged by.
    """
    rows = np.flatnonzero(np.array([code == signal for code in recording.signal], bool))
    order = rows[np.lexsort((recording.received_at[rows], recording.measured_at[rows]))]
    known = readings(recording, order)
    kept = subset(recording, order)
    persons = list(dict.fromkeys(kept.patient))
    pairs = []
    for (patient, _), places in rows_of(kept, np.arange(len(kept))).items():
        stamps = kept.measured_at[places]
        last = places[np.append(np.diff(stamps) != 0, True)]
        truth = known[patient, signal]
        for n, seconds in enumerate(horizons):
            found = origins(kept.measured_at[last], truth.at, seconds)
            made, value = last[found[found >= 0]], truth.value[found >= 0]
            if len(made) >= FEWEST:
                away = held(truth, kept.measured_at[made]) - value
                error = float(np.mean(np.abs(away)))
                if error > 0:
                    pairs.append(_Pairs(persons.index(patient), n, made, value, error))
    if not pairs:
        names = f"{len(kept)} readings of {signal} of {len(persons)} persons"
        ahead = f"{FEWEST} of one person with another one {min(horizons):g} s before"
        raise NothingToFit(f"got {names}, expected {ahead}, and not all alike")
    return Evidence(signal, persons, list(horizons), kept, pairs)


def forecasts(given: Evidence, model: ModelFile) -> tuple[Numbers, Numbers]:
    """Mean and std (horizons, n) after each row of the evidence, by this model."""
    bank, kept = Bank(model), given.recording
    patient = np.array(bank.numbers_of(kept.patient), np.int64)
    names = {name: n for n, name in enumerate(dict.fromkeys(kept.device))}
    signal = np.full(len(kept), ROWS[given.signal], np.int64)
    states = np.empty((len(kept), FOLLOWED))
    device = np.array([names[d] for d in kept.device], np.int32)
    slot = bank.find(patient, signal)
    bank.update(
        Events(slot, kept.measured_at, kept.value, kept.noise_std, kept.quality, device), states
    )
    every = np.arange(len(kept))
    ahead = [
        bank.project(states, every, signal.astype(np.int32), np.full(len(kept), float(seconds)))
        for seconds in given.horizons
    ]
    return np.stack([mean for mean, _ in ahead]), np.stack([std for _, std in ahead])


def score(given: Evidence, model: ModelFile) -> float:
    """Mean over persons and horizons of log(CRPS / persistence's MAE); lower is better."""
    mean, std = forecasts(given, model)
    each = [
        math.log(
            float(np.mean(crps(p.truth, mean[p.horizon, p.made], std[p.horizon, p.made])))
            / p.persistence
        )
        for p in given.pairs
    ]
    return float(np.mean(each))


def by_horizon(given: Evidence, model: ModelFile) -> list[HorizonFit]:
    """What the model's calibrated forecasts are worth at each horizon."""
    mean, std = forecasts(given, model)
    found = []
    for n, seconds in enumerate(given.horizons):
        scales = model.signals[given.signal].scales(seconds)
        mine = [p for p in given.pairs if p.horizon == n]
        rows = []
        for p in mine:
            error, width = mean[n, p.made] - p.truth, std[n, p.made]
            now = given.recording.value[p.made]
            inside = [
                float(np.mean(np.abs(error) <= z * scale * width))
                for (_, z), scale in zip(_LEVELS, scales, strict=True)
            ]
            rows.append(
                (
                    math.sqrt(np.mean(error**2)),
                    math.sqrt(np.mean((now - p.truth) ** 2)),
                    float(np.mean(crps(p.truth, mean[n, p.made], width))),
                    *inside,
                )
            )
        a, b, c, *inside = np.mean(np.array(rows), axis=0).tolist() if rows else [math.nan] * 6
        found.append(HorizonFit(seconds, len(mine), a, b, c, (inside[0], inside[1], inside[2])))
    return found


def fit(
    given: Evidence,
    model: ModelFile,
    *,
    trials: int = 100,
    folds: int = 3,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fit:
    """Constants that score best on all persons, and what such constants score on persons left out.

    folds: so many groups of persons are left out in turn (none with fewer than two persons).
    progress is told (trials done, of how many).
    """
    judged = sorted({p.person for p in given.pairs})
    folds = min(folds, len(judged)) if len(judged) > 1 else 0
    total, done = trials * (1 + folds), 0

    def told() -> None:
        nonlocal done
        done += 1
        progress(min(done, total), total)

    best, scores = _search(given, model, trials, seed, told)
    left_out = []
    shuffled = np.random.default_rng(seed).permutation(judged)
    for fold in range(folds):
        out = sorted(shuffled[fold::folds].tolist())
        rest = [person for person in judged if person not in out]
        seen, unseen = given.of(rest), given.of(out)
        there, _ = _search(seen, model, trials, seed, told)
        names = [given.persons[person] for person in out]
        left_out.append(LeftOut(names, score(unseen, model), score(unseen, there)))
    progress(total, total)
    before, after = model.signals[given.signal], best.signals[given.signal]
    fitted = searched(model, given.signal)
    constants = {name: (getattr(before, name), getattr(after, name)) for name in fitted}
    calibrated = calibrate(given, best)
    return Fit(
        given.signal, calibrated, constants, score(given, model), scores[-1], scores, left_out
    )


def searched(model: ModelFile, signal: str) -> tuple[str, ...]:
    """Names of the constants that are searched for this signal of this model."""
    each = model.signals[signal]
    moving = each.velocity_noise > 0 and each.velocity_time > 0
    names = (*SEARCHED, *VELOCITY) if moving else SEARCHED
    return tuple(name for name in names if getattr(each, name) > 0)


def _search(
    given: Evidence, model: ModelFile, trials: int, seed: int, told: Callable[[], None]
) -> tuple[ModelFile, list[float]]:
    """The best of so many models, and the best score after each trial."""
    names = searched(model, given.signal)
    base = model.signals[given.signal]
    best: list[float] = []
    found = [model]

    def trial(logs: Numbers) -> float:
        told()
        values = {name: float(f"{math.exp(x):.4g}") for name, x in zip(names, logs, strict=True)}
        changed = _with(model, given.signal, values)
        value = math.inf if changed is None else score(given, changed)
        if changed is not None and (not best or value < best[-1]):
            found[0] = changed
        best.append(min(value, best[-1]) if best else value)
        return value

    begin = np.log([getattr(base, name) for name in names])
    nelder_mead(trial, begin, trials, np.random.default_rng(seed))
    return found[0], best


def _with(model: ModelFile, signal: str, values: Mapping[str, float]) -> ModelFile | None:
    """The model with these constants and no calibration; None where a file may not have them."""
    for name, value in values.items():
        lower, upper = ranges_of(name)
        if not lower <= value <= upper:
            return None
    changed = replace(model.signals[signal], **values, calibration=())  # type: ignore[arg-type]
    ratio = changed.velocity_time / changed.deviation_time
    if changed.velocity_time and 1 / 1.2 < ratio < 1.2:
        return None
    return replace(model, signals={**model.signals, signal: changed})


def calibrate(given: Evidence, model: ModelFile) -> ModelFile:
    """The model with factors by which its bands hold, in the mean over persons, what they say."""
    mean, std = forecasts(given, model)
    rows = []
    for n, seconds in enumerate(given.horizons):
        mine = [p for p in given.pairs if p.horizon == n]
        if not mine:
            continue
        far = np.concatenate([np.abs(mean[n, p.made] - p.truth) / std[n, p.made] for p in mine])
        weight = np.concatenate([np.full(len(p.made), 1 / len(p.made) / len(mine)) for p in mine])
        order = np.argsort(far, kind="stable")
        reached = np.cumsum(weight[order])
        ends = [
            float(far[order][min(int(np.searchsorted(reached, level)), len(far) - 1)])
            for level, _ in _LEVELS
        ]
        rows.append((float(seconds), *_factors(ends)))
    changed = replace(model.signals[given.signal], calibration=tuple(rows))
    return replace(model, signals={**model.signals, given.signal: changed})


def _factors(ends: Sequence[float]) -> tuple[float, float, float]:
    """Of the half-widths that hold 50, 90 and 95 %, kept apart and within what a file may say."""
    widths, least = [], 0.02
    for end in ends:
        least = min(max(end, least), 99.0)
        widths.append(least)
        least *= 1.01
    a, b, c = (round(w / z, 4) for w, (_, z) in zip(widths, _LEVELS, strict=True))
    return a, b, c
