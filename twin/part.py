"""A part of the twin's memory besides the bank: what `step` and the snapshot ask of it.

A part is told, in journal order: observations after the bank took them in, ticks after the bank
aged its keys, states of devices, and the commands whose kinds it knows. What it says goes to the
estimates journal. It is pure: its times are in what it is told, and whatever it says depends on the
order of the records only, never on where batches were cut. Its memory is kept by partition: each is
captured, restored and forgotten alone, and a record acts only on the partitions that it is due in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.observation import Command, DeviceStates, Tick
from twin.estimate import Output
from twin.estimation.events import Updated

#: (partition, output), in order.
Said = Sequence[tuple[int, Output]]


@dataclass(frozen=True, slots=True)
class Seen:
    """n observations in journal order, as the bank took them in; all arrays (n,).

    patient: numbers of the bank's patients; signal: rows of the catalogue; device: numbers of the
    state's devices; value in the canonical unit; quality NaN where not said; stamps int64 ns UTC.
    updated: the verdicts, and the estimates after each.
    """

    patient: NDArray[np.int64]
    signal: NDArray[np.int64]
    slot: NDArray[np.int64]
    device: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.float64]
    measured_at: NDArray[np.int64]
    received_at: NDArray[np.int64]
    updated: Updated


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a record acts, and when.

    partitions: (partitions,) mask of those it is due in.
    elapsed: (partitions,) int64 ns of journal time that has passed for delays, dwell and pauses.
    """

    partitions: NDArray[np.bool_]
    elapsed: NDArray[np.int64]


class Part(Protocol):
    """A part of the state; `name` is its name in a snapshot, `kinds` the commands it obeys."""

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> Collection[str]: ...

    def observe(self, seen: Seen) -> Said:
        """Take in observations. Called once for each run of batches between ticks and commands."""

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """A second of journal time. heard: what the parts before this one said at this tick."""

    def hear(self, said: DeviceStates, moment: Moment) -> Said:
        """Take in what devices said of themselves."""

    def obey(self, command: Command, moment: Moment) -> tuple[str, Said]:
        """Act on a command of one of `kinds`; (why it is refused, "" if done; what it says).

        A refused command changes nothing. The body is a person's: wrong keys and values are
        reasons, not exceptions.
        """

    def capture(self, partition: int) -> bytes:
        """Everything it knows of the partition. Must not change when the part goes on."""

    def restore(self, partition: int, content: bytes | memoryview) -> None:
        """Know what `capture` gave instead of what it knew, and keep no view of it. Raises
        ValueError: another layout."""

    def forget(self, partition: int) -> None:
        """Drop the partition: it belongs to another worker now."""


class Unasked:
    """Base of a part of which little is asked: it obeys nothing, hears nothing and says nothing.

    A part overrides what it does.
    """

    __slots__ = ()

    @property
    def kinds(self) -> Collection[str]:
        """Obeys no command."""
        return ()

    def observe(self, seen: Seen) -> Said:
        """Nothing."""
        return ()

    def tick(self, tick: Tick, moment: Moment, heard: Said) -> Said:
        """Nothing."""
        return ()

    def hear(self, said: DeviceStates, moment: Moment) -> Said:
        """Nothing."""
        return ()

    def obey(self, command: Command, moment: Moment) -> tuple[str, Said]:
        """Refuses: whoever asks has not looked at `kinds`."""
        return f"unknown kind {command.kind!r}", ()
