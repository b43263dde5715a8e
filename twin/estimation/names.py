"""Strings ↔ small numbers, in order of first sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

_FEW = 256


@dataclass(slots=True)
class Names:
    """A name's number never changes while the process lives."""

    text: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.text)

    def number(self, name: str) -> int:
        """The name's number; a new name gets the next one."""
        found = self.numbers.get(name)
        if found is None:
            found = self.numbers[name] = len(self.text)
            self.text.append(name)
        return found

    def numbers_of(self, names: Sequence[str]) -> list[int]:
        """The numbers of these names; new ones get the next ones, in order."""
        if row := self._in_a_row(names):
            return list(row)
        found = list(map(self.numbers.get, names))
        if None in found:
            missing = (name for name, n in zip(names, found, strict=True) if n is None)
            new = list(dict.fromkeys(missing))
            self.numbers.update(
                zip(new, range(len(self.text), len(self.text) + len(new)), strict=True)
            )
            self.text += new
            found = list(map(self.numbers.get, names))
        return cast(list[int], found)

    def _in_a_row(self, names: Sequence[str]) -> range:
        """The numbers of names that came in this order when they were new; else an empty range.

        A snapshot says the same patients once for each part: to compare them in the order of memory
        costs a tenth of looking each up.
        """
        first = self.numbers.get(names[0]) if len(names) > _FEW else None
        if first is None or self.text[first : first + len(names)] != list(names):
            return range(0)
        return range(first, first + len(names))

    def table(self, numbers: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """(distinct names in order of number, index of each element into them)."""
        if len(numbers) > _FEW:
            distinct, index = np.unique(numbers, return_inverse=True)
            return tuple(self.text[n] for n in distinct), index
        given = numbers.tolist()  # a live step has a few rows: a dict is ten times as fast
        places = {n: place for place, n in enumerate(sorted(set(given)))}
        return tuple(self.text[n] for n in places), np.array([places[n] for n in given], np.int64)
