"""Bands of an estimate: where 50, 90 and 95 % of what will be measured is to lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS

#: Standard normal quantiles of two-sided 50, 90 and 95 % bands.
Z50, Z90, Z95 = 0.6744897501960817, 1.6448536269514722, 1.959963984540054
#: Lower and upper end, numbers or (n,).
Reach = tuple[NDArray[np.float64] | float, NDArray[np.float64] | float]


@dataclass(frozen=True, slots=True)
class Bands:
    """lo and hi of the 50, 90 and 95 % bands, each (n,), in the signal's unit."""

    lo50: NDArray[np.float64]
    hi50: NDArray[np.float64]
    lo90: NDArray[np.float64]
    hi90: NDArray[np.float64]
    lo95: NDArray[np.float64]
    hi95: NDArray[np.float64]


def bands(
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    scale50: NDArray[Any] | float = 1.0,
    scale90: NDArray[Any] | float = 1.0,
    scale95: NDArray[Any] | float = 1.0,
    *,
    reach: Reach = (-math.inf, math.inf),
) -> Bands:
    """The one place where bands are made of mean, std and calibration scales (1 = uncalibrated).

    reach: where the signal can be; no end of a band lies beyond it.
    """
    lo50, hi50 = band(mean, std, Z50, scale50, reach)
    lo90, hi90 = band(mean, std, Z90, scale90, reach)
    return Bands(lo50, hi50, lo90, hi90, *band(mean, std, Z95, scale95, reach))


def band(
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    z: float,
    scale: NDArray[Any] | float,
    reach: Reach,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper end of one of them; z: its quantile."""
    half = z * std * scale
    return np.clip(mean - half, *reach), np.clip(mean + half, *reach)


def reach_of(codes: Sequence[str], chosen: NDArray[Any] | int) -> Reach:
    """Lowest and highest value of the chosen (indexes) of these signals; of one that is not in the
    catalogue any."""
    anywhere = (-math.inf, math.inf)
    ends = np.array([(s.lower, s.upper) if (s := SIGNALS.get(c)) else anywhere for c in codes])
    lower, upper = ends.reshape(-1, 2).T
    return lower[chosen], upper[chosen]
