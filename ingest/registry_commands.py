"""The commands by which changes of the registry reach the worker, and where they wait for it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

import apsw
import msgspec

from ingest.binding import Binding
from ingest.consent import Basis
from ingest.database import rows
from ingest.device_model import DeviceModel
from ingest.instant import SECOND
from ingest.journal.protocol import ALL_PARTITIONS, partition_of
from ingest.observation import Command, encode_record
from ingest.registry_content import Device

_command = msgspec.msgpack.Decoder(Command)
_encode = msgspec.msgpack.Encoder().encode


def binding_command(binding: Binding, actor: str, now: int) -> Command:
    """Whose the device is, from when, until when (ns UTC or None)."""
    body = {"device": binding.device, "from": binding.start, "to": binding.end}
    return Command(_new_id("binding"), "binding", actor, now, body, binding.patient)


def device_command(
    device: Device, model: DeviceModel | None, patient: str, actor: str, now: int
) -> Command:
    """What is known of a device that is on this patient: the fields of its model, as declared, and
    its own. Sent when it is bound and whenever one of them changes; the last one holds."""
    model = model or DeviceModel(name=device.model)
    body: dict[str, object] = {
        "device": device.id,
        "model": model.name,
        "regulatory": model.regulatory,
        "live": model.live,
        "delay_s": model.delay_s,
        "expected_interval_s": dict(model.expected_interval_s),
        "noise_std": dict(model.noise_std),
        "bias_std": dict(model.bias_std),
        "stamp_unit": model.stamp_unit,
        "stamp_zone": model.stamp_zone,
        "firmware": device.firmware,
        "serial": device.serial,
        "clock_offset_s": device.clock_offset / SECOND,
    }
    return Command(_new_id("device"), "device", actor, now, body, patient)


def consent_command(bases: Sequence[Basis], patient: str, actor: str, now: int) -> Command:
    """All bases on which the patient's data may be kept, from now on."""
    body: dict[str, object] = {
        "bases": [
            {"basis": b.kind, "signals": sorted(b.signals), "from": b.start, "to": b.end}
            for b in bases
        ]
    }
    return Command(_new_id("consent"), "consent", actor, now, body, patient)


def put_in_outbox(connection: apsw.Connection, command: Command) -> None:
    """In the caller's transaction."""
    connection.execute("INSERT INTO outbox(command) VALUES (?)", (_encode(command),))


def outbox(connection: apsw.Connection, at_most: int) -> Sequence[tuple[int, Command]]:
    """(number, command) pairs that wait, oldest first."""
    waiting = rows(connection, "SELECT id, command FROM outbox ORDER BY id LIMIT ?", (at_most,))
    return [(number, _command.decode(command)) for number, command in waiting]


def records_of(commands: Iterable[Command], partitions: int) -> list[tuple[int, bytes]]:
    """(partition, record) pairs for the observations journal: each in its patient's partition."""
    return [
        (
            ALL_PARTITIONS if each.patient is None else partition_of(each.patient, partitions),
            encode_record(each),
        )
        for each in commands
    ]


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(8)}"
