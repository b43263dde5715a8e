"""Rows of structured dtypes copied as bytes.

numpy copies rows of a structured dtype field by field (0.1 to 0.3 µs each, by the number of
fields); as bytes without structure it copies them whole (0.01 µs). What is copied is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Parts smaller than this on average (bytes) are cheaper joined by Python than by numpy. Larger
#: ones are not: their copies are memory that the system hands out and takes back each time.
_SMALL = 8_192


def taken(rows: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
    """rows[chosen], for indexes or a mask."""
    whole = np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")
    chosen_rows: NDArray[Any] = whole[chosen].view(rows.dtype)
    return chosen_rows


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows of all parts (one or more, same dtype), writable, in memory of their own."""
    of = parts[0].dtype
    if sum(map(len, parts)) * of.itemsize < _SMALL * len(parts):
        return np.frombuffer(bytearray().join([part.tobytes() for part in parts]), of)
    whole = [np.ascontiguousarray(part).view(f"V{of.itemsize}") for part in parts]
    joint: NDArray[Any] = np.concatenate(whole).view(of)
    return joint
