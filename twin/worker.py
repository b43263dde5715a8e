"""journal → step → journal: the one owner of exactly-once.

Outputs, positions and snapshot names go into the journal in one atomic commit. What was stepped
again after a restart, up to the committed position, is thrown away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from uuid import uuid4

import numpy as np

from ingest.journal.protocol import (
    ALL_PARTITIONS,
    Assignment,
    Entry,
    Journal,
    JournalFull,
    Progress,
    Worker,
)
from ingest.journal.reading import PAGE_BYTES
from ingest.observation import Command, encode_record
from ingest.trace import Tracer
from twin.assessment.knowledge import WELLNESS
from twin.beside import Beside
from twin.entries import EntryReader, WorkerCounts, runs
from twin.estimate import Output, encode_output
from twin.estimation.models import ModelFile, base_model
from twin.intake.page import PageReader
from twin.rotation import Rotation
from twin.snapshot import SnapshotFolder, SnapshotUnreadable, opened, position_in, put_back
from twin.snapshot_ahead import Found, read_ahead
from twin.step import Placed, TwinState, assessment_of, new_state, step
from twin.warm_worker import warm_up

log = logging.getLogger(__name__)

READ_RECORDS = 2_000
READ_TIMEOUT = 0.2
FULL_RETRY = 0.5


class Stopped(Exception):
    """Asked to stop in a step that could not be committed; it is stepped again after the start."""


class CannotRecover(Exception):
    """No readable snapshot of a partition, and the journal does not reach back to its beginning."""

    def __init__(self, partition: int, why: str) -> None:
        super().__init__(f"partition {partition}: {why}")
        self.partition, self.why = partition, why


@dataclass(frozen=True, slots=True)
class _Made:
    """What one step made, up to a position: what is to be committed, and names of snapshots.

    at: when (ns UTC, 0: nothing is traced), of which sampled positions.
    """

    end: int
    progress: Mapping[int, Progress]
    names: Mapping[int, str]
    at: int
    sampled: range


def _progress(end: int, outputs: Sequence[Output], snapshot: str | None) -> Progress:
    at = None if snapshot is None else position_in(snapshot)
    return Progress(end, [encode_output(output) for output in outputs], snapshot, at)


@dataclass(slots=True)
class TwinWorker:
    """Steps all partitions it is given, on a thread of its own between `start` and `stop`.

    A step is committed before the next records are read; while it is far behind (half a page or
    more is read at once, in records or in bytes) beside the next step, which is committed only
    after it. Whatever goes wrong with a commit ends the worker; what was stepped after it is in no
    commit and no snapshot.

    now: wall clock in ns UTC, only for the rotation of snapshots and the stamps of its commands.
    mode: the purpose of the installation, which switches alarms on or off; None: as they were.
    told: its model is in the journal, so that observations that come later are stepped by it.
    tracer: None where nothing is traced.
    """

    journal: Journal
    snapshots: SnapshotFolder
    now: Callable[[], int]
    model: ModelFile = field(default_factory=base_model)
    mode: str | None = None
    tracer: Tracer | None = None
    counts: WorkerCounts = field(default_factory=WorkerCounts)
    fault: BaseException | None = None
    told: Event = field(default_factory=Event)
    state: TwinState = field(init=False)
    _entries: EntryReader = field(init=False)
    _rotation: Rotation = field(init=False)
    _committed: dict[int, int] = field(default_factory=dict)
    _untold: list[Command] = field(default_factory=list)
    _beside: Beside = field(default_factory=lambda: Beside("twin-commit"))
    _unsettled: _Made | None = None
    _stopping: Event = field(default_factory=Event)
    _thread: Thread | None = None
    _membership: Worker | None = None

    def start(self) -> None:
        """Join the group and go. Raises AlreadyOwned if another worker holds the journal."""
        self.state = new_state(self.journal.partitions)  # `model` comes through the journal
        pages = PageReader(self.state.bank.patients, self.state.devices)
        self._entries = EntryReader(pages, self.counts)
        self._rotation = Rotation(self.snapshots, self.journal.partitions, self.now)
        self._membership = self.journal.join(self)
        self._thread = Thread(target=self._run, name="twin-worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the step in hand, snapshot everything, leave the group."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def position(self) -> int:
        """The last journal position taken in by every partition."""
        return int(self.state.position.min())

    def assigned(self, partitions: Sequence[Assignment]) -> None:
        """Restore each partition from its newest readable snapshot."""
        names = [
            [kept.name for kept in self._joined().snapshots(given.partition)]
            for given in partitions
        ]
        newest = read_ahead(self.snapshots, [next(iter(of), None) for of in names])
        reserved = False
        for given, of, found in zip(partitions, names, newest, strict=True):
            self._committed[given.partition] = given.position
            self._restore(given, of, found)
            if not reserved:  # patients are spread evenly: room for all of them at once
                reserved = bool(of)
                room = len(self.state.bank.patients) * len(partitions)
                self.state.bank.reserve(room + room // 8)
                self.state.bank.slots.reserve(9 / 8 * len(partitions))
                self.state.intake.table.reserve(9 / 8 * len(partitions))
        # A crash may have left one that no commit names.
        self.snapshots.keep({name for of in names for name in of})
        self._rotation.begin(self.state)
        self._untold = list(self._news())
        self._tell()

    def revoked(self, partitions: Sequence[int]) -> None:
        """Drop the state of partitions that another worker now owns."""
        self._settle()
        for partition in partitions:
            self.state.forget(partition)
            self._committed.pop(partition, None)

    def _restore(self, given: Assignment, names: Sequence[str], newest: Found) -> None:
        """From one of these snapshots, the first of which was read already."""
        membership = self._joined()
        why = "it never had a snapshot"
        for name in names:
            try:
                if name != names[0]:
                    newest = opened(name, self.snapshots.read(name))
                if isinstance(newest, SnapshotUnreadable):
                    raise newest
                if newest is not None:
                    put_back(self.state, newest)
            except SnapshotUnreadable as error:
                log.error("%s", error)
                why = str(error)
                continue
            membership.seek(given.partition, position_in(name))
            return
        if given.position > 0 and self.journal.oldest("observations") > 1:
            raise CannotRecover(given.partition, f"{why}, and the journal begins later")
        membership.seek(given.partition, 0)

    def _news(self) -> Iterator[Command]:
        """What the configuration changed. Alarms are on in every mode but wellness
        (docs/alarms.md)."""
        model, mode = self.model, self.mode
        if model.version != self.state.bank.model_file.version:
            body = {"content": model.content, "version": model.version}
            yield Command(uuid4().hex, "model", "configuration", self.now(), body)
        on = mode != WELLNESS
        known = {(one.mode, one.alarms_on) for one in assessment_of(self.state).partitions}
        if mode is not None and known != {(mode, on)}:
            said = {"mode": mode, "alarms": on}
            yield Command(uuid4().hex, "alarm_settings", "configuration", self.now(), said)

    def _tell(self) -> None:
        """Say it in the journal. While that is full it is tried again at each turn: what stands
        there came before, and is stepped meanwhile, or there would never be room."""
        while self._untold:
            record = encode_record(self._untold[0])
            try:
                self.journal.append("observations", [(ALL_PARTITIONS, record)])
            except JournalFull as error:
                if not self.counts.stalls:
                    log.error("the configuration cannot be journalled: %s", error)
                self.counts.stalls += 1
                return
            del self._untold[0]
        self.told.set()

    def _joined(self) -> Worker:
        if self._membership is None:
            raise RuntimeError("the worker has not joined")
        return self._membership

    def _run(self) -> None:
        membership, warming = self._joined(), Beside("twin-warm")
        try:
            warming.begin(warm_up)
            while not self._stopping.is_set():
                entries = membership.read(READ_RECORDS, READ_TIMEOUT)
                warming.settle()
                if self._untold:
                    self._tell()
                if entries:
                    self._take(entries)
                else:
                    self._settle()
            self._settle()
            if self._committed:
                self._snapshot_everything(membership)
        except Stopped:
            log.warning(
                "stopped while the estimates journal was full; the last steps are not in it"
            )
        except BaseException as error:
            self.fault = error
            log.exception("the worker stopped")
        finally:
            warming.close()
            self._beside.close()
            membership.close()
            self._rotation.close()

    def _snapshot_everything(self, membership: Worker) -> None:
        """So that the next start is quick. On a full disk it is slower: those before are there."""
        try:
            membership.commit(self._rotation.everything(self.state, self._committed))
        except (OSError, JournalFull) as error:
            log.warning("stopped without snapshots: %s", error)

    def _take(self, entries: Sequence[Entry]) -> None:
        tracer = self.tracer
        began = tracer.now() if tracer else 0
        far_behind = self._far_behind(entries)
        placed = self._entries.read(entries, page=far_behind)
        outputs = self._fresh_outputs(placed)
        end = entries[-1].position
        np.maximum(self.state.position, end, out=self.state.position)  # also where nothing came
        self.counts.entries += len(entries)
        self.counts.steps += 1
        names = self._rotation.due(self.state, entries)
        stepped = tracer.now() if tracer else 0
        progress = {
            p: _progress(end, outputs.get(p, ()), names.get(p))
            for p, committed in self._committed.items()
            if end > committed
        }
        self._settle()
        if not progress:
            return
        sampled = range(0)
        if tracer:
            sampled = tracer.sampled(max(entries[0].position - 1, *self._committed.values()), end)
            tracer.span("step", sampled, began, stepped, records=len(entries), up_to=end)
        made = _Made(end, progress, names, stepped, sampled)
        if far_behind:  # the next step need not wait for the disk
            self._unsettled = made
            self._beside.begin(partial(self._commit, made))
        else:
            self._commit(made)
            self._note(made)

    def _settle(self) -> None:
        """Wait for the commit that is under way, if there is one. Raises what it raised."""
        self._beside.settle()
        if self._unsettled is not None:
            self._note(self._unsettled)
            self._unsettled = None

    def _note(self, made: _Made) -> None:
        """It is committed."""
        self._rotation.committed(made.names)
        self._committed.update(dict.fromkeys(made.progress, made.end))

    def _commit(self, made: _Made) -> None:
        """Commit, waiting while the estimates journal is full: nothing is thrown away."""
        while True:
            try:
                self._joined().commit(made.progress)
            except JournalFull:
                self.counts.stalls += 1
                if self._stopping.wait(FULL_RETRY):
                    raise Stopped from None
            else:
                break
        if self.tracer:
            records = sum(len(each.outputs) for each in made.progress.values())
            self.tracer.span("commit", made.sampled, made.at, records=records)

    @staticmethod
    def _far_behind(entries: Sequence[Entry]) -> bool:
        most = 2 * len(entries) >= READ_RECORDS
        return most or 2 * sum(len(entry.record) for entry in entries) >= PAGE_BYTES

    def _fresh_outputs(self, placed: Sequence[Placed]) -> Mapping[int, Sequence[Output]]:
        """Step the records; outputs of what was already committed are thrown away."""
        behind = max(self._committed.values(), default=0)
        if not placed or placed[0].position > behind:
            return step(self.state, placed)[1]
        kept: dict[int, list[Output]] = {}
        for position, run in runs(placed, set(self._committed.values())):
            for partition, outputs in step(self.state, run)[1].items():
                if position > self._committed.get(partition, 0):
                    kept.setdefault(partition, []).extend(outputs)
        self.counts.recovered += sum(one.position <= behind for one in placed)
        return kept
