"""`twin decode`: what the decoder makes of payloads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from twin.commands.failure import wrong_input
from twin.commands.options import Json, instant
from twin.commands.printing import print_json

Format = Literal["native", "senml", "senml-cbor", "fhir"]


def decode_payloads(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="One payload each; - reads stdin.")
    ],
    form: Annotated[Format, typer.Option("--format", help="Wire format.")] = "native",
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Judge as published on this topic.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Judge the stamp's age too, as received at this time."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a line of JSON for each observation, and for each refusal its reason.

    Judges format, unit, range and the stamp's syntax; never age (but with --now), device or
    consent. Exit code 1 if anything was refused.
    """
    from ingest.judge import judge

    received_at = instant(now, "--now")
    refused = False
    for file in files:
        with wrong_input(OSError):
            payload = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        for line in judge(payload, form, topic, received_at):
            refused |= "reason" in line
            print_json(line | ({"file": str(file)} if len(files) > 1 else {}))
    raise typer.Exit(1 if refused else 0)
