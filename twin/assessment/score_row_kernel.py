"""The compiled part of score rows: `twin.score_row.HEAD_ROW` and what belongs to it.

A ward of thousands tells some thousands of scores each second, of seven parameters each. As objects
they cost ten times what is known of them does.
"""

from __future__ import annotations

import math

from twin.assessment.kernel import HELD, NEVER
from twin.estimation.compiled import compiled
from twin.estimation.machine import bits
from twin.score_row import ANY3, BY_DEVICE, COMPLETE, SCALE_2


@compiled
def lay_down(  # type: ignore[no-untyped-def]
    patients, held_of, columns, vital_row, per_unit, held, context, charted, charted_at, entered,
    entered_at, source, by, now, later, heads, parts, part_ends, chances, chance_ends,
):  # fmt: skip
    """Write the score rows of n patients.

    held_of (parameters,): column of `held` of each parameter; columns (HELD,): column of the
    entries of each of `held`, −1: nobody enters it. by (n, parameters): who entered it; now, later
    (n, 4): chances; held … source by patient. Written: heads (n,); parts (n · parameters,) and
    chances (n · 8,) one score after the other, part_ends and chance_ends (n,): where each ends.
    """
    o, c = 0, 0
    for n in range(patients.shape[0]):
        p = patients[n]
        total, marks = 0, COMPLETE
        for v in range(HELD):
            total += max(held[p, v], 0)
            if held[p, v] < 0:
                marks &= ~COMPLETE
            if held[p, v] == 3:
                marks |= ANY3
        if context[p] // 2 == 2:
            marks |= SCALE_2
        present, likely = 0, 0
        for k in range(held_of.shape[0]):
            v = held_of[k]
            by_hand, since, value = True, entered_at[p, columns[v]], entered[p, columns[v]]
            if v < 5:
                row = vital_row[v]
                measured = charted_at[p, row]
                by_hand = columns[v] >= 0 and (
                    source[p, v] == 1 if held[p, v] >= 0 else since > measured
                )
                if not by_hand:
                    since = measured
                    value = math.floor(charted[p, row] * per_unit[v] + 0.5) / per_unit[v]
            if since == NEVER:
                continue
            present |= 1 << k
            parts[o].points, parts[o].value, parts[o].at = held[p, v], value, since
            parts[o].by = by[n, k] if by_hand else BY_DEVICE
            o += 1
        for k in range(8):
            chance = now[n, k] if k < 4 else later[n, k - 4]
            if bits(chance) != 0:
                likely |= 1 << k
                chances[c] = chance
                c += 1
        heads[n].score, heads[n].marks = total, marks
        heads[n].present, heads[n].likely = present, likely
        part_ends[n], chance_ends[n] = o, c
    return o
