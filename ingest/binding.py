"""Whose measurement a device's was, by the device's own stamp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.observation import DeviceId, PatientId
from ingest.payload.decoded import Reason


@dataclass(frozen=True, slots=True)
class Binding:
    """The device is on the patient in [start, end), int64 ns UTC; None: open on that side."""

    device: DeviceId
    patient: PatientId
    start: int | None = None
    end: int | None = None

    def holds_at(self, stamp: int) -> bool:
        return (self.start is None or self.start <= stamp) and (
            self.end is None or stamp < self.end
        )

    def overlaps(self, other: Binding) -> bool:
        return _before(self.start, other.end) and _before(other.start, self.end)


def _before(start: int | None, end: int | None) -> bool:
    return start is None or end is None or start < end


def in_order(bindings: Sequence[Binding]) -> tuple[Binding, ...]:
    """By their starts; one without a start is first."""
    return tuple(sorted(bindings, key=lambda b: (b.start is not None, b.start or 0)))


def patient_at(bindings: Sequence[Binding], stamp: int, ambiguous_ns: int) -> PatientId | Reason:
    """The patient to whom one device's bindings (in order, without overlap) give the stamp.

    Within ambiguous_ns of a change from one patient to another it is not guessed, since a
    device's clock need not agree with that of who entered the change.
    """
    for earlier, later in pairwise(bindings):
        if earlier.patient != later.patient:
            for change in (earlier.end, later.start):
                if change is not None and abs(stamp - change) < ambiguous_ns:
                    return Reason.BINDING_AMBIGUOUS
    for binding in bindings:
        if binding.holds_at(stamp):
            return binding.patient
    return Reason.DEVICE_UNBOUND
