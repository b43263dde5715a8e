"""What `twin devices tail` shows: each message as it is accepted or refused, while somebody looks.

The watching process renews a lease file; while it is fresh, ingest writes what it decides into a
ring of 10 000 lines that survives nothing and slows nothing. Never a value but the offending one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import apsw
import msgspec

from ingest.database import DatabaseUnusable, open_database, rows

_LEASE_S = 5.0
_POLL_S = 0.2
_RING = 10_000
_TABLES = """
CREATE TABLE IF NOT EXISTS event(id INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL);
"""


class TailEvent(msgspec.Struct, frozen=True):
    """One message (accepted: n samples; surplus: fields that are not used) or one refusal in it.

    received_at is ns UTC.
    """

    device: str
    received_at: int
    accepted: int = 0
    reason: str = ""
    path: str = ""
    expected: str = ""
    got: str = ""
    surplus: int = 0


_event = msgspec.msgpack.Decoder(TailEvent)
_encode = msgspec.msgpack.Encoder().encode


class TailWriter:
    """Ingest's end. `watched` is a plain attribute: `look` refreshes it, once a second."""

    def __init__(self, folder: Path) -> None:
        self._lease = folder / "tail.lease"
        self._connection = _opened(folder)
        self.watched = False

    def look(self) -> bool:
        """Whether somebody watches."""
        try:
            age = time.time() - self._lease.stat().st_mtime
        except OSError:
            age = _LEASE_S
        self.watched = age < _LEASE_S
        return self.watched

    def write(self, events: Iterable[TailEvent]) -> None:
        """Add the events to the ring."""
        with self._connection:
            self._connection.executemany(
                "INSERT INTO event(event) VALUES (?)", [(_encode(each),) for each in events]
            )
            self._connection.execute(
                f"DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - {_RING}"
            )

    def close(self) -> None:
        self._connection.close()


def _opened(folder: Path) -> apsw.Connection:
    """The ring; a new one in the place of a damaged one, since it holds nothing of worth."""
    try:
        return open_database(folder / "tail.db", _TABLES, durable=False)
    except DatabaseUnusable:
        for name in ("tail.db", "tail.db-wal", "tail.db-shm"):
            (folder / name).unlink(missing_ok=True)
        return open_database(folder / "tail.db", _TABLES, durable=False)


def follow(folder: Path, device: str | None = None) -> Iterator[TailEvent]:
    """Events from now on, of one device or all; ends only when the caller stops asking.

    Blocks between events. The first may take a second, until ingest sees that somebody watches.
    """
    lease = folder / "tail.lease"
    connection = open_database(folder / "tail.db", _TABLES, durable=False)
    try:
        position = rows(connection, "SELECT coalesce(max(id), 0) FROM event")[0][0]
        while True:
            lease.touch()
            os.utime(lease)
            fresh = rows(
                connection,
                "SELECT id, event FROM event WHERE id > ? ORDER BY id LIMIT 1000",
                (position,),
            )
            for number, encoded in fresh:
                position = number
                event = _event.decode(encoded)
                if device is None or event.device == device:
                    yield event
            if not fresh:
                time.sleep(_POLL_S)
    finally:
        connection.close()
