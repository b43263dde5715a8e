"""What the publisher knows across a kill: a SQLite file of its own.

Position, states and standing alarms move in one transaction, after the broker acknowledged what
was said up to there: a kill loses no transition, and may say some twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ingest.database import open_database, rows
from ingest.mqtt_publish import Outgoing
from twin.outward.states import Held

_TABLES = """
CREATE TABLE IF NOT EXISTS progress(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states(patient TEXT PRIMARY KEY, held BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarms(
    id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL) WITHOUT ROWID;
"""
_states = msgspec.msgpack.Decoder(dict[str, Held])


class Record:
    """One thread uses it. Raises DatabaseUnusable when opened, apsw.Error later."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = open_database(path, _TABLES)
        self.position = self._value("position")
        self.silent_until = self._value("silent_until") or 0

    @property
    def begun(self) -> bool:
        """Was anything ever noted?"""
        return self.position is not None

    def begin(self, silent_until: int) -> None:
        """The first time of all. silent_until: transitions up to here are history, not said."""
        with self._connection as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO progress VALUES(?, ?)",
                (("position", 0), ("silent_until", silent_until)),
            )
        self.position, self.silent_until = 0, silent_until

    def states(self) -> dict[str, dict[str, Held]]:
        """All states, by patient and signal."""
        found = rows(self._connection, "SELECT patient, held FROM states")
        return {str(patient): _states.decode(held) for patient, held in found}

    def standing(self) -> dict[str, Outgoing]:
        """Retained messages of the alarms that stand, by the alarm's id."""
        found = rows(self._connection, "SELECT id, topic, payload FROM alarms ORDER BY id")
        return {str(id): Outgoing(topic, payload, True) for id, topic, payload in found}  # noqa: A001

    def note(
        self,
        position: int,
        states: Iterable[tuple[str, Mapping[str, object]]],
        alarms: Mapping[str, Outgoing | None],
        gone: Iterable[str] = (),
    ) -> None:
        """All up to `position` is said. states: by signal the fields of `Held`. alarms: those that
        changed, None where one stands no more. gone: patients of whom nothing stands any more.

        Durable when it returns.
        """
        with self._connection as connection:
            connection.executemany("DELETE FROM states WHERE patient = ?", ((g,) for g in gone))
            connection.executemany(
                "INSERT OR REPLACE INTO states VALUES(?, ?)",
                ((patient, msgspec.msgpack.encode(held)) for patient, held in states),
            )
            for id, said in alarms.items():  # noqa: A001
                if said is None:
                    connection.execute("DELETE FROM alarms WHERE id = ?", (id,))
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO alarms VALUES(?, ?, ?)",
                        (id, said.topic, said.payload),
                    )
            connection.execute("INSERT OR REPLACE INTO progress VALUES('position', ?)", (position,))
        self.position = position

    def close(self) -> None:
        self._connection.close()

    def _value(self, key: str) -> int | None:
        found = rows(self._connection, "SELECT value FROM progress WHERE key = ?", (key,))
        return int(found[0][0]) if found else None
