"""Forecasts as they go through the estimates journal: horizons, and the layout of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bytewise import taken

#: Seconds ahead: a minute, a quarter of an hour, half an hour, an hour.
HORIZONS = (60, 900, 1800, 3600)
_N = len(HORIZONS)

#: The forecasts of one key at one moment. patient and signal index the tables of the batch that
#: they are in; as_of the newest stamp, known_at the tick (int64 ns UTC); the columns of each
#: horizon in the order of HORIZONS, NaN where there is none. The NN % band is
#: mean ± z·std·scaleNN (`twin.bands.bands`).
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
#: `kind` of a row of an estimate batch that is the forecast of one horizon (in journals before
#: 2026-11-27; in InfluxDB each is a point).
FORECAST = 4


def wide(rows: NDArray[Any]) -> NDArray[Any]:
    """The forecasts among rows (dtype ESTIMATE_ROW), one WIDE_ROW for each key and moment in their
    order. Other horizons than HORIZONS are left out."""
    found = taken(rows, (rows["kind"] == FORECAST) & np.isin(rows["flags"], HORIZONS))
    if not len(found):
        return np.zeros(0, WIDE_ROW)
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
    return made
