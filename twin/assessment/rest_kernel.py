"""The compiled part of rest: whose vitals and whose score a tick has to look at.

All of a ward is looked through once a second, so each costs nanoseconds (see `Assessment`).
"""

from __future__ import annotations

from twin.estimation.compiled import compiled, inlined
from twin.estimation.kalman import NEVER as NO_STATE


@compiled
def to_look_at(count, at, due, partition, known, rests_until, chosen):  # type: ignore[no-untyped-def]
    """Which of the first `count` patients' scores do not rest at a tick `at` (ns); returns how
    many, writes them into chosen in order. due (partitions,); the others by patient."""
    looked = 0
    for p in range(count):
        if at > rests_until[p] and known[p] and due[partition[p]]:
            chosen[looked] = p
            looked += 1
    return looked


@compiled
def to_judge(  # type: ignore[no-untyped-def]
    flags, eights, due, partition, known, slot_of, state_t, model, modelled, keys, slots,
):  # fmt: skip
    """Which keys (patient · signals + signal) do not rest; returns (keys, slots) written, in the
    order of keys. Those that are written rest from now on.

    flags (patients, signals): the key does not rest; eights: the same memory as uint64, without
    what is left of it, because nearly all of a ward rests. due (partitions,); partition, known by
    patient; slot_of (patients, signals); state_t, model by slot; modelled by signal. slots: of the
    keys that have an estimate.
    """
    taken, found, size, signals = 0, 0, flags.size, flags.shape[1]
    rest = eights.shape[0] * 8
    for word in range(eights.shape[0]):
        if eights[word] != 0:
            for k in range(8 * word, 8 * word + 8):
                taken, found = _take(
                    k, signals, flags, due, partition, known, slot_of, state_t, model, modelled,
                    keys, slots, taken, found,
                )  # fmt: skip
    for k in range(rest, size):
        taken, found = _take(
            k, signals, flags, due, partition, known, slot_of, state_t, model, modelled,
            keys, slots, taken, found,
        )  # fmt: skip
    return taken, found


@inlined
def _take(  # type: ignore[no-untyped-def]
    k, signals, flags, due, partition, known, slot_of, state_t, model, modelled, keys, slots,
    taken, found,
):  # fmt: skip
    p, s = k // signals, k % signals
    if not (flags[p, s] and known[p] and due[partition[p]]):
        return taken, found
    flags[p, s] = False
    keys[taken] = k
    slot = slot_of[p, s]
    if slot < 0 or state_t[slot] == NO_STATE or not modelled[model[slot]]:
        return taken + 1, found
    slots[found] = slot
    return taken + 1, found + 1
