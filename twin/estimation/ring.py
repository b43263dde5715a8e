"""The compiled kernel, fourth part: the ring of newest measurements, and late data.

The newest measurements of a key are kept after a base, the state before them. A late one is
inserted and all that follow are filtered again (docs/models.md, Late, doubled, equal stamps).
"""

from __future__ import annotations

import math

import numpy as np

from twin.estimation.compiled import compiled, inlined
from twin.estimation.consistency import (
    diverged,
    note_nis,
    pass_trouble,
    tally,
)
from twin.estimation.devices import (
    AGE,
    BEHIND,
    ENTRIES,
    JUMPED,
    LAST,
    STEPPED,
    SUSPECT,
    alone,
    begin_memory,
    cleared,
    compare,
    doubt_other,
    entry,
    forgive,
    heard,
    jumped_together,
    lag_variance,
    note,
    one_lags,
    pass_time,
    put_out,
    suspect,
)
from twin.estimation.kalman import (
    E_INTERVAL,
    FA,
    FM,
    LAG,
    NEVER,
    STATE,
    D,
    M,
    begin,
    correct,
    normalised,
    predict,
)
from twin.estimation.members import group_end, newest_group, place, say
from twin.estimation.models import (
    EXPECTED,
    GATE,
    HORIZON,
    MEAN,
    NOISE2,
    QUANTISATION2,
    ROBUST2,
    SPREAD2,
)
from twin.estimation.robust import (
    FAR2,
    INSIDE,
    INSIDE_AGE,
    LINEAR,
    MEMORY,
    OUT_COUNT,
    came_back,
    doubt_return,
    hold,
    step_back,
    update,
    update_of_several,
)
from twin.estimation.tracker import BANDS, HORIZONS, TH, WIDTHS, track
from twin.estimation.usual import ROOT, USUAL, learn

ACCEPTED, BELATED, DUPLICATE, CONFLICT = 1, 2, 3, 4
#: The base is put out once in so much measured time, ns: from there a key can be filtered again.
ANCHOR_EVERY = 3_600_000_000_000
#: A signal quality of this or less weighs as this (exp(1/q² − 1) is cut at exp(20)).
LARGEST_EXPONENT = 20.0

# Rows are named by (array, index) everywhere: a view would be a new array (see compiled.py).


@inlined
def noise_variance(noise_std, quality, p, row):  # type: ignore[no-untyped-def]
    """Measurement variance, rounded to float32: device noise or the class's, quantisation, quality.

    Quality q multiplies it by exp(1/q² − 1) (Li, Mark & Clifford 2008), cut at exp(20).
    """
    r = noise_std * noise_std if noise_std > 0.0 and noise_std < 1e6 else p[row, NOISE2]
    r += p[row, QUANTISATION2]
    if quality < 1.0:
        exponent = LARGEST_EXPONENT
        if quality > 0.2:
            exponent = min(1.0 / (quality * quality) - 1.0, LARGEST_EXPONENT)
        r *= math.exp(exponent)
    return np.float32(r)


