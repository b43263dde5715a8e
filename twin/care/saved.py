"""The fold on disk, so that a restart shows at once what was shown before."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ingest.observation import RecordDamaged
from twin.care.latest import Latest

_log = logging.getLogger(__name__)


def load_fold(path: Path) -> Latest:
    """The saved fold; an empty one where there is none, or none that this build can read."""
    if not path.exists():
        return Latest()
    try:
        return Latest.load(path.read_bytes())
    except RecordDamaged as damage:
        _log.warning("saved fold unreadable (%s): folding the journal anew", damage.why)
        return Latest()


def save_fold(path: Path, dumped: bytes) -> None:
    """Replace the saved fold, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.write(dumped)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
