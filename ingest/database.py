"""The small SQLite files of ingest (registry, quarantine, tail): how each is opened."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw


class DatabaseUnusable(OSError):
    """A file that cannot be opened, or is no sound database (any more); its text names it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EIO, f"cannot be used as a database: {why}", str(path))


def open_database(path: Path, tables: str, durable: bool = True) -> apsw.Connection:
    """A connection on which ``with connection:`` is one immediate transaction.

    Several processes may have the file open; a writer waits up to 5 s for another. durable: a
    transaction that returned is on disk. Raises DatabaseUnusable.
    """
    try:
        connection = apsw.Connection(str(path))
    except apsw.Error as error:
        raise DatabaseUnusable(path, str(error)) from error
    try:
        connection.set_busy_timeout(5_000)
        connection.transaction_mode = "IMMEDIATE"
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}").fetchall()
        connection.execute("PRAGMA journal_size_limit=4194304").fetchall()
        connection.execute(tables).fetchall()
    except apsw.Error as error:
        connection.close()
        raise DatabaseUnusable(path, str(error)) from error
    return connection


def rows(
    connection: apsw.Connection, query: str, bindings: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """All rows of the answer; their types are the query's business."""
    return connection.execute(query, tuple(bindings)).fetchall()
