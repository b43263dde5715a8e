"""The chance of a limit, from a forecast.

A forecast of a key says what its true value will be a horizon after its newest measurement
(`WIDE_ROW`). What is given back beyond a limit follows from mean, std and the bands' factors, so it
is computed where it is asked, with the limits then in force.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.bands import Z50, Z90, Z95

#: The one that pages draw, advisories look at, and people read.
LOOK_AHEAD_S = 1800
#: Shown with every number of a scenario.
WATERMARK = {
    "en": "SCENARIO – not a measurement",
    "fr": "SCÉNARIO – pas une mesure",
}
_Z = np.array([Z50, Z90, Z95])


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
