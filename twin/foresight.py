"""Which keys are forecast at a tick, and what their forecasts are.

A key that is fresh and was measured since its last forecast is forecast once a minute of journal
time, each patient's keys at a second of their own, so that a ward that began at once does not come
all at once. So a backlog of hours, read between two ticks, costs one forecast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE, SECOND
from twin.estimate import Status
from twin.estimation.bank import Bank
from twin.estimation.kalman import NEVER
from twin.estimation.turns import whose_turn
from twin.forecast_row import HORIZONS, WIDE_ROW

#: A forecast begins at least so much measured time after the one before (ns). Less than a minute,
#: because of two stamps a minute apart one may come late.
LEAST_APART = MINUTE // 2


def forecast_due(
    bank: Bank, before: NDArray[np.int64], after: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Slots to be forecast at a tick, by partition, patient and signal; they count as forecast
    from then on.

    before, after (partitions,): journal time passed, ns, before and after the tick; equal where the
    tick does not count.
    """
    patients = whose_turn(bank, before, after, MINUTE)
    if not len(patients):
        return np.zeros(0, np.int64)
    a = bank.slots.of
    slots = bank.slot_of[patients]
    slots = slots[slots >= 0].astype(np.int64)
    slots = slots[(a["state_t"][slots] != NEVER) & bank.modelled[a["model"][slots]]]
    at, last = a["state_t"][slots], a["forecast_at"][slots].astype(np.int64) * SECOND
    due = slots[(a["status"][slots] == Status.FRESH) & (at >= last + LEAST_APART)]
    a["forecast_at"][due] = a["state_t"][due] // SECOND
    patient = a["patient"][due]
    order = np.lexsort((a["model"][due], patient, bank.partition[patient]))
    return np.asarray(due[order], np.int64)


def forecasts_of(bank: Bank, slots: NDArray[np.int64], at: int) -> NDArray[Any]:
    """The forecasts (n,) of these slots, dtype WIDE_ROW, made at a tick at `at` (ns); patients by
    the bank's numbers, signals by their rows."""
    a = bank.slots.of
    rows = np.empty(len(slots), WIDE_ROW)
    rows["patient"], rows["signal"] = a["patient"][slots], a["model"][slots]
    rows["as_of"], rows["known_at"] = a["state_t"][slots], at
    made = bank.forecasts(slots, [float(seconds) for seconds in HORIZONS])
    for i, ahead in enumerate(made):
        rows["mean"][:, i], rows["std"][:, i] = ahead.mean, ahead.std
        for name, factor in zip(("scale50", "scale90", "scale95"), ahead.scales.T, strict=True):
            rows[name][:, i] = factor
    return rows
