"""The place of each device on each patient, found for thousands of pairs at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin.care import told_kernel

_NONE = -1


def numbered(names: Sequence[str], index: dict[str, int]) -> NDArray[np.int64]:
    """The number of each name, (n,); index: name → number, which new ones are added to."""
    found = list(map(index.get, names))
    if None in found:
        found = [index.setdefault(name, len(index)) for name in names]
    return np.array(found, np.int64)


class Places:
    """Places count from 0 in order of first appearance; a pair keeps its place.

    A patient's places are a chain: `_first` of the patient, then `_next` of each place.
    """

    def __init__(self) -> None:
        #: (device, patient) → place.
        self.index: dict[tuple[str, str], int] = {}
        self._patients: dict[str, int] = {}
        self._devices: dict[str, int] = {}
        self._first = np.zeros(0, np.int64)
        self._next = np.zeros(0, np.int64)
        self._device = np.zeros(0, np.int64)

    @classmethod
    def of_keys(cls, keys: Iterable[tuple[str, str]]) -> Self:
        """Pairs by their place, each once."""
        made = cls()
        for device, patient in keys:
            made.add(device, patient)
        return made

    def __len__(self) -> int:
        return len(self.index)

    def add(self, device: str, patient: str) -> int:
        """The place of a pair, which is new or not."""
        place = self.index.get((device, patient))
        if place is not None:
            return place
        place = self.index[device, patient] = len(self.index)
        d = self._devices.setdefault(device, len(self._devices))
        p = self._patients.setdefault(patient, len(self._patients))
        self._grow()
        self._device[place], self._next[place], self._first[p] = d, self._first[p], place
        return place

    def of(
        self, devices: Sequence[str], patients: Sequence[str], pairs: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The place of each device · patients + patient, numbers in these tables, (n,); new pairs
        get one. Raises IndexError for a number that is not in them."""
        of = numbered(devices, self._devices), numbered(patients, self._patients)
        places = np.empty(len(pairs), np.int64)
        self._grow()
        if not told_kernel.find(pairs, *of, self._first, self._next, self._device, places):
            return places
        unknown = np.flatnonzero(places == _NONE)
        used, inverse = np.unique(pairs[unknown], return_inverse=True)
        device, patient = np.divmod(used, max(1, len(patients)))
        made = [
            self.add(devices[d], patients[p])
            for d, p in zip(device.tolist(), patient.tolist(), strict=True)
        ]
        places[unknown] = np.array(made, np.int64)[inverse]
        return places

    def _grow(self) -> None:
        """Make room for all patients and places."""
        self._first = _longer(self._first, len(self._patients))
        self._next = _longer(self._next, len(self.index))
        self._device = _longer(self._device, len(self.index))


def _longer(numbers: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The same, with −1 behind them, if they are not so long yet."""
    if length <= len(numbers):
        return numbers
    longer = np.full(max(64, 2 * length), _NONE, np.int64)
    longer[: len(numbers)] = numbers
    return longer
