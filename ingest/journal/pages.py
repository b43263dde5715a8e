"""Rows out of a damaged SQLite file, page by page, without SQLite.

Whatever is broken above a table's leaf pages does not matter here: each leaf is read by itself.
Layout: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from mmap import mmap
from typing import Final

Value = None | int | float | str | bytes
Row = tuple[int, tuple[Value, ...]]  # row id, columns (None in the place of the row id's own)

PAGE_SIZE: Final = 4096
_LEAF: Final = 0x0D
#: Payload bytes that a leaf cell holds at most, and at least when the rest overflows.
_MOST: Final = PAGE_SIZE - 35
_LEAST: Final = (PAGE_SIZE - 12) * 32 // 255 - 23
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Pages:
    """Pages of a database file, where the write-ahead log has newer ones those."""

    def __init__(self, main: bytes | mmap, log: Mapping[int, bytes]) -> None:
        self._main = main
        self._log = log
        self._count = max(-(-len(main) // PAGE_SIZE), max(log, default=0))

    def rows(self) -> Iterator[Row]:
        """Every row of every table that can still be read, in no order. Never raises.

        A leaf whose bytes were flipped may give rows that never were: the caller judges them.
        """
        written = range(1, -(-len(self._main) // PAGE_SIZE) + 1)
        for number in sorted(set(written) | self._log.keys()):
            yield from self._leaf(number)

    def _page(self, number: int) -> bytes:
        """The page; b"" beyond the end, cut where the file is cut."""
        newer = self._log.get(number)
        if newer is not None:
            return newer
        if not 1 <= number <= self._count:
            return b""
        return self._main[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]

    def _leaf(self, number: int) -> Iterator[Row]:
        page = self._page(number)
        start = 100 if number == 1 else 0
        if len(page) < start + 8 or page[start] != _LEAF:
            return
        (cells,) = struct.unpack_from(">H", page, start + 3)
        for cell in range(min(cells, (len(page) - start - 8) // 2)):
            try:
                (offset,) = struct.unpack_from(">H", page, start + 8 + 2 * cell)
                yield self._row(page, offset)
            except (IndexError, ValueError, struct.error):
                continue  # not a row any more: its position will be missing and is reported so

    def _row(self, page: bytes, offset: int) -> Row:
        size, offset = _varint(page, offset)
        row, offset = _varint(page, offset)
        if size > (self._count + 1) * PAGE_SIZE:
            raise ValueError("payload is larger than the file")
        local = _local(size)
        payload = page[offset : offset + local]
        if local < size:
            (overflow,) = struct.unpack_from(">I", page, offset + local)
            payload += self._overflow(overflow, size - local)
        if len(payload) != size:
            raise ValueError("payload is cut")
        return _signed(row), tuple(_columns(payload))

    def _overflow(self, number: int, size: int) -> bytes:
        parts = []
        while size > 0:
            page = self._page(number)
            part = page[4 : 4 + size]
            if not part:
                raise ValueError("overflow chain is broken")
            (number,) = struct.unpack_from(">I", page)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _local(size: int) -> int:
    """Payload bytes of a leaf cell that lie on the leaf itself."""
    if size <= _MOST:
        return size
    local = _LEAST + (size - _LEAST) % (PAGE_SIZE - 4)
    return local if local <= _MOST else _LEAST


def _columns(payload: bytes) -> Iterator[Value]:
    end, offset = _varint(payload, 0)
    types = []
    while offset < end:
        kind, offset = _varint(payload, offset)
        types.append(kind)
    for kind in types:
        value, offset = _value(payload, offset, kind)
        yield value
    if offset != len(payload):
        raise ValueError("payload is longer than its columns")


def _value(payload: bytes, offset: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, offset
    if kind in (8, 9):
        return kind - 8, offset
    if kind in _INTEGER_BYTES:
        end = offset + _INTEGER_BYTES[kind]
        return int.from_bytes(payload[offset:end], "big", signed=True), end
    if kind == 7:
        return float(struct.unpack_from(">d", payload, offset)[0]), offset + 8
    if kind < 12:
        raise ValueError("no such type")
    end = offset + (kind - 12) // 2
    raw = payload[offset:end]
    return (raw.decode() if kind % 2 else raw), end


def _varint(block: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for count in range(8):
        byte = block[offset + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + count + 1
    return value << 8 | block[offset + 8], offset + 9


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
