"""Seconds as promises mean them: those in which this machine had a processor and a disk to spare.

A promise of seconds (a lost link is seen in 6) is one of a machine that can work when there is
work. On one that others keep busy every step waits for its turn, and a test that counts those
seconds measures the neighbours. Linux says for how long something waited: `/proc/pressure`
(https://docs.kernel.org/accounting/psi.html).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_PRESSURE = Path("/proc/pressure")


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._begun, self._waited_before = time.monotonic(), _waited()

    @property
    def seconds(self) -> float:
        """All that passed."""
        return time.monotonic() - self._begun

    @property
    def unhindered(self) -> float:
        """Those in which nothing on this machine waited for a processor or a disk. Where the
        system does not say: all while its load is within its processors, else none."""
        if self._waited_before is None:
            return self.seconds if os.getloadavg()[0] <= (os.cpu_count() or 1) else 0.0
        return max(0.0, self.seconds - ((_waited() or 0.0) - self._waited_before))

    @property
    def hindered(self) -> float:
        """The others."""
        return self.seconds - self.unhindered


def _waited() -> float | None:
    """Seconds since the machine's start in which something waited; None where it does not say."""
    try:
        said = [(_PRESSURE / part).read_text("ascii") for part in ("cpu", "io")]
    except OSError:
        return None
    return sum(int(each.splitlines()[0].rpartition("total=")[2]) for each in said) / 1e6
