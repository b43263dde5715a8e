"""What is usual for a patient at each hour, as the bank has learnt it, for whoever is told."""

from __future__ import annotations

import numpy as np

from ingest.catalogue import CODES
from twin.estimation.bank import Bank
from twin.estimation.models import SPREAD2
from twin.estimation.usual import (
    DAY_NS,
    HOUR_NS,
    HOURS,
    LEAST_HOURS,
    RESIDUAL2,
    ROOM,
    TERMS,
    usual_at,
)
from twin.personal import Habit

_MIDDLES = tuple(range(HOUR_NS // 2, DAY_NS, HOUR_NS))


def habits_of(bank: Bank, number: int) -> tuple[Habit, ...]:
    """The habits of the bank's patient of this number, in the catalogue's order.

    None of a signal of which fewer than two days of hours were learnt; an hour of the day is known
    where the usual value is surer than the person is steady.
    """
    a, room, found = bank.slots.of, np.empty((ROOM, TERMS)), []
    slots = bank.slot_of[number]
    rows = np.flatnonzero((slots >= 0) & bank.modelled)
    for row in rows[a["usual_root"][slots[rows], HOURS] >= LEAST_HOURS].tolist():
        slot = int(slots[row])
        learnt, spread = a["usual"][slot], float(np.sqrt(bank.params[row, SPREAD2]))
        known = 0
        for hour, middle in enumerate(_MIDDLES):
            _, doubt = usual_at(a["usual"], a["usual_root"], slot, middle, spread, room)
            known |= int(doubt <= learnt[RESIDUAL2]) << hour
        terms = tuple(float(term) for term in learnt[:TERMS])
        found.append(Habit(CODES[row], terms, float(np.sqrt(learnt[RESIDUAL2])), known))
    return tuple(found)
