"""Which records of the journal are traced, and how their spans hang together.

A trace follows one record of `observations`, each whose position is a multiple of `every`, through
whatever processes it passes (`STAGES`). Nothing travels with the record: trace and spans are named
by a hash of its position and of a secret of the data folder, so that every process names them
alike, and one that steps a record again after a kill tells the same span again. A span holds
positions, counts and times: nothing of a message, of a device or of a person.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ingest.journal.protocol import Journal

#: Stage → the stage whose span its own hangs on, "" for none; in the order of the flow. Of several
#: stores each has a name behind a dot.
STAGES = {
    "receive": "",
    "decide": "receive",
    "journal": "decide",
    "step": "journal",
    "commit": "step",
    "store": "commit",
    "feed": "commit",
}
#: So many looks of a follower are kept while its reader is behind; later ones are left out.
_LOOKS = 1_000
_SECRET_BYTES = 16


class TracingMissing(Exception):
    """Tracing is configured, and OpenTelemetry not installed."""

    def __init__(self) -> None:
        super().__init__(
            "tracing.endpoint: OpenTelemetry is missing: pip install 'wearable-twin[otel]'"
        )


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of one trace. began, ended: ns UTC; parent: id of a span, 0 for none; numbers:
    positions and counts."""

    stage: str
    trace: int
    id: int
    parent: int
    began: int
    ended: int
    numbers: Mapping[str, int]


class Tracer:
    """Tells the spans of sampled records; from any thread. `tell` must not block nor raise."""

    def __init__(
        self,
        every: int,
        secret: bytes,
        tell: Callable[[Span], None],
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._every, self._secret, self._tell = every, secret, tell
        #: ns UTC.
        self.now = now

    def sampled(self, after: int, up_to: int) -> range:
        """Positions of `observations` in (after, up_to] that are traced."""
        return range((after // self._every + 1) * self._every, up_to + 1, self._every)

    def span(
        self, stage: str, positions: range, began: int, ended: int = 0, **numbers: int
    ) -> None:
        """Tell this stage's span of each of the sampled positions. ended: 0 is now."""
        ended = ended or self.now()
        for position in positions:
            trace = self._id(position, "", 16)
            above = STAGES[stage.partition(".")[0]]
            parent = self._id(position, above, 8) if above else 0
            told = {"position": position, **numbers}
            began = min(began, ended)  # the wall clock may have been set meanwhile
            self._tell(Span(stage, trace, self._id(position, stage, 8), parent, began, ended, told))

    def _id(self, position: int, stage: str, size: int) -> int:
        named = blake2b(f"{position} {stage}".encode(), digest_size=size, key=self._secret)
        return int.from_bytes(named.digest(), "big") or 1


class Follower:
    """Says of a reader of `estimates` which sampled observations have reached it.

    What was committed when it looked lies at or before the journal's end of that moment: once it
    has read up to there, it has all that was made of those observations. So a span may be one turn
    of the reader late, and is never early. For one thread.
    """

    def __init__(self, tracer: Tracer, journal: Journal, stage: str) -> None:
        self._tracer, self._journal, self._stage = tracer, journal, stage
        self._reached = self._committed()
        self._looks = deque[tuple[int, int, int]]()

    def now(self) -> int:
        """ns UTC."""
        return self._tracer.now()

    def look(self) -> None:
        """Before the reader reads."""
        committed = self._committed()
        newest = self._looks[-1][0] if self._looks else self._reached
        if committed > newest and len(self._looks) < _LOOKS:
            end = self._journal.end("estimates")  # asked after what was committed
            self._looks.append((committed, end, self.now()))

    def reached(self, position: int, began: int = 0, **numbers: int) -> None:
        """After the reader did its work up to a position of `estimates`, which began at `began` (0:
        when it looked)."""
        while self._looks and self._looks[0][1] <= position:
            before, (self._reached, _, at) = self._reached, self._looks.popleft()
            sampled = self._tracer.sampled(before, self._reached)
            self._tracer.span(self._stage, sampled, began or at, up_to=position, **numbers)

    def _committed(self) -> int:
        return min(self._journal.committed().values(), default=0)


def secret_of(file: Path) -> bytes:
    """What names the traces of this installation; made by the first process that asks. Raises
    OSError."""
    while True:
        with suppress(FileNotFoundError):
            return file.read_bytes()
        draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        try:
            draft.write_bytes(secrets.token_bytes(_SECRET_BYTES))
            with suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink(missing_ok=True)
