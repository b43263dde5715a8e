"""Forecasts as they go through the estimates journal: horizons, rows, the chance of a limit.

A forecast of a key says what its true value will be a horizon after its newest measurement. In the
journal each horizon is a row (`Kind.FORECAST`); stores and pages keep the horizons of one moment
together (`WIDE_ROW`). What is given back beyond a limit follows from mean, std and the bands'
factors, so it is computed where it is asked, with the limits then in force.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bytewise import taken
from twin.estimate import Z50, Z90, Z95, Kind

#: Seconds ahead: a minute, a quarter of an hour, half an hour, an hour.
HORIZONS = (60, 900, 1800, 3600)
#: The one that pages draw, advisories look at, and people read.
LOOK_AHEAD_S = 1800
#: Shown with every number of a scenario.
WATERMARK = {
    "en": "SCENARIO – not a measurement",
    "fr": "SCÉNARIO – pas une mesure",
}
_N = len(HORIZONS)
_Z = np.array([Z50, Z90, Z95])

#: The forecasts of one key at one moment. patient and signal index the tables of the rows that they
#: were made of; as_of the newest stamp, known_at the tick (int64 ns UTC); the columns of each
#: horizon in the order of HORIZONS, NaN where there is none. The NN % band is
#: mean ± z·std·scaleNN (`twin.estimate.bands`).
WIDE_ROW = np.dtype(
    [
        ("patient", "<u4"),
        ("signal", "<u2"),
        ("as_of", "<i8"),
        ("known_at", "<i8"),
        ("mean", "<f8", (_N,)),
        ("std", "<f8", (_N,)),
        ("scale50", "<f4", (_N,)),
        ("scale90", "<f4", (_N,)),
        ("scale95", "<f4", (_N,)),
    ]
)
NUMBERS = ("mean", "std", "scale50", "scale90", "scale95")


def wide(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The forecasts among rows (dtype ESTIMATE_ROW), one WIDE_ROW for each key and moment in their
    order, and the index of each one's first row. Other horizons than HORIZONS are left out."""
    places = np.flatnonzero((rows["kind"] == Kind.FORECAST) & np.isin(rows["flags"], HORIZONS))
    found = taken(rows, places)
    if not len(found):
        return np.zeros(0, WIDE_ROW), places
    same = np.ones(len(found) - 1, bool)
    for name in ("patient", "signal", "as_of", "received_at"):
        same &= found[name][1:] == found[name][:-1]
    begins = np.concatenate([[True], ~same])
    group = np.cumsum(begins) - 1
    made = np.zeros(int(group[-1]) + 1, WIDE_ROW)
    first = taken(found, begins)
    for name, source in (
        ("patient", "patient"),
        ("signal", "signal"),
        ("as_of", "as_of"),
        ("known_at", "received_at"),
    ):
        made[name] = first[source]
    column = np.searchsorted(HORIZONS, found["flags"])
    for name in NUMBERS:
        made[name] = np.nan
        made[name][group, column] = found[name]
    return made, places[begins]


def normal_cdf(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal distribution function, elementwise."""
    scaled = (w / math.sqrt(2.0)).tolist()
    return 0.5 + 0.5 * np.fromiter(map(math.erf, scaled), np.float64, len(w))


def chance_below(
    limit: float | NDArray[np.float64],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    scales: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n,) probability that the value is below the limit; above is 1 − this. NaN: no limit.

    mean, std (n,) in the limit's unit; scales (n, 3) factors on the 50, 90 and 95 % bands. The
    normal score is linear between the ends of the bands, and beyond the widest, so that each band
    holds just what it says.
    """
    away = (limit - mean) / np.maximum(std, 1e-12)
    far, z = np.abs(away), np.zeros(len(away))
    inner, z_inner = np.zeros(len(away)), 0.0
    for end, z_end in zip((_Z * scales).T, _Z, strict=True):
        part = (far - inner) / np.maximum(end - inner, 1e-12)
        z = np.where(far > inner, z_inner + (z_end - z_inner) * np.minimum(part, 1.0), z)
        inner, z_inner = end, z_end
    z = np.where(far > inner, Z95 * far / np.maximum(inner, 1e-12), z)
    return np.where(np.isnan(away), np.nan, normal_cdf(np.copysign(z, away)))
