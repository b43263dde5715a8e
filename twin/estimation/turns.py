"""Whose turn it is: what is said of everybody again and again is said of each patient at a moment
of its own, so that a ward that began at once does not come all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.estimation.bank import TURNS, Bank


def whose_turn(
    bank: Bank, before: NDArray[np.int64], after: NDArray[np.int64], every: int
) -> NDArray[np.int64]:
    """Numbers, in order, of the patients whose turn came after `before` and not after `after`.

    before, after (partitions,): times of one clock, ns, equal where nobody's can have come. every:
    ns between two turns of a patient.
    """
    # By (partition, turn): what is to be looked up for each patient of a ward.
    turn = np.arange(TURNS) * (every // TURNS)
    turned = (before[:, None] + turn) // every != (after[:, None] + turn) // every
    known = len(bank.patients)
    patients = np.flatnonzero(turned.any(axis=0)[bank.turn[:known]])
    return np.asarray(patients[turned[bank.partition[patients], bank.turn[patients]]], np.int64)
