"""The embedded store's file: schema, opening, what a damaged or missing one is called.

Rows of a series lie in blocks (`extent` says which, `block` holds their bytes). Rows that are too
few for a block yet lie in `hot`, in slices; a slice's `place` says in which home it is. A
transaction adds one slice with the rows of all series, in the home RECENT; when these are many,
they are dealt out to the groups of their series. A full group is sealed into blocks, or dealt out
to its buckets where it has too many series for that, and a full bucket is sealed. Newer rows win
over older ones of the same time: recent ones over those of the groups, these over those of the
buckets, these over blocks.

Format 2 knew no groups, no packed slices and no `counted`, format 3 no scores as rows; all that
they hold is still valid, so they are read as they are and become 4 when somebody writes. A backup
made before that is the way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import apsw

from twin.store import blocks
from twin.store.columns import Layout

FORMAT = 4
READABLE = (2, 3, FORMAT)
#: A series' bucket is its number modulo this, its group the bucket divided by BUCKETS / GROUPS.
BUCKETS, GROUPS = 1024, 64
#: The home of rows that are not dealt out yet. Without it each small transaction touched as many
#: pages as it had rows (23 µs a row, most of it writing half empty pages).
RECENT = BUCKETS
FIRST_GROUP = RECENT + 1
#: Homes: buckets, RECENT, groups.
HOMES = FIRST_GROUP + GROUPS
#: Buckets of a group.
IN_GROUP = BUCKETS // GROUPS
_SEQUENCE_BITS = 40
#: Groups came later than buckets: their places are above those of all that could have buckets.
_GROUP_SPACE = 1 << 16


class Stored(IntEnum):
    """What a row is stored as."""

    ESTIMATE = 0
    OBSERVATION = 1
    CONFLICT = 2
    STATUS = 3
    FORECAST = 4


LAYOUTS: tuple[Layout, ...] = (
    blocks.ESTIMATES,
    blocks.OBSERVATIONS,
    blocks.CONFLICTS,
    blocks.STATUSES,
    blocks.FORECASTS,
)


class StoreDamaged(Exception):
    """The store's file is no store, or parts of it are unreadable: `path` and `why`."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class StoreInUse(Exception):
    """Another process writes to the store at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: another process writes to this store")
        self.path = path


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Number of a series in the file and what it is of; device is "" but for observations."""

    id: int
    stored: Stored
    patient: str
    signal: str
    device: str

    @property
    def per_unit(self) -> int:
        """Storage steps in one unit of the signal."""
        return blocks.steps_per_unit(self.signal)


_PRAGMAS = (
    "PRAGMA page_size=4096",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA journal_size_limit=67108864",
)
_COUNTED = "CREATE TABLE IF NOT EXISTS counted(id INTEGER PRIMARY KEY, counts BLOB NOT NULL);"
_FROM_BEFORE = (
    f"{_COUNTED} UPDATE meta SET value = {FORMAT} WHERE key = 'format' AND value IN {READABLE};"
)
_SCHEMA = f"""
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('format', {FORMAT}), ('position', 0);
CREATE TABLE series(
    id INTEGER PRIMARY KEY, stored INTEGER NOT NULL, patient TEXT NOT NULL, signal TEXT NOT NULL,
    device TEXT NOT NULL, UNIQUE(patient, signal, stored, device));
CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stored INTEGER NOT NULL);
CREATE TABLE model(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE hot(place INTEGER PRIMARY KEY, rows BLOB NOT NULL);
CREATE TABLE block(id INTEGER PRIMARY KEY, first BLOB NOT NULL, second BLOB NOT NULL);
{_COUNTED}
CREATE TABLE extent(
    series INTEGER, t0 INTEGER, t1 INTEGER NOT NULL, n INTEGER NOT NULL, block INTEGER NOT NULL,
    PRIMARY KEY(series, t0)) WITHOUT ROWID;
"""


def open_store(path: Path, readonly: bool) -> apsw.Connection:
    """A connection; creates the file unless readonly. Raises FileNotFoundError, StoreDamaged."""
    if readonly and not path.exists():
        raise FileNotFoundError(f"{path}: no store there")
    flags = apsw.SQLITE_OPEN_READWRITE | (0 if readonly else apsw.SQLITE_OPEN_CREATE)
    with naming_damage(path):
        connection = apsw.Connection(str(path), flags=flags)
        try:
            connection.set_busy_timeout(5000)
            if readonly:
                connection.execute("PRAGMA query_only=1")
            else:
                _prepare(connection)
            _check_format(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: apsw.Connection) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
            connection.execute(_SCHEMA)
        elif connection.table_exists("main", "meta"):
            connection.execute(_FROM_BEFORE)
    connection.execute("COMMIT")


def _check_format(connection: apsw.Connection, path: Path) -> None:
    try:
        found = connection.execute("SELECT value FROM meta WHERE key='format'").get
    except apsw.SQLError as error:
        raise StoreDamaged(path, "this SQLite file is no store of twin") from error
    if found not in READABLE:
        raise StoreDamaged(path, f"store format {found}, this version reads {READABLE}")


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Complaints of SQLite and of blocks about damage become StoreDamaged, naming the file."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError, blocks.BlockDamaged) as error:
        raise StoreDamaged(path, f"damaged: {error}") from error
    except apsw.CantOpenError as error:
        raise StoreDamaged(path, f"cannot be opened: {error}") from error


def homes(number: int) -> tuple[int, int, int]:
    """Where hot rows of a series are, by its number: oldest rows first."""
    bucket = number % BUCKETS
    return bucket, FIRST_GROUP + bucket // IN_GROUP, RECENT


def buckets_of(group: int) -> slice:
    """The buckets to which the rows of a group go."""
    first = (group - FIRST_GROUP) * IN_GROUP
    return slice(first, first + IN_GROUP)


def places(stored: Stored, home: int) -> tuple[int, int]:
    """First and last possible place of the hot slices of a home."""
    first = _space(stored, home) << _SEQUENCE_BITS
    return first, first + (1 << _SEQUENCE_BITS) - 1


def _space(stored: Stored, home: int) -> int:
    if home < FIRST_GROUP:
        return stored * FIRST_GROUP + home
    return _GROUP_SPACE + stored * GROUPS + home - FIRST_GROUP


def slice_at(place: int) -> tuple[Stored, int, int]:
    """(stored, home, sequence) of the hot slice at a place."""
    space, sequence = divmod(place, 1 << _SEQUENCE_BITS)
    if space < _GROUP_SPACE:
        stored, home = divmod(space, FIRST_GROUP)
    else:
        stored, group = divmod(space - _GROUP_SPACE, GROUPS)
        home = FIRST_GROUP + group
    return Stored(stored), home, sequence
