"""The compiled kernel, fifth part: the ring of newest measurements, and late data.

The newest measurements of a key are kept after a base, the state before them. A late one is
inserted and all that follow are filtered again (docs/models.md, Late, doubled, equal stamps).
"""

from __future__ import annotations

import math

import numpy as np

from ingest.instant import SECOND
from twin.estimation.compiled import compiled, inlined
from twin.estimation.consistency import diverged, pass_trouble, tally
from twin.estimation.devices import ENTRIES, begin_memory, pass_time, put_out
from twin.estimation.group import noise_variance, take_group
from twin.estimation.kalman import E_INTERVAL, NEVER, STATE, D, M, begin
from twin.estimation.machine import fetch, field, natural
from twin.estimation.members import group_end, newest_group, place, say
from twin.estimation.models import HORIZON
from twin.estimation.ordinary import take_ordinary
from twin.estimation.robust import MEMORY, OUT_COUNT, expect
from twin.estimation.slots import MEMBER, SLOT
from twin.estimation.tracker import BANDS, HORIZONS, TH, WIDTHS, track
from twin.estimation.usual import ROOT, USUAL, learn

ACCEPTED, BELATED, DUPLICATE, CONFLICT = 1, 2, 3, 4
#: The base is put out once in so much measured time, ns: from there a key can be filtered again.
ANCHOR_EVERY = 3_600_000_000_000
#: So many events ahead the ring is asked for, and twice as many the slot, which says where it is.
#: A hundred nanoseconds, memory's answer, are one to two events.
AHEAD = 4

# Fields of the records, by name.
(
    _state, _state_t, _base_t, _base, _memory, _base_memory, _due, _share_device, _ring_start,
    _, _, _shares, _ring_head, _ring_n, _ring_size, _model,
) = (field(SLOT, name) for name in SLOT.names or ())  # fmt: skip
_ring_z, _ring_r, _ring_device = (field(MEMBER, name) for name in MEMBER.names or ())

# Rows are named by (array, index) everywhere: a view would be a new array (see compiled.py).


