"""What a reader should be told against the model: sentences made from the scores alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twin.estimation.credibility import Credibility, SignalScores
from twin.estimation.horizon_scores import HorizonScores
from twin.report.document import Report

_LEVELS = (50, 90, 95)


def weaknesses(report: Report) -> list[str]:
    """Where it is worse than something simpler, wrongly sure or unsure, or not tried at all."""
    found: Credibility = report.found
    said = [text for signal in found.signals for text in _signal(signal, report.persons)]
    refused = {name: n for name, n in found.counts.items() if n and name != "rows"}
    if refused:
        counted = ", ".join(f"{name} {n}" for name, n in sorted(refused.items()))
        said.append(f"Observations that the twin did not use: {counted}.")
    return said


def _signal(signal: SignalScores, persons: Sequence[str]) -> Iterator[str]:
    if not 0.7 <= signal.nis <= 1.3:
        side = "larger" if signal.nis > 1 else "smaller"
        yield (
            f"{signal.signal}: NIS is {signal.nis:.2f} in the mean, not 1: innovations are {side} "
            "than the model says."
        )
    if abs(signal.lag1) > 0.2:
        yield (
            f"{signal.signal}: neighbouring innovations correlate ({signal.lag1:+.2f}, not 0): "
            "one step ahead the model leaves something unused, or the device smooths."
        )
    for horizon in signal.horizons:
        yield from _horizon(f"{signal.signal}, {_ahead(horizon)}", horizon, persons)


def _ahead(horizon: HorizonScores) -> str:
    return "now" if horizon.seconds == 0 else f"{horizon.name} ahead"


def _horizon(where: str, horizon: HorizonScores, persons: Sequence[str]) -> Iterator[str]:
    if not horizon.metrics["readings"]:
        yield f"{where}: not judged, no reading lies that long after an estimate."
        return
    for each in horizon.comparisons:
        worse = [
            name
            for name, ours, theirs in (
                ("RMSE", each.twin_rmse, each.rmse),
                ("MAE", each.twin_mae, each.mae),
                ("CRPS", each.twin_crps, each.crps),
            )
            if ours > theirs
        ]
        if worse:
            yield f"{where}: {each.name} is better in {' and '.join(worse)}."
    for level in _LEVELS:
        share = horizon.metrics[f"coverage{level}"]
        if abs(share - level / 100) > 0.05:
            much = "wide" if share > level / 100 else "narrow"
            yield f"{where}: the {level} % band is too {much}, it holds {share:.1%} of readings."
    worse_off = [each for each in horizon.persons if each.rmse > each.persistence_rmse]
    if worse_off:
        worst = max(worse_off, key=lambda each: each.rmse / max(each.persistence_rmse, 1e-9))
        yield (
            f"{where}: for {len(worse_off)} of {len(horizon.persons)} persons persistence has the "
            f"lower RMSE, by most for {persons[worst.person]} "
            f"({worst.persistence_rmse:.3g} against {worst.rmse:.3g})."
        )
    if not horizon.metrics["judged_persons"]:
        yield (
            f"{where}: no person has 200 independent horizons, so coverage for one person cannot "
            "be judged here."
        )
