"""The last twelve hours of each patient's worst vital, small enough for a row of the ward.

Kept for a few minutes: a line of 48 points does not change sooner, and a ward asks for hundreds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.instant import HOUR, MINUTE
from twin.care.vitals import VITALS
from twin.estimate import History
from twin.judgement import Alarm, AlarmKind, Score

SPAN, POINTS, KEPT_FOR = 12 * HOUR, 48, 5 * MINUTE
#: Lines in memory; the oldest go first.
_MOST = 5_000
_SIGNALS = {"pulse": "heart_rate", "temperature": "body_temperature"}


def worst_vital(alarms: Sequence[Alarm], score: Score | None) -> str:
    """That of the most urgent alarm, else of the highest sub-score, else the heart rate."""
    for alarm in alarms:
        if alarm.kind == AlarmKind.PHYSIOLOGICAL and alarm.signal in VITALS:
            return alarm.signal
    parts = [] if score is None else [p for p in score.components if p.points > 0]
    for part in sorted(parts, key=lambda part: -part.points):
        code = _SIGNALS.get(part.parameter, part.parameter)
        if code in VITALS:
            return code
    return "heart_rate"


@dataclass(slots=True)
class Sparks:
    """Lines by patient and signal. Safe for several threads; a line may be read twice at once."""

    _lines: dict[tuple[str, str], tuple[int, list[float | None]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self, history: History, patient: str, code: str, now: int) -> list[float | None]:
        """Means of a quarter of an hour each, oldest first, None where there is no estimate.

        now: int64 ns UTC. Blocks. Raises HistoryUnavailable.
        """
        with self._lock:
            at, kept = self._lines.get((patient, code), (-KEPT_FOR, []))
        if 0 <= now - at < KEPT_FOR:
            return kept
        begin = now - SPAN
        series = history.series(patient, code, begin, now, POINTS)
        place = np.clip((series.time - begin) * POINTS // SPAN, 0, POINTS - 1)
        line: list[float | None] = [None] * POINTS
        digits = VITALS[code].decimals + 1
        for n, mean in zip(place.tolist(), series.mean.tolist(), strict=True):
            line[n] = round(mean, digits)
        with self._lock:
            self._lines.pop((patient, code), None)
            self._lines[patient, code] = (now, line)
            while len(self._lines) > _MOST:
                del self._lines[next(iter(self._lines))]
        return line
