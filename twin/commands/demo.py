"""`twin demo`: everything in one process, with nothing to install or configure."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Annotated

import typer

from twin.commands.failure import WrongInput
from twin.commands.options import Json, folder_to_make
from twin.commands.run import starting

_BROKER = re.compile(r"nats|mosquitto|mqtt://[^\s/:]+(?::(\d+))?/?")


def run_demonstration(
    patients: Annotated[
        int, typer.Option(min=0, max=10_000, help="Simulated patients; 0: no simulated fleet.")
    ] = 12,
    speed: Annotated[
        float, typer.Option(min=0.1, max=1_000, help="How many times faster than the clock.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 1,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the page; 0 takes a free one.")
    ] = 0,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so long.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data folder; without it, one in the user's data folder."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="nats|mosquitto|URL",
            help="Broker to start, or mqtt://host:port of one that runs.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulated patients, broker, twin, store and page on this machine; prints the address.

    Ctrl-C stops it; started again on the same folder it goes on where it was.
    """
    if duration is not None and not duration > 0:
        raise WrongInput(f"--duration: got {duration:g}, expected more than 0")
    if broker is not None and not _named(broker):
        raise WrongInput(
            f"--broker: got {broker!r}, expected nats, mosquitto or an address like "
            "mqtt://127.0.0.1:1883"
        )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    from twin.config_paths import default_data_dir

    folder = data_dir or default_data_dir("demo")
    folder_to_make(folder, "--data-dir")
    with starting(f"page 127.0.0.1:{port}", folder):
        from twin.runtime.demo import DemoOptions, run_demo

        options = DemoOptions(patients, speed, seed, port, duration, folder, broker, as_json)
        code = run_demo(options)
    raise typer.Exit(code)


def _named(broker: str) -> bool:
    """Whether it says which broker, with a port that there is."""
    match = _BROKER.fullmatch(broker)
    return match is not None and (match[1] is None or 0 < int(match[1][:6]) <= 65_535)
