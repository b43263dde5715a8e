"""Changes of the registry besides bindings: models, devices, what devices announce, consents.

Each is one transaction, durable at its return, with its command in the outbox where the worker must
know. Doing it again changes nothing. `actor`: who does it, as it stands in the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import apsw
import msgspec

from ingest.catalogue import SIGNALS
from ingest.consent import KINDS, Basis
from ingest.database import rows
from ingest.device_model import DeviceModel
from ingest.instant import DAY, MINUTE, SECOND
from ingest.registry import Registry, RegistryRefused, checked_device
from ingest.registry_commands import consent_command, device_command, put_in_outbox
from ingest.registry_content import Announcement, Content, Device

#: Announcements of unregistered devices that are kept; the ones heard longest ago go first.
ANNOUNCED = 10_000
_TEXT_LENGTH = 64
#: A lead or lag of a clock that can be declared, ns.
_LEAD_MAX = 2 * DAY
_TO_BE_SET = "a clock that is more than two days wrong is to be set"

_encode = msgspec.msgpack.Encoder().encode


def clock_lead(device: str, seconds: float | None) -> int | None:
    """What `add_device` takes of a clock's lead as people write it. Raises RegistryRefused, also
    where it is no finite number."""
    if seconds is None:
        return None
    if not abs(seconds) <= _LEAD_MAX / SECOND:
        raise RegistryRefused(device, _TO_BE_SET)
    return round(seconds * SECOND)


def declare_models(registry: Registry, models: Iterable[DeviceModel], actor: str) -> int:
    """Take in models, each in the place of the one with its name; returns how many are new or
    changed. Devices of a changed model are told to the worker again."""
    changed = 0
    with registry.changing() as connection:
        content = registry.content
        for model in models:
            if content.models.get(model.name) == model:
                continue
            changed += 1
            connection.execute(
                "INSERT OR REPLACE INTO model VALUES (?, ?)", (model.name, _encode(model))
            )
            for device in content.devices.values():
                if device.model == model.name:
                    _tell(connection, registry, content, device, model, actor)
    return changed


def add_device(
    registry: Registry,
    device: str,
    model: str | None = None,
    firmware: str | None = None,
    serial: str | None = None,
    actor: str = "registry",
    clock_offset: int | None = None,
) -> Device:
    """Register a device, or change what is known of it (None: as it is, for a new device as it
    announced itself). A retired one is in use again. clock_offset: ns by which its clock is ahead.
    Raises RegistryRefused."""
    if clock_offset is not None and abs(clock_offset) > _LEAD_MAX:
        raise RegistryRefused(device, _TO_BE_SET)
    with registry.changing() as connection:
        content = registry.content
        if model and model not in content.models:
            known = ", ".join(sorted(content.models)) or "none"
            raise RegistryRefused(model, f"is not a declared model; declared: {known}")
        old = content.devices.get(checked_device(device))
        base = old or _announced(connection, content, device) or Device(device)
        made = Device(
            device,
            base.model if model is None else model,
            base.firmware if firmware is None else _text(firmware, "firmware"),
            base.serial if serial is None else _text(serial, "serial"),
            old.since if old else registry.now(),
            clock_offset=base.clock_offset if clock_offset is None else clock_offset,
        )
        if made != old:
            _put_device(connection, made)
            _tell(connection, registry, content, made, content.models.get(made.model), actor)
        connection.execute("DELETE FROM announced WHERE device = ?", (device,))
    return made


def retire_device(registry: Registry, device: str, actor: str = "registry") -> Device:
    """The device is used no more: its binding ends now, and it cannot be bound until it is added
    again. Raises RegistryRefused."""
    now = registry.now()
    registry.refresh()
    content = registry.content
    if not registry.knows(device):
        raise RegistryRefused(device, "is not a registered device")
    for binding in content.bindings.get(device, ()):
        if binding.holds_at(now) and binding.start != now:
            registry.unbind(device, now, actor)
    with registry.changing() as connection:
        old = registry.content.devices.get(device) or Device(device, since=now)
        made = replace(old, retired_at=now)
        _put_device(connection, made)
    return made


def announce(registry: Registry, said: Iterable[Announcement]) -> None:
    """Take in what devices say of themselves: of a registered one its firmware and serial number
    change, another is pending. What they say twice costs a write a minute at most."""
    with registry.changing() as connection:
        content = registry.content
        for each in said:
            device = content.devices.get(each.device)
            if device is None and each.device not in content.bindings:
                _put_announced(connection, each)
                continue
            device = device or Device(each.device, since=each.since)
            model = device.model or (each.model if each.model in content.models else "")
            made = replace(
                device,
                model=model,
                firmware=each.firmware or device.firmware,
                serial=each.serial or device.serial,
            )
            if made != device:
                _put_device(connection, made)
                declared = content.models.get(made.model)
                _tell(connection, registry, content, made, declared, "device")


def announcements(registry: Registry) -> Sequence[Announcement]:
    """What devices said that nobody registered, in order of their names."""
    with registry.reading() as connection:
        return [
            Announcement(*row)
            for row in rows(
                connection,
                "SELECT device, topic, model, firmware, serial, since, last_at FROM announced "
                "ORDER BY device",
            )
        ]


def consent(registry: Registry, basis: Basis, actor: str = "registry") -> Basis:
    """Register a basis on which the patient's data may be kept. Raises RegistryRefused."""
    _check(registry, basis)
    with registry.changing() as connection:
        before = registry.content.bases.get(basis.patient, ())
        if basis not in before:
            connection.execute(
                "INSERT INTO basis(patient, kind, signals, start, end) VALUES (?, ?, ?, ?, ?)",
                (
                    basis.patient,
                    basis.kind,
                    " ".join(sorted(basis.signals)),
                    basis.start,
                    basis.end,
                ),
            )
            bases = (*before, basis)
            command = consent_command(bases, basis.patient, actor, registry.now())
            put_in_outbox(connection, command)
    return basis


