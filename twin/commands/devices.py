"""`twin devices`: whose a device is, what it sends just now, what became of all it sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.instant import format_instant
from twin.commands.certificates import issue_certificate
from twin.commands.failure import failing
from twin.commands.ledger import print_ledger
from twin.commands.onboarding import (
    approve_device,
    device_in_json,
    device_models,
    pending_in_json,
    print_pending,
    register_device,
    show_device,
    take_in_file,
    take_out_of_use,
)
from twin.commands.options import ConfigFile, DataDir, Json, instant
from twin.commands.place import opened_desk, opened_registry
from twin.commands.printing import print_columns, print_json, print_line, say

if TYPE_CHECKING:
    from ingest.binding import Binding
    from ingest.tail import TailEvent

app = typer.Typer(no_args_is_help=True, help="Whose a device is, what it sends, what became of it")

Device = Annotated[str, typer.Argument(metavar="DEVICE", help="As in its topic.")]


@app.command("list")
def list_devices(
    config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Every device that was ever registered or bound, with its patients, and those that wait."""
    from ingest.onboarding import pending_devices, registered_devices

    with opened_desk(config, data_dir, to_read=True) as (registry, quarantine):
        devices, pending = registered_devices(registry), pending_devices(registry, quarantine)
        bindings = {each.id: registry.bindings(each.id) for each in devices}
        now = {each.device: each.patient for each in registry.devices()}
    if as_json:
        told = [
            {
                **device_in_json(each),
                "patient": now.get(each.id),
                "bindings": [_in_json(binding) for binding in bindings[each.id]],
            }
            for each in devices
        ]
        print_json({"devices": told, "pending": [pending_in_json(each) for each in pending]})
        return
    rows = [
        (
            each.id,
            binding.patient if binding else None,
            _at(binding.start) if binding else None,
            _at(binding.end) if binding else None,
            each.model or None,
            "retired" if each.retired_at is not None else None,
        )
        for each in devices
        for binding in (bindings[each.id] or (None,))
    ]
    print_columns(("device", "patient", "from", "to", "model", "state"), rows)
    if pending:
        print_line("\npending: approve them with twin devices approve DEVICE --patient ID")
        print_pending(pending)


@app.command("bind")
def bind_device(
    device: Device,
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="The patient's pseudonym.")],
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="First stamp that is the patient's: ISO-8601 with zone, or `beginning`. Without "
            "it, now; for a device that was never bound, the beginning.",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="End; without it, open.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say whose the device is, by its own stamps. An open binding to another patient ends."""
    began = None if start == "beginning" else instant(start, "--from")
    ended = instant(end, "--to")
    with opened_registry(config, data_dir) as registry:
        before = registry.bindings(device)
        if start is None and before:
            began = time.time_ns()
        _print(registry.bind(device, patient, began, ended, "command"), as_json)
    if any(each.patient != patient for each in before):
        say("stamps within devices.ambiguous_minutes of the change are refused: binding_ambiguous")


@app.command("unbind")
def unbind_device(
    device: Device,
    end: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When; without it, now.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """End the device's binding: what it measures from then on is nobody's."""
    at = instant(end, "--at")
    with opened_registry(config, data_dir) as registry:
        _print(registry.unbind(device, time.time_ns() if at is None else at, "command"), as_json)


@app.command("tail")
def tail_devices(
    device: Annotated[
        str | None, typer.Argument(metavar="[DEVICE]", help="Without it, all devices.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Follow what arrives: accepted or refused, with the reason. Ctrl-C ends it."""
    import apsw

    from ingest.tail import follow
    from twin.commands.place import config_at, present

    folder = present(config_at(config, data_dir).paths.tail, "ingest")
    try:
        with failing(apsw.Error, OSError):
            for event in follow(folder, device):
                _print_event(event, as_json)
    except KeyboardInterrupt:
        return


app.command("ledger")(print_ledger)
app.command("show")(show_device)
app.command("add")(register_device)
app.command("approve")(approve_device)
app.command("retire")(take_out_of_use)
app.command("models")(device_models)
app.command("enrol")(take_in_file)
app.command("certificate")(issue_certificate)


def _print(binding: Binding, as_json: bool) -> None:
    if as_json:
        print_json({"device": binding.device, **_in_json(binding)})
    else:
        start, end = _at(binding.start) or "the beginning", _at(binding.end) or "further notice"
        print_line(f"{binding.device} is on {binding.patient} from {start} until {end}")


def _in_json(binding: Binding) -> dict[str, str | None]:
    return {"patient": binding.patient, "from": _at(binding.start), "to": _at(binding.end)}


def _at(time_ns: int | None) -> str | None:
    return None if time_ns is None else format_instant(time_ns)


def _print_event(event: TailEvent, as_json: bool) -> None:
    at = format_instant(event.received_at)
    if as_json:
        told: dict[str, object] = {"device": event.device, "received_at": at}
        if event.reason:
            told |= {key: getattr(event, key) for key in ("reason", "path", "expected", "got")}
        else:
            told |= {"accepted": event.accepted, "surplus": event.surplus}
        print_json(told)
    elif event.reason:
        where = f" at {event.path}" if event.path else ""
        got = event.got or "nothing"
        why = f"refused {event.reason}{where}: expected {event.expected}, got {got}"
        print_line(f"{at[11:23]}  {event.device or '–'}  {why}")
    else:
        surplus = f", {event.surplus} fields not used" if event.surplus else ""
        print_line(f"{at[11:23]}  {event.device}  accepted {event.accepted}{surplus}")
