"""Limits tried on the stored estimates of the last days, before anybody sets them.

In pieces of a day and a signal, so that little is held at a time, and for so long at most: of a
large ward the answer says how many patients it covers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.catalogue import SIGNALS
from ingest.instant import DAY, HOUR, SECOND
from twin.assessment.limits import Rule, Rules
from twin.assessment.preview import Raised, raised
from twin.bands import Z95
from twin.care.api.signals import apart_ns
from twin.estimate import History
from twin.judgement import Priority

#: Estimates are read so far apart at least; shorter excursions than this may be missed.
STEP_S = 10
#: The answer comes after so long (s), with the patients that were done.
LONGEST_S = 20.0


@dataclass(slots=True)
class Tried:
    """Alarms that one set of limits would have raised; patients: of whom each is."""

    raised: list[Raised] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)

    def add(self, patient: str, found: Sequence[Raised]) -> None:
        self.raised += found
        self.patients += [patient] * len(found)

    def each_day(self, patient_days: float, priority: Priority | None = None) -> float:
        """For each patient and day; of one priority if given."""
        return sum(priority in (None, one.priority) for one in self.raised) / patient_days

    def hours(self, begin: int, end: int) -> list[int]:
        """How many in each hour of [begin, end)."""
        counts = Counter((one.at - begin) // HOUR for one in self.raised)
        return [counts[n] for n in range(-(-(end - begin) // HOUR))]

    def of_patients(self) -> list[tuple[str, int]]:
        """The ten who make most of them."""
        return Counter(self.patients).most_common(10)


@dataclass(slots=True)
class Trial:
    """What was tried: several sets of limits at once, on the same estimates.

    covered: patients that were done in time; patient_days: days of them with any estimate.
    """

    begin: int
    end: int
    sets: Sequence[Tried]
    covered: int = 0
    patient_days: float = 0.0


def try_limits(
    history: History,
    patients: Mapping[str, Sequence[Rules]],
    signals: Sequence[str],
    begin: int,
    end: int,
    longest_s: float = LONGEST_S,
) -> Trial:
    """Try sets of limits (of each patient as many) on these signals over [begin, end) ns UTC.

    Blocks. Raises HistoryUnavailable.
    """
    count = len(next(iter(patients.values()), ()))
    trial = Trial(begin, end, [Tried() for _ in range(count)])
    until = time.monotonic() + longest_s
    for patient, sets in patients.items():
        if time.monotonic() > until:
            break
        seen = 0
        for code in signals:
            seen = max(seen, _try_signal(history, trial, patient, code, sets))
        trial.covered += 1
        trial.patient_days += seen * HOUR / DAY
    return trial


def _try_signal(
    history: History, trial: Trial, patient: str, code: str, sets: Sequence[Rules]
) -> int:
    """One signal of one patient; in how many hours it has estimates."""
    hours = 0
    for begin in range(trial.begin, trial.end, DAY):
        end = min(begin + DAY, trial.end)
        points = max(1, (end - begin) // (STEP_S * SECOND))
        series = history.series(patient, code, begin, end, points)
        # Of a bucket the bands reach from the lowest to the highest: its own movement is taken off.
        width = series.hi95 - series.lo95 - (series.maximum - series.minimum)
        std = np.maximum(width, 0.0) / (2 * Z95)
        apart = apart_ns(SIGNALS[code], series, (end - begin) // points) / SECOND
        hours += len(np.unique(series.time // HOUR))
        for tried, rules in zip(trial.sets, sets, strict=True):
            own: dict[Priority, Rule] = {
                Priority(priority): rule
                for (signal, priority), rule in rules.items()
                if signal == code
            }
            tried.add(patient, raised(code, series.time, series.mean, std, own, apart))
    return hours
