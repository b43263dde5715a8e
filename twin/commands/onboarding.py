"""`twin devices show|add|approve|retire|models`: what is known of a device, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.instant import SECOND, format_instant
from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import ConfigFile, DataDir, Json, instant
from twin.commands.place import opened_desk, opened_onboarding, opened_registry
from twin.commands.printing import print_columns, print_json, print_line
from twin.commands.quarantine import print_replayed, replayed_in_json

if TYPE_CHECKING:
    from ingest.device_model import DeviceModel
    from ingest.onboarding import Pending
    from ingest.registry_content import Device

Name = Annotated[str, typer.Argument(metavar="DEVICE", help="As in its topic.")]
Model = Annotated[str | None, typer.Option(metavar="MODEL", help="One of `twin devices models`.")]
_SHOWN = 20


def show_device(
    device: Name, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """What is registered of a device, its model, its patients, and its newest refusals."""
    from ingest.onboarding import pending_devices, registered_devices

    with opened_desk(config, data_dir, to_read=True) as (registry, quarantine):
        registered = {each.id: each for each in registered_devices(registry)}
        pending = {each.device: each for each in pending_devices(registry, quarantine)}
        if device not in registered and device not in pending:
            raise WrongInput(f"{device}: nobody registered it, and nothing waits of it")
        refused = quarantine.items(_SHOWN, device=device)
        bindings = registry.bindings(device)
        model = registry.content.model_of(device)
    told: dict[str, object] = (
        device_in_json(registered[device])
        if device in registered
        else pending_in_json(pending[device])
    )
    told["pending"] = device in pending
    told["declared"] = model_in_json(model) if model else None
    told["bindings"] = [
        {"patient": each.patient, "from": _at(each.start), "to": _at(each.end)} for each in bindings
    ]
    told["refused"] = [
        {"reason": r.reason, "path": r.path, "received_at": _at(r.received_at), "count": r.count}
        for r in refused
    ]
    if as_json:
        print_json(told)
        return
    for key, value in told.items():
        if key not in ("bindings", "refused", "declared"):
            print_line(f"{key:<16}{'–' if value in (None, '') else value}")
    if model:
        print_line(f"{'declared':<16}{_declared(model)}")
    for each in bindings:
        start, end = _at(each.start) or "the beginning", _at(each.end) or "further notice"
        print_line(f"{'bound':<16}{each.patient} from {start} until {end}")
    for r in refused:
        where = f" at {r.path}" if r.path else ""
        print_line(f"{'refused':<16}{r.reason}{where}: {r.count} times, last {_at(r.received_at)}")


def register_device(
    device: Name,
    model: Model = None,
    firmware: Annotated[str | None, typer.Option(metavar="TEXT", help="Its firmware.")] = None,
    serial: Annotated[str | None, typer.Option(metavar="TEXT", help="Its serial number.")] = None,
    clock_offset: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Its clock is so far ahead, as with a wrong zone.",
        ),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register a device before it is first heard, or change what is known of it.

    What is not given stays as it is. A retired device is in use again.
    """
    from ingest.registry_devices import add_device, clock_lead

    with opened_registry(config, data_dir) as registry:
        ahead = clock_lead(device, clock_offset)
        added = add_device(registry, device, model, firmware, serial, "command", ahead)
    if as_json:
        print_json(device_in_json(added))
    else:
        print_line(f"{added.id} is registered{f', a {added.model}' if added.model else ''}")


def approve_device(
    device: Name,
    patient: Annotated[str, typer.Option(metavar="ID", help="Whose it is: the pseudonym.")],
    model: Model = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="First stamp that is the patient's; else the beginning."
        ),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register and bind a device that waits, and use what waits of it in quarantine."""
    began = None if start == "beginning" else instant(start, "--from")
    with opened_onboarding(config, data_dir) as onboarding:
        done = onboarding.approve(device, patient, model, began, "command")
    if as_json:
        replayed = replayed_in_json(done.replayed)
        print_json({**device_in_json(done.device), "patient": patient, "replayed": replayed})
    else:
        print_line(f"{device} is on {patient} from {_at(began) or 'the beginning'} on")
        print_replayed(done.replayed)


def take_out_of_use(
    device: Name, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """End the device's binding now, and bind it to nobody until it is added again."""
    from ingest.registry_devices import retire_device

    with opened_registry(config, data_dir) as registry:
        retired = retire_device(registry, device, "command")
    if as_json:
        print_json(device_in_json(retired))
    else:
        print_line(f"{device} is retired")


