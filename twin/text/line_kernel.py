"""Lines of InfluxDB's protocol from columns of numbers, compiled: straight into what is sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.compiled import kernels
from twin.text.shortest import SOURCES, write_float, write_integer
from twin.text.words import copy

compiled, inlined = kernels((Path(__file__), *SOURCES))


@inlined
def _piece(text, at, source, begin, end):  # type: ignore[no-untyped-def]
    """Write source[begin:end] from byte `at` on; the byte after it."""
    after = at + end - begin
    while at < after:
        copy(text, at, source, begin)
        at += 16
        begin += 16
    return after


@compiled
def write_lines(  # type: ignore[no-untyped-def]
    text, at, ends, starts, start_at, series, between, between_at, numbers, stamps
):  # fmt: skip
    """Write n lines into text (uint8) from byte `at` on; returns the byte after them.

    A line is the start of its series (n,), k float64 with a piece before each, one more piece, its
    stamp (n,) and the line end. starts, between (uint8): starts of the series and pieces one after
    the other; start_at, between_at: where each begins and the last ends. numbers (k, n): bits of
    float64. Written as well: ends (n,), the byte after each line. Behind the last line text must
    have room for what `write_float` touches, behind the last piece starts and between for `copy`.
    """
    k = numbers.shape[0]
    for i in range(ends.shape[0]):
        of = series[i]
        at = _piece(text, at, starts, start_at[of], start_at[of + 1])
        for j in range(k):
            at = _piece(text, at, between, between_at[j], between_at[j + 1])
            at = write_float(text, at, numbers[j, i])
        at = _piece(text, at, between, between_at[k], between_at[k + 1])
        at = write_integer(text, at, stamps[i])
        text[at] = 10
        at += 1
        ends[i] = at
    return at


def warm_up() -> None:
    """Compile `write_lines`, or load it from the cache: some seconds, or a moment."""
    numbers, stamps = np.zeros((1, 1), np.uint64), np.zeros(1, np.int64)
    text, piece = np.empty(128, np.uint8), np.zeros(32, np.uint8)
    at = np.array([0, 1, 2])
    write_lines(text, 0, stamps.copy(), piece, at[:2], stamps, piece, at, numbers, stamps)
