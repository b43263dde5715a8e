"""Entries of the observations journal as records that can be stepped, without those damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ingest.journal.protocol import Entry
from ingest.observation import ObservationBatch, RecordDamaged, all_whole, decode_record
from twin.intake.page import PageReader
from twin.step import Placed

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class WorkerCounts:
    """For metrics; what must survive a restart is in the journal."""

    entries: int = 0
    observations: int = 0
    steps: int = 0
    damaged: int = 0
    snapshots: int = 0
    recovered: int = 0
    stalls: int = 0


@dataclass(slots=True)
class EntryReader:
    """counts: of the observations that it read, and of the records that could not be."""

    pages: PageReader
    counts: WorkerCounts

    def read(self, entries: Sequence[Entry], page: bool) -> Sequence[Placed]:
        """The records of these entries. page: their batches are read at once, as one far behind
        does."""
        return self._whole(self._page(entries) if page else self._each(entries))

    def _each(self, entries: Sequence[Entry]) -> list[Placed]:
        return [one for entry in entries if (one := self._decode(entry))]

    def _page(self, entries: Sequence[Entry]) -> list[Placed]:
        placed = []
        batches = self.pages.read([entry.record for entry in entries])
        for entry, batch in zip(entries, batches, strict=True):
            if batch is not None:
                self.counts.observations += len(batch)
                placed.append(Placed(entry.partition, entry.position, batch))
            elif one := self._decode(entry):
                placed.append(one)
        return placed

    def _decode(self, entry: Entry) -> Placed | None:
        try:
            record = decode_record(entry.record)
        except RecordDamaged as error:
            self._count_damaged(entry.position, error)
            return None
        return Placed(entry.partition, entry.position, record)

    def _whole(self, placed: Sequence[Placed]) -> Sequence[Placed]:
        """Without those whose rows are damaged; counts the observations. Looked at together: of a
        large ward a record has a few rows, and a look at each would cost more than decoding it."""
        batches = [p.record for p in placed if isinstance(p.record, ObservationBatch)]
        if all_whole(batches):
            self.counts.observations += sum(map(len, batches))
            return placed
        kept = []
        for one in placed:
            try:
                if isinstance(one.record, ObservationBatch):
                    self.counts.observations += len(one.record.table())
            except RecordDamaged as error:
                self._count_damaged(one.position, error)
            else:
                kept.append(one)
        return kept

    def _count_damaged(self, position: int, error: RecordDamaged) -> None:
        self.counts.damaged += 1
        _log.error("record at position %d is damaged: %s", position, error.why)


def runs(placed: Sequence[Placed], borders: Iterable[int]) -> list[tuple[int, list[Placed]]]:
    """Cut the records at the committed positions: (a position of the run, its records)."""
    sorted_borders = sorted(borders)

    def side(one: Placed) -> int:
        return sum(one.position > border for border in sorted_borders)

    cut = [list(run) for _, run in groupby(placed, side)]
    return [(run[0].position, run) for run in cut]
