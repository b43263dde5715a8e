"""Server-sent event frames: each is encoded once, whoever many read it.

`snap` is the whole picture, `d` what changed since the frame before. A key (patient and signal) is
named by a number which `keys` introduces, so that a second of a thousand patients stays small.
docs/architecture.md and the body of `hello` say what the columns are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES
from ingest.instant import MILLISECOND
from twin.care.cells_kernel import BEYOND, CELL, write_cells
from twin.care.display import STATUS_WORDS
from twin.care.forecasts import ForecastBody, bodies_of
from twin.care.judged import (
    AlarmBody,
    ScoreBody,
    StandingBody,
    alarm_body,
    score_body,
    standing_body,
)
from twin.care.latest import Latest
from twin.care.points import Points
from twin.care.rank import standing
from twin.care.vitals import columns
from twin.judgement import Alarm

#: What the numbers of a cell are; time is in ms after the frame's own time.
COLUMNS = ("key", "mean", "half95", "arrow", "approximate", "status", "as_of")
NOTHING: Mapping[str, Sequence[str]] = {}
RETRY = b"retry: 2000\n\n"
Key = tuple[int, str, str]


class Hello(msgspec.Struct, frozen=True):
    """The first event of every connection. time: pipeline's clock, epoch ms, running at `speed`."""

    time: int
    speed: float
    build: str
    cursor: str
    columns: Sequence[str] = COLUMNS
    statuses: Sequence[str] = STATUS_WORDS


