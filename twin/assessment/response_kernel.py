"""The compiled part of the heart's answer to activity: resting rate and gain of a person.

The body feels activity through a first-order lag; the heart rate is resting + gain · felt + the
rest. (resting, gain) are learnt by recursive least squares, a measurement of activity at a time, in
journal order: wherever batches were cut. docs/models.md, The heart's answer to activity.
"""

from __future__ import annotations

import math

from twin.estimation.compiled import compiled
from twin.estimation.scenario import FALLING_S, RISING_S

NEVER = -(2**63)
#: Columns of what is learnt: resting, gain, their covariance, s² of the rest, minutes learnt.
RESTING, GAIN, P00, P01, P11, RESIDUAL2, MINUTES = range(7)
LEARNT = 7
#: Columns of what is assumed of people: mean and variance of resting and of gain.
PRIOR = 4
#: Seconds. Activity older than the first says nothing of what is felt; a heart rate older than the
#: second is not of the same time.
FORGOTTEN_S, OF_THEN_S = 600.0, 30.0
#: Minutes are alike: so many count as one. A memory of four weeks of measured time.
ALIKE, MEMORY_S = 15.0, 28 * 86_400.0
#: Variance of the rest that is assumed, as a share of the spread² of people, and for how many
#: minutes; it is a mean over at most so many.
ASSUMED2, ASSUMED_MIN, MOST_MIN = 0.25, 10.0, 2000.0
FARTHEST = 3.0


@compiled
def answer(  # type: ignore[no-untyped-def]
    patient, signal, stamp, value, verdict, mean, heart_row, source, prior,
    heart, heart_at, felt, felt_at, learnt,
):  # fmt: skip
    """Take in n observations: heart rates, and activity by its sources.

    Per observation: patient (number), signal (row), stamp (ns), value, verdict, mean (the estimate
    after it). source (signals,): which source of activity a signal is, −1: none; prior (sources,
    PRIOR). Of patients: heart, heart_at the newest heart rate; felt, felt_at (patients, sources);
    learnt (patients, sources, LEARNT), MINUTES < 0: nothing yet.
    """
    for i in range(patient.shape[0]):
        if verdict[i] != 1:
            continue
        p, s = patient[i], source[signal[i]]
        if signal[i] == heart_row:
            if stamp[i] >= heart_at[p]:
                heart[p] = mean[i]
                heart_at[p] = stamp[i]
        elif s >= 0 and stamp[i] > felt_at[p, s]:
            apart = FORGOTTEN_S
            if felt_at[p, s] != NEVER:
                apart = (stamp[i] - felt_at[p, s]) * 1e-9
            felt_at[p, s] = stamp[i]
            if apart >= FORGOTTEN_S:
                felt[p, s] = value[i]
                continue
            lag = RISING_S if value[i] > felt[p, s] else FALLING_S
            felt[p, s] = value[i] + (felt[p, s] - value[i]) * math.exp(-apart / lag)
            if heart_at[p] != NEVER and abs(stamp[i] - heart_at[p]) * 1e-9 <= OF_THEN_S:
                learn(learnt, p, s, heart[p], felt[p, s], apart, prior)


@compiled
def learn(learnt, p, s, y, f, apart, prior):  # type: ignore[no-untyped-def]
    """Heart rate y while f was felt, for so many seconds."""
    if learnt[p, s, MINUTES] < 0.0:
        learnt[p, s, RESTING], learnt[p, s, GAIN] = prior[s, 0], prior[s, 2]
        learnt[p, s, P00], learnt[p, s, P01], learnt[p, s, P11] = prior[s, 1], 0.0, prior[s, 3]
        learnt[p, s, RESIDUAL2], learnt[p, s, MINUTES] = ASSUMED2 * prior[s, 1], 0.0
    grown = math.exp(apart / MEMORY_S)
    p00, p01, p11 = learnt[p, s, P00] * grown, learnt[p, s, P01] * grown, learnt[p, s, P11] * grown
    if p00 > prior[s, 1]:
        p01 *= math.sqrt(prior[s, 1] / p00)
        p00 = prior[s, 1]
    if p11 > prior[s, 3]:
        p01 *= math.sqrt(prior[s, 3] / p11)
        p11 = prior[s, 3]
    g0, g1 = p00 + f * p01, p01 + f * p11
    v, s2 = g0 + f * g1, learnt[p, s, RESIDUAL2]
    farthest = FARTHEST * math.sqrt(v + s2)
    e = y - learnt[p, s, RESTING] - f * learnt[p, s, GAIN]
    e = min(max(e, -farthest), farthest)
    minutes = min(apart / 60.0, 1.0)
    over_s = 1.0 / (v + ALIKE * s2 / minutes)
    learnt[p, s, RESTING] += g0 * over_s * e
    learnt[p, s, GAIN] += g1 * over_s * e
    learnt[p, s, P00] = p00 - g0 * g0 * over_s
    learnt[p, s, P01] = p01 - g0 * g1 * over_s
    learnt[p, s, P11] = p11 - g1 * g1 * over_s
    share = minutes / min(learnt[p, s, MINUTES] + ASSUMED_MIN, MOST_MIN)
    learnt[p, s, RESIDUAL2] = s2 + share * (e * e * s2 / (v + s2) - s2)
    learnt[p, s, MINUTES] += minutes
