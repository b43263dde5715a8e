"""Columns of integers as bytes.

Values, or the differences of neighbours, become offsets above a base; the offsets are packed at the
bit width that most of them need, and the few that need more stand beside. Instead of a general
compressor: a third smaller than zlib's fastest level, which takes many times as long. They are
packed by `blocks_kernel`, and read here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

# flags, bit width, exponent of ten, exceptions, base, first value, bytes of the body
_HEAD = struct.Struct("<BBBHqqI")
#: Flags: differences of neighbours; as it is; some numbers are missing.
DIFFERENCES, VERBATIM, NULLS = 1, 2, 4


def _container(width: int) -> int:
    """Bytes of the number that holds so many bits."""
    return 0 if width == 0 else 1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8


@dataclass(frozen=True, slots=True)
class Part:
    """A packed column in a block; end: where the next begins."""

    flags: int
    width: int
    exponent: int
    exceptions: int
    base: int
    first: int
    body: memoryview
    end: int

    @classmethod
    def at(cls, block: memoryview, place: int) -> Part:
        """The column that begins at `place`. Raises struct.error beyond the end."""
        flags, width, exponent, exceptions, base, first, size = _HEAD.unpack_from(block, place)
        begin = place + _HEAD.size
        body = block[begin : begin + size]
        return cls(flags, width, exponent, exceptions, base, first, body, begin + size)

    @property
    def verbatim(self) -> bool:
        """The body is the column as it is, or its one value."""
        return bool(self.flags & VERBATIM)

    def unpack(self, n: int) -> tuple[Integers, Bools | None]:
        """The n integers, and which of them are missing. Raises ValueError for a cut body."""
        missing, body = None, self.body
        if self.flags & NULLS:
            octets = -(-n // 8)
            missing = np.unpackbits(np.frombuffer(body[:octets], np.uint8), count=n).view(np.bool_)
            body = body[octets:]
        beyond = np.frombuffer(body[: 2 * self.exceptions], "<u2")
        values = np.frombuffer(body[2 * self.exceptions : 10 * self.exceptions], "<u8")
        above = self._unpacked(body[10 * self.exceptions :], n)
        above[beyond] = values
        whole: Integers = above.view(np.int64) + self.base
        if self.flags & DIFFERENCES:
            whole[0] = self.first
            whole = np.cumsum(whole)
        return whole, missing

    def _unpacked(self, body: memoryview, n: int) -> NDArray[np.uint64]:
        if self.width == 0:
            return np.zeros(n, np.uint64)
        size = _container(self.width)
        bits = np.zeros((n, 8 * size), np.uint8)
        found = np.unpackbits(np.frombuffer(body, np.uint8), count=n * self.width)
        bits[:, 8 * size - self.width :] = found.reshape(n, self.width)
        return np.packbits(bits).view(f">u{size}").astype(np.uint64)
