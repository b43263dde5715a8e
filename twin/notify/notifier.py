"""Reads the estimates journal from its own position and calls people; a thread for each channel.

Card: the queue is the outbox on disk. A call that is not taken is tried again after 5 s, then twice
as long each time, 5 min at most, until it is taken, the alarm needs nobody any more, or it is 24 h
old: then it is given up, and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread

import apsw

from ingest.instant import DAY, HOUR, MINUTE, SECOND
from ingest.journal.protocol import Entry, Journal, JournalDamaged, Reader
from ingest.observation import RecordDamaged
from twin.estimate import decode_output
from twin.judgement import Alarm, Judgements
from twin.notify.channels import Channel, NotDelivered
from twin.notify.notice import notices, settled
from twin.notify.outbox import Outbox

FIRST_RETRY, LONGEST_RETRY, GIVE_UP = 5 * SECOND, 5 * MINUTE, DAY
#: A transition that is older when it is read calls nobody: a backlog is no emergency any more.
STALE = HOUR
#: Where nothing calls anybody, the position is noted only so often (ns).
NOTE_EVERY = 10 * SECOND
_READ, _WAIT_S, _LOOK_S = 500, 0.2, 0.2
_log = logging.getLogger(__name__)


def retry_after(attempts: int) -> int:
    """ns until the next attempt, after so many in vain (1, 2, …)."""
    return min(FIRST_RETRY << min(attempts - 1, 10), LONGEST_RETRY)


@dataclass(slots=True)
class Notifier:
    """`start`, then `stop`. priorities: of the alarms that call; address: of the page, for links.

    now: ns UTC of the pipeline's clock.
    """

    journal: Journal
    outbox: Outbox
    channels: Sequence[Channel]
    priorities: frozenset[str]
    address: str
    now: Callable[[], int]
    #: Transitions too old to call anybody, since the start.
    expired: int = 0
    _noted_at: int = 0
    _stopping: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin where it was; the first time of all at the journal's end."""
        if self.outbox.position is None:
            self.outbox.enter((), (), self.journal.end("estimates"), self.now())
        targets = [("notify-reader", self._read_on)]
        self._threads = [Thread(target=run, name=name, daemon=True) for name, run in targets]
        self._threads += [
            Thread(target=self._carry, args=(channel,), name="notify-courier", daemon=True)
            for channel in self.channels
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; an attempt under way may take its 10 s."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(12.0)

    @property
    def alive(self) -> bool:
        """All threads run."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def position(self) -> int:
        """Up to where the journal is no longer needed."""
        return self.outbox.position or 0

    def take(self, entries: Sequence[Entry], position: int) -> None:
        """Enter the calls of these records of the estimates journal, the last one at `position`."""
        now = self.now()
        alarms = [alarm for entry in entries for alarm in _alarms(entry)]
        recent = [alarm for alarm in alarms if now - alarm.at <= STALE]
        self.expired += len(alarms) - len(recent)
        over = {alarm.id: alarm for alarm in alarms}.values()  # the newest row of each alarm
        calls = [
            (channel.name, notice)
            for notice in notices(recent, self.priorities, self.address)
            for channel in self.channels
            if channel.wants(notice)
        ]
        ended = list(settled(over))
        if calls or ended or now - self._noted_at >= NOTE_EVERY:
            self.outbox.enter(calls, ended, position, now)
            self._noted_at = now

    def deliver(self, channel: Channel) -> bool:
        """Try the channel's next call; was there one?"""
        waiting = self.outbox.due(channel.name, self.now())
        if waiting is None:
            return False
        try:
            channel.send(waiting.notice)
        except NotDelivered as failed:
            now = self.now()
            _log.warning("%s: a call was not delivered: %s", channel.name, failed.why)
            ended = not failed.again or now - waiting.notice.at > GIVE_UP
            state = "given_up" if ended else "waiting"
            due = now + retry_after(waiting.attempts + 1)
            self.outbox.note(waiting.id, state, now, failed.why, due)
        else:
            self.outbox.note(waiting.id, "delivered", self.now())
        return True

    def _read_on(self) -> None:
        while not self._stopping.is_set():
            reader = self.journal.reader("estimates", self.position)
            try:
                self._read_from(reader)
            except apsw.Error as error:  # a full disk: from the noted position when there is room
                _log.error("calls cannot be entered: %s", type(error).__name__)
                self._stopping.wait(1.0)
            finally:
                reader.close()

    def _read_from(self, reader: Reader) -> None:
        while not self._stopping.is_set():
            try:
                entries = reader.read(_READ, _WAIT_S)
            except JournalDamaged as damage:
                _log.error("estimates journal damaged at positions %s", damage.positions)
                continue
            if entries:
                self.take(entries, reader.position)

    def _carry(self, channel: Channel) -> None:
        while not self._stopping.is_set():
            try:
                more = self.deliver(channel)
            except apsw.Error as error:
                _log.error("a receipt cannot be noted: %s", type(error).__name__)
                more = False
            if not more:
                self._stopping.wait(_LOOK_S)


def _alarms(entry: Entry) -> Sequence[Alarm]:
    try:
        output = decode_output(entry.record)
    except RecordDamaged as damage:
        _log.error("estimates record at position %d damaged: %s", entry.position, damage.why)
        return ()
    return output.alarms if isinstance(output, Judgements) else ()
