"""How the innovations of the bank's keys were, as the kernel counted them (`consistency.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from twin.estimation.bank import Bank
from twin.estimation.consistency import (
    IN50,
    PRODUCT,
    SQUARE,
    TALLIED,
    TALLY,
    UNIT,
    factor_of,
)
from twin.estimation.kalman import NEVER
from twin.estimation.robust import TROUBLE


@dataclass(frozen=True, slots=True)
class SignalTally:
    """The keys of one signal, all persons and devices alike.

    keys of so many persons, of which so many have diverged; factor, by what the variance of their
    innovations is not what their filters expect (1 is right); lag1, correlation of neighbouring
    innovations (0); coverage, shares of readings inside the 50, 90 and 95 % bands predicted for
    them. Of the newest hundred readings of each device, or so.
    """

    signal: str
    keys: int
    diverged: int
    factor: float
    lag1: float
    coverage: tuple[float, float, float]


def tallies(bank: Bank) -> Iterator[SignalTally]:
    """One of each signal that was measured, in the catalogue's order.

    May be asked while another thread moves the bank on: what it says is then of about now.
    """
    a = dict(bank.slots.of)
    n = min(len(array) for name, array in a.items() if not name.startswith("ring_"))
    known = np.flatnonzero(a["state_t"][:n] != NEVER)
    signal = a["model"][known]
    shares = a["shares"][known].reshape(-1, TALLY) / UNIT
    counted = a["share_device"][known].reshape(-1) >= 0
    diverged = a["memory"][known, TROUBLE] < 0.0
    for row in np.unique(signal).tolist():
        of = signal == row
        mine = shares[np.repeat(of, TALLIED) & counted]
        yield SignalTally(CODES[row], int(of.sum()), int(diverged[of].sum()), *_mean(mine))


def _mean(shares: NDArray[np.float64]) -> tuple[float, float, tuple[float, float, float]]:
    """Factor, lag-1 correlation and coverage of (m, TALLY) shares of devices."""
    if not len(shares):
        return np.nan, np.nan, (np.nan, np.nan, np.nan)
    mean = shares.mean(axis=0)
    lag1 = mean[PRODUCT] / mean[SQUARE] if mean[SQUARE] > 0.0 else np.nan
    in50, in90, in95 = (float(mean[IN50 + band]) for band in range(3))
    return float(factor_of(float(mean[SQUARE]))), float(lag1), (in50, in90, in95)
