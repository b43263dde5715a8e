"""Belated observations folded in, in the background: estimates of their keys written anew.

card  bound: one key at a time, a slice of its record in memory
      due: 10 s after a key's last row, a minute after its first belated one at the latest (ten
      minutes if only the live twin wrote on)
      order: of the record; a slice is in the store before the next is begun, and what was begun is
      remembered beside the rows: killed anywhere, it goes on
      threads: one, which `start` makes; at most half of its time is work; counters from any
The live twin is not touched. It goes on without what was belated, so what it writes of such a key
is written anew too, until an anchor of it is what the record gives (docs/models.md, Late).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Protocol

import numpy as np

from twin.anchor import Anchors
from twin.bytewise import joined, taken
from twin.estimate import EstimateBatch, Verdict, Written
from twin.estimation.models import ModelFile
from twin.estimation.refilter import KeyFilter, Raw, Refiltered
from twin.store.blocks import OBSERVATIONS
from twin.store.embedded import EmbeddedStore
from twin.store.reading import RecordedRows
from twin.store.strayed import Claim, Waiting

_log = logging.getLogger(__name__)

QUIET_S, LONGEST_S, FOLLOWING_S = 10.0, 60.0, 600.0
LOOK_S, BACKOFF_S = 1.0, 10.0
#: Rows of one device in a slice.
SLICE = 20_000
_BEGINNING, _END = -(1 << 62), 1 << 62


class Sink(Protocol):
    """Where the estimates go."""

    def write_all(
        self, batches: Sequence[EstimateBatch | Anchors], position: int | None
    ) -> Written: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What was done of one key. since: ns, where it was asked to begin; anchor: where the filter
    went on from, None: from the beginning; forgotten: the record does not reach back to there;
    rows: estimates written; on_line: the live twin is on the line of the record again."""

    patient: str
    signal: str
    since: int
    anchor: int | None
    forgotten: bool
    rows: int
    on_line: bool


@dataclass(slots=True)
class RefilterCounts:
    """For metrics, since the start."""

    runs: int = 0
    rows: int = 0
    failures: int = 0
    waiting: int = 0
    strayed: int = 0
    trouble: str = ""


