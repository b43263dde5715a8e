"""What Sparkplug's births declared, durable: the tables by which later data is understood.

Each device's births are kept with the time of their receipt, the newest sixteen that differ. So a
message that is decided again later is read by the table that was in force when it came; or, where
none was or it did not know an alias, by the next one: the birth that its quarantine waits for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ingest.database import open_database, rows
from ingest.payload.sparkplug_births import NO_TABLE, Metric, Table, table_of

_TABLES = """
CREATE TABLE IF NOT EXISTS birth(
    device TEXT NOT NULL, at INTEGER NOT NULL, session INTEGER NOT NULL, metrics BLOB NOT NULL,
    PRIMARY KEY(device, at)) WITHOUT ROWID;
"""
_KEPT = 16
_CACHED = 1 << 16

_metrics = msgspec.msgpack.Decoder(tuple[Metric, ...])
_encode = msgspec.msgpack.Encoder().encode


class _Birth(NamedTuple):
    """at: ns UTC of its receipt. No metrics: a death."""

    at: int
    session: int
    metrics: tuple[Metric, ...]
    table: Table


class Births:
    """A table of the registry's file. What is staged holds at once, and is durable on `commit`.

    For one thread at a time. Raises apsw.Error if the disk does.
    """

    def __init__(self, path: Path) -> None:
        self._connection = open_database(path, _TABLES)
        self._version = -1
        self._known: dict[str, list[_Birth]] = {}
        self._staged: list[tuple[str, _Birth]] = []

    def refresh(self) -> None:
        """Take in what other processes changed."""
        version = self._connection.pragma("data_version")
        if version != self._version or len(self._known) > _CACHED:
            self._known.clear()
            self._version = version

    # --- asked --------------------------------------------------------------------------------

    def table(self, device: str, at: int) -> Table:
        """The table in force at a time, or else the next; empty where there is neither."""
        births = self._of(device)
        place = bisect_right(births, at, key=_received)
        if place and births[place - 1].metrics:
            return births[place - 1].table
        return self.next_table(device, at) or NO_TABLE

    def next_table(self, device: str, at: int) -> Table | None:
        """That of the first birth after a time."""
        births = self._of(device)
        later = births[bisect_right(births, at, key=_received) :]
        return next((birth.table for birth in later if birth.metrics), None)

    def session(self, device: str) -> int:
        """bdSeq of the newest birth of an edge node; −1 if unknown, or if it died."""
        births = self._of(device)
        return births[-1].session if births and births[-1].metrics else -1

    def devices_of(self, node: str) -> Sequence[str]:
        """The devices of an edge node that were ever born."""
        found = rows(
            self._connection,
            "SELECT DISTINCT device FROM birth WHERE device >= ? AND device < ?",
            (f"{node}/", f"{node}0"),  # 0 follows / in ASCII
        )
        staged = (device for device, _ in self._staged if device.startswith(f"{node}/"))
        return list(dict.fromkeys([*(row[0] for row in found), *staged]))

    # --- changed ------------------------------------------------------------------------------

    def born(self, device: str, at: int, session: int, metrics: Sequence[Metric]) -> None:
        """Stage the birth of a device, or of an edge node: then its devices are not born yet."""
        self._stage(device, at, session, tuple(metrics))
        if device.count("/") == 1:
            for each in self.devices_of(device):
                self._stage(each, at, -1, ())

    def died(self, device: str, at: int, session: int = -1) -> Sequence[str]:
        """Stage the death of a device, or of an edge node with its devices; returns who died.

        The late death of an earlier session (by its bdSeq) is none.
        """
        known = self.session(device)
        if session >= 0 and known >= 0 and session != known:
            return ()
        dead = [device, *(self.devices_of(device) if device.count("/") == 1 else ())]
        for each in dead:
            self._stage(each, at, -1, ())
        return dead

    def commit(self) -> None:
        """What is staged is on disk when this returns; if it raises, it is forgotten."""
        if not self._staged:
            return
        staged, self._staged = self._staged, []
        try:
            with self._connection:
                for device, birth in staged:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO birth VALUES (?, ?, ?, ?)",
                        (device, birth.at, birth.session, _encode(birth.metrics)),
                    )
                for device in {device for device, _ in staged}:
                    self._connection.execute(
                        "DELETE FROM birth WHERE device = ?1 AND at NOT IN "
                        "(SELECT at FROM birth WHERE device = ?1 ORDER BY at DESC LIMIT ?2)",
                        (device, _KEPT),
                    )
        finally:
            for device, _ in staged:
                self._known.pop(device, None)

    def discard(self) -> None:
        """Forget what is staged."""
        for device, _ in self._staged:
            self._known.pop(device, None)
        self._staged.clear()

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------------------------------

    def _of(self, device: str) -> list[_Birth]:
        known = self._known.get(device)
        if known is None:
            found = rows(
                self._connection,
                "SELECT at, session, metrics FROM birth WHERE device = ? ORDER BY at",
                (device,),
            )
            known = [_made(at, session, _metrics.decode(blob)) for at, session, blob in found]
            self._known[device] = known
        return known

    def _stage(self, device: str, at: int, session: int, metrics: tuple[Metric, ...]) -> None:
        births = self._of(device)
        place = bisect_right(births, at, key=_received)
        before = births[place - 1] if place else None
        if before is None and not metrics:
            return
        if before is not None and (before.session, before.metrics) == (session, metrics):
            return
        birth = _made(at, session, metrics)
        births.insert(place, birth)
        self._staged.append((device, birth))


def _made(at: int, session: int, metrics: tuple[Metric, ...]) -> _Birth:
    return _Birth(at, session, metrics, table_of(metrics) if metrics else NO_TABLE)


def _received(birth: _Birth) -> int:
    return birth.at
