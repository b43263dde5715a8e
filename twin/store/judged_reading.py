"""Alarms, scores and change indexes as the embedded store's file has them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from twin.estimate import HistoryUnavailable
from twin.judgement import Alarm, Score
from twin.judgement_history import AlarmsAsked, Page
from twin.personal import Change
from twin.store.judged import score_of
from twin.store.sqlite_file import StoreDamaged, naming_damage, open_store

Point = TypeVar("Point", Score, Change)
_alarm = msgspec.msgpack.Decoder(Alarm)
_change = msgspec.msgpack.Decoder(Change)
#: Asked of the file itself: what a connection remembers of its tables may be older.
_THERE = "SELECT 1 FROM sqlite_master WHERE name = 'change'"
#: Whether an alarm lasted at some time of [?1, ?2) and is one of those that are asked for.
_WHERE = """
raised AND begun < ?2 AND (last >= ?1 OR state != 'closed')
 AND (?4 = '[]' OR state IN (SELECT value FROM json_each(?4)))
 AND (?5 = '[]' OR priority IN (SELECT value FROM json_each(?5)))
"""


class JudgedReading:
    """`twin.judgement_history.JudgementHistory` of a store's file.

    Another process may be writing it. Before the writer has made the file, or its tables, it is
    empty. Safe to use from several threads. Has a connection of its own: a list of alarms waits for
    no long chart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def alarms(self, asked: AlarmsAsked) -> Sequence[Alarm]:
        """See `twin.judgement_history.JudgementHistory`."""
        newest = (
            "SELECT (SELECT body FROM alarm_row"
            " WHERE alarm = alarm.id ORDER BY number DESC LIMIT 1)"
            f" FROM alarm WHERE {_where(asked)} ORDER BY last DESC LIMIT ?6"
        )
        return [_alarm.decode(body) for (body,) in self._found(newest, _words(asked))]

    def stories(self, asked: AlarmsAsked) -> Sequence[Sequence[Alarm]]:
        """See `twin.judgement_history.JudgementHistory`."""
        rows = (
            "SELECT body FROM alarm_row WHERE alarm IN (SELECT id FROM alarm"
            f" WHERE {_where(asked)} ORDER BY last DESC LIMIT ?6) ORDER BY number"
        )
        stories: dict[str, list[Alarm]] = {}
        for (body,) in self._found(rows, _words(asked)):
            row = _alarm.decode(body)
            stories.setdefault(row.id, []).append(row)
        return list(stories.values())

    def story(self, alarm: str) -> Sequence[Alarm]:
        """See `twin.judgement_history.JudgementHistory`."""
        rows = (
            "SELECT body FROM alarm_row JOIN alarm ON alarm.id = alarm"
            " WHERE alarm = ? AND raised ORDER BY number"
        )
        return [_alarm.decode(body) for (body,) in self._found(rows, (alarm,))]

    def scores(self, patient: str, start: int, end: int, limit: int) -> Page[Score]:
        """See `twin.judgement_history.JudgementHistory`."""
        return self._points("score", score_of, patient, start, end, limit)

    def changes(self, patient: str, start: int, end: int, limit: int) -> Page[Change]:
        """See `twin.judgement_history.JudgementHistory`."""
        return self._points("change", _change_of, patient, start, end, limit)

    def _points(
        self,
        table: str,
        point: Callable[[str, int, bytes], Point],
        patient: str,
        start: int,
        end: int,
        limit: int,
    ) -> Page[Point]:
        rows = (
            f"SELECT at, body FROM {table} WHERE patient = ? AND at >= ? AND at < ?"
            " ORDER BY at LIMIT ?"
        )
        found = self._found(rows, (patient, start, end, limit + 1))
        # What is of the first moment that did not fit comes with the next page.
        following = found[limit][0] if len(found) > limit else None
        inside = [(at, body) for at, body in found if following is None or at < following]
        return Page(tuple(point(patient, at, body) for at, body in inside), following)

    def close(self) -> None:
        """Close the file if it was opened."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _found(self, question: str, words: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Rows of one moment; none while the file has no alarms yet. Raises HistoryUnavailable."""
        with self._lock:
            try:
                with naming_damage(self._path):
                    if self._connection is None and self._path.exists():
                        self._connection = open_store(self._path, readonly=True)
                    opened = self._connection
                    if opened is None or not opened.execute(_THERE).fetchall():
                        return []
                    return opened.execute(question, words).fetchall()
            except (StoreDamaged, apsw.Error, OSError) as error:
                raise HistoryUnavailable(f"{self._path}: {error}") from error


def _change_of(_patient: str, _at: int, body: bytes) -> Change:
    return _change.decode(body)


def _where(asked: AlarmsAsked) -> str:
    # Two texts, so that the index by patient is used.
    return _WHERE + (" AND patient = ?3" if asked.patient else " AND ?3 = ''")


def _words(asked: AlarmsAsked) -> tuple[Any, ...]:
    states, priorities = (
        msgspec.json.encode(sorted(each)).decode() for each in (asked.states, asked.priorities)
    )
    return asked.start, asked.end, asked.patient, states, priorities, asked.limit
