"""One message of a device before it is sent, and its bytes in the native format, version 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.instant import MILLISECOND, SECOND, format_instant
from ingest.topic import telemetry_topic

Column = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What one device says at once.

    at: when it is sent; times: the device's own stamps, n of them, in the order measured. Both are
    ns since the start of the run. values and quality hold n entries for each signal (None: no
    value), in the units of `units`, else canonical ones. exact: stamps are written with
    nanoseconds, else as epoch ms. boot counts the device's starts within the run. Faults of
    a script: in_seconds, stamps are epoch seconds; names, another device that the payload names;
    signed_as, whose certificate its sender, a thief, signs in with.
    """

    device: str
    at: int
    times: tuple[int, ...]
    values: Mapping[str, Column]
    units: Mapping[str, str] = field(default_factory=dict)
    quality: Mapping[str, Column] = field(default_factory=dict)
    sequence: int | None = None
    boot: int | None = None
    battery: float | None = None
    contact: bool | None = None
    exact: bool = False
    in_seconds: bool = False
    names: str | None = None
    signed_as: str | None = None

    @property
    def topic(self) -> str:
        """Where it is published."""
        return telemetry_topic(self.device)

    def payload(self, start: int) -> bytes:
        """The bytes on the wire for a run that started at `start` (ns UTC)."""
        stamps = [self._stamp(start + time) for time in self.times]
        single = len(stamps) == 1
        content: dict[str, object] = {"time": stamps[0]} if single else {"times": stamps}
        content["values"] = {s: c[0] if single else c for s, c in self.values.items()}
        if self.units:
            content["units"] = self.units
        if self.quality:
            content["quality"] = {s: c[0] if single else c for s, c in self.quality.items()}
        if self.sequence is not None:
            content["sequence"] = self.sequence
        if self.boot is not None:
            # Runs of one fleet must differ: a count that starts anew needs a new mark.
            content["boot"] = start // SECOND + self.boot
        if self.battery is not None:
            content["battery"] = self.battery
        if self.contact is not None:
            content["contact"] = self.contact
        if self.names is not None:
            content["device"] = self.names
        return msgspec.json.encode(content)

    def _stamp(self, instant: int) -> str | int:
        if self.in_seconds:
            return instant // SECOND
        return format_instant(instant) if self.exact else instant // MILLISECOND