def take_in_file(
    file: Annotated[Path, path_argument(metavar="FILE", help="As `devices.file` names one.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Take in a registry file now, as at a start of the service: models, devices, consents.

    What waits in quarantine of a patient of whom nothing may be kept any more is erased.
    """
    from ingest.registry_enrolment import enrol_file, erase_ended
    from ingest.registry_file import RegistryFileWrong, read_registry_file

    with opened_desk(config, data_dir) as (registry, quarantine):
        with wrong_input(RegistryFileWrong), failing(OSError):
            said = read_registry_file(file)
        done = enrol_file(registry, said, "command")
        erased = erase_ended(registry, quarantine, done.ended)
    if as_json:
        print_json({"changed": done.changed, "ended": list(done.ended), "erased": erased})
        return
    print_line(f"{done.changed} lines changed something")
    if done.ended:
        ended = ", ".join(done.ended)
        print_line(f"nothing more is kept of {ended}; {erased} messages erased from quarantine")


def device_models(
    read: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take in the tables [[models]] of a registry file."),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The declared device models: rate, noise, delay, bias, regulatory status."""
    from ingest.registry_devices import declare_models
    from ingest.registry_file import RegistryFileWrong, read_registry_file

    with opened_registry(config, data_dir, to_read=read is None) as registry:
        if read is not None:
            with wrong_input(RegistryFileWrong), failing(OSError):
                declare_models(registry, read_registry_file(read).models, "command")
        registry.refresh()
        models = [model for _, model in sorted(registry.content.models.items())]
    if as_json:
        print_json({"models": [model_in_json(each) for each in models]})
    else:
        rows = [(each.name, each.maker or None, _declared(each)) for each in models]
        print_columns(("model", "maker", "declared"), rows)


def print_pending(pending: Sequence[Pending]) -> None:
    """In columns."""
    print_columns(
        ("device", "topic", "since", "last", "messages", "announced"),
        [
            (
                each.device,
                each.topic,
                _at(each.since),
                _at(each.last_at),
                each.messages,
                " ".join(filter(None, (each.model, each.firmware, each.serial))) or None,
            )
            for each in pending
        ],
    )


def pending_in_json(pending: Pending) -> dict[str, object]:
    """A device that waits."""
    return {
        "id": pending.device,
        "topic": pending.topic,
        "since": _at(pending.since),
        "last": _at(pending.last_at),
        "messages": pending.messages,
        "model": pending.model or None,
        "firmware": pending.firmware or None,
        "serial": pending.serial or None,
    }


def device_in_json(device: Device) -> dict[str, object]:
    """A registered device."""
    return {
        "id": device.id,
        "model": device.model or None,
        "firmware": device.firmware or None,
        "serial": device.serial or None,
        "clock_offset_s": device.clock_offset / SECOND,
        "registered": _at(device.since) if device.since else None,
        "retired": _at(device.retired_at),
    }


def model_in_json(model: DeviceModel) -> dict[str, object]:
    """A declared model, every field."""
    return {
        "name": model.name,
        "maker": model.maker or None,
        "regulatory": model.regulatory,
        "live": model.live,
        "delay_s": model.delay_s,
        "expected_interval_s": dict(model.expected_interval_s),
        "noise_std": dict(model.noise_std),
        "bias_std": dict(model.bias_std),
        "stamp_unit": model.stamp_unit,
        "stamp_zone": model.stamp_zone or None,
    }


def _declared(model: DeviceModel) -> str:
    said = [model.regulatory or "", "live" if model.live else ""]
    said.append(f"delay {model.delay_s:g} s" if model.delay_s else "")
    said.append(f"times in {model.stamp_unit}" if model.stamp_unit else "")
    said.append(f"times of {model.stamp_zone}" if model.stamp_zone else "")
    for signal in sorted({*model.expected_interval_s, *model.noise_std, *model.bias_std}):
        every, noise, bias = (
            table.get(signal)
            for table in (model.expected_interval_s, model.noise_std, model.bias_std)
        )
        parts = [f"every {every:g} s"] if every else []
        parts += [f"noise {noise:g}"] if noise else []
        parts += [f"bias {bias:g}"] if bias else []
        said.append(f"{signal}: {', '.join(parts)}")
    return "; ".join(filter(None, said))


def _at(time_ns: int | None) -> str | None:
    return None if time_ns is None else format_instant(time_ns)
