"""Disk space held back so that commit and trim still work when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from shutil import disk_usage


class Reserve:
    """A file of `size` bytes that means nothing; deleting it gives its space to the journal."""

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / "reserve"
        self._size = size

    def hold(self) -> bool:
        """True if the space is held. Takes it where it is not and the disk has room for it twice
        (so that what was just freed is not taken by the next append)."""
        if self._size == 0 or os.path.exists(self._path):
            return True
        if disk_usage(self._path.parent).free < 2 * self._size:
            return False
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            os.close(descriptor)
        return self._path.exists()

    def release(self) -> bool:
        """Free the space; True if there was any to free."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True
