"""Several threads, one transaction: concurrent appends share a commit and its fsync."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition
from time import monotonic

Records = Sequence[tuple[int, bytes]]

#: A call with this many records has been collected by its caller: it never waits for others.
COLLECTED = 64
#: A commit takes no further calls beyond this many bytes.
GROUP_BYTES = 8 << 20


@dataclass(slots=True, eq=False)
class _Call:
    records: Records
    done: bool = False
    last: int = 0
    error: Exception | None = None


class GroupCommit:
    """Hands the calls of several threads to `write`, in order, as few groups as possible.

    The first caller leads: it writes all calls that wait, while those who come meanwhile form the
    next group. Before it writes it waits up to `linger` seconds, but only for as many callers as
    the last group had; so a lone caller never waits. The queue is bounded by the callers' threads,
    each waits for its own call. When write fails, every call of the group fails with its error.
    write: returns the position of the last record.
    """

    def __init__(self, write: Callable[[Sequence[Records]], int], linger: float) -> None:
        self._write = write
        self._linger = linger
        self._changed = Condition()
        self._waiting = deque[_Call]()
        self._leading = False
        self._last_group = 1

    def append(self, records: Records) -> int:
        """Position of the last of the records, when `write` has taken them; raises what it
        raised."""
        call = _Call(records)
        with self._changed:
            self._waiting.append(call)
            self._changed.notify_all()
        while group := self._turn(call):
            self._lead(group)
        if call.error is not None:
            raise call.error
        return call.last

    def _turn(self, call: _Call) -> Sequence[_Call]:
        """Waits until the call is done (then: nothing) or its caller leads (then: the group)."""
        with self._changed:
            self._changed.wait_for(lambda: call.done or not self._leading)
            if call.done:
                return ()
            self._leading = True
            self._await_others(call)
            return self._take()

    def _await_others(self, call: _Call) -> None:
        if self._linger <= 0 or self._last_group < 2 or len(call.records) >= COLLECTED:
            return
        until = monotonic() + self._linger
        while len(self._waiting) < self._last_group and (left := until - monotonic()) > 0:
            self._changed.wait(left)

    def _take(self) -> list[_Call]:
        group, size = list[_Call](), 0
        while self._waiting and size < GROUP_BYTES:
            call = self._waiting.popleft()
            group.append(call)
            size += sum(len(record) for _, record in call.records)
        return group

    def _lead(self, group: Sequence[_Call]) -> None:
        error: Exception | None = RuntimeError("the append was interrupted")
        last = 0
        try:
            last = self._write([call.records for call in group])
            error = None
        except Exception as failure:  # noqa: BLE001, raised by each caller of the group
            error = failure
        finally:
            with self._changed:
                self._leading = False
                self._last_group = len(group)
                for call in reversed(group):
                    call.done, call.error, call.last = True, error, last
                    last -= len(call.records)
                self._changed.notify_all()
