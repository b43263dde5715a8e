"""The live feed: a thread that reads the estimates journal, folds it, and makes frames.

One thread writes (this one); pages and API read copies under the lock. Frames are handed to the
event loop with `call_soon_threadsafe`. The fold is saved every 30 s and at the end.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from ingest.journal.protocol import Entry, Journal, JournalDamaged, Reader
from ingest.observation import RecordDamaged
from ingest.trace import Follower, Tracer
from twin.care.answers import Answers
from twin.care.commands import Commands, Outcomes
from twin.care.frames import NOTHING, Frame, Framer, alarms_event
from twin.care.hub import Hub
from twin.care.latest import Latest
from twin.care.points import Points
from twin.care.pulse import Pulses
from twin.care.saved import load_fold, save_fold
from twin.care.settings import LANGUAGES
from twin.care.silences import lines_of
from twin.care.warm import warm_up
from twin.care.words import Words
from twin.device_report import DeviceReports, SystemEvent
from twin.estimate import EstimateBatch, Outcome, People, decode_output
from twin.judgement import Alarm, Judgements

HEARTBEAT_S, LABELS_S, SAVE_S = 2.0, 2.0, 30.0
#: A frame at most this often; large wards, whose frames cost more, once a second.
FRAME_S, LARGE_FRAME_S, LARGE = 0.25, 1.0, 1_000
#: A look into the journal each 50 ms, of a large ward when its frame is due, or somebody waits for
#: the outcome of a command: as frames leave a few times a second, waiting in the reader, which
#: looks each 5 ms, would only cost (2.9 % of a core once).
_READ, _WAIT_S = 500, 0.05
#: So many batches wait to be folded, at most.
_MOST_WAITING = 1_000

_log = logging.getLogger(__name__)


class Feed(Answers):
    """`start` in a running event loop, `stop` once; both return promptly.

    pulses: part → a number that grows while that part lives ("ingest": the end of the observations
    journal, "worker": a count of its commits); the first that stands still for 5 s is named in
    every frame. Without any, the estimates themselves are ingest's pulse.
    saved: file of the fold, or None to begin at the oldest kept record at every start. covered:
    whether somebody watches at an int64 ns UTC, which every heartbeat says. zone: the
    site's, in which heartbeats name times. tracer: None where nothing is traced.
    """

    def __init__(
        self,
        journal: Journal,
        people: People,
        now: Callable[[], int],
        *,
        saved: Path | None = None,
        pulses: Mapping[str, Callable[[], int]] | None = None,
        covered: Callable[[int], bool] = lambda _at: True,
        zone: str = "UTC",
        tracer: Tracer | None = None,
    ) -> None:
        super().__init__(Latest() if saved is None else load_fold(saved), people, now)
        self.hub = Hub()
        self._outcomes = Outcomes()
        #: People's commands; their outcomes come by this feed.
        self.commands = Commands(journal, self._outcomes, now)
        self._journal = journal
        self._traced = Follower(tracer, journal, "feed") if tracer else None
        self._saved = saved
        self._beats = dict(pulses or {})
        self._pulses = Pulses()
        self._covered = covered
        self._words = [Words(language, ZoneInfo(zone)) for language in LANGUAGES]
        self._named = len(self._latest.patients)
        self._framer = Framer(secrets.token_hex(4))
        self._points: dict[str, Points] = {}
        self._answered: list[Outcome] = []
        self._large = False  # so many keys changed since the frame before
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = dict.fromkeys(("frame", "heartbeat", "labels", "save"), 0.0)
        #: Records of the journal that could not be read, since the start.
        self.damaged = 0
        #: Position of the fold on disk: a restart needs the journal from here on.
        self.saved_position = self._latest.position

    # --- asked by pages and API, from any thread -------------------------------------------------

    @property
    def alive(self) -> bool:
        """The thread runs (or was not started yet, or was stopped in order)."""
        return self._thread is None or self._thread.is_alive() or self._stop.is_set()

    @property
    def position(self) -> int:
        """Position in the estimates journal up to which everything is shown."""
        return self._latest.position

    # --- asked by the stream ---------------------------------------------------------------------

    def snap(self, topic: str) -> Frame:
        """The whole picture of the ward ("") or of one patient, now."""
        with self._lock:
            if topic == "":
                return self._framer.snap(
                    self._latest, self._labels, self.now(), self._state, self.hub.viewers
                )
            viewers = self.hub.viewers.get(topic, ())
            return self._framer.patient_snap(
                self._latest, topic, self._labels, self.now(), self._state, viewers
            )

    def missed(self, cursor: str) -> list[Frame] | None:
        """Ward frames since a cursor; None: a snap is needed. Called in the event loop."""
        number = self._framer.number_of(cursor)
        return None if number is None else self.hub.missed(number, self._framer.number)

    def alarms_since(self, cursor: str) -> bytes:
        """`al` with each transition since a cursor, of whatever start; b"" if there is none."""
        position = self._framer.position_of(cursor)
        with self._lock:
            missed = [] if position is None else self._latest.board.missed(position)
        return self._alarms("al", missed) if missed else b""

    def alarms_now(self) -> bytes:
        """`alarms`: all that are not over."""
        return self._alarms("alarms", self.open_alarms())

    def _alarms(self, name: str, alarms: Sequence[Alarm]) -> bytes:
        return alarms_event(name, alarms, self._labels, self.now(), self._state)

    def cursor(self) -> str:
        return self._framer.cursor(self._framer.number, self._latest.position)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read. Called in the event loop in which the hub's clients live."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="care-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, with the fold saved. Blocks for less than a second."""
        self._stop.set()
        self._outcomes.awaited.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        warm_up()
        reader = self._journal.reader("estimates", self._latest.position)
        try:
            while not self._stop.is_set():
                if self._traced:
                    self._traced.look()
                more = self._read(reader)
                self._tell(time.monotonic())
                if not more:
                    self._rest()
            self._save()
        finally:
            reader.close()

    def _rest(self) -> None:
        """Until the next look into the journal; whoever is traced shall see when records came."""
        if self._large and self._traced is None and not self._outcomes.awaited.is_set():
            self._outcomes.awaited.wait(max(_WAIT_S, self._due["frame"] - time.monotonic()))
        else:
            self._stop.wait(_WAIT_S)

    def _read(self, reader: Reader) -> bool:
        """Fold what is next; is there perhaps more at once?"""
        try:
            entries = reader.read(_READ, 0.0)
        except JournalDamaged as damage:
            self.damaged += 1
            _log.error("estimates journal damaged at positions %s", damage.positions)
            return False
        self.take(entries, reader.position)
        return len(entries) == _READ

    def take(self, entries: Sequence[Entry], position: int) -> None:
        """Take in records of the estimates journal, of which `position` is the last one's. Their
        batches wait until a frame is due or somebody looks: many at once are folded as one."""
        with self._taking:
            for entry in entries:
                self._fold(entry)
            if len(self._batches) > _MOST_WAITING:
                self._fold_batches()
            self._latest.position = position
            answered, self._answered = self._answered, []
        for outcome in answered:  # after the fold: who waited for it sees what it did
            self._outcomes.tell(outcome)

    def _fold(self, entry: Entry) -> None:
        try:
            output = decode_output(entry.record)
        except RecordDamaged as damage:
            self.damaged += 1
            _log.error("estimates record at position %d damaged: %s", entry.position, damage.why)
            return
        if isinstance(output, Outcome):
            self._answered.append(output)
        elif isinstance(output, Judgements):
            self._latest.board.fold(output, entry.position)
            self._latest.notebook.fold(output.entries)
        elif isinstance(output, DeviceReports | SystemEvent):
            self._fold_batches()  # a report tells of what came before it
            self._latest.told.fold(output)
        elif isinstance(output, EstimateBatch):
            self._batches.append(output)
            for patient in self.hub.watched.intersection(output.patients):
                self._points.setdefault(patient, Points()).take(output, patient)

    def _tell(self, at: float) -> None:
        """Do what is due at `at`, seconds of the monotonic clock."""
        state = self._pulses.observe(
            {part: beat() for part, beat in self._beats.items()}
            or {"ingest": self._latest.position},
            at,
        )
        if state != self._state:
            self._state, self._state_at = state, self.now()
        # All that looks at the fold does so when a frame is due: what was read is folded once.
        if at >= self._due["frame"]:
            # Who is new gets a label before the frame leaves.
            if self._is_due("labels", at, LABELS_S) or self._newcomers():
                self.read_labels()
            frames, changed = self.make_frames()
            self._large = changed >= LARGE
            self._due["frame"] = at + (LARGE_FRAME_S if self._large else FRAME_S)
            if self._is_due("heartbeat", at, HEARTBEAT_S):
                frames.append(self._heartbeat())  # beside a frame it costs no write of its own
            self._hand_over(frames, at)
            if self._traced:
                self._traced.reached(self._latest.position)
            if self._is_due("save", at, SAVE_S):
                self._save()

    def _heartbeat(self) -> Frame:
        now, lines = self.now(), self._silent_lines() if self.hub.clients else NOTHING
        return self._framer.heartbeat(
            now, self._state, self.alarms_on, lines, unwatched=not self._covered(now)
        )

    def _newcomers(self) -> bool:
        with self._lock:
            return len(self._latest.patients) > self._named

    def make_frames(self) -> tuple[list[Frame], int]:
        """The ward's frame and those of watched patients, and how many keys changed.

        None while nobody is there to read them; who comes back later gets a snap.
        """
        now = self.now()
        with self._lock:
            transitions = self._latest.board.take_transitions()
            forecast = self._latest.forecasts.take_changed()
            if not self.hub.clients:
                self._framer.skip(self._latest, self._labels)
                return [], 0
            watched = self.hub.watched & self._latest.board.changed
            frame, places = self._framer.delta(
                self._latest, self._labels, now, self._state, self.hub.viewers
            )
            frames = [] if frame is None else [frame]
            if transitions:
                told = alarms_event("al", transitions, self._labels, now, self._state)
                frames.insert(0, Frame(None, self._framer.number, told, kept=True))
            for patient in self.hub.watched:
                points = self._points.pop(patient, None)
                changed = np.isin(self._latest.places_of(patient), places).any()
                if points is not None or changed or patient in watched | forecast:
                    label = self._labels.get(patient, "")
                    points = points or Points()
                    frames.append(
                        self._framer.patient_delta(
                            self._latest,
                            patient,
                            label,
                            points,
                            now,
                            self._state,
                            patient in forecast,
                            self.hub.viewers.get(patient, ()),
                        )
                    )
            self._points.clear()
        return frames, len(places)

    def _silent_lines(self) -> Mapping[str, Sequence[str]]:
        """language → a line for each event; {} while there is none."""
        groups, now = self.silences(), self.now()
        return {w.language: lines_of(groups, w, now) for w in self._words} if groups else NOTHING

    def _hand_over(self, frames: list[Frame], at: float) -> None:
        if frames and self._loop is not None and not self._stop.is_set():
            self._loop.call_soon_threadsafe(self.hub.publish, frames, at)

    def _is_due(self, what: str, at: float, every: float) -> bool:
        due = at >= self._due[what]
        if due:
            self._due[what] = at + every
        return due

    def read_labels(self) -> None:
        """Ask for the labels anew: people give them meanwhile."""
        with self._lock:
            self._named = len(self._latest.patients)
        labels = self._all_labels()
        self._labels = self._labels if labels == self._labels else labels

    def _save(self) -> None:
        if self._saved is not None:
            with self._lock:
                dumped, position = self._latest.dump(), self._latest.position
            try:
                save_fold(self._saved, dumped)
            except OSError as error:  # a full disk stops no page; the journal is kept meanwhile
                _log.error("what pages show cannot be saved: %s", error)
            else:
                self.saved_position = position
