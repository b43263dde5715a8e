"""Patients' journals: what people entered, in the order in which the twin took it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from twin.judgement import Entered

#: Of one patient so many are kept for pages, the oldest let go first; the journal has them all.
MOST = 200


@dataclass(slots=True)
class Notebook:
    """Not safe for several threads; its owner locks."""

    _entries: dict[str, deque[Entered]] = field(default_factory=dict)

    def fold(self, entries: Iterable[Entered]) -> None:
        """Take in entries, in their order."""
        for entry in entries:
            self._entries.setdefault(entry.patient, deque(maxlen=MOST)).append(entry)

    def of(self, patient: str) -> list[Entered]:
        """A patient's, newest first."""
        return list(reversed(self._entries.get(patient, ())))

    def state(self) -> list[Entered]:
        """All of them, for `fold` of another one."""
        return [entry for own in self._entries.values() for entry in own]
