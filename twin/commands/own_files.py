"""What is made in a data folder holds health data: it is for the user alone who makes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOR_ITS_USER = 0o077


@contextmanager
def own_files() -> Iterator[None]:
    """Files are made 0600 and folders 0700 meanwhile, by every thread and child of this process.

    What is there already keeps its mode: who shares a folder on purpose goes on doing so.
    """
    before = os.umask(_FOR_ITS_USER)
    try:
        yield
    finally:
        os.umask(before)


def seen_by_others(folder: Path) -> str:
    """What to say of a folder that users outside of its group may enter or read; else "".

    What was made in it by releases before is 0644: all of them can read it.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:  # not made yet, or said by whoever opens it
        return ""
    if not mode & stat.S_IRWXO:
        return ""
    whom = "every user of this machine may look into it"
    return f"{folder}: mode {mode:04o}, {whom} (chmod -R go= ends it)"
