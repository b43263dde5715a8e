"""Estimates journal → one store. Each store has a writer of its own, at its own position.

card  bound: at most 1 000 records or 200 000 rows are read ahead, for at most half a second
      full: nothing is read; the estimates wait in their journal
      order: the journal's
      threads: one, which `start` makes; counters may be asked from any
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ingest.journal.protocol import Entry, Journal, JournalDamaged, Reader
from ingest.observation import RecordDamaged
from ingest.trace import Follower, Tracer
from twin.estimate import EstimateBatch, Written, decode_output
from twin.judgement import Judgements
from twin.store.protocol import Storable, Store, StoreUnavailable

RECORDS_AT_ONCE = 1_000
ROWS_AT_ONCE = 200_000
LINGER_S = 0.5
BACKOFF_S = 30.0
#: Looks into the journal in the time that is waited for more: each costs as much as some records.
_LOOKS = 10
_NAMED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one writer since it started. behind: records of the journal not yet in the store.

    rows: of batches, as written; damaged: unreadable records, skipped, the newest of them by
    position; trouble: why the last attempt failed, "" if it did not; failures: attempts in a row.
    """

    position: int = 0
    behind: int = 0
    rows: int = 0
    rejected: int = 0
    expired: int = 0
    retries: int = 0
    damaged: int = 0
    damaged_positions: tuple[int, ...] = ()
    failures: int = 0
    trouble: str = ""


class StoreWriter:
    """Copies what the journal says to a store, for ever and exactly once in effect.

    A store that fails keeps its position and is tried again after 0.1 s, 0.2 s, … 30 s (with
    jitter, or when it asked to be); nothing else waits for it. name: of the store, for logs;
    tracer: None where nothing is traced.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        name: str,
        linger: float = LINGER_S,
        wait: Callable[[float], object] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._journal, self._store, self._name = journal, store, name
        self._linger = linger
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._thread: threading.Thread | None = None
        self._reader: Reader | None = None
        self._pending: tuple[list[Storable], int] | None = None
        self._progress = Progress(position=store.position)
        self._traced = Follower(tracer, journal, f"store.{name}") if tracer else None

    @property
    def position(self) -> int:
        """The journal may forget everything up to here, as far as this store is concerned."""
        return self._progress.position

    @property
    def progress(self) -> Progress:
        """Counters now."""
        now = self._progress
        return replace(now, behind=max(0, self._journal.end("estimates") - now.position))

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Write in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, name=f"store-{self._name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Write what was read and end; what the journal holds beyond waits for the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn()
        self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def turn(self) -> bool:
        """Read, write, and remember; True if the store took something. Never raises: what went
        wrong is in `progress`, and the next turn tries it again."""
        try:
            if self._pending is None:
                self._pending = self._read()
            if self._pending is None:
                return False
            batches, position = self._pending
            began = self._traced.now() if self._traced else 0
            written = self._store.write_all(batches, position)
        except Exception as error:  # noqa: BLE001  whatever broke, live goes on and we try again
            self._failed(error)
            return False
        self._pending = None
        self._took(written, position)
        if self._traced:
            self._traced.reached(position, began, rows=written.accepted)
        return True

    def _read(self) -> tuple[list[Storable], int] | None:
        """The next batches and the position after them; None if there is nothing."""
        if self._reader is None:
            self._reader = self._journal.reader("estimates", self._progress.position)
        if self._traced:
            self._traced.look()
        batches: list[Storable] = []
        position, records, rows = None, 0, 0
        until = time.monotonic() + self._linger
        while records < RECORDS_AT_ONCE and rows < ROWS_AT_ONCE and not self._stopping.is_set():
            left = until - time.monotonic()
            if left < 0:
                break
            entries = self._reader.read(RECORDS_AT_ONCE - records, left)
            for entry in entries:
                records, position = records + 1, entry.position
                batch = self._decoded(entry)
                if batch is not None:
                    batches.append(batch)
                    rows += _rows_of(batch)
            if len(entries) < RECORDS_AT_ONCE // 4:  # not a look for each commit of the worker
                left = until - time.monotonic()
                self._stopping.wait(max(0.0, min(self._linger / _LOOKS, left)))
        return None if position is None else (batches, position)

    def _decoded(self, entry: Entry) -> Storable | None:
        try:
            output = decode_output(entry.record)
        except RecordDamaged as damaged:
            self._note_damage(entry.position, damaged.why)
            return None
        return output if isinstance(output, Storable) else None

    def _note_damage(self, position: int, why: str) -> None:
        now = self._progress
        if now.damaged_positions and position <= now.damaged_positions[-1]:
            return  # read before a failure made us read again
        _log.error("estimates record at position %d is damaged (%s): skipped", position, why)
        self._progress = replace(
            now,
            damaged=now.damaged + 1,
            damaged_positions=(*now.damaged_positions, position)[-_NAMED:],
        )

    def _took(self, written: Written, position: int) -> None:
        now = self._progress
        if now.failures:
            _log.info("store %s takes estimates again", self._name)
        self._progress = replace(
            now,
            position=position,
            rows=now.rows + written.accepted,
            rejected=now.rejected + len(written.rejected),
            expired=now.expired + written.expired,
            failures=0,
            trouble="",
        )

    def _failed(self, error: Exception) -> None:
        asked = None
        if isinstance(error, StoreUnavailable):
            trouble, asked = error.reason, error.retry_after
        elif isinstance(error, JournalDamaged):
            trouble = f"journal damaged: {error}"
        else:
            trouble = f"{type(error).__name__}: {error}"
        if self._pending is None:
            self._close_reader()  # it may have gone past what was not taken
        now = self._progress
        if trouble != now.trouble:
            _log.warning("store %s: %s; the estimates wait in their journal", self._name, trouble)
        self._progress = replace(
            now, retries=now.retries + 1, failures=now.failures + 1, trouble=trouble
        )
        self._wait(backoff(now.failures, random.random(), asked))


def _rows_of(storable: Storable) -> int:
    if isinstance(storable, EstimateBatch):
        return len(storable.rows) + len(storable.forecasts)
    if isinstance(storable, Judgements):
        return len(storable.alarms) + len(storable.scores) + len(storable.changes)
    return len(storable.anchors)


def backoff(failures: int, chance: float, asked: float | None = None) -> float:
    """Seconds to wait after `failures` + 1 failures in a row: 0.1 · 2ⁿ, 30 at most, the second half
    of it by chance (0–1), so that writers do not come back all at once; at least what was asked."""
    longest = min(BACKOFF_S, 0.1 * 2.0 ** min(failures, 20))
    return max(asked or 0.0, longest * (0.5 + 0.5 * chance))