@dataclass(slots=True)
class RefilterJob:
    """`start`, then `stop`; or `run_all`, by hand. name: of the store, for logs.

    record: the file with the raw record and the anchors; sink: the store of the estimates, which
    may be the same; said: told of (patient, signal, first, last stamp) that was written anew.
    """

    name: str
    record: EmbeddedStore
    sink: Sink
    model: ModelFile
    said: Callable[[str, str, int, int], None] | None = None
    slice_rows: int = SLICE
    clock: Callable[[], float] = time.monotonic
    counts: RefilterCounts = field(default_factory=RefilterCounts)
    _seen: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    _stopping: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = Thread(target=self._run, name=f"refilter-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the slice in hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30.0)

    def _run(self) -> None:
        wait = LOOK_S
        while not self._stopping.wait(wait):
            wait = LOOK_S if self.turn() else BACKOFF_S

    def turn(self) -> bool:
        """Do all that is due; False if something failed, which is tried again."""
        try:
            for number in self.due():
                began = time.monotonic()
                self.refilter(number)
                if self._stopping.wait(time.monotonic() - began):
                    break
        except Exception as error:  # noqa: BLE001  whatever broke, live goes on and we try again
            self.counts.failures += 1
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self.counts.trouble:
                _log.warning("refiltering of store %s: %s; tried again", self.name, trouble)
            self.counts.trouble = trouble
            return False
        self.counts.trouble = ""
        return True

    def due(self) -> list[int]:
        """Keys that have come to rest, or waited long enough."""
        waiting, strayed = self.record.of_strayed(lambda s: (s.waiting(), s.count))
        self.counts.waiting, self.counts.strayed = len(waiting), strayed
        now, before = self.clock(), self._seen
        self._seen = {
            one.series: self._watched(one, now, before.get(one.series)) for one in waiting
        }
        return [one.series for one in waiting if self._is_due(one, now)]

    def _watched(
        self, one: Waiting, now: float, before: tuple[int, float, float] | None
    ) -> tuple[int, float, float]:
        """(marks, when the first was seen, when the last was)."""
        if before is None:
            return one.marks, now, now
        marks, first, last = before
        return one.marks, first, last if marks == one.marks else now

    def _is_due(self, one: Waiting, now: float) -> bool:
        _, first, last = self._seen[one.series]
        longest = LONGEST_S if one.belated else FOLLOWING_S
        return now - last >= QUIET_S or now - first >= longest

    def run_all(self) -> list[Run]:
        """Do all that waits, due or not. Raises what the stores raise."""
        waiting = self.record.of_strayed(lambda s: s.waiting())
        return [run for one in waiting if (run := self.refilter(one.series)) is not None]

    def refilter(self, number: int) -> Run | None:
        """One key, to the end of its record; None: there was nothing to do, or it was stopped."""
        claim = self.record.of_strayed(lambda s: s.claim(number))
        self._seen.pop(number, None)
        if claim is None:
            return None
        if claim.key.signal not in self.model.signals:  # it rests, as in the live twin
            self.record.of_strayed(lambda s: s.rest(number, None))
            return None
        run = self._through(number, claim)
        if run is not None:
            self.counts.runs += 1
            _log.info(
                "refiltered a key of store %s: %d estimates%s",
                self.name,
                run.rows,
                ", from where its record begins" if run.forgotten else "",
            )
        return run

    def _through(self, number: int, claim: Claim) -> Run | None:
        key = KeyFilter(self.model, claim.key.patient, claim.key.signal, claim.anchor)
        live = self.record.of_strayed(lambda s: s.live(number))
        begin = _BEGINNING if key.begins_at is None else key.begins_at + 1
        met, belated, rows = None, _BEGINNING, 0
        while begin < _END:
            if self._stopping.is_set():
                return None
            found, until = self.record.reading.record(
                claim.key.patient, claim.key.signal, begin, self.slice_rows
            )
            raw, newest_belated = raw_of(found)
            belated = max(belated, newest_belated)
            said = key.take(raw)
            rows += self._write(number, claim, said, key)
            for anchor in said.anchors:
                met = anchor.at if live.get(anchor.at) == anchor.body else met
            begin = until
        on_line = met is not None and met > belated
        self.record.of_strayed(lambda s: s.rest(number, met if on_line else None))
        forgotten = key.begins_at is None and claim.forgotten is not None
        return Run(
            claim.key.patient,
            claim.key.signal,
            claim.start,
            key.begins_at,
            forgotten,
            rows,
            on_line,
        )

    def _write(self, number: int, claim: Claim, said: Refiltered, key: KeyFilter) -> int:
        """Write a slice's estimates and remember how far it is."""
        stamps = said.estimates.rows["as_of"]
        if not len(stamps):
            return 0
        until = int(stamps[-1])
        wanted = said.estimates.rows[stamps >= claim.start]
        if len(wanted):
            self.sink.write_all([replace(said.estimates, rows=wanted)], None)
            if self.said is not None:
                self.said(claim.key.patient, claim.key.signal, claim.first, until)
        base = key.base()
        self.record.of_strayed(
            lambda s: s.advance(number, max(until, claim.start - 1), said.anchors, base)
        )
        self.counts.rows += len(wanted)
        return len(wanted)


def raw_of(found: Sequence[RecordedRows]) -> tuple[Raw, int]:
    """The devices' rows as one, in order; and the stamp of the newest that was belated."""
    parts = [each.rows for each in found]
    rows = joined([np.empty(0, OBSERVATIONS.rows), *parts])
    device = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.lexsort((rows["received_at"], rows["time"]))
    rows, device = taken(rows, order), device[order].astype(np.int64)
    belated = rows["time"][rows["verdict"] == Verdict.BELATED]
    raw = Raw(
        np.ascontiguousarray(rows["time"]),
        np.ascontiguousarray(rows["received_at"]),
        np.ascontiguousarray(rows["value"]),
        rows["noise_std"].astype(np.float64),
        rows["quality"].astype(np.float64),
        device,
        tuple(each.device for each in found),
    )
    return raw, int(belated.max()) if len(belated) else _BEGINNING
