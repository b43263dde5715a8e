"""Snapshots of earlier releases, so that an upgrade need not find the whole journal.

Release 0.1.0 (layout 1) kept of each key state and ring, of outliers four columns behind the
state, and of nothing else a memory: what remembers beside the bank begins anew, as does what is
learned of a second device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.estimation.devices import ENTRIES, ENTRIES_BEFORE, NAMED_ENTRIES, UNKNOWN, flagged
from twin.estimation.kalman import STATE
from twin.estimation.robust import (
    DEVICE,
    INSIDE,
    INSIDE_AGE,
    MEMORY,
    OTHER,
    OUT_COUNT,
    OUT_LEVEL,
    SPREAD,
)
from twin.estimation.tracker import TH, WIDTHS

LAYOUT = 1
#: Columns of a memory row up to layout 4: how innovations were was not remembered.
_NARROWER = SPREAD
#: Where the columns of its state after the first `STATE` are now.
_REMEMBERED = (OUT_LEVEL, OUT_COUNT, DEVICE, OTHER)


def as_now(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of its slots as those of `Slots.put`; others stay as in a new slot.

    Raises ValueError where they are not of that layout.
    """
    made = dict(arrays)
    for name, prefix in (("state", ""), ("base", "base_")):
        before = arrays[name]
        if before.shape[1:] != (STATE + len(_REMEMBERED),):
            raise ValueError(f"{name} has the shape {before.shape}")
        memory = np.zeros((len(before), MEMORY), np.float32)
        memory[:, list(_REMEMBERED)] = before[:, STATE:]
        memory[:, INSIDE], memory[:, INSIDE_AGE] = -1.0, UNKNOWN
        entries = np.zeros((len(before), ENTRIES), np.float32)
        entries[:, list(NAMED_ENTRIES)] = -1.0
        made[name] = before[:, :STATE].copy()
        made[f"{prefix}memory"], made[f"{prefix}entries"] = memory, entries
    return made


def later_as_now(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of layouts 3 to 5. Of 3 and 4, of innovations nothing; the widths of a person's
    bands are kept, not the forecasts that waited for their reading. Of 5, everything."""
    made = dict(arrays)
    for name in ("memory", "base_memory"):
        if name in arrays and arrays[name].shape[1:] == (_NARROWER,):
            made[name] = np.pad(arrays[name], ((0, 0), (0, MEMORY - _NARROWER)))
    if "waiting" in arrays and arrays["waiting"].dtype == np.float32:
        th = np.round(arrays["waiting"][:, WIDTHS:] / TH).astype(np.int16)
        made["waiting"] = np.pad(th, ((0, 0), (WIDTHS, 0)))
        made["target"] = np.zeros(arrays["target"].shape, np.uint32)
    for name in ("entries", "base_entries"):
        if name in arrays and arrays[name].shape[1:] == (ENTRIES_BEFORE,):
            made[name] = flagged(arrays[name])
    if "due" in arrays and arrays["due"].dtype == np.int64:
        made["due"] = _seconds(arrays["due"])
    return made


def _seconds(due: NDArray[np.int64]) -> NDArray[np.uint32]:
    """`due` (n,), ns, in whole seconds; 0 where it was `NEVER`: nothing had been forecast yet."""
    return np.clip(due // SECOND + (due % SECOND > 0), 0, 2**32 - 1).astype(np.uint32)