@compiled
def take_one(x, y, w, i, z, r, device, several, e, known, age, p, row):  # type: ignore[no-untyped-def]
    """Update with one measurement; returns (nis, weight).

    e: its device's entry (−1: none), what it said before is known, and age seconds old. Of several
    devices one may be wild for long while the estimate follows the other: whether the key is
    consistent is told only where one device reports.
    """
    if not several or x[i, LAG] != x[i, LAG]:
        nis, weight = update(x, y, i, z, r, p, row)
        note_nis(y, i, nis, p, row)
        return nis, weight
    if e >= 0:
        if normalised(x, i, z, r) <= p[row, GATE]:
            cleared(y, w, i, e)
        elif w[i, e + JUMPED] > 0.0:
            if w[i, e + SUSPECT] == STEPPED and came_back(x, y, i, z, r, p, row):
                doubt_other(w, i, e)
                return step_back(x, y, i, z, r, device, p, row), 1.0
            suspect(y, w, i, e, z, r, age, p, row)
    more = lag_variance(w, i, e)
    if more > 0.0:  # it follows the other: heard, but no witness for or against it
        nis = normalised(x, i, z, r + more)
        weight = 1.0 / (1.0 + nis / p[row, ROBUST2])
        correct(x, i, z, (r + more) / weight)
        return nis, weight
    if one_lags(w, i):
        return update(x, y, i, z, r, p, row)
    recent = y[i, INSIDE_AGE] <= max(2.5, 1.25 * p[row, EXPECTED])
    another = y[i, INSIDE] != device and recent
    smooth = e >= 0 and known and w[i, e + SUSPECT] <= 0.0 and not another
    together = jumped_together(w, i)
    nis, weight, step = update_of_several(x, y, i, z, r, device, smooth, together, p, row)
    if step:
        forgive(w, i, together)
    return nis, weight


@compiled
def take_group(  # type: ignore[no-untyped-def]
    x, y, w, i, ring_z, ring_r, ring_device, start, head, size, first, last, p, row, taken
):  # fmt: skip
    """Update x[i] with the ring members first..last−1 (one stamp), smallest |e|/√S first.

    Equal ones as `before` has it: their order in the ring is the order of arrival.
    taken (6, ≥ ring): of member j, [0, j−first] is a mark, [1, …] its nis, [2, …] its weight,
    [3, …] whether its device's last value is known, [4, …] how old, [5, …] its rank by `before`.
    Returns the (nis, weight) of the last one taken in.
    """
    n = last - first
    m = place(start, head, size, first)
    several = heard(y, w, i, ring_device[m], n)
    if n == 1:
        e, known, age = -1, False, 0.0
        if several:
            e, known, age = note(w, i, ring_z[m], ring_device[m], p, row)
            compare(w, i, e, age, p, row)
        nis, weight = take_one(
            x, y, w, i, ring_z[m], ring_r[m], ring_device[m], several, e, known, age, p, row
        )
        taken[1, 0] = nis
        taken[2, 0] = weight
        return nis, weight
    nis, weight = 0.0, 0.0
    note_group(w, i, ring_z, ring_r, ring_device, start, head, size, first, n, p, row, taken)
    for j in range(n):
        taken[0, j] = 0.0
    for _ in range(n):
        best, least, chosen = -1, math.inf, 0
        for j in range(n):
            if taken[0, j] == 0.0:
                m = place(start, head, size, first + j)
                e = entry(w, i, ring_device[m])
                score = normalised(x, i, ring_z[m], ring_r[m] + lag_variance(w, i, e))
                if best < 0 or score < least or (score == least and taken[5, j] < taken[5, best]):
                    best, least, chosen = j, score, m
        e = entry(w, i, ring_device[chosen])
        nis, weight = take_one(
            x, y, w, i, ring_z[chosen], ring_r[chosen], ring_device[chosen], n > 1, e,
            taken[3, best] > 0.0, taken[4, best], p, row,
        )  # fmt: skip
        taken[0, best] = 1.0
        taken[1, best] = nis
        taken[2, best] = weight
    return nis, weight


@compiled
def before(w, i, ring_z, ring_r, ring_device, m, chosen):  # type: ignore[no-untyped-def]
    """Whether member m comes before the chosen one, of equal stamp.

    By value, variance, then what is remembered; not by the device's number, which is given in order
    of arrival. Two members alike in all of it change the state alike.
    """
    if ring_z[m] != ring_z[chosen]:
        return ring_z[m] < ring_z[chosen]
    if ring_r[m] != ring_r[chosen]:
        return ring_r[m] < ring_r[chosen]
    one, other = entry(w, i, ring_device[m]), entry(w, i, ring_device[chosen])
    if one < 0 or other < 0:
        return one > other
    for column in (LAST, SUSPECT, BEHIND, AGE):
        if w[i, one + column] != w[i, other + column]:
            return w[i, one + column] < w[i, other + column]
    return False


