"""What each partition knows of the line that its observations come over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.estimation.kalman import NEVER


@dataclass(slots=True)
class Line:
    """What each partition knows of the line, all (partitions,) int64 ns.

    tick_at: the last tick; broker_lost_at: tick since which there is no broker (NEVER: there is);
    respite: journal time until which nobody falls silent; minute: of the last look at the clocks.
    """

    tick_at: NDArray[np.int64]
    broker_lost_at: NDArray[np.int64]
    respite: NDArray[np.int64]
    minute: NDArray[np.int64]

    @classmethod
    def new(cls, partitions: int) -> Line:
        never = np.full(partitions, NEVER, np.int64)
        return cls(never, never.copy(), np.zeros(partitions, np.int64), never.copy())
