"""The HTML part of a credibility report: one file, no script, nothing loaded, fit for print."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jinja2

from ingest.catalogue import SIGNALS
from twin.estimation.horizon_scores import JUDGED
from twin.estimation.thresholds import limit_in_words
from twin.report import plots
from twin.report.document import Report
from twin.report.weaknesses import weaknesses


def _number(value: float, digits: int = 3) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:#.{digits}g}".rstrip(".") if abs(value) < 10**digits else f"{value:.0f}"


def _count(value: float) -> str:
    return f"{value:.0f}"


def _percent(value: float, digits: int = 1) -> str:
    return "–" if not math.isfinite(value) else f"{100 * value:.{digits}f} %"


_pages = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters["number"] = _number
_pages.filters["count"] = _count
_pages.filters["percent"] = _percent


def render(template: str, **values: Any) -> str:
    """A template of this folder, filled in."""
    return _pages.get_template(template).render(values)


def page(report: Report) -> str:
    """The report as HTML."""
    return render(
        "page.html",
        report=report,
        plots=plots,
        units={code: signal.unit for code, signal in SIGNALS.items()},
        weaknesses=weaknesses(report),
        words=limit_in_words,
        judged=JUDGED,
    )
