"""The pipeline's clock: wall time, or in the demo a faster one that never goes back."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Clock:
    """`now()` in ns UTC, running `speed` times as fast as the wall clock since it was made.

    file: where `save` keeps the time, so that a faster demo goes on from where it was. At speed 1
    the wall clock is simply asked.
    """

    speed: float = 1.0
    file: Path | None = None
    _wall: int = field(init=False)
    _start: int = field(init=False)

    def __post_init__(self) -> None:
        self._wall = self._start = time.time_ns()
        if self.speed != 1.0 and self.file is not None and self.file.exists():
            self._start = max(self._start, int(self.file.read_text("ascii") or 0))

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""
        wall = time.time_ns()
        if self.speed == 1.0:
            return wall
        return self._start + int((wall - self._wall) * self.speed)

    def save(self) -> None:
        """Remember the time, atomically; nothing to do at speed 1."""
        if self.speed != 1.0 and self.file is not None:
            draft = self.file.with_suffix(".draft")
            draft.write_text(str(self.now()), "ascii")
            os.replace(draft, self.file)
