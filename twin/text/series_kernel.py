"""Which rows are points of one series, compiled: in one pass while each series' times rise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.compiled import kernels

compiled, _ = kernels([Path(__file__)])

_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2⁶⁴ over the golden ratio
_UPPER = np.uint64(32)


@compiled
def series_of(keys, times, slots, numbers, first, newest):  # type: ignore[no-untyped-def]
    """Number the series of n rows from 0, in the order in which they come.

    keys, times (n,): rows with the same key are of one series. slots: zeros, 2ᵇ > n of them,
    b ≤ 32; newest (n,): room. Written: numbers (n,) the series of each row; first (n,) a row of
    each series. Returns how many series there are; −1 where the times of one do not rise, and
    nothing of what is written counts then.
    """
    last = slots.shape[0] - 1
    count = 0
    for i in range(keys.shape[0]):
        slot = np.int64(np.uint64(keys[i]) * _SPREAD >> _UPPER) & last
        while True:
            of = slots[slot] - 1
            if of < 0:
                slots[slot] = count + 1
                first[count], newest[count], numbers[i] = i, times[i], count
                count += 1
                break
            if keys[first[of]] == keys[i]:
                if times[i] <= newest[of]:
                    return -1
                newest[of], numbers[i] = times[i], of
                break
            slot = (slot + 1) & last
    return count


def warm_up() -> None:
    """Compile it, or load it from the cache."""
    of = np.zeros((6, 1), np.int64)
    series_of(of[0], of[1], np.zeros(2, np.int64), of[3], of[4], of[5])
