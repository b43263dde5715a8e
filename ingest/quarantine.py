"""The quarantine: messages that could not be used, durable, with their reasons, replayable.

A SQLite file keyed by the hash of (topic, payload): the same message again raises a count. Bounded
by size and age; the oldest go. Of what goes, or may never be kept, device, reason and number stay
in the sums (table `expired`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import RLock
from typing import Any

import apsw
import msgspec

from ingest.database import open_database, rows
from ingest.observation import Refused
from ingest.payload.decoded import Rejection, shortened
from ingest.settings import QuarantineSettings

#: A larger payload is kept by its beginning, hash and size.
KEPT_WHOLE = 1024 * 1024
KEPT_OF_LARGER = 64 * 1024
#: Rejections of one message that are listed one by one; the rest is summed by reason.
_LISTED = 100
_HASH_BYTES = 16
_OVERHEAD = 200  # bytes of a message besides its payload and its reasons, about
_ITEM_OVERHEAD = 80  # bytes of a reason besides its texts, about

_TABLES = """
CREATE TABLE IF NOT EXISTS message(
    id BLOB PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, size INTEGER NOT NULL,
    device TEXT NOT NULL, received_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    count INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_last ON message(last_at);
CREATE TABLE IF NOT EXISTS item(
    message BLOB NOT NULL, number INTEGER NOT NULL, reason TEXT NOT NULL, path TEXT NOT NULL,
    expected TEXT NOT NULL, got TEXT NOT NULL, signal TEXT NOT NULL, samples INTEGER NOT NULL,
    PRIMARY KEY(message, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS expired(
    device TEXT NOT NULL, reason TEXT NOT NULL, samples INTEGER NOT NULL,
    PRIMARY KEY(device, reason)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO total VALUES ('bytes', 0), ('expired', 0), ('erased', 0), ('unkept', 0);
"""


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message to be put in quarantine; received_at is ns UTC. kept: else it is only counted."""

    topic: str
    payload: bytes
    received_at: int
    device: str
    rejections: Sequence[Rejection]
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages of a device that nobody registered, `count` of them; times are ns UTC."""

    device: str
    topic: str
    since: int
    last_at: int
    count: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in quarantine. whole: the payload is all there, so it can be replayed."""

    id: str
    topic: str
    payload: bytes
    size: int
    received_at: int
    last_at: int
    count: int

    @property
    def whole(self) -> bool:
        return len(self.payload) == self.size


def hash_of(topic: str, payload: bytes) -> bytes:
    """BLAKE2b (16 bytes) of topic and payload."""
    name = topic.encode()
    return blake2b(len(name).to_bytes(4, "big") + name + payload, digest_size=_HASH_BYTES).digest()


class Quarantine:
    """Safe to use from several threads and processes. Raises apsw.Error if the disk does."""

    def __init__(self, path: Path, settings: QuarantineSettings) -> None:
        self.settings = settings
        self._lock = RLock()
        self._connection = open_database(path, "PRAGMA secure_delete=ON;" + _TABLES)

    # --- written ------------------------------------------------------------------------------

    def put(self, messages: Iterable[RefusedMessage], now: int) -> None:
        """Keep the messages; returns when they are on disk. One transaction for all."""
        with self._lock, self._connection:
            for message in messages:
                if message.kept:
                    self._put(message)
                else:
                    self._count(message.device, message.rejections)
            self._expire(now)

    def count_only(self, message_id: str, device: str, rejections: Sequence[Rejection]) -> None:
        """Forget a message that may not be kept any more, but for its reasons' sums."""
        with self._lock, self._connection:
            self._delete(bytes.fromhex(message_id))
            self._count(device, rejections)

    def erase(self, device: str, start: int | None = None, end: int | None = None) -> int:
        """Erase the device's messages received in [start, end) (ns UTC; None: open); returns how
        many. What was refused, and why, stays in the sums: a reason and a number."""
        with self._lock, self._connection:
            found = rows(
                self._connection,
                "SELECT id FROM message WHERE device = ?1 AND (?2 IS NULL OR last_at >= ?2) "
                "AND (?3 IS NULL OR received_at < ?3)",
                (device, start, end),
            )
            for row in found:
                self._let_go(row[0])
            self._add("erased", len(found))
        if found:
            # The pages are overwritten (secure_delete); the log must not keep what they held.
            with self._lock:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return len(found)

    def remove(self, message_id: str) -> bool:
        """Forget a message that is used now; whether it was there."""
        with self._lock, self._connection:
            freed = self._delete(bytes.fromhex(message_id))
        return freed > 0

    def replace(self, message_id: str, rejections: Sequence[Rejection]) -> None:
        """Other reasons for the same message, after a replay."""
        key = bytes.fromhex(message_id)
        with self._lock, self._connection:
            if rows(self._connection, "SELECT 1 FROM message WHERE id = ?", (key,)):
                self._write_items(key, rejections)

    def expire(self, now: int) -> None:
        """Let go of what is older than allowed at `now` (ns UTC)."""
        with self._lock, self._connection:
            unbound = rows(
                self._connection,
                "SELECT id FROM message WHERE last_at < ? AND EXISTS (SELECT 1 FROM item "
                "WHERE item.message = message.id AND item.reason = 'device_unknown')",
                (now - self.settings.max_age_unbound_ns,),
            )
            for row in unbound:
                self._let_go(row[0])
            self._add("expired", len(unbound))
            self._expire(now)

    # --- asked --------------------------------------------------------------------------------

    def summary(self) -> Mapping[str, int]:
        """Refusals by reason, those expired included."""
        total: Counter[str] = Counter()
        for reasons in self.by_device().values():
            total.update(reasons)
        return dict(total)

    def by_device(self) -> Mapping[str, Mapping[str, int]]:
        """Refused samples by device id ("" where the topic names none) and reason.

        A message that came n times counts n times; those expired are included.
        """
        sums: dict[str, Counter[str]] = {}
        for device, reason, samples in self._rows(
            "SELECT device, reason, sum(samples * count) FROM item "
            "JOIN message ON message.id = item.message GROUP BY device, reason "
            "UNION ALL SELECT device, reason, samples FROM expired"
        ):
            sums.setdefault(device, Counter())[reason] += samples
        return {device: dict(reasons) for device, reasons in sums.items()}

    def items(
        self, limit: int, reason: str | None = None, device: str | None = None
    ) -> Sequence[Refused]:
        """The newest first."""
        return self._items(
            "WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR device = ?2) "
            "ORDER BY last_at DESC, id, number LIMIT ?3",
            (reason, device, limit),
        )

    def items_of(self, message_id: str) -> Sequence[Refused]:
        """Why a message is here."""
        return self._items("WHERE id = ? ORDER BY number", (bytes.fromhex(message_id),))

    def find(self, beginning: str) -> Sequence[StoredMessage]:
        """The messages whose id begins so (at most ten)."""
        if not beginning or not set(beginning.lower()) <= set("0123456789abcdef"):
            return []
        found = self._rows(
            "SELECT lower(hex(id)), topic, payload, size, received_at, last_at, count "
            "FROM message WHERE lower(hex(id)) LIKE ? || '%' LIMIT 10"
            if len(beginning) < 2 * _HASH_BYTES
            else "SELECT lower(hex(id)), topic, payload, size, received_at, last_at, count "
            "FROM message WHERE id = unhex(?)",
            (beginning.lower(),),
        )
        return [StoredMessage(*row) for row in found]

    def messages(self, reason: str | None = None, device: str | None = None) -> Sequence[str]:
        """Ids, in order of receipt."""
        found = self._rows(
            "SELECT lower(hex(id)) FROM message WHERE (?1 IS NULL OR EXISTS (SELECT 1 FROM item "
            "WHERE item.message = message.id AND item.reason = ?1)) "
            "AND (?2 IS NULL OR device = ?2) ORDER BY received_at, id",
            (reason, device),
        )
        return [row[0] for row in found]

    def waiting(self) -> Sequence[Waiting]:
        """Devices that sent what could be used and that nobody registered, by name."""
        found = self._rows(
            "SELECT device, topic, min(received_at), max(last_at), sum(count) FROM message "
            "WHERE id IN (SELECT message FROM item WHERE reason = 'device_unknown') "
            "GROUP BY device ORDER BY device"
        )
        return [Waiting(*row) for row in found]

    def totals(self) -> Mapping[str, int]:
        """Messages that are not kept any more: `expired` by size or age, `erased` on request, and
        `unkept`: never kept, for want of a basis or of anything in them."""
        with self._lock:
            return {name: self._total(name) for name in ("expired", "erased", "unkept")}

    def devices_with(self, reason: str) -> Set[str]:
        """Devices of which a message is here for this reason."""
        found = self._rows(
            "SELECT DISTINCT device FROM item JOIN message ON message.id = item.message "
            "WHERE reason = ?",
            (reason,),
        )
        return {row[0] for row in found}

    def expired(self) -> int:
        """How many messages went because of size or age."""
        with self._lock:
            return self._total("expired")

    def fill(self) -> tuple[int, int]:
        """(bytes kept, bytes allowed)."""
        with self._lock:
            return self._total("bytes"), self.settings.max_bytes

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # --- in a transaction ---------------------------------------------------------------------

    def _put(self, message: RefusedMessage) -> None:
        key, size = hash_of(message.topic, message.payload), len(message.payload)
        again = rows(
            self._connection,
            "UPDATE message SET count = count + 1, last_at = max(last_at, ?) WHERE id = ? "
            "RETURNING 1",
            (message.received_at, key),
        )
        if not again:
            kept = message.payload if size <= KEPT_WHOLE else message.payload[:KEPT_OF_LARGER]
            at = message.received_at
            self._connection.execute(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                (key, message.topic, kept, size, message.device, at, at),
            )
            self._add("bytes", len(kept) + _OVERHEAD)
        self._write_items(key, message.rejections)

    def _write_items(self, key: bytes, rejections: Sequence[Rejection]) -> None:
        items = [
            (key, n, str(r.reason), r.path, r.expected, r.got, shortened(r.signal), r.samples)
            for n, r in enumerate(_listed(rejections))
        ]
        freed = self._delete_items(key)
        self._connection.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?)", items)
        self._add("bytes", sum(_item_bytes(*item[2:7]) for item in items) - freed)

    def _delete_items(self, key: bytes) -> int:
        """Bytes that this frees."""
        return sum(
            _item_bytes(*texts)
            for texts in rows(
                self._connection,
                "DELETE FROM item WHERE message = ? RETURNING reason, path, expected, got, signal",
                (key,),
            )
        )

    def _expire(self, now: int) -> None:
        kept, allowed = self._total("bytes"), self.settings.max_bytes
        while oldest := rows(
            self._connection, "SELECT id, last_at FROM message ORDER BY last_at LIMIT 1"
        ):
            key, last_at = oldest[0]
            if kept <= allowed and now - last_at <= self.settings.max_age_ns:
                break
            kept -= self._let_go(key)
            self._add("expired", 1)

    def _let_go(self, key: bytes) -> int:
        """Delete a message, its reasons going into the sums; bytes that this frees."""
        self._connection.execute(
            "INSERT INTO expired SELECT device, reason, sum(samples * count) FROM item "
            "JOIN message ON message.id = item.message WHERE message.id = ? "
            "GROUP BY device, reason "
            "ON CONFLICT(device, reason) DO UPDATE SET samples = samples + excluded.samples",
            (key,),
        )
        return self._delete(key)

    def _count(self, device: str, rejections: Sequence[Rejection]) -> None:
        """Into the sums, with nothing else of the message."""
        for each in rejections:
            self._connection.execute(
                "INSERT INTO expired VALUES (?, ?, ?) "
                "ON CONFLICT(device, reason) DO UPDATE SET samples = samples + excluded.samples",
                (device, each.reason, each.samples),
            )
        self._add("unkept", 1)

    def _delete(self, key: bytes) -> int:
        """Bytes that this frees; 0 if the message is not there."""
        freed: int = sum(
            row[0] + _OVERHEAD
            for row in rows(
                self._connection,
                "DELETE FROM message WHERE id = ? RETURNING length(payload)",
                (key,),
            )
        )
        freed += self._delete_items(key)
        self._add("bytes", -freed)
        return freed

    def _rows(self, query: str, bindings: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return rows(self._connection, query, bindings)

    def _items(self, which: str, bindings: Sequence[object]) -> Sequence[Refused]:
        found = self._rows(
            "SELECT lower(hex(id)), reason, path, expected, got, device, last_at, size, count "
            f"FROM message JOIN item ON item.message = message.id {which}",
            bindings,
        )
        return [Refused(*row) for row in found]

    def _total(self, name: str) -> int:
        return int(rows(self._connection, "SELECT value FROM total WHERE name = ?", (name,))[0][0])

    def _add(self, name: str, amount: int) -> None:
        self._connection.execute(
            "UPDATE total SET value = value + ? WHERE name = ?", (amount, name)
        )


def _item_bytes(*texts: str) -> int:
    """Of a reason on disk, about: a message of many faults may have more of these than payload."""
    return _ITEM_OVERHEAD + sum(map(len, texts))


def _listed(rejections: Sequence[Rejection]) -> Sequence[Rejection]:
    if len(rejections) <= _LISTED:
        return rejections
    first: dict[str, Rejection] = {}
    samples: Counter[str] = Counter()
    for each in rejections[_LISTED:]:
        first.setdefault(each.reason, each)
        samples[each.reason] += each.samples
    rest = (msgspec.structs.replace(r, samples=samples[reason]) for reason, r in first.items())
    return [*rejections[:_LISTED], *rest]
