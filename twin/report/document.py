"""The JSON part of a credibility report. The same input gives the same bytes, but for `made_at`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ingest.catalogue import SIGNALS
from twin.estimation.checks import Check
from twin.estimation.credibility import Credibility, SignalScores
from twin.estimation.horizon_scores import JUDGED, HorizonScores
from twin.estimation.models import ModelFile
from twin.estimation.scores import LEVELS
from twin.estimation.thresholds import Statement, Thresholds, Verdict, limit_in_words
from twin.report.provenance import Code, Source

FORMAT = "twin-credibility-1"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says. persons: their labels by number, no identity in them."""

    title: str
    made_at: str
    statement: Statement
    reference: str
    order: str
    model: ModelFile
    compare: ModelFile | None
    persons: Sequence[str]
    found: Credibility
    checks: Sequence[Check]
    thresholds: Thresholds | None
    verdicts: Sequence[Verdict]
    sources: Sequence[Source]
    code: Code

    @property
    def failed(self) -> int:
        """Thresholds that are not kept and checks that failed."""
        checks = sum(check.passed is False for check in self.checks)
        return checks + sum(not verdict.passed for verdict in self.verdicts)


def document(report: Report) -> dict[str, Any]:
    """The report as JSON-ready values: six significant digits, None where nothing is known."""
    models = {"model": report.model, "compare": report.compare}
    values = {
        "format": FORMAT,
        "made_at": report.made_at,
        "title": report.title,
        "passed": report.failed == 0,
        "registered": report.thresholds.registered if report.thresholds else None,
        "thresholds": [_verdict(verdict) for verdict in report.verdicts],
        "checks": [asdict(check) for check in report.checks],
        "statement": asdict(report.statement),
        "reference": report.reference,
        "order": report.order,
        "models": {name: model.version for name, model in models.items() if model is not None},
        "files": [asdict(source) for source in report.sources],
        "code": asdict(report.code) | {"packages": dict(report.code.packages)},
        "counts": dict(sorted(report.found.counts.items())),
        "judged_from_independent_horizons": JUDGED,
        "signals": {each.signal: _signal(each, report.persons) for each in report.found.signals},
    }
    rounded: dict[str, Any] = _rounded(values)
    return rounded


def _verdict(verdict: Verdict) -> Mapping[str, Any]:
    return {
        "limit": limit_in_words(verdict.limit),
        **asdict(verdict.limit),
        "found": verdict.found,
        "passed": verdict.passed,
    }


def _signal(each: SignalScores, persons: Sequence[str]) -> Mapping[str, Any]:
    return {
        "unit": SIGNALS[each.signal].unit,
        "persons": each.persons,
        "observations": each.observations,
        "days": each.days,
        "interval_s": each.interval_s,
        "nis": each.nis,
        "nis_median": each.nis_median,
        "lag1": each.lag1,
        "devices": [asdict(device) for device in each.devices],
        "horizons": {horizon.name: _horizon(horizon, persons) for horizon in each.horizons},
    }


def _horizon(horizon: HorizonScores, persons: Sequence[str]) -> Mapping[str, Any]:
    return {
        "seconds": horizon.seconds,
        "metrics": dict(horizon.metrics),
        "skill_interval": horizon.skill_interval,
        "comparisons": [asdict(each) for each in horizon.comparisons],
        "persons": [
            asdict(each) | {"person": persons[each.person], "judged": each.independent >= JUDGED}
            for each in horizon.persons
        ],
        "pit": horizon.pit.tolist(),
        "reliability": dict(zip(map(str, LEVELS), horizon.reliability.tolist(), strict=True)),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
