"""Options and arguments that several commands have, and texts that become numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ingest.instant import parse_instant
from twin.commands.failure import WrongInput

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Data folder. Without it and -c: that of `twin run`, else of `twin demo`.",
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration file.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="COLUMN=signal,...",
        help="Read a wide file: HR=heart_rate,SpO2=spo2 (with a unit: G=glucose:mmol/L).",
    ),
]
TimeColumn = Annotated[
    str | None, typer.Option("--time", metavar="COLUMN", help="Column of the time.")
]
FilePatient = Annotated[
    str | None, typer.Option(metavar="ID", help="Where the file names none: its own name.")
]
ModelPath = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Model file; without it, the shipped one.")
]

_SECONDS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)?")


def instant(text: str | None, option: str) -> int | None:
    """ns UTC of an ISO-8601 text with zone; None stays None."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise WrongInput(f"{option}: got {text!r}, {error}") from None


def durations(text: str | None, option: str) -> list[float]:
    """Seconds of each of "60s,15min,2h"."""
    found = []
    for part in (text or "").split(",") if text else ():
        match = _DURATION.fullmatch(part.strip())
        if match is None:
            raise WrongInput(f"{option}: got {part.strip()!r}, expected one like 60s, 15min or 2h")
        found.append(float(match[1]) * _SECONDS[match[2] or ""])
    return found


def columns(text: str | None, option: str = "--columns") -> dict[str, str] | None:
    """Column → signal of "HR=heart_rate,SpO2=spo2"."""
    from ingest.recording import parse_columns

    try:
        return None if text is None else parse_columns(text)
    except ValueError as error:
        raise WrongInput(f"{option}: {error}") from None


def one_of(path: Path, endings: tuple[str, ...], option: str) -> Path:
    """The path, whose name ends in one of these, in a folder that exists."""
    if not path.name.lower().endswith(endings):
        expected = " or ".join(endings)
        raise WrongInput(f"{option}: got {path.name!r}, expected a name that ends in {expected}")
    if not path.absolute().parent.is_dir():
        raise WrongInput(f"{option}: {path.parent}: no such folder")
    return path
