"""Forecasts as the embedded store keeps them: all horizons of one key and moment in one row.

A series for each horizon would be four times as many series, which the writer has in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bytewise import taken
from twin.forecast import HORIZONS, NUMBERS, wide
from twin.store.blocks import Rows, rounded_to
from twin.store.catalogue import SeriesTable
from twin.store.merged import Merged
from twin.store.sqlite_file import LAYOUTS, Stored

_MILLISECOND = 1_000_000


def forecast_rows(whole: Merged, chosen: NDArray[Any], series: SeriesTable) -> Rows:
    """Rows (blocks.FORECASTS) of the chosen forecast rows of a batch, numbers rounded."""
    source = taken(whole.rows, chosen)
    made, first = wide(source)
    rows = np.zeros(len(made), LAYOUTS[Stored.FORECAST].rows)
    rows["series"] = series.numbers(Stored.FORECAST, whole, chosen[first])
    rows["model"] = series.models(whole.models)[whole.model[chosen[first]]]
    rows["time"] = made["as_of"]
    rows["known_at"] = made["known_at"] // _MILLISECOND * _MILLISECOND
    per_unit = series.steps_per_unit(whole.signals)[made["signal"]]
    for i, seconds in enumerate(HORIZONS):
        for name in NUMBERS:
            numbers = made[name][:, i]
            rounds = name in ("mean", "std")
            rows[f"{name}_{seconds}"] = rounded_to(numbers, per_unit) if rounds else numbers
    return rows