class Picture(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `snap`, `d` and `hb`. keys and labels: those not yet told; estimates and observations
    (one patient's stream only): code → rows, see `Points`; reload: they were too many, ask the API.
    forecasts (likewise): code → the newest by horizon, where they changed.
    standings: patient → place in the ward, where it changed; score: of one patient's stream;
    alarms: of a `snap`, all that are not over, everybody's; alarms_on: of `hb`, the twin's word;
    unwatched: of `hb`, it is outside the hours in which somebody watches; viewers: of one patient's
    stream, names of who has it open ("": without a name); watching: of the ward's, the same by
    patient, of a `d` where they changed;
    silences: of `hb`, language → a line for each thing that silences many devices.
    """

    time: int
    state: str
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    keys: Sequence[Key] = ()
    cells: msgspec.Raw | tuple[()] = ()
    estimates: Mapping[str, Any] = msgspec.field(default_factory=dict)
    observations: Mapping[str, Any] = msgspec.field(default_factory=dict)
    forecasts: Mapping[str, Sequence[ForecastBody]] = msgspec.field(default_factory=dict)
    reload: bool = False
    standings: Mapping[str, StandingBody] = msgspec.field(default_factory=dict)
    score: ScoreBody | None = None
    alarms: Sequence[AlarmBody] = ()
    alarms_on: bool = False
    unwatched: bool = False
    silences: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    viewers: Sequence[str] = ()
    watching: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)


class AlarmsTold(msgspec.Struct, frozen=True):
    """Body of `al` (transitions) and of `alarms`, which stands for `snap` where there is none."""

    time: int
    state: str
    alarms: Sequence[AlarmBody]


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as bytes. topic: "" the ward, a patient's id, or None for everybody.

    kept: never dropped, however slow its reader is (alarms).
    """

    topic: str | None
    number: int
    payload: bytes
    kept: bool = False


_encoder = msgspec.json.Encoder()


def event(name: str, body: msgspec.Struct, cursor: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\ndata: " if cursor is None else f"id: {cursor}\nevent: {name}\ndata: "
    return head.encode() + _encoder.encode(body) + b"\n\n"


class Framer:
    """Makes the frames of one feed. Not safe for several threads; its owner locks.

    epoch: differs for every start, since numbers of frames and keys hold for one start only.
    """

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        #: Number of the newest ward frame.
        self.number = 0
        self._announced = 0
        self._labels: Mapping[str, str] = {}
        self._watching: Mapping[str, Sequence[str]] = {}

    def cursor(self, number: int, position: int) -> str:
        """Opaque place in the stream: where the feed stood in the journal, and in its frames."""
        return f"{self.epoch}-{position:x}-{number:x}"

    def number_of(self, cursor: str) -> int | None:
        """Frame number of a cursor; None if it is of another start, or none at all."""
        epoch, _, rest = cursor.partition("-")
        number = rest.rpartition("-")[2]
        try:
            return int(number, 16) if epoch == self.epoch else None
        except ValueError:
            return None

    def position_of(self, cursor: str) -> int | None:
        """Journal position of a cursor, of whatever start; None if it is none."""
        _epoch, _, rest = cursor.partition("-")
        try:
            return int(rest.partition("-")[0], 16)
        except ValueError:
            return None

    def delta(
        self,
        latest: Latest,
        labels: Mapping[str, str],
        time: int,
        state: str,
        viewers: Mapping[str, Sequence[str]] = NOTHING,
    ) -> tuple[Frame | None, NDArray[np.int64]]:
        """The ward's next frame (None: nothing changed) and the places that changed. viewers: of
        whom the own stream is read, and by whom; replaced when it changes."""
        places = latest.take_changed()
        new_labels = {}
        if labels is not self._labels:
            new_labels = {p: label for p, label in labels.items() if self._labels.get(p) != label}
            self._labels = labels
        standings = _standings(latest, latest.board.take_changed())
        watching = self._watched_anew(viewers)
        if not len(places) and not new_labels and not standings and not watching:
            return None, places
        self.number += 1
        rows = latest.rows
        fresh = np.arange(self._announced, len(rows))
        self._announced = len(rows)
        picture = Picture(
            time // MILLISECOND,
            state,
            new_labels,
            _keys(rows, fresh, latest.patients) if len(fresh) else (),
            _cells(rows, places, time),
            standings=standings,
            watching=watching,
        )
        payload = event("d", picture, self.cursor(self.number, latest.position))
        return Frame("", self.number, payload), places

    def _watched_anew(self, viewers: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """Whose viewers are others than when the ward was told last; none: []."""
        before, self._watching = self._watching, viewers
        if viewers is before:
            return NOTHING
        both = sorted(before.keys() | viewers.keys())
        now = {patient: viewers.get(patient, ()) for patient in both}
        return {p: names for p, names in now.items() if names != before.get(p, ())}

    def skip(self, latest: Latest, labels: Mapping[str, str]) -> None:
        """Nobody reads: count the frame that changes would make, and do not make it."""
        told = bool(latest.board.take_changed() or self._watching) or labels is not self._labels
        self.number += bool(len(latest.take_changed())) or told
        self._announced = len(latest.rows)
        self._labels, self._watching = labels, NOTHING

    def snap(
        self,
        latest: Latest,
        labels: Mapping[str, str],
        time: int,
        state: str,
        viewers: Mapping[str, Sequence[str]] = NOTHING,
    ) -> Frame:
        """The whole ward, as of frame `number` or a little later."""
        rows = latest.rows
        places = np.arange(len(rows))
        picture = Picture(
            time // MILLISECOND,
            state,
            labels,
            _keys(rows, places, latest.patients),
            _cells(rows, places, time),
            standings=_standings(latest, {*labels, *latest.patients}),
            alarms=_alarms(latest.board.open_alarms(), labels),
            watching=viewers,
        )
        cursor = self.cursor(self.number, latest.position)
        return Frame("", self.number, event("snap", picture, cursor))

    def patient_snap(
        self,
        latest: Latest,
        patient: str,
        labels: Mapping[str, str],
        time: int,
        state: str,
        viewers: Sequence[str] = (),
    ) -> Frame:
        """One patient's whole picture, for a stream of that patient alone."""
        rows, places = latest.rows, latest.places_of(patient)
        picture = Picture(
            time // MILLISECOND,
            state,
            {patient: labels.get(patient, "")},
            _keys(rows, places, latest.patients),
            _cells(rows, places, time),
            forecasts=bodies_of(latest.forecasts.of(patient), latest.board, patient),
            standings=_standings(latest, [patient]),
            score=_score(latest, patient, time),
            alarms=_alarms(latest.board.open_alarms(), labels),
            viewers=viewers,
        )
        return Frame(patient, self.number, event("snap", picture))

    def patient_delta(
        self,
        latest: Latest,
        patient: str,
        label: str,
        points: Points,
        time: int,
        state: str,
        forecast: bool = False,
        viewers: Sequence[str] = (),
    ) -> Frame:
        """One patient's cells and, for the charts, what was estimated and observed since; forecast:
        there are new ones."""
        rows, places = latest.rows, latest.places_of(patient)
        picture = Picture(
            time // MILLISECOND,
            state,
            {patient: label},
            _keys(rows, places, latest.patients),
            _cells(rows, places, time),
            points.estimates,
            points.observations,
            bodies_of(latest.forecasts.of(patient), latest.board, patient) if forecast else {},
            points.overflown,
            _standings(latest, [patient]),
            _score(latest, patient, time),
            viewers=viewers,
        )
        return Frame(patient, self.number, event("d", picture))

    def heartbeat(
        self,
        time: int,
        state: str,
        alarms_on: bool = False,
        silences: Mapping[str, Sequence[str]] = NOTHING,
        unwatched: bool = False,
    ) -> Frame:
        """To everybody, so that silence means a lost link."""
        picture = Picture(
            time // MILLISECOND,
            state,
            alarms_on=alarms_on,
            unwatched=unwatched,
            silences=silences,
        )
        return Frame(None, self.number, event("hb", picture))


def alarms_event(
    name: str, alarms: Sequence[Alarm], labels: Mapping[str, str], time: int, state: str
) -> bytes:
    """`alarms` or `al` as bytes."""
    return event(name, AlarmsTold(time // MILLISECOND, state, _alarms(alarms, labels)))


def _alarms(alarms: Sequence[Alarm], labels: Mapping[str, str]) -> list[AlarmBody]:
    return [alarm_body(alarm, labels.get(alarm.patient, "")) for alarm in alarms]


def _standings(latest: Latest, patients: Iterable[str]) -> dict[str, StandingBody]:
    """Of these patients (the alarms of no patient leave "" out)."""
    board = latest.board
    by_patient: dict[str, list[Alarm]] = {}
    for alarm in board.open_alarms():
        by_patient.setdefault(alarm.patient, []).append(alarm)
    return {
        patient: standing_body(
            standing(by_patient.get(patient, ()), board.score(patient)),
            board.has_own_limits(patient),
        )
        for patient in patients
        if patient
    }


def _score(latest: Latest, patient: str, time: int) -> ScoreBody | None:
    score = latest.board.score(patient)
    return None if score is None else score_body(score, time)


def _keys(rows: NDArray[Any], places: NDArray[np.int64], patients: Sequence[str]) -> list[Key]:
    patient, signal = rows["patient"][places].tolist(), rows["signal"][places].tolist()
    return [
        (place, patients[p], CODES[s])
        for place, p, s in zip(places.tolist(), patient, signal, strict=True)
    ]


def _cells(rows: NDArray[Any], places: NDArray[np.int64], time: int) -> msgspec.Raw:
    """`COLUMNS` of each place, as JSON."""
    text, number = np.empty(len(places) * CELL + 2 + BEYOND, np.uint8), np.empty(1)
    bits = number.view(np.uint64)
    return msgspec.Raw(text.data[: write_cells(rows, places, columns(), time, number, bits, text)])
