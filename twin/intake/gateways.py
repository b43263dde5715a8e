"""Which gateways are offline, as each partition was told. A gateway's devices are `<gateway>/…`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.estimation.names import Names
from twin.intake.kernel import DEVICE, PARTITION


class Gateways:
    """off[partition]: numbers of the gateways that the broker lost."""

    def __init__(self, devices: Names, partitions: int) -> None:
        self.names = Names()
        self.off: list[set[int]] = [set() for _ in range(partitions)]
        self._devices = devices
        self._of = np.zeros(0, np.int64)

    def tell(self, gateway: str, online: bool, partitions: NDArray[np.bool_]) -> None:
        """A gateway's last status, in these partitions (mask)."""
        number = self.names.number(gateway)
        for partition in np.flatnonzero(partitions).tolist():
            if online:
                self.off[partition].discard(number)
            else:
                self.off[partition].add(number)

    def offline(self, marks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether each row's gateway is offline, of marks (n, …); (0,): no gateway is."""
        if not any(self.off):
            return np.zeros(0, np.bool_)
        self._look()
        known = np.zeros((len(self.off), len(self.names) + 1), np.bool_)
        for partition, numbers in enumerate(self.off):
            known[partition, list(numbers)] = True
        of = self._of[np.maximum(marks[:, DEVICE], 0)]
        return np.asarray(known[np.maximum(marks[:, PARTITION], 0), of], np.bool_)

    def names_off(self, partition: int) -> list[str]:
        """For a snapshot: the gateways that are offline."""
        return sorted(self.names.text[number] for number in self.off[partition])

    def _look(self) -> None:
        """The gateway of each device; −1: it speaks for itself."""
        new = self._devices.text[len(self._of) :]
        split = (name.rpartition("/")[0] for name in new)
        numbers = [self.names.number(gateway) if gateway else -1 for gateway in split]
        self._of = np.concatenate([self._of, np.array(numbers, np.int64)])
