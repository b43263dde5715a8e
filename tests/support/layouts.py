"""What is remembered of two devices, as layout 5 of snapshots and 2 of anchors kept it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.estimation.devices import DEVICES, ENTRY, FLAGS, JUMPED, LAGS, suspicion


def unflagged(entries: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 24) of (n, ENTRIES): the inverse of `devices.flagged`."""
    rows = []
    for n in range(len(entries)):
        row: list[float] = []
        for at in range(0, DEVICES * ENTRY, ENTRY):
            flags = int(entries[n, at + FLAGS])
            why = float(suspicion.py_func(entries, n, at))
            number, last, age, _, *rest = entries[n, at : at + ENTRY].tolist()
            row += [number, last, age, float(flags & JUMPED > 0), why, *rest]
            row.append(float(flags & LAGS > 0))
        rows.append(row)
    return np.array(rows, np.float32).reshape(len(entries), 24)
