"""How the process's allocator treats memory that was freed, and when cycles are looked for."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# https://man7.org/linux/man-pages/man3/mallopt.3.html
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT, _ALONE = 32 << 20, 4 << 20


def keep_freed_memory() -> bool:
    """Let glibc keep up to 32 MB of freed memory at each heap's end; whether this C library can.

    Every batch needs some hundred kB of arrays for a moment. Given back to the system after each
    and asked for anew, these were a seventh of what storing a row cost: the kernel clears each
    page. Only blocks of 4 MB and more are given back at once.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT)) and bool(mallopt(_MMAP_THRESHOLD, _ALONE))


@contextmanager
def collector_held() -> Iterator[None]:
    """No cycles are looked for, until somebody asks for it again: while a process starts.

    What it imports and restores stays. Each full collection looked at all of it again, which was a
    tenth of the CPU of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
