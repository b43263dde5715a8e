"""What pages and API ask of the fold of the estimates journal.

From any thread: what is answered is a copy, made under the lock, in which everything that was read
is folded first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from twin.care.facts import DeviceFacts, Totals, without_ingest
from twin.care.folded import Folded
from twin.care.forecasts import Bodies, bodies_of
from twin.care.joined import joined
from twin.care.latest import Latest
from twin.care.limits import LimitsInForce, limits_in_force
from twin.care.pulse import INGEST_DOWN, LIVE
from twin.care.reading import Reading
from twin.care.silences import SilentGroup
from twin.device_report import SystemEvent
from twin.estimate import EstimateBatch, People
from twin.judgement import Alarm, Entered, Pause
from twin.personal import Consistency


class Answers:
    """The fold as it is `now()` (int64 ns UTC), with the labels that people gave."""

    def __init__(self, latest: Latest, people: People, now: Callable[[], int]) -> None:
        self.now = now
        self._latest = latest
        self._people = people
        self._labels: Mapping[str, str] = self._all_labels()
        self._state = LIVE
        self._state_at = 0  # ns UTC, when it became so
        self._batches: list[EstimateBatch] = []  # read, not folded yet
        self._taking = threading.Lock()
        #: Held by whoever looks: everything that was read is folded then.
        self._lock = Folded(self._taking, self._fold_batches)

    @property
    def state(self) -> str:
        """ "live", or which part upstream is down."""
        return self._state

    @property
    def labels(self) -> Mapping[str, str]:
        """Every known patient → label ("" where nobody gave one), registered or estimated."""
        return self._labels

    def devices(self) -> list[str]:
        """Devices by the number that a row's `device` is."""
        with self._lock:
            return self._latest.devices

    def reading(self) -> Reading:
        """Everything, copied."""
        with self._lock:
            rows = self._latest.rows.copy()
            patients = tuple(self._latest.patients)
            board = self._latest.board
            scores, alarms = board.scores(), board.open_alarms()
            own = frozenset(filter(board.has_own_limits, self._labels))
        labels = self._labels
        return Reading(self.now(), self._state, rows, patients, labels, scores, alarms, {}, own)

    def reading_of(self, patient: str) -> Reading:
        """The same of one patient; labels are everybody's."""
        with self._lock:
            rows = self._latest.rows[self._latest.places_of(patient)]
            patients = tuple(self._latest.patients)
            score = self._latest.board.score(patient)
            alarms = self._latest.board.open_alarms(patient)
            change = self._latest.board.change(patient)
        scores = {} if score is None else {patient: score}
        changes = {} if change is None else {patient: change}
        return Reading(
            self.now(), self._state, rows, patients, self._labels, scores, alarms, changes
        )

    def consistency(self, patient: str) -> Consistency | None:
        """How the innovations of a patient's signals were, as the twin said last."""
        with self._lock:
            return self._latest.board.consistency(patient)

    def facts(self, device: str | None = None) -> list[DeviceFacts]:
        """What the worker last reported of every device, or of one; while ingest is down, that it
        is."""
        with self._lock:
            facts = self._latest.told.facts(device)
        return without_ingest(facts, self._state_at) if self._state == INGEST_DOWN else facts

    def silences(self) -> list[SilentGroup]:
        """What silences many devices now: gateways, the broker, ingest."""
        since = self._state_at if self._state == INGEST_DOWN else None
        with self._lock:
            return self._latest.told.silences(since)

    def events(self) -> list[SystemEvent]:
        """What last happened to the line itself, oldest first."""
        with self._lock:
            return list(self._latest.told.events)

    def totals(self) -> Totals:
        """What the worker counted of all devices together."""
        with self._lock:
            return self._latest.told.totals()

    def open_alarms(self) -> list[Alarm]:
        """The newest row of every alarm that is not over."""
        with self._lock:
            return self._latest.board.open_alarms()

    def stories(self) -> list[Sequence[Alarm]]:
        """Every alarm that was raised, as far back as is kept; all rows of each, oldest first."""
        with self._lock:
            return self._latest.board.stories()

    def story(self, alarm: str) -> Sequence[Alarm]:
        """All rows of one alarm, oldest first; () if it is not known."""
        with self._lock:
            return self._latest.board.story(alarm)

    def forecasts(self, patient: str) -> Bodies:
        """code → the newest forecasts of one patient, by horizon."""
        with self._lock:
            board = self._latest.board
            return bodies_of(self._latest.forecasts.of(patient), board, patient)

    @property
    def alarms_on(self) -> bool:
        """Does the twin raise alarms, by its own word?"""
        switched = self._latest.board.switched
        return switched is not None and switched.alarms

    def limits(self, patient: str) -> LimitsInForce:
        """What holds for a patient ("": in the ward), where each was set, and the profile."""
        with self._lock:
            return limits_in_force(self._latest.board, patient)

    def entries(self, patient: str) -> list[Entered]:
        """What people entered about a patient, newest first, as far back as is kept."""
        with self._lock:
            return self._latest.notebook.of(patient)

    def pauses(self, patient: str) -> list[Pause]:
        """Pauses of one patient's signals."""
        with self._lock:
            return self._latest.board.pauses_of(patient)

    def recall(self, stories: Sequence[Sequence[Alarm]]) -> None:
        """Know these alarms of the record too: the journal may have let their beginning go."""
        with self._lock:
            self._latest.board.recall(stories)

    def _fold_batches(self) -> None:
        for batch in joined(self._batches):
            self._latest.fold(batch)
        self._batches.clear()

    def _all_labels(self) -> Mapping[str, str]:
        return {**dict.fromkeys(self._latest.patients, ""), **self._people.labels()}
