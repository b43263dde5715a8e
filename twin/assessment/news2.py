"""NEWS2 as the Royal College of Physicians' chart has it (docs/news2.md), as tables of bands.

Reproduced from: Royal College of Physicians. National Early Warning Score (NEWS) 2: Standardising
the assessment of acute-illness severity in the NHS. Updated report of a working party. London: RCP,
2017, chart 1. Values are rounded to what is reported (whole numbers, temperature to 0.1) before
they are scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ingest.catalogue import ROWS

#: The measured parameters in the order of the chart, and the signal each is measured by.
VITALS = ("respiratory_rate", "spo2", "systolic_bp", "pulse", "temperature")
SIGNAL_OF = ("respiratory_rate", "spo2", "systolic_bp", "heart_rate", "body_temperature")
#: Row of the catalogue of each vital, and the unit in which it is reported.
VITAL_ROW = np.array([ROWS[code] for code in SIGNAL_OF], np.int64)
UNIT = np.array([1.0, 1.0, 1.0, 1.0, 0.1])

_TOP = 1e9
#: Charts: bands as (highest reported value of the band, points), temperature in tenths of a degree.
_CHARTS: tuple[tuple[tuple[float, int], ...], ...] = (
    ((8, 3), (11, 1), (20, 0), (24, 2), (_TOP, 3)),  # respiration
    ((91, 3), (93, 2), (95, 1), (_TOP, 0)),  # SpO2 scale 1
    ((83, 3), (85, 2), (87, 1), (_TOP, 0)),  # SpO2 scale 2 on air
    ((83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2), (_TOP, 3)),  # … on oxygen
    ((90, 3), (100, 2), (110, 1), (219, 0), (_TOP, 3)),  # systolic pressure
    ((40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (_TOP, 3)),  # pulse
    ((350, 3), (360, 1), (380, 0), (390, 1), (_TOP, 2)),  # temperature
)
_WIDTH = max(map(len, _CHARTS))
#: (charts, bands) highest reported value and points of each band; unused bands repeat the last.
UPPER = np.array([[u for u, _ in c] + [_TOP] * (_WIDTH - len(c)) for c in _CHARTS])
POINTS = np.array([[n for _, n in c] + [c[-1][1]] * (_WIDTH - len(c)) for c in _CHARTS], np.int64)
#: Reporting units in a unit of the chart (temperature is charted in tenths).
PER_UNIT = np.array([1.0, 1.0, 1.0, 1.0, 10.0])
#: What a reading can be, in reporting units: estimates are truncated there.
LOWEST = np.array([0.0, 0.0, 0.0, 0.0, 250.0])
HIGHEST = np.array([200.0, 100.0, 400.0, 400.0, 450.0])

CONSCIOUSNESS = "ACVPU"
OXYGEN_POINTS = 2
NOT_ALERT_POINTS = 3
HIGHEST_SCORE = 20


def chart_of(vital: int, spo2_scale: int, oxygen: bool) -> int:
    """Which chart scores the vital (its place in `VITALS`)."""
    if vital == 1:
        return 1 if spo2_scale == 1 else 3 if oxygen else 2
    return vital if vital == 0 else vital + 2


@dataclass(frozen=True, slots=True)
class Set:
    """One complete or incomplete set of observations, as read; None = missing."""

    respiratory_rate: float | None = None
    spo2: float | None = None
    oxygen: bool | None = None
    systolic_bp: float | None = None
    pulse: float | None = None
    consciousness: str | None = None
    temperature: float | None = None
    spo2_scale: int = 1


def points_of(vital: int, value: float, spo2_scale: int = 1, oxygen: bool = False) -> int:
    """Points of one vital (its place in `VITALS`), rounded half up as it is reported."""
    chart = chart_of(vital, spo2_scale, oxygen)
    reported = math.floor(value * PER_UNIT[vital] + 0.5)
    return int(POINTS[chart][int(np.searchsorted(UPPER[chart], reported))])


def sub_scores(read: Set) -> tuple[int | None, ...]:
    """The seven sub-scores in the order of `twin.judgement.PARAMETERS`; None = missing."""
    measured = [read.respiratory_rate, read.spo2, read.systolic_bp, read.pulse, read.temperature]
    rr, spo2, sbp, pulse, temperature = (
        None if value is None else points_of(vital, value, read.spo2_scale, bool(read.oxygen))
        for vital, value in enumerate(measured)
    )
    oxygen = None if read.oxygen is None else OXYGEN_POINTS * read.oxygen
    awake = None if read.consciousness is None else NOT_ALERT_POINTS * (read.consciousness != "A")
    return rr, spo2, oxygen, sbp, pulse, awake, temperature
