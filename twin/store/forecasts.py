"""Forecasts as the embedded store keeps them: all horizons of one key and moment in one row.

A series for each horizon would be four times as many series, which the writer has in memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twin.bytewise import readable
from twin.estimate import ESTIMATE_ROW
from twin.forecast_row import HORIZONS, NUMBERS
from twin.store.blocks import Rows, rounded_to
from twin.store.catalogue import SeriesTable
from twin.store.merged import Merged
from twin.store.sqlite_file import LAYOUTS, Stored

_MILLISECOND = 1_000_000


def forecast_rows(whole: Merged, series: SeriesTable) -> Rows:
    """Rows (blocks.FORECASTS) of the forecasts of a batch, numbers rounded."""
    made = whole.forecasts
    rows = np.zeros(len(made), LAYOUTS[Stored.FORECAST].rows)
    asked = np.zeros(len(made), ESTIMATE_ROW)  # by which a series is found
    asked["patient"], asked["signal"] = made["patient"], made["signal"]
    of = replace(whole, rows=readable(asked))
    rows["series"] = series.numbers(Stored.FORECAST, of, np.arange(len(made)))
    rows["model"] = series.models(whole.models)[whole.forecast_model]
    rows["time"] = made["as_of"]
    rows["known_at"] = made["known_at"] // _MILLISECOND * _MILLISECOND
    per_unit = series.steps_per_unit(whole.signals)[made["signal"]]
    for i, seconds in enumerate(HORIZONS):
        for name in NUMBERS:
            numbers = made[name][:, i]
            rounds = name in ("mean", "std")
            rows[f"{name}_{seconds}"] = rounded_to(numbers, per_unit) if rounds else numbers
    return rows
