"""The search of Nelder & Mead (Comput. J. 7, 308, 1965): downhill without derivatives.

scipy has it, but is no dependency of ours; here it is so many calls long, and no more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def nelder_mead(
    value: Callable[[Numbers], float], begin: Numbers, trials: int, rng: np.random.Generator
) -> None:
    """Ask for the value of so many points, downhill from `begin`; logarithms, so 0.5 is a step."""
    n = len(begin)
    corners = [begin, *(begin + 0.5 * sign * np.eye(n)[i] for i, sign in enumerate(_signs(rng, n)))]
    left = trials

    def asked(point: Numbers) -> float:
        nonlocal left
        left -= 1
        return value(point)

    values = [asked(corner) for corner in corners[:trials]]
    while left > 0 and len(values) == n + 1:
        order = np.argsort(values, kind="stable")
        corners, values = [corners[i] for i in order], [values[i] for i in order]
        if np.ptp(np.array(corners), axis=0).max() < 1e-3:
            return
        middle = np.mean(corners[:-1], axis=0)
        tried = middle + (middle - corners[-1])
        reached = asked(tried)
        if reached < values[0] and left > 0:
            further = middle + 2 * (middle - corners[-1])
            beyond = asked(further)
            tried, reached = (further, beyond) if beyond < reached else (tried, reached)
        elif reached >= values[-2] and left > 0:
            nearer = middle + 0.5 * ((tried if reached < values[-1] else corners[-1]) - middle)
            tried, reached = nearer, asked(nearer)
        if reached < values[-1]:
            corners[-1], values[-1] = tried, reached
            continue
        for i in range(1, n + 1):
            if left > 0:
                corners[i] = corners[0] + 0.5 * (corners[i] - corners[0])
                values[i] = asked(corners[i])


def _signs(rng: np.random.Generator, n: int) -> Numbers:
    return rng.choice([-1.0, 1.0], n)
