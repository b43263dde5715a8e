"""What a store outside remembers on our side: position in the journal, points it will never take.

A small SQLite file; the position moves in the transaction that enters the rejected points, after
the database has taken all others.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

_SCHEMA = """
CREATE TABLE IF NOT EXISTS progress(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO progress VALUES('position', 0), ('expired', 0);
CREATE TABLE IF NOT EXISTS rejected(
    id INTEGER PRIMARY KEY, line TEXT NOT NULL, reason TEXT NOT NULL, UNIQUE(line, reason));
"""


class ProgressFile:
    """One writer; its numbers may be asked from any thread. Raises apsw.Error where the file is
    damaged or cannot be written."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5000)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _SCHEMA):
            self._connection.execute(statement).fetchall()

    @property
    def position(self) -> int:
        """The last position committed, 0 at first."""
        return self._number("SELECT value FROM progress WHERE key = 'position'")

    @property
    def expired(self) -> int:
        """Points older than the database keeps anything."""
        return self._number("SELECT value FROM progress WHERE key = 'expired'")

    @property
    def rejected(self) -> int:
        """Points that the database will never take."""
        return self._number("SELECT count(*) FROM rejected")

    def points(self, limit: int = 100) -> Sequence[tuple[str, str]]:
        """The newest rejected points: (line or "" where none could be made, reason)."""
        asked = "SELECT line, reason FROM rejected ORDER BY id DESC LIMIT ?"
        with self._lock:
            found = self._connection.execute(asked, (limit,)).fetchall()
        return [(str(line), str(reason)) for line, reason in found]

    def lines(self) -> Sequence[tuple[int, str]]:
        """(id, line) of every rejected point that is a line at all, oldest first."""
        with self._lock:
            asked = "SELECT id, line FROM rejected WHERE line != '' ORDER BY id"
            found: list[tuple[Any, ...]] = self._connection.execute(asked).fetchall()
        return [(int(number), str(line)) for number, line in found]

    def taken(self, numbers: Sequence[int]) -> None:
        """These are rejected no more."""
        with self._lock, self._connection:
            self._connection.executemany(
                "DELETE FROM rejected WHERE id = ?", [(number,) for number in numbers]
            )

    def commit(
        self, position: int | None, rejected: Sequence[tuple[str, str]], expired: int
    ) -> None:
        """Enter what was rejected and move on. The same rejected point again is entered once."""
        with self._lock, self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO rejected(line, reason) VALUES(?, ?)", rejected
            )
            self._connection.execute(
                "UPDATE progress SET value = value + ? WHERE key = 'expired'", (expired,)
            )
            if position is not None:
                self._connection.execute(
                    "UPDATE progress SET value = ? WHERE key = 'position'", (position,)
                )

    def _number(self, query: str) -> int:
        with self._lock:
            return int(self._connection.execute(query).get)

    def close(self) -> None:
        with self._lock:
            self._connection.close()
