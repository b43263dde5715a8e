"""What a state says of later: the columns kept for it, what is usual then, and the forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.estimation.kalman import STATE
from twin.estimation.tracker import BANDS, HORIZONS
from twin.estimation.usual import ROOT, USUAL
from twin.forecast import chance_below

#: Columns of a state that is kept for forecasts: the state, the widths th of its bands, what is
#: usual for the person.
USUAL_OF = STATE + BANDS * HORIZONS
FOLLOWED = USUAL_OF + USUAL + ROOT


@dataclass(frozen=True, slots=True)
class Forecast:
    """n forecasts: target stamp (ns), mean and std (n,), factors on the bands (n, 3).

    The 50, 90 and 95 % bands are mean ± z·std·factor (`twin.bands.bands`).
    """

    at: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    scales: NDArray[np.float64]

    def below(self, limit: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) probability that the value is below the limit; above is 1 − this."""
        return chance_below(limit, self.mean, self.std, self.scales)


@dataclass(frozen=True, slots=True)
class UsualOf:
    """What is usual, of rows of states: at (rows,) their time (ns), learnt (rows, USUAL), root
    (rows, ROOT), as `usual.py` has them."""

    at: NDArray[np.int64]
    learnt: NDArray[np.float32]
    root: NDArray[np.int16]

    @classmethod
    def nothing(cls, n: int) -> UsualOf:
        """Of n rows of which nothing is known to be usual."""
        return cls(
            np.zeros(n, np.int64), np.zeros((n, USUAL), np.float32), np.zeros((n, ROOT), np.int16)
        )

    @classmethod
    def followed(cls, states: NDArray[np.float64], at: NDArray[np.int64]) -> UsualOf:
        """Of states (n, FOLLOWED) as `Bank.update` gave them, of stamps at (n,)."""
        learnt, root = np.split(states[:, USUAL_OF:], [USUAL], axis=1)
        return cls(at, learnt.astype(np.float32), root.astype(np.int16))