def withdraw(registry: Registry, patient: str, actor: str = "registry") -> Sequence[Basis]:
    """End every basis of the patient now; nothing is kept of it from then on, whatever the stamp.

    Returns those that were ended. A patient without any gets one that has ended, so that the
    withdrawal holds where no basis is required. Raises RegistryRefused.
    """
    now = registry.now()
    with registry.changing() as connection:
        if patient not in registry.content.labels:
            raise RegistryRefused(patient, "is not a registered patient")
        bases = registry.content.bases.get(patient, ())
        ended = [basis for basis in bases if basis.end is None or basis.end > now]
        connection.execute(
            "UPDATE basis SET end = ?1, start = min(start, ?1) "
            "WHERE patient = ?2 AND (end IS NULL OR end > ?1)",
            (now, patient),
        )
        if not bases:
            connection.execute(
                "INSERT INTO basis(patient, kind, signals, start, end) "
                "VALUES (?, 'consent', '', NULL, ?)",
                (patient, now),
            )
        if ended or not bases:
            put_in_outbox(connection, consent_command((), patient, actor, now))
    return ended


def _put_device(connection: apsw.Connection, device: Device) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?)",
        (
            device.id,
            device.model,
            device.firmware,
            device.serial,
            device.since,
            device.retired_at,
        ),
    )
    connection.execute(
        "INSERT OR REPLACE INTO clock_offset VALUES (?, ?)", (device.id, device.clock_offset)
    )


def _check(registry: Registry, basis: Basis) -> None:
    if basis.patient not in registry.labels():
        raise RegistryRefused(basis.patient, "is not a registered patient")
    if basis.kind not in KINDS:
        raise RegistryRefused(basis.kind, "is no basis; expected one of " + ", ".join(KINDS))
    for signal in sorted(basis.signals):
        if signal not in SIGNALS:
            raise RegistryRefused(signal, "is no signal; expected some of " + ", ".join(SIGNALS))
    if basis.start is not None and basis.end is not None and basis.end <= basis.start:
        raise RegistryRefused(basis.patient, "the basis ends before it begins")


def _tell(
    connection: apsw.Connection,
    registry: Registry,
    content: Content,
    device: Device,
    model: DeviceModel | None,
    actor: str,
) -> None:
    """To the patients of its bindings that hold now or later."""
    now = registry.now()
    for binding in content.bindings.get(device.id, ()):
        if binding.end is None or binding.end > now:
            command = device_command(device, model, binding.patient, actor, now)
            put_in_outbox(connection, command)


def _announced(connection: apsw.Connection, content: Content, device: str) -> Device | None:
    found = rows(
        connection,
        "SELECT device, model, firmware, serial FROM announced WHERE device = ?",
        (device,),
    )
    if not found:
        return None
    device, model, firmware, serial = found[0]
    return Device(device, model if model in content.models else "", firmware, serial)


def _put_announced(connection: apsw.Connection, said: Announcement) -> None:
    connection.execute(
        "INSERT INTO announced VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(device) DO UPDATE SET "
        "topic = excluded.topic, model = excluded.model, firmware = excluded.firmware, "
        "serial = excluded.serial, last_at = excluded.last_at WHERE topic != excluded.topic "
        "OR model != excluded.model OR firmware != excluded.firmware "
        f"OR serial != excluded.serial OR excluded.last_at - last_at >= {MINUTE}",
        (
            said.device,
            said.topic,
            said.model,
            said.firmware,
            said.serial,
            said.since,
            said.last_at,
        ),
    )
    connection.execute(
        "DELETE FROM announced WHERE device IN (SELECT device FROM announced "
        f"ORDER BY last_at DESC LIMIT -1 OFFSET {ANNOUNCED})"
    )


def _text(text: str, what: str) -> str:
    if len(text) > _TEXT_LENGTH or not text.isprintable():
        raise RegistryRefused(what, f"at most {_TEXT_LENGTH} printable characters")
    return text
