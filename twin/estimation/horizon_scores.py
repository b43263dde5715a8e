"""Scores of one signal at one horizon: of the twin, of each person, of what it competes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.estimation import scores
from twin.estimation.alignment import Judged, Numbers, Sides, judged_readings
from twin.estimation.pairing import horizon_name

#: Fewer independent horizons of one person cannot tell 90 % coverage from 85 %.
JUDGED = 200
#: Seconds between readings now that count as independent: errors of neighbours are alike.
NOW_APART = 60.0
_SHOWN = 240


@dataclass(frozen=True, slots=True)
class PersonScores:
    """One person at one horizon; independent: non-overlapping horizons; coverage 50, 90, 95 %."""

    person: int
    readings: int
    independent: int
    rmse: float
    persistence_rmse: float
    coverage: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another forecaster, and the twin, on the readings that both forecast.

    skill: the share by which the twin's RMSE is below the other's, with its 95 % interval (persons
    drawn anew, both forecasters on the same ones; None below 5 persons).
    """

    name: str
    readings: int
    rmse: float
    mae: float
    crps: float
    twin_rmse: float
    twin_mae: float
    twin_crps: float
    skill: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A stretch of one person to look at, from its start; low and high are the 90 % band."""

    person: int
    seconds: Numbers
    truth: Numbers
    mean: Numbers
    low: Numbers
    high: Numbers


@dataclass(frozen=True, slots=True)
class HorizonScores:
    """One signal so far ahead: metrics by name (docs/credibility/README.md), and what is drawn.

    pit (10,): share of readings in each tenth of the forecast; reliability (len(LEVELS),): share
    inside the central band of each level; skill_interval: 95 %, persons resampled.
    """

    seconds: float
    name: str
    metrics: Mapping[str, float]
    skill_interval: tuple[float, float] | None
    persons: Sequence[PersonScores]
    comparisons: Sequence[Comparison]
    pit: Numbers
    reliability: Numbers
    excerpt: Excerpt | None


def horizon_scores(
    sides: Sides, place: int, seconds: float, more: Mapping[str, float]
) -> HorizonScores:
    """Every score of the horizon at `place` of the tracks; `more` are metrics of all horizons."""
    judged = judged_readings(sides, place, seconds)
    comparisons = [
        compared
        for name, (mean, std) in judged.others.items()
        if (compared := _comparison(name, judged, mean, std)).readings
    ]
    persons = _persons(judged, seconds)
    transformed = scores.pit(judged.truth, judged.mean, judged.low, judged.high)
    square, baseline, both = _squares(judged)
    return HorizonScores(
        seconds,
        horizon_name(seconds),
        {**_metrics(judged, comparisons, persons), **more},
        scores.skill_interval(square, baseline, judged.person[both]),
        persons,
        comparisons,
        scores.pit_shares(transformed),
        scores.reliability(transformed),
        _excerpt(judged, persons, seconds),
    )


def _comparison(name: str, judged: Judged, mean: Numbers, std: Numbers) -> Comparison:
    both = np.isfinite(mean)
    truth, ours, width = judged.truth[both], judged.mean[both], judged.std[both]
    error, spread = mean[both] - truth, std[both]
    # A forecast of one value without a spread has its absolute error for a CRPS.
    spread = np.where(np.isfinite(spread), spread, 0.0)
    return Comparison(
        name,
        int(both.sum()),
        scores.rmse(error),
        scores.mae(error),
        float(np.mean(scores.crps(truth, mean[both], spread))) if len(truth) else np.nan,
        scores.rmse(ours - truth),
        scores.mae(ours - truth),
        float(np.mean(scores.crps(truth, ours, width))) if len(truth) else np.nan,
        scores.skill(scores.rmse(ours - truth), scores.rmse(error)),
        scores.skill_interval((ours - truth) ** 2, error**2, judged.person[both]),
    )


def _squares(judged: Judged) -> tuple[Numbers, Numbers, NDArray[np.bool_]]:
    """Squared errors of twin and persistence where both forecast, and where that is."""
    held_value = judged.others["persistence"][0] if judged.others else judged.mean
    both = np.isfinite(held_value)
    truth = judged.truth[both]
    return (judged.mean[both] - truth) ** 2, (held_value[both] - truth) ** 2, both


def _persons(judged: Judged, seconds: float) -> list[PersonScores]:
    found = []
    square, baseline, both = _squares(judged)
    with_both = judged.person[both]
    for person in np.unique(judged.person):
        of = judged.of(int(person))
        inside = judged.inside()[:, of]
        mine = with_both == person
        found.append(
            PersonScores(
                int(person),
                len(of),
                scores.non_overlapping(judged.at[of], round((seconds or NOW_APART) * SECOND)),
                scores.rmse(np.sqrt(square[mine])),
                scores.rmse(np.sqrt(baseline[mine])),
                (scores.share(inside[0]), scores.share(inside[1]), scores.share(inside[2])),
            )
        )
    return found


def _metrics(
    judged: Judged, comparisons: Sequence[Comparison], persons: Sequence[PersonScores]
) -> dict[str, float]:
    """Everything that a threshold can be set on."""
    error, inside = judged.mean - judged.truth, judged.inside()
    crps = scores.crps(judged.truth, judged.mean, judged.std)
    by_name = {each.name: each for each in comparisons}
    base = by_name.get("persistence")
    found = {
        "readings": float(len(error)),
        "persons": float(len(persons)),
        "rmse": scores.rmse(error),
        "mae": scores.mae(error),
        "bias": float(np.mean(error)) if len(error) else np.nan,
        "crps": float(np.mean(crps)) if len(crps) else np.nan,
        "skill": scores.skill(base.twin_rmse, base.rmse) if base else np.nan,
        "mae_skill": scores.skill(base.twin_mae, base.mae) if base else np.nan,
        "crps_skill": scores.skill(base.twin_crps, base.crps) if base else np.nan,
    }
    covered = np.array([each.coverage for each in persons]).reshape(-1, 3)
    long_enough = np.array([each.independent >= JUDGED for each in persons], bool)
    for n, level in enumerate((50, 90, 95)):
        found[f"coverage{level}"] = scores.share(inside[n])
        found[f"persons_coverage{level}"] = float(np.mean(covered[:, n])) if persons else np.nan
    # Of 0.90 − 0.85 binary arithmetic makes a little more than 0.05.
    near = np.abs(covered[:, 1] - 0.9) <= 0.05 + 1e-9
    found["persons_within_5"] = scores.share(near)
    found["judged_persons"] = float(long_enough.sum())
    found["judged_within_5"] = scores.share(near[long_enough])
    raw = [each for each in comparisons if each.name.startswith("raw ")]
    ratios = [(each.mae, each.twin_mae / each.mae) for each in raw if each.mae > 0]
    found["mae_to_best_device"] = min(ratios)[1] if ratios else np.nan
    return found


def _excerpt(judged: Judged, persons: Sequence[PersonScores], seconds: float) -> Excerpt | None:
    """The middle of the person whose RMSE is the median one: neither the best nor the worst."""
    if not persons:
        return None
    ordered = sorted(persons, key=lambda each: (each.rmse, each.person))
    person = ordered[len(ordered) // 2].person
    of = judged.of(person)
    start = max(0, (len(of) - _SHOWN) // 2)
    of = of[start : start + _SHOWN]
    at = (judged.at[of] - judged.at[of[0]]) / SECOND
    return Excerpt(
        person, at, judged.truth[of], judged.mean[of], judged.low[1, of], judged.high[1, of]
    )
