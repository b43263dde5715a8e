"""The compiled part of the change index: measurements → block means → how far from usual.

A block is a quarter of an hour of measured time of one (patient, signal). When a later one begins,
the finished block's mean is compared with what is usual for the person, and both the departure and
the usual value move on. One event after another, in journal order: wherever batches were cut.
"""

from __future__ import annotations

import math

from twin.estimation.compiled import compiled

NEVER = -(2**63)
BLOCK = 900 * 1_000_000_000
#: A measurement of worse quality, or less weight in the filter, is not counted.
QUALITY_FLOOR, WEIGHT_FLOOR = 0.5, 0.1
#: Hours: a gap between blocks counts as one hour at most; the departure is a mean over a day; what
#: is usual is a mean over four weeks, and is known after three days.
GAP_H, DAY_H, USUAL_H, LEARNT_H = 1.0, 24.0, 672.0, 72.0
#: While the person is unusual, what is usual moves at this share of its pace: an illness must not
#: become usual, a change that stays has to.
HELD = 0.1
#: Departures beyond so many standard deviations count as these: of one block, of what is learnt.
FARTHEST, LEARNT_FARTHEST = 6.0, 3.0


@compiled
def gather(  # type: ignore[no-untyped-def]
    patient, signal, stamp, value, quality, verdict, weight, counted, least, unusual, block,
    block_sum, block_n, hours, usual, spread, departure, departed_at,
):  # fmt: skip
    """Take n accepted observations into the blocks of their keys.

    counted (signals,) whether a signal belongs to the index; least (signals,) the smallest standard
    deviation of a block mean; unusual (patients,). All others (patients, signals): the open block's
    number, sum and count; hours learnt; mean and variance of block means; mean departure of the
    last day in standard deviations, and its time (ns).
    """
    for i in range(patient.shape[0]):
        p, s = patient[i], signal[i]
        if verdict[i] != 1 or not counted[s] or quality[i] < QUALITY_FLOOR:
            continue
        if weight[i] < WEIGHT_FLOOR:
            continue
        at = stamp[i] // BLOCK
        if at < block[p, s]:
            continue
        if at > block[p, s]:
            if block_n[p, s] > 0:
                gap = (at - block[p, s]) * (BLOCK / 3.6e12)
                close(
                    p, s, gap, block_sum[p, s] / block_n[p, s], least[s],
                    HELD if unusual[p] else 1.0, hours, usual, spread, departure,
                )  # fmt: skip
                departed_at[p, s] = (block[p, s] + 1) * BLOCK
            block[p, s] = at
            block_sum[p, s] = 0.0
            block_n[p, s] = 0
        block_sum[p, s] += value[i]
        block_n[p, s] += 1


@compiled
def close(p, s, gap, mean, least, pace, hours, usual, spread, departure):  # type: ignore[no-untyped-def]
    """A block is finished; the next one begins `gap` hours after it began."""
    counts = min(gap, GAP_H)
    sd = max(math.sqrt(spread[p, s]), least)
    away = mean - usual[p, s]
    if hours[p, s] >= LEARNT_H:
        z = min(max(away / sd, -FARTHEST), FARTHEST)
        departure[p, s] += -math.expm1(-counts / DAY_H) * (z - departure[p, s])
        if gap > GAP_H:  # nothing is known of the time between: towards usual
            departure[p, s] *= math.exp(-(gap - GAP_H) / DAY_H)
        away = min(max(away, -LEARNT_FARTHEST * sd), LEARNT_FARTHEST * sd)
    learns = pace * counts if hours[p, s] >= LEARNT_H else counts
    hours[p, s] = hours[p, s] + learns
    share = learns / min(hours[p, s], USUAL_H)
    usual[p, s] += share * away
    spread[p, s] += share * (away * away * (1.0 - share) - spread[p, s])
