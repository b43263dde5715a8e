"""`twin decode`: what the decoder makes of payloads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ingest.stamping import Unit
from twin.commands.failure import WrongInput, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import ConfigFile, Json, instant
from twin.commands.place import checked_config
from twin.commands.printing import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingest.payload.decoded import Decoded
    from ingest.routes import Routes
    from ingest.stamping import Stamping

Format = Literal["native", "senml", "senml-cbor", "sparkplug", "ieee1752", "fhir", "mapped"]


def decode_payloads(
    files: Annotated[
        list[Path], path_argument(metavar="FILE...", help="One payload each; - reads stdin.")
    ],
    form: Annotated[Format, typer.Option("--format", help="Wire format.")] = "native",
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Judge as published on this topic.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Judge the stamp's age too, as received at this time."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the mapping, for --format mapped."),
    ] = None,
    stamp_unit: Annotated[
        Unit | None,
        typer.Option(help="As of a device whose model declares this unit of its times."),
    ] = None,
    stamp_zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="As of a device whose times show this zone's clock."),
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Print a line of JSON for each observation, and for each refusal its reason.

    Judges format, unit, range and the stamp's syntax; never age (but with --now), device or
    consent. Exit code 1 if anything was refused. Of several Sparkplug files, each knows the metrics
    that those before it named.
    """
    from ingest.judge import judge

    received_at = instant(now, "--now")
    routes = _routes(mapping, config)
    stamping = _stamping(stamp_unit, stamp_zone)
    decode, unit = _decoder(form, topic, routes, stamping.unit)
    refused = False
    for file in files:
        with wrong_input(OSError):
            payload = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        for line in judge(payload, form, topic, received_at, decode, routes, stamping, unit):
            refused |= "reason" in line
            print_json(line | ({"file": str(file)} if len(files) > 1 else {}))
    raise typer.Exit(1 if refused else 0)


def _routes(mapping: Path | None, config: Path | None) -> Routes:
    from ingest.routes import Routes
    from twin.config_file import ConfigError, read_mappings

    if mapping is not None and config is not None:
        raise WrongInput("--mapping and --config: expected one of them, got both")
    if mapping is None:
        return Routes() if config is None else checked_config(config).ingest.routes()
    try:
        return Routes((), [each.rule() for each in read_mappings(mapping)])
    except ConfigError as error:
        raise WrongInput("\n".join(map(str, (error, *error.others)))) from error


def _stamping(unit: Unit | None, zone: str | None) -> Stamping:
    from ingest.stamping import Stamping, zone_of

    try:
        return Stamping(unit, None if zone is None else zone_of(zone))
    except ValueError as error:
        raise WrongInput(f"--stamp-zone: expected {error}, got {zone}") from error


def _decoder(
    form: Format, topic: str | None, routes: Routes, declared: Unit | None
) -> tuple[Callable[[bytes], Decoded] | None, Unit | None]:
    """A decoder that needs more than bytes, None where the form's own does; and the unit that its
    format has for times that are numbers."""
    if form == "mapped":
        return _mapped(topic, routes, declared)
    return (_sparkplug(topic, routes, declared), "ms") if form == "sparkplug" else (None, None)


def _mapped(
    topic: str | None, routes: Routes, declared: Unit | None
) -> tuple[Callable[[bytes], Decoded], Unit | None]:
    from ingest.payload.mapped import decode

    address = None if topic is None else routes.address(topic)
    names = list(routes.mappings)
    if address is not None and address.part in routes.mappings:
        names = [address.part]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        expected = "--mapping FILE or -c FILE with one mapping, or a --topic of one of them"
        raise WrongInput(f"--format mapped: expected {expected}, got {found}")
    rule = routes.mappings[names[0]]
    return lambda payload: decode(payload, rule, declared), rule.time.number


def _sparkplug(topic: str | None, routes: Routes, unit: Unit | None) -> Callable[[bytes], Decoded]:
    from ingest.payload.sparkplug import decode
    from ingest.payload.sparkplug_births import Metric, table_of

    address = None if topic is None else routes.address(topic)
    part = "DATA" if address is None or address.form != "sparkplug" else address.part
    declared: dict[str, Metric] = {}

    def in_order(payload: bytes) -> Decoded:
        kind = "DATA" if part == "BIRTH" and declared else part
        understood = decode(payload, kind, table_of(list(declared.values())), unit or "ms")
        declared.update((metric.name, metric) for metric in understood.declared)
        return understood.decoded

    return in_order
