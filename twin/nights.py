"""Nights of a recording: what each gives of every signal at rest, and what they say together.

A night is from midnight to seven on site. At rest: no step in the last twelve minutes, where steps
are recorded (as NightSignal has it: Alavi et al. 2022). The value of a night is the median of the
medians of its quarters of an hour, so that what was measured often in one of them counts once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE, SECOND
from ingest.recording import Recording
from twin.assessment.illness import SIGNALS_OF_ILLNESS, Judged, Measured, judged

NIGHT_H = 7
BLOCK = 15 * MINUTE
AT_REST = 12 * MINUTE
#: Quarters of an hour that a night must have.
LEAST_BLOCKS = 2
#: Variance of a median over that of a mean, of Gaussian values.
_MEDIAN = math.pi / 2
EPOCH = date(1970, 1, 1)
#: Night (days since the epoch) → signal → what it gave.
Nights = Mapping[int, Mapping[str, Measured]]


def nights_of(recording: Recording, zone: ZoneInfo) -> dict[str, Nights]:
    """patient → nights, by the time on site."""
    names = np.array(recording.patient, object)
    codes = np.array(recording.signal, object)
    found: dict[str, Nights] = {}
    for patient in sorted(set(recording.patient)):
        mine = names == patient
        steps = mine & (codes == "step_count") & (recording.value > 0)
        moved = np.sort(recording.measured_at[steps])
        nights: dict[int, dict[str, Measured]] = defaultdict(dict)
        for code in SIGNALS_OF_ILLNESS:
            rows = mine & (codes == code) & ~(recording.quality < 0.5)
            at, value = recording.measured_at[rows], recording.value[rows]
            rest = _at_rest(at, moved)
            for night, measured in _summaries(at[rest], value[rest], zone).items():
                nights[night][code] = measured
        found[patient] = dict(nights)
    return found


def judged_nights(recording: Recording, zone: ZoneInfo) -> list[tuple[str, Nights, Judged]]:
    """(patient, its nights, what each said), by patient and night.

    Raises ValueError: there is no night in it.
    """
    found = [
        (patient, nights, row)
        for patient, nights in nights_of(recording, zone).items()
        for row in judged(nights)
    ]
    if not found:
        raise ValueError(
            f"no night: expected at least {LEAST_BLOCKS} quarters of an hour between 00:00 and "
            f"0{NIGHT_H}:00 in {zone.key} of one of {', '.join(SIGNALS_OF_ILLNESS)}"
        )
    return found


def day_of(night: int) -> str:
    """The date of its morning."""
    return (EPOCH + timedelta(days=night)).isoformat()


def _at_rest(at: NDArray[np.int64], moved: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(moved):
        return np.ones(len(at), bool)
    place = np.searchsorted(moved, at, side="right")
    last = np.where(place > 0, moved[np.maximum(place - 1, 0)], -(2**62))
    return np.asarray(at - last > AT_REST, bool)


def _summaries(
    at: NDArray[np.int64], value: NDArray[np.float64], zone: ZoneInfo
) -> dict[int, Measured]:
    blocks: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    block = at // BLOCK
    for number in np.unique(block).tolist():
        begin = datetime.fromtimestamp(number * BLOCK // SECOND, UTC).astimezone(zone)
        if begin.hour < NIGHT_H:
            night = (begin.date() - EPOCH).days
            blocks[night][number] = value[block == number].tolist()
    return {
        night: _measured([median(values) for values in of.values()])
        for night, of in blocks.items()
        if len(of) >= LEAST_BLOCKS
    }


def _measured(medians: Sequence[float]) -> Measured:
    spread = float(np.var(medians, ddof=1))
    return Measured(float(median(medians)), _MEDIAN * spread / len(medians))