@compiled
def note_group(  # type: ignore[no-untyped-def]
    w, i, ring_z, ring_r, ring_device, start, head, size, first, n, p, row, taken
):  # fmt: skip
    """Remember what n devices said at one stamp, by value, so that arrival has no say."""
    for j in range(n):
        taken[0, j] = 0.0
    for rank in range(n):
        best, chosen = -1, np.int64(0)
        for j in range(n):
            if taken[0, j] == 0.0:
                m = place(start, head, size, first + j)
                if best < 0 or before(w, i, ring_z, ring_r, ring_device, m, chosen):
                    best, chosen = j, m
        taken[0, best] = 1.0
        _, known, age = note(w, i, ring_z[chosen], ring_device[chosen], p, row)
        taken[3, best] = 1.0 if known else 0.0
        taken[4, best] = age
        taken[5, best] = rank
    for rank in range(n):
        j = 0
        while taken[5, j] != rank:
            j += 1
        e = entry(w, i, ring_device[place(start, head, size, first + j)])
        if e >= 0:
            compare(w, i, e, taken[4, j], p, row)


@inlined
def move_to(x, y, w, i, known_t, stamp, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """x[i], y[i], w[i] from known_t (NEVER: nothing known) to stamp."""
    if known_t == NEVER:
        begin(x, i, p, row)
        begin_memory(y, w, i)
    elif stamp > known_t:
        before, level = x[i, D], x[i, M]
        dt = (stamp - known_t) * 1e-9
        predict(x, i, stamp - known_t, p, row, cache, cache_dt)
        far = abs(level - p[row, MEAN])
        if far * far > FAR2 * p[row, SPREAD2] and p[row, GATE] < LINEAR:
            doubt_return(x, i, far, cache[row, FM], p, row)
        if y[i, OUT_COUNT] < 0.0:
            hold(x, i, before, cache[row, FA], dt, p, row)
        pass_time(y, w, i, dt)
        pass_trouble(y, i, dt)


@inlined
def keep(states, n, state, waiting, usual, root, k):  # type: ignore[no-untyped-def]
    """Copy the state after event n, if asked for."""
    if n < states.shape[0]:
        for j in range(STATE):
            states[n, j] = state[k, j]
        for j in range(BANDS * HORIZONS):
            states[n, STATE + j] = TH * waiting[k, WIDTHS + j]
        for j in range(USUAL):
            states[n, STATE + BANDS * HORIZONS + j] = usual[k, j]
        for j in range(ROOT):
            states[n, STATE + BANDS * HORIZONS + USUAL + j] = root[k, j]


@compiled
def process(  # type: ignore[no-untyped-def]
    order, slot, stamp, value, noise_std, quality, device,
    state, state_t, base, base_t, memory, base_memory, entries, base_entries,
    due, target, waiting, shares, share_device, model, ring_at, ring_size, ring_n,
    ring_t, ring_z, ring_r, ring_device, params, cache, cache_dt,
    verdict, as_of, out, states, rev_event, rev_t, rev_out,
    anchor_event, anchor_t, anchor_x, anchor_y, anchor_w, usual, usual_root, usual_hour, room,
    scratch, scratch_memory, scratch_entries, taken,
):  # fmt: skip
    """Take in events order[0], order[1], …; returns (events taken, revisions, anchors written).

    Per event n: slot, stamp (ns), value, noise_std, quality (NaN = not said), device (number).
    Per slot k: state/base (slots, STATE) now and before the ring, state_t/base_t their stamps,
    memory/base_memory (slots, MEMORY) and entries/base_entries (slots, ENTRIES) what is
    remembered beside them; due, target, waiting: forecasts that wait (tracker.py); shares,
    share_device: how each device's innovations were (consistency.py).
    model[k] its row of params; ring_at[k] (start in the ring arrays, index of the oldest member),
    ring_size[k], ring_n[k]: a circular ring in order of stamp. Written: verdict, as_of (n,), out
    (n, ESTIMATE), states (n or 0, …) the state, the widths th and the usual after; revisions
    rev_event (which event caused it), rev_t (the stamp revised), rev_out; anchors: the base (state,
    memory, entries; stamp) as it was before it moved over a full hour, and which event moved it.
    usual, usual_root, usual_hour (slots, …): what is usual for the person, learnt from each such
    base; room is its scratch (usual.py).
    Stops early when fewer than 64 revisions or no anchor would fit.
    """
    revisions, anchors = 0, 0
    only = np.int64(0)  # the row of the scratch arrays; a literal 0 would compile all below twice
    for position in range(order.shape[0]):
        if revisions + 64 > rev_t.shape[0] or anchors == anchor_t.shape[0]:
            return position, revisions, anchors
        n = order[position]
        k = slot[n]
        row = model[k]
        t = stamp[n]
        # Of one type, so that what they are given to is compiled once.
        start, head = np.int64(ring_at[k, 0]), np.int64(ring_at[k, 1])
        size = np.int64(ring_size[k])
        members = np.int64(ring_n[k])
        z = np.float32(value[n])
        # As the record keeps them, so that what is filtered again from there is the same.
        said_noise = np.float64(np.float32(noise_std[n]))
        r = noise_variance(said_noise, np.float64(np.float32(quality[n])), params, row)
        as_of[n] = state_t[k]
        # Identity: the same stamp of the same device inside the ring.
        where = members
        said = ACCEPTED
        while where > 0:
            j = place(start, head, size, where - 1)
            if ring_t[j] < t:
                break
            if ring_t[j] == t and ring_device[j] == device[n]:
                said = DUPLICATE if ring_z[j] == z else CONFLICT
                break
            where -= 1
        if said == ACCEPTED and members > 0:
            oldest = ring_t[place(start, head, size, only)]
            if (
                t <= base_t[k]
                or (members == size and t <= oldest)
                or t < state_t[k] - np.int64(params[row, HORIZON])
            ):
                said = BELATED
        verdict[n] = said
        out[n, E_INTERVAL] = 0.0
        if members >= 4:
            span = state_t[k] - ring_t[place(start, head, size, only)]
            out[n, E_INTERVAL] = span * 1e-9 / (members - 1)
        if said != ACCEPTED:
            say(
                state, memory, k, params, row, out, n, math.nan, 0.0, ring_z, ring_r, start, head,
                size, newest_group(ring_t, start, head, size, members), members,
            )  # fmt: skip
            keep(states, n, state, waiting, usual, usual_root, k)
            continue
        if members == size:  # the oldest stamp goes into the base
            end = group_end(ring_t, start, head, size, only, members)
            oldest = ring_t[place(start, head, size, only)]
            if base_t[k] != NEVER and base_t[k] // ANCHOR_EVERY != oldest // ANCHOR_EVERY:
                put_out(
                    base, base_t, base_memory, base_entries, k, anchors, n,
                    anchor_event, anchor_t, anchor_x, anchor_y, anchor_w,
                )  # fmt: skip
                anchors += 1
                learn(
                    usual, usual_root, usual_hour, k, base[k, M] + base[k, D], base_t[k], params,
                    row, room,
                )  # fmt: skip
            move_to(
                base, base_memory, base_entries, k, base_t[k], oldest, params, row, cache, cache_dt
            )
            j = place(start, head, size, only)
            if end == 1 and alone(base_memory, k, ring_device[j]):
                nis, weight = update(base, base_memory, k, ring_z[j], ring_r[j], params, row)
                note_nis(base_memory, k, nis, params, row)
            else:
                take_group(
                    base, base_memory, base_entries, k, ring_z, ring_r, ring_device, start, head,
                    size, only, end, params, row, taken,
                )  # fmt: skip
            base_t[k] = oldest
            head += end
            if head >= size:
                head -= size
            ring_at[k, 1] = head
            members -= end
            where -= end
        for j in range(members, where, -1):
            to, frm = place(start, head, size, j), place(start, head, size, j - 1)
            ring_t[to] = ring_t[frm]
            ring_z[to] = ring_z[frm]
            ring_r[to] = ring_r[frm]
            ring_device[to] = ring_device[frm]
        j = place(start, head, size, where)
        ring_t[j], ring_z[j], ring_r[j], ring_device[j] = t, z, r, device[n]
        members += 1
        ring_n[k] = members
        if members == 1 or t > state_t[k]:
            move_to(state, memory, entries, k, state_t[k], t, params, row, cache, cache_dt)
            if alone(memory, k, device[n]):
                nis, weight = update(state, memory, k, z, r, params, row)
                note_nis(memory, k, nis, params, row)
            else:
                nis, weight = take_group(
                    state, memory, entries, k, ring_z, ring_r, ring_device, start, head, size,
                    where, where + 1, params, row, taken,
                )  # fmt: skip
            state_t[k] = t
            as_of[n] = t
            say(
                state, memory, k, params, row, out, n, nis, weight, ring_z, ring_r, start, head,
                size, where, members,
            )  # fmt: skip
            tally(shares, share_device, k, device[n], nis, z - state[k, M] - state[k, D])
            if t >= due[k] and not diverged(memory, k):
                track(
                    k, t, z, state, due, target, waiting, usual, usual_root, params, row, scratch,
                    cache, cache_dt, room,
                )  # fmt: skip
            keep(states, n, state, waiting, usual, usual_root, k)
            continue
        # Late, or a second device at the newest stamp: filter again from the base.
        for j in range(STATE):
            scratch[0, j] = base[k, j]
        for j in range(MEMORY):
            scratch_memory[0, j] = base_memory[k, j]
        for j in range(ENTRIES):
            scratch_entries[0, j] = base_entries[k, j]
        known = base_t[k]
        own_nis, own_weight, own_residual = 0.0, 0.0, 0.0
        i = only
        while i < members:
            end = group_end(ring_t, start, head, size, i, members)
            now = ring_t[place(start, head, size, i)]
            move_to(
                scratch, scratch_memory, scratch_entries, only, known, now, params, row, cache,
                cache_dt,
            )  # fmt: skip
            nis, weight = take_group(
                scratch, scratch_memory, scratch_entries, only, ring_z, ring_r, ring_device, start,
                head, size, i, end, params, row, taken,
            )  # fmt: skip
            known = now
            if i <= where < end:
                own_nis, own_weight = taken[1, where - i], taken[2, where - i]
                own_residual = z - scratch[0, M] - scratch[0, D]
            if t <= known < state_t[k]:
                rev_event[revisions] = n
                rev_t[revisions] = known
                say(
                    scratch, scratch_memory, only, params, row, rev_out, revisions, nis, weight,
                    ring_z, ring_r, start, head, size, i, end,
                )  # fmt: skip
                revisions += 1
            i = end
        for j in range(STATE):
            state[k, j] = scratch[0, j]
        for j in range(MEMORY):
            memory[k, j] = scratch_memory[0, j]
        for j in range(ENTRIES):
            entries[k, j] = scratch_entries[0, j]
        say(
            state, memory, k, params, row, out, n, own_nis, own_weight, ring_z, ring_r, start,
            head, size, newest_group(ring_t, start, head, size, members), members,
        )  # fmt: skip
        tally(shares, share_device, k, device[n], own_nis, own_residual)
        keep(states, n, state, waiting, usual, usual_root, k)
    return order.shape[0], revisions, anchors
