"""Status of an estimate by its age, and the expected interval it is measured by (docs/care.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE, SECOND
from twin.estimate import Status


def status_of(age: NDArray[np.int64], expected: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(n,) Status codes of ages and expected intervals (n,), both ns; negative ages count as 0.

    fresh ≤ max(10 s, 2 × expected) < late ≤ max(60 s, 5 ×) < stale ≤ max(15 min, 10 ×) < none.
    """
    status = np.full(age.shape, Status.NONE, np.uint8)
    status[age <= np.maximum(15 * MINUTE, 10 * expected)] = Status.STALE
    status[age <= np.maximum(60 * SECOND, 5 * expected)] = Status.LATE
    status[age <= np.maximum(10 * SECOND, 2 * expected)] = Status.FRESH
    return status
