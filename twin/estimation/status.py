"""Status of an estimate by its age, the interval that is expected, and whether it has diverged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE, SECOND
from twin.estimate import Status
from twin.estimation.compiled import compiled
from twin.estimation.consistency import diverged
from twin.estimation.kalman import NEVER

#: A key without measurement gives a coasting row this often, from late until stale.
COAST_EVERY_S = 10
_FRESH, _LATE = int(Status.FRESH), int(Status.LATE)
_STALE, _NONE = int(Status.STALE), int(Status.NONE)
_DIVERGED = int(Status.DIVERGED)
_LATEST = 2**32 - 1


def status_of(age: NDArray[np.int64], expected: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(n,) Status codes of ages and expected intervals (n,), both ns; negative ages count as 0.

    fresh ≤ max(10 s, 2 × expected) < late ≤ max(60 s, 5 ×) < stale ≤ max(15 min, 10 ×) < none.
    """
    status = np.empty(age.shape, np.uint8)
    _all(np.ascontiguousarray(age), np.ascontiguousarray(expected), status)
    return status


def told_of(status: NDArray[np.uint8], diverged: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n,) Status codes of those by age (n,), where E_DIVERGED (n,) says that the estimate is not
    the filter's; what is older than late is just that."""
    current = (status == _FRESH) | (status == _LATE)
    return np.where(current & (diverged == 1.0), np.uint8(_DIVERGED), status)


@compiled
def _code(age, expected):  # type: ignore[no-untyped-def]
    """Status of one age and expected interval, ns."""
    if age <= max(10 * SECOND, 2 * expected):
        return _FRESH
    if age <= max(60 * SECOND, 5 * expected):
        return _LATE
    if age <= max(15 * MINUTE, 10 * expected):
        return _STALE
    return _NONE


@compiled
def _all(age, expected, status):  # type: ignore[no-untyped-def]
    for n in range(age.shape[0]):
        status[n] = _code(age[n], expected[n])


@compiled
def interval(k, state_t, ring_start, ring_head, ring_n, ring_t):  # type: ignore[no-untyped-def]
    """Mean seconds between the stamps in the ring of slot k; 0 with fewer than four."""
    members = np.int64(ring_n[k])
    if members < 4:
        return 0.0
    oldest = ring_t[np.int64(ring_start[k]) + np.int64(ring_head[k])]
    return (state_t[k] - oldest) * 1e-9 / (members - 1)


@compiled
def grow_old(  # type: ignore[no-untyped-def]
    at, slots, due, partition, patient, signal, expected, modelled, state_t, memory, ring_start,
    ring_head, ring_n, ring_t, declared, status, coasted, rests_until, changed, coasting,
):  # fmt: skip
    """Status of the first `slots` slots at a tick `at` (ns); returns how many changed and coast.

    Arrays of the slots, but: due (partitions,) which are ticked, partition (patients,), expected
    (ns) and modelled by signal row; declared: s between values as its device's model has it (0:
    not), which holds until the ring has shown how often they come. Written: status, coasted; the
    slots whose status changed and those that give a coasting row, in order, into changed and
    coasting; rests_until, the whole second (since the epoch) up to which a slot is fresh if nothing
    comes, whatever the clock does.
    One pass over a whole ward each second: whoever rests costs one number of a row of numbers, and
    not some lines of memory that nobody has touched since its last measurement.
    """
    changes, coasts = 0, 0
    for k in range(slots):
        if at <= np.int64(rests_until[k]) * SECOND:
            continue
        if state_t[k] == NEVER or not modelled[signal[k]] or not due[partition[patient[k]]]:
            continue
        seen = interval(k, state_t, ring_start, ring_head, ring_n, ring_t)
        if seen == 0.0:
            seen = np.float64(declared[k])
        usual = max(expected[signal[k]], np.int64(seen * SECOND))
        now = _code(at - state_t[k], usual)
        if now == _FRESH:
            last = (state_t[k] + max(10 * SECOND, 2 * usual)) // SECOND
            rests_until[k] = min(max(last, 0), _LATEST)
        if now <= _LATE and now != _NONE and diverged(memory, k):
            now = _DIVERGED
        change = now != status[k]
        if change:
            status[k] = now
            changed[changes] = k
            changes += 1
        if now == _LATE and (change or at // SECOND - np.int64(coasted[k]) >= COAST_EVERY_S):
            coasted[k] = at // SECOND
            coasting[coasts] = k
            coasts += 1
    return changes, coasts
