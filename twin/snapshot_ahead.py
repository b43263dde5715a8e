"""Snapshots are read and checked on a thread of their own, one ahead of who puts them back.

Reading a file and its hash need no lock of the interpreter. The same two rooms take one file after
another: memory that a process has not touched yet costs more than what is read into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from twin.beside import Beside
from twin.snapshot import Opened, SnapshotFolder, SnapshotUnreadable, opened

Found = Opened | SnapshotUnreadable | None


class _Reader:
    """Of the `names` (None: there is none) what was found, in the place of each."""

    def __init__(self, folder: SnapshotFolder, names: Sequence[str | None]) -> None:
        self._folder, self._names = folder, names
        self._rooms = [np.empty(0, np.uint8), np.empty(0, np.uint8)]
        self.found: list[Found] = [None] * len(names)

    def read(self, n: int) -> None:
        """The n-th, in a room that nobody uses any more."""
        name = self._names[n]
        if name is None:
            return
        try:
            self._rooms[n % 2], file = self._folder.read_into(name, self._rooms[n % 2])
            self.found[n] = opened(name, file)
        except SnapshotUnreadable as error:
            self.found[n] = error


def read_ahead(folder: SnapshotFolder, names: Sequence[str | None]) -> Iterator[Found]:
    """Each of these snapshots, or why it cannot be read; None where no name is.

    What was given is to be done with before the next but one is asked for: its bytes are written
    over.
    """
    reader, beside = _Reader(folder, names), Beside("twin-snapshots")
    try:
        for n in range(len(names)):
            if n == 0:
                beside.begin(partial(reader.read, 0))
            beside.settle()
            if n + 1 < len(names):
                beside.begin(partial(reader.read, n + 1))
            yield reader.found[n]
            reader.found[n] = None
    finally:
        beside.close()
