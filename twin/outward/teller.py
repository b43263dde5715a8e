"""Reads the estimates journal from its own position and tells the broker; one thread.

Card: no queue here. While the broker is away, or refuses, the reader waits and the journal keeps
what it has not read. Its position is noted after the broker acknowledged all up to there: once a
second at most, and of a large ward so rarely that it takes a twentieth of the time.
Counters: `states`, `transitions`, `refused`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Protocol

import apsw

from ingest.journal.protocol import Entry, Journal, JournalDamaged, Reader
from ingest.mqtt_publish import Outgoing
from ingest.observation import RecordDamaged
from twin.estimate import EstimateBatch, Output, decode_output
from twin.judgement import Judgements
from twin.outward.present import AT_ONCE, Allowed, Present, all_allowed
from twin.outward.record import Record

NOTE_EVERY_S, NOTE_SHARE = 1.0, 0.05
#: How often it is asked whose consent was withdrawn.
ASK_EVERY_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
_READ, _WAIT_S = 500, 0.2
_log = logging.getLogger(__name__)


class Broker(Protocol):
    """Where messages go; ingest.mqtt_publish.Publisher."""

    @property
    def connections(self) -> int: ...
    @property
    def refused(self) -> str: ...

    def publish(self, messages: Sequence[Outgoing], stop: Event) -> bool:
        """Blocks until each is acknowledged. False: stopped, or one was refused."""


@dataclass(slots=True)
class Teller:
    """`start`, then `stop`. alarms: whether alarms are told too; monotonic: seconds; allowed: what
    may be said of whom, asked every 2 s.

    What stands is told again after every connection: a broker may have lost what it retained.
    """

    journal: Journal
    record: Record
    broker: Broker
    prefix: str
    alarms: bool = True
    monotonic: Callable[[], float] = time.monotonic
    allowed: Allowed = all_allowed
    #: States and transitions that the broker acknowledged, and batches that it refused.
    states: int = 0
    transitions: int = 0
    refused: int = 0
    present: Present = field(init=False)
    _read_to: int = 0
    _more: bool = False  # states are due that were not told yet
    _unnoted: set[str] = field(default_factory=set)
    _alarms_unnoted: dict[str, Outgoing | None] = field(default_factory=dict)
    _withdrawn: list[Outgoing] = field(default_factory=list)
    _told_on: int = 0  # connection on which all that stands was told
    _note_from: float = 0.0  # when the position may be noted next
    _asked_at: float = -ASK_EVERY_S
    _stopping: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def __post_init__(self) -> None:
        """Where it was; the first time of all at the journal's beginning, where what is past by now
        makes states and standing alarms, but tells no transition of long ago."""
        if not self.record.begun:
            self.record.begin(self.journal.end("estimates"))
        self._read_to = self.position
        self.present = Present(self.prefix, self.allowed)
        for patient, held in self.record.states().items():
            self.present.states.restore(patient, held)
        standing = self.record.standing()
        if self.alarms:
            self.present.standing = standing
        else:
            self._withdrawn = [Outgoing(each.topic, b"", True) for each in standing.values()]
            self._alarms_unnoted = dict.fromkeys(standing)

    def start(self) -> None:
        """Begin."""
        self._thread = Thread(target=self._read_on, name="outward", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is not acknowledged by now is told at the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """The thread runs."""
        return self._thread is None or self._thread.is_alive()

    @property
    def position(self) -> int:
        """Up to where the journal is no longer needed."""
        return self.record.position or 0

    def take(self, entries: Sequence[Entry], position: int) -> bool:
        """Tell what these records of the journal say, the last one at `position`: what is alarmed
        at once, then, with the estimates in it, the states that are due.

        Blocks until the broker has it; False if this was stopped before.
        """
        current = self._read_to >= self.record.silent_until
        connection = self.broker.connections
        messages, self._withdrawn = [*self._withdrawn, *self._no_more()], []
        if current and connection != self._told_on:
            messages += self.present.say_all()
        batches = []
        for entry in entries:
            output = _output(entry)
            if isinstance(output, EstimateBatch):
                batches.append(output)
            elif isinstance(output, Judgements) and self.alarms:
                said = self._alarmed(output)
                messages += said if entry.position > self.record.silent_until else []
        if messages and not self._told(messages):
            return False
        self.transitions += len(messages)
        for batch in batches:
            self.present.take_estimates(batch)
            self._unnoted.update(batch.patients)
        states = self.present.take_due(self.monotonic()) if current else []
        if states and not self._told(states):
            return False
        self.states += len(states)
        self._more = len(states) == AT_ONCE
        self._read_to = position
        if current:
            self._told_on = connection
        self._note()
        return True

    def _no_more(self) -> list[Outgoing]:
        """What takes away all that is retained of those who withdrew their consent."""
        now = self.monotonic()
        if now - self._asked_at < ASK_EVERY_S:
            return []
        self._asked_at = now
        before = set(self.present.standing)
        messages = self.present.take_withdrawn()
        self._alarms_unnoted |= dict.fromkeys(before - set(self.present.standing))
        return messages

    def _alarmed(self, judged: Judgements) -> list[Outgoing]:
        messages: list[Outgoing] = []
        for alarm in judged.alarms:
            messages += self.present.take_alarm(alarm)
            self._alarms_unnoted[alarm.id] = self.present.standing.get(alarm.id)
        return messages

    def _told(self, messages: Sequence[Outgoing]) -> bool:
        pause = FIRST_PAUSE_S
        while not self.broker.publish(messages, self._stopping):
            if self._stopping.is_set():
                return False
            self.refused += 1
            _log.error("the broker refused what is published outward: %s", self.broker.refused)
            if self._stopping.wait(pause):
                return False
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return True

    def _note(self, *, at_once: bool = False) -> None:
        """The position with what is known there; on a full disk later, when there is room."""
        now = self.monotonic()
        gone = self.present.gone
        if self._read_to == self.position and not self._alarms_unnoted and not gone:
            return
        if now < self._note_from and not at_once:
            return
        known = self.present.states.held(self._unnoted)
        self._note_from = now + NOTE_EVERY_S
        try:
            self.record.note(self._read_to, known, self._alarms_unnoted, gone)
        except apsw.Error as error:
            _log.error("the position outward cannot be noted: %s", type(error).__name__)
            return
        ended = self.monotonic()
        self._note_from = ended + max(NOTE_EVERY_S, (ended - now) / NOTE_SHARE)
        self._unnoted.clear()
        self._alarms_unnoted.clear()
        gone.clear()

    def _read_on(self) -> None:
        reader = self.journal.reader("estimates", self._read_to)
        try:
            while not self._stopping.is_set():
                entries = _entries(reader, 0.0 if self._more else _WAIT_S)
                if not self.take(entries, max(self._read_to, reader.position)):
                    return
            self._note(at_once=True)
        finally:
            reader.close()


def _entries(reader: Reader, wait: float) -> Sequence[Entry]:
    try:
        return reader.read(_READ, wait)
    except JournalDamaged as damage:
        _log.error("estimates journal damaged at positions %s", damage.positions)
        return ()


def _output(entry: Entry) -> Output | None:
    try:
        return decode_output(entry.record)
    except RecordDamaged as damage:
        _log.error("estimates record at position %d damaged: %s", entry.position, damage.why)
        return None
