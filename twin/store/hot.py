"""Hot rows on their way to blocks: where they are, what is full, and moving them on.

A full group whose series mostly have enough rows is sealed at once, its rest stays in it; else it
is dealt out to its buckets, which are sealed when one of their series has enough. So of a ward of a
thousand patients a row is written three times, in a slice of its transaction, of its group and in
a block; of larger ones four times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import add

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.bytewise import joined, octets
from twin.store.blocks import Rows
from twin.store.rows import home_rows
from twin.store.sealing import SEAL_AT, SEAL_MINIMUM, seal
from twin.store.slices import slice_of, slices_of, unpacked
from twin.store.sqlite_file import (
    BUCKETS,
    FIRST_GROUP,
    HOMES,
    IN_GROUP,
    LAYOUTS,
    RECENT,
    SeriesKey,
    Stored,
    buckets_of,
    places,
    slice_at,
)

#: Recent rows are read by every question: so many cost it two milliseconds.
RECENT_ROWS, RECENT_SLICES = 32_768, 256
#: Rows of one group are read by every question about its series.
GROUP_ROWS = 65_536
_INSERT = "INSERT INTO hot VALUES(?, ?)"
#: A group or bucket with so many slices is full, whatever is in them.
SLICES = 128


class HotRows:
    """Lives as long as its connection's transactions succeed; after a failed one it is made anew.

    met: called with every hot row that the file holds at the beginning. Every change of the file
    is part of the caller's transaction.
    """

    def __init__(self, connection: apsw.Connection, met: Callable[[Stored, Rows], None]) -> None:
        self._connection = connection
        self._rows = np.zeros((len(Stored), HOMES), np.int64)
        self._slices = np.zeros((len(Stored), HOMES), np.int64)
        self._of_series = np.zeros((2, 1024), np.int64)
        #: The writer's own copy of what is recent, so that it need not be read back.
        self._recent: dict[Stored, list[Rows]] = {stored: [] for stored in Stored}
        self._full: dict[tuple[Stored, int], None] = {}
        self._sequence = 0
        for place, blob in connection.execute("SELECT place, rows FROM hot"):
            stored, home, sequence = slice_at(place)
            rows = unpacked([blob], LAYOUTS[stored])
            self._sequence = max(self._sequence, sequence)
            met(stored, rows)
            self._note(stored, home, rows)

    def append(self, stored: Stored, rows: Rows) -> None:
        """Add rows of one transaction; what was recent moves on where these are too many."""
        have, slices = self._rows[stored, RECENT], self._slices[stored, RECENT]
        if have + len(rows) <= RECENT_ROWS and slices < RECENT_SLICES:
            self._sequence += 1
            self._write(stored, RECENT, self._sequence, slice_of(rows, LAYOUTS[stored]))
            self._note(stored, RECENT, rows)
            return
        rows = joined([*self._recent[stored], rows])
        self._empty(stored, RECENT, rows)
        self._deal_out(stored, rows, FIRST_GROUP, IN_GROUP)

    def settle(self, keys: Mapping[int, SeriesKey], budget: int) -> None:
        """Move rows on from what is full until about `budget` rows were moved. keys: all series."""
        while budget > 0 and self._full:
            stored, home = next(iter(self._full))
            rows = home_rows(self._connection, stored, home)
            budget -= len(rows)
            if home < RECENT or self._sealable(stored, home, rows):
                self.replace(stored, home, rows, seal(self._connection, keys, rows))
            else:
                self._empty(stored, home, rows)
                self._deal_out(stored, rows, 0, 1)

    def replace(self, stored: Stored, home: int, rows: Rows, left: Rows) -> None:
        """Of the rows of a home only `left` are there still: one slice at the first place, so that
        newer ones win."""
        self._empty(stored, home, rows)
        if len(left):
            self._write(stored, home, 0, slice_of(left, LAYOUTS[stored]))
            self._note(stored, home, left)

    def _sealable(self, stored: Stored, home: int, rows: Rows) -> bool:
        """Whether most of a group's rows are enough for blocks, and none older is in a bucket."""
        counts = self._counts(home, rows)[rows["series"]]
        enough = int(np.count_nonzero(counts >= SEAL_MINIMUM))
        rest = len(rows) - enough
        older = self._rows[stored, buckets_of(home)].any()
        return enough >= rest and rest <= GROUP_ROWS // 4 and not bool(older)

    def _deal_out(self, stored: Stored, rows: Rows, first: int, together: int) -> None:
        """A slice for each home: the homes from `first` on have so many buckets each."""
        # Compiled, and numba is loaded by who writes alone.
        from twin.store.slices_kernel import deal

        begin, end = np.zeros((2, BUCKETS // together), np.int64)
        order = np.empty(len(rows), np.int64)
        many = BUCKETS, together
        deal(octets(rows), rows.dtype.itemsize, len(rows), *many, begin, end, order)
        homes = np.flatnonzero(end > begin)
        bounds = np.append(begin[homes], len(rows))
        made = slices_of(rows, order, bounds.tolist(), LAYOUTS[stored])
        homes += first
        first_of = [places(stored, home)[0] for home in homes.tolist()]
        numbers = range(self._sequence + 1, self._sequence + 1 + len(made))
        self._sequence += len(made)
        where = map(add, first_of, numbers)
        self._connection.executemany(_INSERT, list(zip(where, made, strict=True)))
        self._note_all(stored, homes, bounds, rows, order)

    def _write(self, stored: Stored, home: int, sequence: int, blob: bytes) -> None:
        place = places(stored, home)[0] + sequence
        self._connection.execute(_INSERT, (place, blob))

    def _empty(self, stored: Stored, home: int, rows: Rows) -> None:
        """Take all slices of a home away; rows: what they hold."""
        self._connection.execute(
            "DELETE FROM hot WHERE place BETWEEN ? AND ?", places(stored, home)
        )
        self._rows[stored, home] = self._slices[stored, home] = 0
        self._full.pop((stored, home), None)
        if home == RECENT:
            self._recent[stored] = []
        else:
            self._counts(home, rows)[rows["series"]] = 0

    def _note(self, stored: Stored, home: int, rows: Rows) -> None:
        """One slice more in a home."""
        if home == RECENT:
            self._rows[stored, home] += len(rows)
            self._slices[stored, home] += 1
            self._recent[stored].append(rows)
        else:
            order = np.arange(len(rows))
            self._note_all(stored, np.array([home]), np.array([0, len(rows)]), rows, order)

    def _note_all(
        self,
        stored: Stored,
        homes: NDArray[np.intp],
        bounds: NDArray[np.int64],
        rows: Rows,
        order: NDArray[np.int64],
    ) -> None:
        """One slice more in each of some groups or some buckets; bounds: where its part of the
        order begins, and the end."""
        # Compiled, and numba is loaded by who writes alone.
        from twin.store.slices_kernel import tally

        counts, most = self._counts(int(homes[0]), rows), np.empty(len(homes), np.int64)
        tally(octets(rows), rows.dtype.itemsize, order, bounds, counts, most)
        self._rows[stored, homes] += np.diff(bounds)
        self._slices[stored, homes] += 1
        full = (most >= SEAL_AT) | (self._slices[stored, homes] >= SLICES)
        full |= (homes > RECENT) & (self._rows[stored, homes] >= GROUP_ROWS)
        self._full |= dict.fromkeys((stored, home) for home in homes[full].tolist())

    def _counts(self, home: int, rows: Rows) -> NDArray[np.int64]:
        """Rows of each series in groups or in buckets, by its number."""
        highest = int(rows["series"].max(initial=0))
        if highest >= self._of_series.shape[1]:
            more = np.zeros((2, highest + 1), np.int64)
            self._of_series = np.concatenate([self._of_series, more], axis=1)
        counts: NDArray[np.int64] = self._of_series[int(home < RECENT)]
        return counts
