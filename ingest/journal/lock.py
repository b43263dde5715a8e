"""Locks between processes: `flock`, which ends with its owner, whatever kills it."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from threading import Lock
from types import TracebackType
from zlib import crc32

from ingest.closing import Closing

_MARK = struct.Struct("<qI")


class WriteLock:
    """Who writes, checkpoints or trims one database file holds this from BEGIN to COMMIT.

    SQLite's own busy wait sleeps and retries: with four writers its worst append took 934 ms,
    under a flock 34 ms. Excludes threads as well as processes. Not re-entrant.

    The lock's file also holds a mark: the last position that was committed. It is written without
    fsync, so it outlives killed processes but perhaps not a power cut; it shows a tail that the
    database lost, and a mark that cannot be read is no mark.
    """

    def __init__(self, path: Path) -> None:
        self._threads = Lock()
        self._file = _opened(path)

    def __enter__(self) -> WriteLock:
        self._threads.acquire()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()

    def mark(self, position: int) -> None:
        """Remember the last committed position, unless a higher one is known: then the database
        lost its tail and was not yet told. Called with the lock held."""
        if position <= self.marked():
            return
        body = position.to_bytes(8, "little", signed=True)
        os.pwrite(self._file, _MARK.pack(position, crc32(body)), 0)

    def marked(self) -> int:
        """The position of the last mark, 0 if there is none."""
        raw = os.pread(self._file, _MARK.size, 0)
        if len(raw) < _MARK.size:
            return 0
        position, crc = _MARK.unpack(raw)
        return int(position) if crc == crc32(raw[:8]) else 0

    def close(self) -> None:
        os.close(self._file)


class _LockFile(Closing):
    """An open file; what is locked of it ends when it is closed."""

    def __init__(self, path: Path) -> None:
        self._file = _opened(path)

    def close(self) -> None:
        os.close(self._file)


class Presence(_LockFile):
    """Shared by all who have the journal open; held alone while its files are examined."""

    def alone(self) -> bool:
        """True: nobody else has the journal open, and all who come wait until `share`."""
        return _try_exclusive(self._file)

    def share(self) -> None:
        """Let others in. Waits while somebody else examines the files."""
        fcntl.flock(self._file, fcntl.LOCK_SH)


class Ownership(_LockFile):
    """Held for its life by the one worker, or by the one ingest process."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if not _try_exclusive(self._file):
            self.close()
            raise BlockingIOError(f"{path.name} is held")


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_exclusive(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
