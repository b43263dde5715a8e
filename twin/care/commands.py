"""From a request to the journal and back: a command is appended, its outcome comes by the feed.

The worker decides, at the command's place in the journal's order; nothing is decided here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import apsw

from ingest.journal.protocol import ALL_PARTITIONS, Journal, JournalFull, partition_of
from ingest.observation import Command, encode_record
from twin.estimate import Outcome

#: A request waits no longer for the worker's word.
WAIT_S = 2.0


class NoOutcome(Exception):
    """The command is in the journal, but the worker has not answered yet: it will still act."""

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id)
        self.id = id


class NotJournalled(Exception):
    """The journal takes nothing now (full, or its disk is gone): the command will not act."""


@dataclass(slots=True)
class Outcomes:
    """Requests that wait for the outcome of their command. Safe for several threads.

    One entry for each open request, removed with it; outcomes nobody waits for are dropped.
    awaited: set while somebody waits.
    """

    awaited: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: dict[str, list[_Wait]] = field(default_factory=dict)

    def expect(self, id: str, issued_at: int) -> _Wait:  # noqa: A002
        """Begin to wait; called before the command is appended.

        issued_at: the command's, ns UTC. Two requests at once may have one id: each is told its own
        outcome, for what the second asked may have been refused where the first was done.
        """
        wait = _Wait(issued_at)
        with self._lock:
            self._waiting.setdefault(id, []).append(wait)
            self.awaited.set()
        return wait

    def forget(self, id: str, wait: _Wait) -> None:  # noqa: A002
        """End of a wait."""
        with self._lock:
            waits = self._waiting.get(id, [])
            if wait in waits:
                waits.remove(wait)
            if not waits:
                self._waiting.pop(id, None)
            self._rest()

    def tell(self, outcome: Outcome) -> None:
        """The worker has answered."""
        with self._lock:
            waits = self._waiting.get(outcome.id, ())
            answered = [wait for wait in waits if wait.issued_at == outcome.at]
        for wait in answered:
            wait.outcome = outcome
            wait.told.set()
            self.forget(outcome.id, wait)

    def _rest(self) -> None:
        if not self._waiting:
            self.awaited.clear()


@dataclass(slots=True, eq=False)
class _Wait:
    issued_at: int
    told: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Commands:
    """Appends people's commands. outcomes: where the feed tells what became of them."""

    journal: Journal
    outcomes: Outcomes
    now: Callable[[], int]
    wait_s: float = WAIT_S

    def give(
        self,
        kind: str,
        actor: str,
        body: Mapping[str, Any],
        patient: str | None,
        id: str | None = None,  # noqa: A002
        request: str = "",
    ) -> Outcome:
        """Append a command and wait for its outcome, 2 s at most.

        patient None: it concerns everybody. id: of a request that is made again; the same id acts
        once. request: what it asks for, as a hash; with another one the id is refused. Blocks.
        Raises NotJournalled, NoOutcome.
        """
        command = Command(id or uuid4().hex, kind, actor, self.now(), dict(body), patient, request)
        place = ALL_PARTITIONS
        if patient is not None:
            place = partition_of(patient, self.journal.partitions)
        wait = self.outcomes.expect(command.id, command.issued_at)
        try:
            self.journal.append("observations", [(place, encode_record(command))])
            wait.told.wait(self.wait_s)
        except (JournalFull, apsw.Error, OSError) as error:
            raise NotJournalled(type(error).__name__) from error
        finally:
            self.outcomes.forget(command.id, wait)
        if wait.outcome is None:
            raise NoOutcome(command.id)
        return wait.outcome
