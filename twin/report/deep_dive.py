"""One signal of one patient seen from afterwards, as a page: the smoothed history of an interval
beside what the twin knew at the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from twin.estimation.smoother import Smoothed
from twin.report import plots
from twin.report.page import render
from twin.report.provenance import Code, Source


@dataclass(frozen=True, slots=True)
class DeepDive:
    """Everything that the page says. at (n,) ns UTC and value (n,) in the signal's unit: the
    measurements of the interval; smoothed: of the same interval; model: its version."""

    patient: str
    signal: str
    made_at: str
    model: str
    at: NDArray[np.int64]
    value: NDArray[np.float64]
    smoothed: Smoothed
    sources: Sequence[Source]
    code: Code

    @property
    def begins(self) -> str:
        """The first stamp, to the second, UTC."""
        return _moment(int(self.smoothed.at[0]))

    @property
    def ends(self) -> str:
        """The last stamp."""
        return _moment(int(self.smoothed.at[-1]))

    @property
    def moved(self) -> tuple[float, float, str]:
        """By how much hindsight moved the estimate: in the mean, at most, and when."""
        by = np.abs(self.smoothed.mean - self.smoothed.filtered_mean)
        most = int(np.argmax(by))
        return float(by.mean()), float(by[most]), _moment(int(self.smoothed.at[most]))

    @property
    def surer(self) -> tuple[float, float]:
        """Median standard deviation: as filtered, and afterwards."""
        return float(np.median(self.smoothed.filtered_std)), float(np.median(self.smoothed.std))


def deep_dive_page(of: DeepDive) -> str:
    """The page as HTML: one file, no script, nothing loaded."""
    signal = SIGNALS[of.signal]
    title = f"{of.signal} of {of.patient}: measured, as filtered, and seen from afterwards"
    figure = plots.history(title, of.at, of.value, of.smoothed, signal.unit)
    return render("deep_dive.html", of=of, unit=signal.unit, figure=figure, title=title)


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
