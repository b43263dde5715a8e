"""A page of the journal read at once: its batches as columns, without an object for each name.

For who is far behind. A batch that is not plain, or has a name that is new to the twin, is left to
`ingest.observation.decode_record`, so what is read is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from ingest.observation import (
    KIND_BATCH,
    OBSERVATION_ROW,
    ObservationBatch,
    RecordDamaged,
    decode_record,
    is_sealed,
)
from twin.estimation.names import Names
from twin.intake import page_kernel


@dataclass(frozen=True, slots=True)
class Page:
    """n rows of many batches: numbers of patients, devices and signal rows, (n,) each, and rows
    (n,) OBSERVATION_ROW."""

    patient: NDArray[np.int64]
    device: NDArray[np.int64]
    signal: NDArray[np.int64]
    rows: NDArray[Any]


@dataclass(frozen=True, slots=True)
class PagedBatch:
    """A batch of observations as rows begin to end of a page; record: as it was journalled."""

    page: Page
    begin: int
    end: int
    record: bytes

    def __len__(self) -> int:
        return self.end - self.begin

    def whole(self) -> ObservationBatch:
        """The batch itself."""
        batch = decode_record(self.record)
        if not isinstance(batch, ObservationBatch):
            raise RecordDamaged("no batch")
        return batch


@dataclass(slots=True)
class _Index:
    """Where compiled code finds the numbers of names: their bytes, and a table of hashes."""

    text: bytearray = field(default_factory=bytearray)
    ends: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    table: NDArray[np.int64] = field(default_factory=lambda: np.full(64, -1, np.int64))

    def follow(self, names: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Names as bytes, ends and table (`page_kernel.add`) of these, which only ever grow."""
        known = len(self.ends)
        if len(names) > known:
            new = [name.encode() for name in names[known:]]
            sizes = np.cumsum(np.array(list(map(len, new)), np.int64)) + len(self.text)
            self.text = self.text + b"".join(new)
            self.ends = np.concatenate([self.ends, sizes])
            if 2 * len(names) > len(self.table):
                room = 1 << (2 * len(names)).bit_length()
                self.table, known = np.full(room, -1, np.int64), 0
            page_kernel.add(self._bytes(), self.ends, known, self.table)
        return self._bytes(), self.ends, self.table

    def _bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.text or bytearray(1), np.uint8)


@dataclass(slots=True)
class PageReader:
    """patients, devices: the state's own names."""

    patients: Names
    devices: Names
    _patients: _Index = field(default_factory=_Index)
    _devices: _Index = field(default_factory=_Index)
    _signals: _Index = field(default_factory=_Index)

    def read(self, records: Sequence[bytes]) -> list[PagedBatch | None]:
        """The plain batches among these sealed records, None for all others."""
        chosen = [n for n, record in enumerate(records) if is_sealed(record, KIND_BATCH)]
        found: list[PagedBatch | None] = [None] * len(records)
        if not chosen:
            return found
        sealed = [records[n] for n in chosen]
        ends = np.cumsum(np.array(list(map(len, sealed)), np.int64))
        text = np.frombuffer(bytearray().join(sealed), np.uint8)
        most, room = len(text) // page_kernel.ROW, max(map(len, sealed))
        rows = np.empty(most * page_kernel.ROW, np.uint8)
        numbers, upto = np.empty((3, most), np.int64), np.empty(len(sealed), np.int64)
        done = page_kernel.read(
            text, ends, *self._patients.follow(self.patients.text),
            *self._devices.follow(self.devices.text), *self._signals.follow(CODES),
            np.empty((3, room), np.int64), np.empty(room, np.int64), np.empty((room, 2), np.int64),
            rows, numbers[0], numbers[1], numbers[2], upto,
        )  # fmt: skip
        patient, device, signal = numbers[:, :done]
        whole = rows[: done * page_kernel.ROW].view(OBSERVATION_ROW)
        page = Page(patient, device, signal, whole)
        begin = 0
        for n, end, record in zip(chosen, upto.tolist(), sealed, strict=True):
            if end >= 0:
                found[n] = PagedBatch(page, begin, end, record)
                begin = end
        return found


def rows_in(batches: Sequence[ObservationBatch | PagedBatch]) -> Page | None:
    """The rows of these one after another, if all of them are of one page."""
    page = batches[0].page if batches and isinstance(batches[0], PagedBatch) else None
    if page is None:
        return None
    size = 0
    for batch in batches:
        if not isinstance(batch, PagedBatch) or batch.page is not page:
            return None
        size += len(batch)
    begin, end = batches[0].begin, batches[-1].end  # type: ignore[union-attr]
    if end - begin != size:  # some of those between them are not taken
        return None
    part = slice(begin, end)
    return Page(page.patient[part], page.device[part], page.signal[part], page.rows[part])
