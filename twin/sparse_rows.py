"""Rows of a structured dtype of which most columns say the same, written without these.

Of the first row the columns that differ from what is usual are written, of the others those in
which any of them differs from the first: by their bytes (NaN is NaN, −0 is not 0).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(rows: NDArray[Any], usual: NDArray[Any]) -> tuple[bytes, bytes]:
    """(marks, values) of n rows, packed dtype without gaps, any n; usual: (1,), the same dtype.

    marks: a bit for each column, of the first row and of the others; values: what the columns
    that are marked hold, row by row.
    """
    octets = _octets(rows)
    begins, sizes = _columns(rows.dtype)
    differs = np.zeros((2, len(begins)), bool)
    for mark, some, base in ((0, octets[:1], _octets(usual)), (1, octets[1:], octets[:1])):
        if len(some):
            differs[mark] = np.logical_or.reduceat((some != base).any(axis=0), begins)
    first, others = np.repeat(differs, sizes, axis=1)
    return np.packbits(differs).tobytes(), octets[:1, first].tobytes() + octets[
        1:, others
    ].tobytes()


def unpacked(marks: bytes, values: bytes, n: int, usual: NDArray[Any]) -> NDArray[Any]:
    """The inverse: (n,) rows. Raises ValueError: marks and values do not belong together."""
    begins, sizes = _columns(usual.dtype)
    bits = np.unpackbits(np.frombuffer(marks, np.uint8), count=2 * len(begins))
    first, others = np.repeat(bits.reshape(2, -1).astype(bool), sizes, axis=1)
    given, rows = np.frombuffer(values, np.uint8), np.repeat(_octets(usual), n, axis=0)
    end = int(first.sum()) if n else 0
    rows[:1, first] = given[:end]
    rows[1:] = rows[:1]
    rows[1:, others] = given[end:].reshape(max(n - 1, 0), int(others.sum()))
    return rows.reshape(-1).view(usual.dtype)


def _octets(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """(n, size of a row)."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


@lru_cache
def _columns(kind: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in a row each column begins, and its size."""
    fields = [kind.fields[name] for name in kind.names or ()] if kind.fields else []
    begins = np.array([at for _, at, *_ in fields], np.int64)
    return begins, np.diff(begins, append=kind.itemsize)
