"""The report of `twin fit`: what was searched, what it is worth, also on persons left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from twin.estimation.fitting import Fit, HorizonFit
from twin.estimation.pairing import horizon_name
from twin.report.page import render
from twin.report.provenance import Code, Source

FORMAT = "twin-fit-1"


@dataclass(frozen=True, slots=True)
class FitReport:
    """Everything that the report says. labels: person's id → how it is called here."""

    title: str
    made_at: str
    from_version: str
    to_version: str
    seed: int
    labels: Mapping[str, str]
    fit: Fit
    before: Sequence[HorizonFit]
    after: Sequence[HorizonFit]
    sources: Sequence[Source]
    code: Code

    @property
    def horizons(self) -> Sequence[tuple[str, HorizonFit, HorizonFit]]:
        """Name, before, after of each horizon."""
        names = [horizon_name(each.seconds) for each in self.before]
        return list(zip(names, self.before, self.after, strict=True))

    @property
    def unseen(self) -> tuple[float, float]:
        """Mean score on persons left out: before, and of fits without them; NaN with no such."""
        found = [(each.before, each.after, len(each.persons)) for each in self.fit.left_out]
        n = sum(persons for *_, persons in found)
        if not n:
            return math.nan, math.nan
        return sum(b * p for b, _, p in found) / n, sum(a * p for _, a, p in found) / n


def fit_page(report: FitReport) -> str:
    """The report as HTML."""
    return render("fit.html", report=report)


def fit_document(report: FitReport) -> dict[str, Any]:
    """The report as JSON-ready values; the same input gives the same, but for `made_at`."""
    before, after = report.unseen
    return {
        "format": FORMAT,
        "made_at": report.made_at,
        "title": report.title,
        "signal": report.fit.signal,
        "models": {"from": report.from_version, "to": report.to_version},
        "seed": report.seed,
        "constants": {name: list(pair) for name, pair in report.fit.constants.items()},
        "score": {"before": report.fit.before, "after": report.fit.after},
        "persons_left_out": {
            "before": _finite(before),
            "after": _finite(after),
            "folds": [
                {"persons": [report.labels[p] for p in each.persons]}
                | {"before": each.before, "after": each.after}
                for each in report.fit.left_out
            ],
        },
        "horizons": {
            name: {"before": _horizon(one), "after": _horizon(other)}
            for name, one, other in report.horizons
        },
        "trials": list(report.fit.scores),
        "files": [asdict(source) for source in report.sources],
        "code": asdict(report.code) | {"packages": dict(report.code.packages)},
    }


def _horizon(each: HorizonFit) -> dict[str, Any]:
    return {
        name: value if isinstance(value, tuple) else _finite(value)
        for name, value in asdict(each).items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
