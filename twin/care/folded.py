"""A lock behind which everything that was read is folded."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Folded:
    """`lock`, with `fold` called by whoever gets it: reading and folding may be apart, and nobody
    who looks sees that they are. Blocks while another holds it; what `fold` raises is raised."""

    def __init__(self, lock: threading.Lock, fold: Callable[[], None]) -> None:
        self._lock, self._fold = lock, fold

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._fold()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *raised: object) -> None:
        self._lock.release()
