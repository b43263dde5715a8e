"""Rows of structured dtypes copied as bytes.

numpy copies rows of a structured dtype field by field (0.1 to 0.3 µs each, by the number of
fields); as bytes without structure it copies them whole (0.01 µs). What is copied is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def taken(rows: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
    """rows[chosen], for indexes or a mask."""
    whole = np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")
    chosen_rows: NDArray[Any] = whole[chosen].view(rows.dtype)
    return chosen_rows


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows of all parts (one or more, same dtype), writable, in memory of their own."""
    contiguous: list[Any] = [*map(np.ascontiguousarray, parts)]
    return np.frombuffer(bytearray().join(contiguous), parts[0].dtype)


def readable(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows side by side that are only read: for compiled functions, to which these are one kind."""
    view = np.ascontiguousarray(rows).view()
    view.flags.writeable = False
    return view


def octets(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of rows, one after the other, that are only read; the same."""
    return readable(rows).view(np.uint8)
