"""One act at a time on a thread of its own, beside what its owner does meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread


@dataclass(slots=True)
class Beside:
    """At most one act is under way. For one owner's thread. Acts do not outlive the process."""

    name: str
    _thread: Thread | None = None
    _error: BaseException | None = None

    def begin(self, act: Callable[[], None]) -> None:
        """Start an act. The one before must have been settled."""
        if self._thread is not None:
            raise RuntimeError(f"{self.name}: the act before is not settled")
        self._thread = Thread(target=self._run, args=(act,), name=self.name, daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Wait until the act is over, if there is one. Raises what it raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            error, self._error = self._error, None
            if error is not None:
                raise error

    def close(self) -> None:
        """Wait until the act is over; what it raised, nobody asked for."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001, raised by settle
            self._error = error
