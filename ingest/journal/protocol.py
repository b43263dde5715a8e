"""What every journal offers, and nothing more. tests/conformance holds its suite.

Two topics: `observations` (the worker's only input) and `estimates` (its only output). Shaped so
that a distributed engine (consumer groups, transactions) fits under it without a change above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, NamedTuple, Protocol

Topic = Literal["observations", "estimates"]

#: Partition of a record that concerns all partitions (a tick, a command to all).
ALL_PARTITIONS = -1


def partition_of(patient: str, partitions: int) -> int:
    """BLAKE2b (8 bytes, big endian) of the UTF-8 patient id, modulo the number of partitions."""
    return int.from_bytes(blake2b(patient.encode(), digest_size=8).digest(), "big") % partitions


@dataclass(frozen=True, slots=True)
class Entry:
    """One record at its place. Positions grow within a partition and are never given twice."""

    partition: int
    position: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Assignment:
    """A partition given to a worker: entries with position > `position` are not yet committed.

    snapshot: name of the newest snapshot that was committed for it, or None.
    """

    partition: int
    position: int
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What one commit does to one partition.

    position: the last input position that the outputs include; outputs: records for the estimates
    topic, in order; snapshot: a name to remember with it, or None to leave the newest as it is;
    snapshot_position: the last input position inside that snapshot, where it is older than
    `position` (it was written in the background meanwhile), or None where it is `position`.
    """

    position: int
    outputs: Sequence[bytes] = ()
    snapshot: str | None = None
    snapshot_position: int | None = None


class KeptSnapshot(NamedTuple):
    """A snapshot that a commit named, and the last input position that it includes."""

    name: str
    position: int


class JournalFull(Exception):
    """The configured size is reached (pages in use). Nothing was appended."""


class JournalDamaged(Exception):
    """Records were lost or are unreadable: `positions` (first, last) says which, `why` how."""

    def __init__(self, positions: tuple[int, int], why: str, topic: Topic = "observations") -> None:
        super().__init__(f"{topic}, positions {positions[0]}–{positions[1]}: {why}")
        self.positions = positions
        self.why = why
        self.topic = topic


class PartitionsDiffer(ValueError):
    """The journal was made with another number of partitions than it is opened with."""


class PartitionLost(Exception):
    """This worker no longer owns a partition: drop all of its state, join again."""


class AlreadyOwned(Exception):
    """Another worker, or another ingest process, holds the embedded journal."""


class Listener(Protocol):
    """Told by `Worker.read` which partitions come and go."""

    def assigned(self, partitions: Sequence[Assignment]) -> None: ...
    def revoked(self, partitions: Sequence[int]) -> None: ...


class Worker(Protocol):
    """Membership in the group that turns observations into estimates."""

    def seek(self, partition: int, position: int) -> None:
        """Read this partition from the entry after `position` (its snapshot's) on."""

    def read(self, max_records: int, timeout: float) -> Sequence[Entry]:
        """Up to max_records next entries of the assigned partitions; [] after timeout seconds.

        Calls the listener first when assignments changed. An entry for ALL_PARTITIONS comes once,
        as soon as one partition has it still to read: where snapshots lie at different positions,
        it is not for the partitions whose position (told or sought) is its own or beyond it.
        """

    def commit(self, progress: Mapping[int, Progress]) -> None:
        """One atomic, durable act over all partitions given.

        Raises PartitionLost, JournalFull (estimates wait for their readers: nothing is committed,
        try again), ValueError where a position is lower than the committed one.
        """

    def snapshots(self, partition: int) -> Sequence[KeptSnapshot]:
        """The two newest committed snapshots of the partition (or fewer), newest first."""

    def close(self) -> None: ...


class Reader(Protocol):
    """Reads a topic from a position that the reader itself keeps. No effect on anybody else."""

    def read(self, max_records: int, timeout: float) -> Sequence[Entry]: ...
    @property
    def position(self) -> int: ...
    def close(self) -> None: ...


class Journal(Protocol):
    """A journal opened by one process; safe to use from several threads."""

    @property
    def partitions(self) -> int: ...

    @property
    def damage(self) -> Sequence[JournalDamaged]:
        """Ranges of positions known to be lost, until they are trimmed: each is an alarm."""

    def append(self, topic: Topic, records: Sequence[tuple[int, bytes]]) -> int:
        """Append (partition, record) pairs in order; returns only when all are durable, then the
        position of the last of them (0 without any); the others have those before it.

        Concurrent callers share a commit. Raises JournalFull; then none of them is in.
        """

    def join(self, listener: Listener) -> Worker:
        """Become the worker of this journal's group. Raises AlreadyOwned."""

    def reader(self, topic: Topic, position: int) -> Reader:
        """Reader of the entries after `position` (0 = from the oldest kept)."""

    def end(self, topic: Topic) -> int:
        """Position of the last entry, 0 if there never was one."""

    def oldest(self, topic: Topic) -> int:
        """Position of the oldest entry kept; `end` + 1 if none is."""

    def committed(self) -> Mapping[int, int]:
        """Input position committed by the worker, for each partition (0 = none yet)."""

    def snapshots(self, partition: int) -> Sequence[KeptSnapshot]:
        """As `Worker.snapshots`, for those who trim."""

    def position_before(self, topic: Topic, instant: int) -> int:
        """Position of the newest entry appended before instant (ns UTC); 0 if none is kept."""

    def trim(self, topic: Topic, up_to: int) -> int:
        """Forget entries with position ≤ up_to; returns how many.

        The caller knows who still reads.
        """

    def fill(self, topic: Topic) -> tuple[int, int]:
        """(bytes in use, bytes allowed) of the topic."""

    def close(self) -> None: ...
