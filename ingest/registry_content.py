"""What the registry holds, as one value in memory: whose a device is, what is known of it, and on
what basis its patient's data may be kept.

Loaded whole after each change; every answer of one group of messages comes from one content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import apsw
import msgspec

from ingest.binding import Binding, in_order, patient_at
from ingest.consent import Basis, refusal
from ingest.database import rows
from ingest.device_model import DeviceModel
from ingest.observation import PatientId
from ingest.payload.decoded import Reason
from ingest.stamping import AS_SAID, Stamping, zone_of

TABLES = """
CREATE TABLE IF NOT EXISTS patient(
    id TEXT PRIMARY KEY, label TEXT NOT NULL, created_at INTEGER NOT NULL,
    automatic INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS binding(
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, patient TEXT NOT NULL REFERENCES patient(id),
    start INTEGER, end INTEGER);
CREATE INDEX IF NOT EXISTS binding_device ON binding(device);
CREATE TABLE IF NOT EXISTS device(
    id TEXT PRIMARY KEY, model TEXT NOT NULL, firmware TEXT NOT NULL, serial TEXT NOT NULL,
    since INTEGER NOT NULL, retired_at INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock_offset(
    device TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS announced(
    device TEXT PRIMARY KEY, topic TEXT NOT NULL, model TEXT NOT NULL, firmware TEXT NOT NULL,
    serial TEXT NOT NULL, since INTEGER NOT NULL, last_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS model(name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS basis(
    id INTEGER PRIMARY KEY, patient TEXT NOT NULL REFERENCES patient(id), kind TEXT NOT NULL,
    signals TEXT NOT NULL, start INTEGER, end INTEGER);
CREATE TABLE IF NOT EXISTS consent_line(
    patient TEXT NOT NULL, line TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY(patient, line))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, command BLOB NOT NULL);
"""
_FIRST, _LAST = -(2**63), 2**63 - 1
_NATIVE = (AS_SAID, Stamping("ms"))  # its stamps are in no way wrong

_model = msgspec.msgpack.Decoder(DeviceModel)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that somebody registered. Empty texts: not said; retired_at: ns UTC or None.

    clock_offset: its clock is known to be so far ahead, ns (a wrong zone; negative: behind).
    """

    id: str
    model: str = ""
    firmware: str = ""
    serial: str = ""
    since: int = 0
    retired_at: int | None = None
    clock_offset: int = 0


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a device said of itself before anybody registered it; since, last_at: ns UTC."""

    device: str
    topic: str
    model: str
    firmware: str
    serial: str
    since: int
    last_at: int


class Settled(NamedTuple):
    """What holds for a device's stamps in [since, until): its patient, and what may be kept.

    signals: the codes that are allowed, empty: all. noise_std: of its model, by signal.
    """

    patient: PatientId
    since: int
    until: int
    signals: frozenset[str]
    noise_std: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Content:
    """Everything, by patient or device. require_basis: without a basis nothing is kept."""

    ambiguous_ns: int
    require_basis: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    bindings: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    models: Mapping[str, DeviceModel] = field(default_factory=dict)
    bases: Mapping[str, tuple[Basis, ...]] = field(default_factory=dict)
    stampings: Mapping[str, Stamping] = field(default_factory=dict)

    def patient_at(self, device: str, stamp: int) -> PatientId | Reason:
        """Whose the device was at its stamp, or why nobody knows."""
        bindings = self.bindings.get(device)
        if bindings is None:
            known = device in self.devices
            return Reason.DEVICE_UNBOUND if known else Reason.DEVICE_UNKNOWN
        return patient_at(bindings, stamp, self.ambiguous_ns)

    def patient_now(self, device: str, now: int) -> PatientId | None:
        """Whose the device is, whatever its stamps say; None: nobody's."""
        bindings = self.bindings.get(device, ())
        return next((each.patient for each in bindings if each.holds_at(now)), None)

    def refusal(self, patient: str, signal: str, stamp: int, now: int) -> Reason | None:
        """Why a value may not be kept, or None if it may."""
        bases = self.bases.get(patient, ())
        if not bases and not self.require_basis:
            return None
        return refusal(bases, signal, stamp, now)

    def allowed(self, patient: str, now: int) -> frozenset[str] | None:
        """The signals that may be kept now; empty: all; None: nothing at all."""
        bases = self.bases.get(patient, ())
        if not bases:
            return None if self.require_basis else frozenset()
        holding = [basis for basis in bases if basis.holds_at(now)]
        if any(not basis.signals for basis in holding):
            return frozenset()
        return frozenset().union(*(basis.signals for basis in holding)) or None

    def noise_std(self, device: str) -> Mapping[str, float]:
        """Of one value by signal, where the device's model says it."""
        model = self.model_of(device)
        return {} if model is None else model.noise_std

    def stamping(self, device: str) -> Stamping:
        """What is declared to be wrong with the device's stamps."""
        return self.stampings.get(device, AS_SAID)

    def model_of(self, device: str) -> DeviceModel | None:
        """The device's declared model, if there is one."""
        known = self.devices.get(device)
        return None if known is None else self.models.get(known.model)

    def settled(self, device: str, now: int) -> Settled | None:
        """What holds for nearly all that the device sends now, in the native format; None: look at
        each stamp.

        Only the last of its bindings is settled, and only under at most one basis.
        """
        bindings = self.bindings.get(device)
        if not bindings or self.stamping(device) not in _NATIVE:
            return None
        last = bindings[-1]
        since = _FIRST if last.start is None else last.start
        until = _LAST if last.end is None else last.end
        if any(each.patient != last.patient for each in bindings):
            since = max(since, *_ends(bindings[:-1])) + self.ambiguous_ns
        bases = self.bases.get(last.patient, ())
        if not bases:
            if self.require_basis:
                return None
            return Settled(last.patient, since, until, frozenset(), self.noise_std(device))
        holding = [basis for basis in bases if basis.holds_at(now)]
        if len(holding) != 1:
            return None
        basis = holding[0]
        since = since if basis.start is None else max(since, basis.start)
        until = until if basis.end is None else min(until, basis.end)
        return Settled(last.patient, since, until, basis.signals, self.noise_std(device))


def _ends(bindings: tuple[Binding, ...]) -> list[int]:
    return [_FIRST if each.end is None else each.end for each in bindings]


def load(connection: apsw.Connection, ambiguous_ns: int, require_basis: bool) -> Content:
    """What the file holds now. Raises apsw.Error."""
    bindings: dict[str, list[Binding]] = {}
    for row in rows(connection, "SELECT device, patient, start, end FROM binding"):
        bindings.setdefault(row[0], []).append(Binding(*row))
    bases: dict[str, list[Basis]] = {}
    for patient, kind, signals, start, end in rows(
        connection, "SELECT patient, kind, signals, start, end FROM basis ORDER BY id"
    ):
        basis = Basis(patient, kind, frozenset(signals.split()), start, end)
        bases.setdefault(patient, []).append(basis)
    devices = (
        "SELECT id, model, firmware, serial, since, retired_at, coalesce(offset, 0) "
        "FROM device LEFT JOIN clock_offset ON device = id"
    )
    known = {row[0]: Device(*row) for row in rows(connection, devices)}
    models = {
        name: _model.decode(body) for name, body in rows(connection, "SELECT name, body FROM model")
    }
    return Content(
        ambiguous_ns,
        require_basis,
        {row[0]: row[1] for row in rows(connection, "SELECT id, label FROM patient")},
        {device: in_order(each) for device, each in bindings.items()},
        known,
        models,
        {patient: tuple(each) for patient, each in bases.items()},
        _stampings(known, models),
    )


def _stampings(
    devices: Mapping[str, Device], models: Mapping[str, DeviceModel]
) -> dict[str, Stamping]:
    """Of the devices whose stamps are declared to be wrong. Raises ValueError for a zone that this
    machine does not know (any more)."""
    found = {}
    for device in devices.values():
        model = models.get(device.model)
        unit, zone = (None, "") if model is None else (model.stamp_unit, model.stamp_zone)
        stamping = Stamping(unit, zone_of(zone) if zone else None, device.clock_offset)
        if stamping != AS_SAID:
            found[device.id] = stamping
    return found
