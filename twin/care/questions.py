"""Questions that only the twin's own machinery answers, which pages do not load: a door to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Unanswerable(Exception):
    """It cannot be asked so: where, and what was expected."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A history or a scenario of one signal, oldest first: time in ns UTC, the others by name in
    its unit, all of one length."""

    time: Sequence[int]
    numbers: Mapping[str, Sequence[float]]


class Questions(Protocol):
    """Both may take seconds, and change nothing. Raise Unanswerable."""

    def scenario(self, patient: str, asked: bytes) -> Mapping[str, Columns]:
        """Signal → what would be (mean, std, lo50 … hi95, known_std). asked: JSON."""

    def smoothed(self, patient: str, signal: str, start: int, end: int) -> Columns:
        """[start, end) ns UTC as it looks afterwards (mean, std, lo50, hi50, lo95, hi95) and as it
        was filtered (filtered_mean, filtered_std)."""


class NoQuestions:
    """Of a process that has neither snapshots nor a record."""

    def scenario(self, patient: str, asked: bytes) -> Mapping[str, Columns]:
        raise Unanswerable("this process has no snapshots of the twin")

    def smoothed(self, patient: str, signal: str, start: int, end: int) -> Columns:
        raise Unanswerable("this process has no record")
