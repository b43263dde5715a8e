"""The pipeline's clock: wall time, or in the demo a faster one that never goes back."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Clock:
    """`now()` in ns UTC, running `speed` times as fast as the wall clock since it was made.

    file: where `save` keeps the time, so that a demo goes on from where a faster one was: its time
    is then ahead of the wall clock, and stays so. Otherwise, at speed 1, the wall clock is asked.
    """

    speed: float = 1.0
    file: Path | None = None
    _wall: int = field(init=False)
    _start: int = field(init=False)

    def __post_init__(self) -> None:
        self._wall = self._start = time.time_ns()
        if self.file is not None and self.file.exists():
            self._start = max(self._start, int(self.file.read_text("ascii") or 0))

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""
        wall = time.time_ns()
        if self._is_wall:
            return wall
        return self._start + int((wall - self._wall) * self.speed)

    @property
    def _is_wall(self) -> bool:
        return self.speed == 1.0 and self._start == self._wall

    def save(self) -> None:
        """Remember the time, atomically; nothing to do while it is the wall clock's."""
        if self.file is not None and not self._is_wall:
            draft = self.file.with_suffix(".draft")
            draft.write_text(str(self.now()), "ascii")
            os.replace(draft, self.file)
