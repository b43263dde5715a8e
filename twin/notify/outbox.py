"""Calls that must leave, and their receipts: a SQLite file of its own.

The reader's position moves in the transaction that enters what it read: a kill loses no call and
makes none twice. What was sent but not noted before a kill is sent again, with the same key.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest.database import open_database, rows
from twin.notify.notice import Notice

_TABLES = """
CREATE TABLE IF NOT EXISTS progress(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls(
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, key TEXT NOT NULL, alarm TEXT NOT NULL,
    notice BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL,
    at INTEGER NOT NULL, why TEXT NOT NULL, UNIQUE(channel, key));
CREATE INDEX IF NOT EXISTS waiting ON calls(channel, due) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS of_alarm ON calls(alarm);
"""
#: Receipts that are kept.
_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that is due. attempts: how often it was tried in vain."""

    id: int
    notice: Notice
    attempts: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a call. state: waiting, delivered, given_up, settled (nobody need come)."""

    channel: str
    event: str
    escalation: int
    state: str
    attempts: int
    at: int
    why: str


class Outbox:
    """Safe for several threads. Raises DatabaseUnusable when opened, apsw.Error later."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = open_database(path, _TABLES)

    @property
    def position(self) -> int | None:
        """Up to where the estimates journal was read; None: never."""
        with self._lock:
            found = rows(self._connection, "SELECT value FROM progress WHERE key = 'position'")
        return int(found[0][0]) if found else None

    def enter(
        self, calls: Iterable[tuple[str, Notice]], settled: Iterable[str], position: int, now: int
    ) -> None:
        """(channel, notice) pairs, and alarms whose waiting calls are dropped, in this order."""
        with self._lock, self._connection as connection:
            for channel, notice in calls:
                connection.execute(
                    "INSERT OR IGNORE INTO calls(channel, key, alarm, notice, state, attempts, due,"
                    " at, why) VALUES(?, ?, ?, ?, 'waiting', 0, ?, ?, '')",
                    (channel, notice.key, notice.alarm, msgspec.msgpack.encode(notice), now, now),
                )
            for alarm in settled:
                connection.execute(
                    "UPDATE calls SET state = 'settled', at = ?"
                    " WHERE alarm = ? AND state = 'waiting'",
                    (now, alarm),
                )
            connection.execute("INSERT OR REPLACE INTO progress VALUES('position', ?)", (position,))

    def due(self, channel: str, now: int) -> Waiting | None:
        """The call of a channel that has been due for longest."""
        with self._lock:
            found = rows(
                self._connection,
                "SELECT id, notice, attempts FROM calls"
                " WHERE channel = ? AND state = 'waiting' AND due <= ? ORDER BY due, id LIMIT 1",
                (channel, now),
            )
        if not found:
            return None
        number, notice, attempts = found[0]
        return Waiting(int(number), msgspec.msgpack.decode(notice, type=Notice), int(attempts))

    def note(self, call: int, state: str, now: int, why: str = "", due: int = 0) -> None:
        """An attempt ended so. state waiting: it is tried again at `due`."""
        with self._lock, self._connection as connection:
            connection.execute(
                "UPDATE calls SET state = ?, at = ?, why = ?, due = ?, attempts = attempts + 1"
                " WHERE id = ? AND state = 'waiting'",
                (state, now, why, due, call),
            )
            connection.execute(
                "DELETE FROM calls WHERE id <= (SELECT max(id) FROM calls) - ?", (_KEPT,)
            )

    def receipts(self, alarm: str) -> Sequence[Receipt]:
        """What became of the calls of an alarm, oldest first."""
        with self._lock:
            found = rows(
                self._connection,
                "SELECT channel, notice, state, attempts, at, why FROM calls WHERE alarm = ?"
                " ORDER BY id",
                (alarm,),
            )
        made = []
        for channel, raw, state, attempts, at, why in found:
            notice = msgspec.msgpack.decode(raw, type=Notice)
            made.append(Receipt(channel, notice.event, notice.escalation, state, attempts, at, why))
        return made

    def counts(self) -> dict[str, int]:
        """Calls by state."""
        with self._lock:
            found = rows(self._connection, "SELECT state, count(*) FROM calls GROUP BY state")
        return {str(state): int(n) for state, n in found}

    def close(self) -> None:
        self._connection.close()
