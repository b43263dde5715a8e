"""The compiled kernel, third part: what is remembered of each of two devices of one key.

Which jumped, and which lags behind the other (docs/models.md, Several devices). All of it is in
rows beside the state, moved on in order of stamp like the state: a function of the set too.
A key with one device never comes here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.estimation.compiled import compiled, inlined
from twin.estimation.kalman import STATE
from twin.estimation.models import EXPECTED, GATE, JUMP, JUMP_RATE, LAG_TIME, NOISE2
from twin.estimation.robust import (
    DEVICE,
    INSIDE,
    INSIDE_AGE,
    MEMORY,
    OTHER,
    OUT_AGE,
    OUT_COUNT,
    SEVERAL,
)

#: Devices of a key that are told apart; a third takes the place of who is silent longest.
DEVICES = 2
# Columns of an entry (float32). NUMBER: the device (−1: free); LAST: its last value, AGE seconds
# ago; FLAGS: what is said of it, see below; SLOW1, SLOW2: its values, delayed by two first-order
# lags.
# BEHIND: how far its values are from the other's delayed ones, APART: from the other's last ones
# (both means of a/(a + 3 noise), 0 to 1); DISTANCE: mean |a|, cut; LEARNED: weight of these means,
# 0 to 1.
NUMBER, LAST, AGE, FLAGS, SLOW1, SLOW2, BEHIND, APART, DISTANCE, LEARNED, ENTRY = range(11)
#: Flags, added up. JUMPED: its last value was far from the one before; LAGS: it follows the other.
#: The three lowest bits, with sign, are why it is suspect: > 0, it jumped and has not come back.
JUMPED, LAGS = 8, 16
_WHY, _SIGN = 7, 4
#: Of a suspect device: it jumped after the other last spoke; the other has said since that nothing
#: happened; both jumped at one time to one place. STEPPED: that was followed, and is held.
AWAY, ALONE, TOGETHER, STEPPED = 1, 2, 3, -1
#: Width of a row of entries, beside each memory row.
ENTRIES = DEVICES * ENTRY
#: What it was up to layout 5 of a snapshot and 2 of an anchor (`flagged`).
ENTRIES_BEFORE = 24
#: Columns that hold a device's number, or less than 0: of a memory row, of a row of entries.
NAMED, NAMED_ENTRIES = (DEVICE, INSIDE), (NUMBER, ENTRY + NUMBER)

#: Seconds after the last change of device for which a key counts as reported by several.
SEVERAL_WITHIN = 30.0
UNKNOWN = 1e9
#: What a device said so many expected intervals ago says where it is.
HEARD = 12.0
#: A device has stayed where its values delayed by `lag_time` are this near, as a share of its jump:
#: after 23 s with a lag of 14.
STAYED = 0.2
#: Two devices are at one place if the square of their distance is within so many gates of the noise
#: of one: 4.2 standard deviations of the difference (3 refuse one step in 300, which is then late).
MEET = 4.0
#: Seconds over which lag and distance are learned, and the weight from which they count.
LEARNING_TIME, ENOUGH = 400.0, 0.25
#: A device lags if it is this much nearer to the other's past than to its present.
NEARER = 0.75
#: And if its mean distance from the other is so many times the noise: the noise of two alone makes
#: 1.1 to 1.4, and by chance 1.7 once in thousands of pairs.
APART_ENOUGH = 2.0
#: Of a lagging device no witness is made while the other is heard within so many seconds.
SILENT = 10.0
#: Mean |a| of a Gaussian is 0.8 standard deviations; the lag's error counts twice that.
LAG_FACTOR2 = (2.0 / 0.8) ** 2


@inlined
def flag(w, i, e, which):  # type: ignore[no-untyped-def]
    """Whether JUMPED or LAGS is said of the device of entry e."""
    return np.int64(w[i, e + FLAGS]) & which != 0


@inlined
def set_flag(w, i, e, which, on):  # type: ignore[no-untyped-def]
    """Say JUMPED or LAGS of the device of entry e, or no longer."""
    flags = np.int64(w[i, e + FLAGS])
    w[i, e + FLAGS] = flags | which if on else flags & ~which


@inlined
def suspicion(w, i, e):  # type: ignore[no-untyped-def]
    """Why the device of entry e is suspect (> 0); 0: it is not; or STEPPED."""
    return ((np.int64(w[i, e + FLAGS]) & _WHY) ^ _SIGN) - _SIGN


@inlined
def set_suspicion(w, i, e, why):  # type: ignore[no-untyped-def]
    """From now on this is why the device of entry e is suspect, or 0, or STEPPED."""
    w[i, e + FLAGS] = (np.int64(w[i, e + FLAGS]) & ~_WHY) | (why & _WHY)


def flagged(entries: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, ENTRIES) of (n, ENTRIES_BEFORE): each flag had a column."""
    old = entries.reshape(len(entries), DEVICES, ENTRIES_BEFORE // DEVICES)
    number, last, age, jumped, why, *slow_and_learned, lags = np.moveaxis(old, 2, 0)
    flags = JUMPED * (jumped > 0) + LAGS * (lags > 0) + (why.astype(np.int64) & _WHY)
    new = np.stack([number, last, age, flags, *slow_and_learned], axis=2)
    return new.astype(np.float32).reshape(len(entries), ENTRIES)


@compiled
def begin_memory(y, w, i):  # type: ignore[no-untyped-def]
    """y[i] (MEMORY,), w[i] (ENTRIES,) become those of a person of whom nothing was measured."""
    for j in range(MEMORY):
        y[i, j] = 0.0
    for j in range(ENTRIES):
        w[i, j] = 0.0
    y[i, DEVICE], y[i, OTHER] = -1.0, UNKNOWN
    y[i, INSIDE], y[i, INSIDE_AGE] = -1.0, UNKNOWN
    for k in range(DEVICES):
        w[i, k * ENTRY + NUMBER] = -1.0


@inlined
def pass_time(y, w, i, dt):  # type: ignore[no-untyped-def]
    """The memory, dt seconds later. Ages of devices count only while several report."""
    if y[i, OTHER] <= SEVERAL_WITHIN:
        y[i, INSIDE_AGE] = min(float(y[i, INSIDE_AGE]) + dt, UNKNOWN)
        y[i, OUT_AGE] = min(float(y[i, OUT_AGE]) + dt, UNKNOWN)
        for k in range(DEVICES):
            age = k * ENTRY + AGE
            w[i, age] = min(float(w[i, age]) + dt, UNKNOWN)
    if y[i, OTHER] < UNKNOWN:
        y[i, OTHER] = min(float(y[i, OTHER]) + dt, UNKNOWN)


@inlined
def alone(y, i, device):  # type: ignore[no-untyped-def]
    """Whether the device has been the only one for long: most keys, so this is the short way."""
    return device == y[i, DEVICE] and y[i, OTHER] > SEVERAL_WITHIN


@compiled
def heard(y, w, i, device, n):  # type: ignore[no-untyped-def]
    """Note who reports now, n at one stamp; True if several devices do."""
    if n == 1 and device == y[i, DEVICE]:
        return y[i, OTHER] <= SEVERAL_WITHIN
    if n == 1 and y[i, DEVICE] == -1.0:
        y[i, DEVICE] = device
        return False
    if y[i, OTHER] > SEVERAL_WITHIN:  # ages stood still since then
        y[i, INSIDE_AGE] = UNKNOWN
        for k in range(DEVICES):
            w[i, k * ENTRY + AGE] = UNKNOWN
    y[i, DEVICE] = device if n == 1 else SEVERAL
    y[i, OTHER] = 0.0
    return True


@compiled
def entry(w, i, device):  # type: ignore[no-untyped-def]
    """Column of the device's entry, −1 if it has none."""
    for k in range(DEVICES):
        if w[i, k * ENTRY + NUMBER] == device:
            return k * ENTRY
    return -1


@compiled
def note(w, i, z, device, p, row):  # type: ignore[no-untyped-def]
    """The device said z now: its own series moves on. A new device takes a place, but of none that
    spoke at this stamp.

    Returns its entry's column (−1: it has none), whether what it said before is known, and seconds
    since then.
    """
    e = entry(w, i, device)
    if e < 0:
        e, oldest = 0, -1.0
        for k in range(DEVICES):
            other = k * ENTRY
            age = UNKNOWN + 1.0 if w[i, other + NUMBER] < 0.0 else float(w[i, other + AGE])
            if age > oldest or (age == oldest and w[i, other + LAST] < w[i, e + LAST]):
                e, oldest = other, age
        if oldest == 0.0:
            return -1, False, 0.0
        o = ENTRY if e == 0 else 0
        if w[i, o + NUMBER] >= 0.0 and w[i, o + AGE] == oldest and w[i, o + LAST] == w[i, e + LAST]:
            forget(w, i, o)  # nothing but arrival tells them apart: both go
        forget(w, i, e)
        w[i, e + NUMBER], w[i, e + AGE] = device, UNKNOWN
        w[i, e + SLOW1] = w[i, e + SLOW2] = w[i, e + LAST] = z
    age, last = float(w[i, e + AGE]), float(w[i, e + LAST])
    known = age < HEARD * p[row, EXPECTED]
    jumped = known and abs(z - last) > p[row, JUMP] + p[row, JUMP_RATE] * age
    set_flag(w, i, e, JUMPED, jumped)
    if p[row, LAG_TIME] > 0.0:
        g = -math.expm1(-min(age, 60.0) / p[row, LAG_TIME])
        slow1, slow2 = float(w[i, e + SLOW1]), float(w[i, e + SLOW2])
        w[i, e + SLOW2] = slow2 + g * (slow1 - slow2)
        w[i, e + SLOW1] = slow1 + g * (last - slow1)
    w[i, e + LAST], w[i, e + AGE] = z, 0.0
    return e, known, 0.0 if age >= UNKNOWN else min(age, 60.0)


@compiled
def forget(w, i, e):  # type: ignore[no-untyped-def]
    """The place of entry e is free."""
    for j in range(ENTRY):
        w[i, e + j] = 0.0
    w[i, e + NUMBER] = -1.0


@compiled
def compare(w, i, e, age, p, row):  # type: ignore[no-untyped-def]
    """Learn whether the device of entry e, just noted, lags behind the other.

    age: seconds since it spoke before. a/(a + 3 noise) instead of a: where devices go wild in
    bursts, the past of one is no nearer to the other than its present; squares would be fooled.
    """
    o = ENTRY if e == 0 else 0
    for k in range(DEVICES):  # who has gone wild seems to lead: the other agrees with its past
        if flag(w, i, k * ENTRY, JUMPED) or suspicion(w, i, k * ENTRY) > 0:
            return
    if p[row, LAG_TIME] == 0.0 or w[i, o + NUMBER] < 0.0 or w[i, o + AGE] >= 2.0 * p[row, EXPECTED]:
        return
    noise = math.sqrt(p[row, NOISE2])
    h = -math.expm1(-age / LEARNING_TIME)
    z = float(w[i, e + LAST])
    behind, apart = abs(z - float(w[i, o + SLOW2])), abs(z - float(w[i, o + LAST]))
    w[i, e + BEHIND] += h * (behind / (behind + 3.0 * noise) - float(w[i, e + BEHIND]))
    w[i, e + APART] += h * (apart / (apart + 3.0 * noise) - float(w[i, e + APART]))
    w[i, e + DISTANCE] += h * (min(apart, 30.0 * noise) - float(w[i, e + DISTANCE]))
    w[i, e + LEARNED] += h * (1.0 - float(w[i, e + LEARNED]))
    mine, others, now = float(w[i, e + BEHIND]), float(w[i, o + BEHIND]), float(w[i, e + APART])
    learned = float(w[i, e + LEARNED])
    if (
        mine < NEARER * min(now, others)
        and w[i, e + DISTANCE] > APART_ENOUGH * noise * learned
        and learned > ENOUGH
    ):
        set_flag(w, i, e, LAGS, True)
        set_flag(w, i, o, LAGS, False)
    elif mine > min(now, others):
        set_flag(w, i, e, LAGS, False)


@compiled
def lag_variance(w, i, e):  # type: ignore[no-untyped-def]
    """What a lag adds to the noise of the device of entry e: 0 if it has none or is alone now."""
    o = ENTRY if e == 0 else 0
    if e < 0 or not flag(w, i, e, LAGS) or w[i, o + AGE] >= SILENT:
        return 0.0
    distance = float(w[i, e + DISTANCE]) / max(float(w[i, e + LEARNED]), ENOUGH)
    return LAG_FACTOR2 * distance * distance


@compiled
def one_lags(w, i):  # type: ignore[no-untyped-def]
    """Whether one of the two devices lags, so that the other has no witness."""
    return flag(w, i, 0, LAGS) or flag(w, i, ENTRY, LAGS)


@compiled
def suspect(y, w, i, e, z, r, age, p, row):  # type: ignore[no-untyped-def]
    """The device of entry e jumped away from the state, to z; age seconds before it had not.

    If the other began this run of outliers within these seconds, and is here too, both have jumped
    together. Devices that go wild do so each at a time of its own.
    """
    o = ENTRY if e == 0 else 0
    set_suspicion(w, i, e, AWAY)
    apart = z - float(w[i, o + LAST])
    if (
        w[i, o + NUMBER] >= 0.0
        and suspicion(w, i, o) == AWAY
        and y[i, OUT_COUNT] != 0.0
        and y[i, OUT_AGE] < age
        and apart * apart <= MEET * p[row, GATE] * r
    ):
        set_suspicion(w, i, e, TOGETHER)
        set_suspicion(w, i, o, TOGETHER)


@compiled
def join(w, i, e, z, r, away, p, row):  # type: ignore[no-untyped-def]
    """The device of entry e is at z, away from the state by so much. If both are, at one place, and
    one of them for longer than devices go wild, they have stepped, one after the other: each has a
    delay of its own."""
    o = ENTRY if e == 0 else 0
    if p[row, LAG_TIME] == 0.0 or suspicion(w, i, e) <= 0 or suspicion(w, i, o) <= 0:
        return
    apart = z - float(w[i, o + LAST])
    if apart * apart > MEET * p[row, GATE] * r or w[i, o + AGE] >= HEARD * p[row, EXPECTED]:
        return
    most = STAYED * abs(away)
    for k in range(DEVICES):
        if abs(float(w[i, k * ENTRY + LAST]) - float(w[i, k * ENTRY + SLOW1])) < most:
            set_suspicion(w, i, e, TOGETHER)
            set_suspicion(w, i, o, TOGETHER)


@compiled
def jumped_together(w, i):  # type: ignore[no-untyped-def]
    """Whether both devices jumped at one time to one place, and neither has come back."""
    return suspicion(w, i, 0) == TOGETHER and suspicion(w, i, ENTRY) == TOGETHER


@compiled
def doubt_other(w, i, e):  # type: ignore[no-untyped-def]
    """The device of entry e is right, so the other is where no person is."""
    set_suspicion(w, i, e, 0)
    set_suspicion(w, i, ENTRY if e == 0 else 0, ALONE)


@compiled
def cleared(y, w, i, e):  # type: ignore[no-untyped-def]
    """The device of entry e agrees with the state. That it stepped counts while a step is held."""
    if suspicion(w, i, e) > 0 or y[i, OUT_COUNT] >= 0.0:
        set_suspicion(w, i, e, 0)
    o = ENTRY if e == 0 else 0
    if suspicion(w, i, o) > 0:
        set_suspicion(w, i, o, ALONE)


@compiled
def forgive(w, i, together):  # type: ignore[no-untyped-def]
    """After a true step nobody is suspect."""
    for k in range(DEVICES):
        set_suspicion(w, i, k * ENTRY, STEPPED if together else 0)


@compiled
def put_out(base, base_t, base_memory, base_entries, k, m, n, by, at, x, y, w):  # type: ignore[no-untyped-def]
    """The base of slot k, as of which nothing can change any more, is anchor m, of event n."""
    by[m] = n
    at[m] = base_t[k]
    for j in range(STATE):
        x[m, j] = base[k, j]
    for j in range(MEMORY):
        y[m, j] = base_memory[k, j]
    for j in range(ENTRIES):
        w[m, j] = base_entries[k, j]
