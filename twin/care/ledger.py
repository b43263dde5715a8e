"""Per device: how many of its observations reached the twin, and what became of them.

Counted from the estimates journal, one row for each input observation, and saved together with the
position up to which it counts: a restart neither loses a row nor counts one twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.estimate import EstimateBatch, Kind, Verdict

_VERDICTS = len(Verdict)
_NOT_KEPT = (Verdict.NONE, Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class Account:
    """One device's observations by verdict; last_received is int64 ns UTC.

    patient: whom its newest observation was about. refused: by the worker, by reason (what ingest
    refused never came into the journal and is counted by the quarantine).
    """

    device: str
    patient: str
    last_received: int
    accepted: int
    belated: int
    duplicate: int
    conflict: int
    refused: dict[str, int]

    @property
    def journalled(self) -> int:
        """All its observations in the journal that the twin has seen."""
        kept = self.accepted + self.belated + self.duplicate + self.conflict
        return kept + sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Totals:
    """All devices' observations by verdict, those that the worker refused by reason."""

    devices: int
    verdicts: dict[str, int]
    refused: dict[str, int]


class LedgerState(msgspec.Struct, frozen=True, array_like=True):
    """A ledger as it is saved; the arrays are little-endian int64."""

    devices: list[str]
    patients: list[str]
    refused: list[dict[str, int]]
    counts: bytes
    last_received: bytes


@dataclass(slots=True)
class Ledger:
    """Counts rows by device. Not safe for several threads; its owner locks."""

    _index: dict[str, int] = field(default_factory=dict)
    _patients: list[str] = field(default_factory=list)
    _refused: list[dict[str, int]] = field(default_factory=list)
    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, _VERDICTS), np.int64))
    _last_received: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def count(self, batch: EstimateBatch) -> None:
        """Add the verdicts of a batch."""
        rows = batch.rows[batch.rows["kind"] == Kind.VERDICT]
        if not len(rows):
            return
        device = self.places(batch.devices, rows["device"])
        np.add.at(self._counts, (device, rows["verdict"]), 1)
        np.maximum.at(self._last_received, device, rows["received_at"])
        whom = dict(zip(device.tolist(), rows["patient"].tolist(), strict=True))
        for place, patient in whom.items():
            self._patients[place] = batch.patients[patient]
        self._count_refused(batch, rows, device)

    @property
    def devices(self) -> list[str]:
        return list(self._index)

    def accounts(self) -> list[Account]:
        """Every device's account, in order of first appearance."""
        columns = (Verdict.ACCEPTED, Verdict.BELATED, Verdict.DUPLICATE, Verdict.CONFLICT)
        counts = self._counts[:, columns].tolist()
        return [
            Account(
                device=device,
                patient=self._patients[i],
                last_received=int(self._last_received[i]),
                accepted=counts[i][0],
                belated=counts[i][1],
                duplicate=counts[i][2],
                conflict=counts[i][3],
                refused=dict(self._refused[i]),
            )
            for device, i in self._index.items()
        ]

    def totals(self) -> Totals:
        """Of all devices together."""
        refused: Counter[str] = Counter()
        for reasons in self._refused:
            refused.update(reasons)
        summed = self._counts.sum(axis=0).tolist()
        kept = {v.name.lower(): summed[v] for v in Verdict if v not in _NOT_KEPT}
        return Totals(len(self._index), kept, dict(refused))

    def state(self) -> LedgerState:
        n = len(self._index)
        return LedgerState(
            self.devices,
            list(self._patients),
            [dict(reasons) for reasons in self._refused],
            self._counts[:n].tobytes(),
            self._last_received[:n].tobytes(),
        )

    @classmethod
    def of(cls, state: LedgerState) -> Ledger:
        """The ledger that was saved. Raises ValueError where its parts do not fit together."""
        n = len(state.devices)
        counts = np.frombuffer(state.counts, "<i8").reshape(n, _VERDICTS).copy()
        last_received = np.frombuffer(state.last_received, "<i8").copy()
        if not n == len(last_received) == len(state.patients) == len(state.refused):
            raise ValueError("ledger: parts of different length")
        index = {device: i for i, device in enumerate(state.devices)}
        return cls(index, list(state.patients), list(state.refused), counts, last_received)

    def places(self, devices: Sequence[str], used: NDArray[np.uint32]) -> NDArray[np.int64]:
        """This ledger's number of each used device, (n,); used: indexes of `devices`."""
        here = np.zeros(len(devices), np.int64)
        for i in np.unique(used).tolist():
            here[i] = self._index.setdefault(devices[i], len(self._index))
        for _ in range(len(self._patients), len(self._index)):
            self._patients.append("")
            self._refused.append({})
        if len(self._index) > len(self._counts):
            grown = max(64, 2 * len(self._index))
            counts, received = np.zeros((grown, _VERDICTS), np.int64), np.zeros(grown, np.int64)
            counts[: len(self._counts)] = self._counts
            received[: len(self._last_received)] = self._last_received
            self._counts, self._last_received = counts, received
        return here[used]

    def _count_refused(
        self, batch: EstimateBatch, rows: NDArray[Any], device: NDArray[np.int64]
    ) -> None:
        refused = rows["verdict"] == Verdict.REFUSED
        for place, reason in zip(
            device[refused].tolist(), rows["reason"][refused].tolist(), strict=True
        ):
            reasons = self._refused[place]
            word = batch.reasons[reason]
            reasons[word] = reasons.get(word, 0) + 1