@inlined
def move_to(x, y, w, i, known_t, stamp, p, row, cache, cache_dt):  # type: ignore[no-untyped-def]
    """x[i], y[i], w[i] from known_t (NEVER: nothing known) to stamp."""
    if known_t == NEVER:
        begin(x, i, p, row)
        begin_memory(y, w, i)
    elif stamp > known_t:
        dt = (stamp - known_t) * 1e-9
        expect(x, i, stamp - known_t, y[i, OUT_COUNT] < 0.0, p, row, cache, cache_dt)
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
    first, slot, stamp, value, noise_std, quality, device,
    slots, ring_members, entries, base_entries, target, waiting, ring_t, params, cache, cache_dt,
    verdict, as_of, out, states, rev_event, rev_t, rev_out,
    anchor_event, anchor_t, anchor_x, anchor_y, anchor_w, usual, usual_root, usual_hour, room,
    scratch, scratch_memory, scratch_entries, taken,
):  # fmt: skip
    """Take in events n = first, first + 1, …; returns (the next, revisions, anchors written).

    Per event n: slot, stamp (ns), value, noise_std, quality (NaN = not said), device (number).
    Per slot k: slots, records SLOT as bytes: state/base (STATE,) now and before the ring,
    state_t/base_t their stamps, memory/base_memory (MEMORY,), and entries/base_entries (slots,
    ENTRIES), what is remembered beside them; due, and target, waiting (slots, …): forecasts that
    wait (tracker.py); shares, share_device: how each device's innovations were (consistency.py);
    model its row of params; ring_start (in the ring arrays), ring_head (index of the oldest
    member), ring_size, ring_n: a circular ring in order of stamp, ring_t and records MEMBER as
    bytes.
    cache, cache_dt: `discretised`. Written: verdict, as_of (n,), out (n, ESTIMATE), states (n or
    0, …) the state, the widths th and the usual after; revisions rev_event (which event caused it),
    rev_t (the stamp revised), rev_out; anchors: the base (state, memory, entries; stamp) as it was
    before it moved over a full hour, and which event moved it.
    usual, usual_root, usual_hour (slots, …): what is usual for the person, learnt from each such
    base; room is its scratch (usual.py).
    Stops early when fewer than 64 revisions or no anchor would fit.
    """
    state, base, state_t, base_t = _state(slots), _base(slots), _state_t(slots), _base_t(slots)
    memory, base_memory = _memory(slots), _base_memory(slots)
    due, model, shares = _due(slots), _model(slots), _shares(slots)
    share_device = _share_device(slots)
    ring_start, ring_head = _ring_start(slots), _ring_head(slots)
    ring_size, ring_n = _ring_size(slots), _ring_n(slots)
    ring_z, ring_r, ring_device = (
        _ring_z(ring_members),
        _ring_r(ring_members),
        _ring_device(ring_members),
    )
    revisions, anchors = 0, 0
    only = np.int64(0)  # the row of the scratch arrays; a literal 0 would compile all below twice
    for n in range(first, slot.shape[0]):
        if revisions + 64 > rev_t.shape[0] or anchors == anchor_t.shape[0]:
            return n, revisions, anchors
        if n + 2 * AHEAD < slot.shape[0]:
            look = natural(slot[n + 2 * AHEAD])
            fetch(state, look)
            fetch(base, look)
            fetch(memory, look)
            fetch(base_memory, look)
            fetch(shares, look)
            look = natural(slot[n + AHEAD])
            oldest_at = np.int64(ring_start[look]) + np.int64(ring_head[look])
            fetch(ring_t, oldest_at)
            fetch(ring_z, oldest_at)
        k = natural(slot[n])
        row = natural(np.int64(model[k]))
        t = stamp[n]
        # Of one type, so that what they are given to is compiled once.
        start, head = np.int64(ring_start[k]), np.int64(ring_head[k])
        size = np.int64(ring_size[k])
        members = np.int64(ring_n[k])
        z = np.float32(value[n])
        # As the record keeps them, so that what is filtered again from there is the same.
        said_noise = np.float64(np.float32(noise_std[n]))
        r = noise_variance(said_noise, np.float64(np.float32(quality[n])), params, row)
        as_of[n] = state_t[k]
        oldest_at = place(start, head, size, only)
        oldest = ring_t[oldest_at]
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
        if (
            said == ACCEPTED
            and members > 0
            and (
                t <= base_t[k]
                or (members == size and t <= oldest)
                or t < state_t[k] - np.int64(params[row, HORIZON])
            )
        ):
            said = BELATED
        verdict[n] = said
        out[n, E_INTERVAL] = 0.0
        if members >= 4:
            span = state_t[k] - oldest
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
            if base_t[k] != NEVER and base_t[k] < oldest - oldest % ANCHOR_EVERY:
                put_out(
                    base, base_t, base_memory, base_entries, k, anchors, n,
                    anchor_event, anchor_t, anchor_x, anchor_y, anchor_w,
                )  # fmt: skip
                anchors += 1
                learn(
                    usual, usual_root, usual_hour, k, base[k, M] + base[k, D], base_t[k], params,
                    row, room,
                )  # fmt: skip
            done, nis, weight = False, 0.0, 0.0
            if end == 1:
                done, nis, weight = take_ordinary(
                    base, base_memory, base_entries, k, base_t[k], oldest, ring_z[oldest_at],
                    ring_r[oldest_at], ring_device[oldest_at], params, row, cache, cache_dt,
                )  # fmt: skip
            if not done:
                move_to(
                    base, base_memory, base_entries, k, base_t[k], oldest, params, row, cache,
                    cache_dt,
                )  # fmt: skip
                take_group(
                    base, base_memory, base_entries, k, ring_z, ring_r, ring_device, start, head,
                    size, only, end, params, row, taken,
                )  # fmt: skip
            base_t[k] = oldest
            head += end
            if head >= size:
                head -= size
            ring_head[k] = head
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
            done, nis, weight = take_ordinary(
                state, memory, entries, k, state_t[k], t, z, r, device[n], params, row, cache,
                cache_dt,
            )  # fmt: skip
            if not done:
                move_to(state, memory, entries, k, state_t[k], t, params, row, cache, cache_dt)
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
            if t >= np.int64(due[k]) * SECOND and not diverged(memory, k):
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
                rev_out[revisions, E_INTERVAL] = 0.0
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
    return slot.shape[0], revisions, anchors
