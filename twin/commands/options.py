"""Options and arguments that several commands have, and texts that become numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ingest.instant import parse_bounded
from twin.commands.failure import WrongInput, in_words

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
#: Seconds. Nobody knows what a person will be later than this.
LONGEST = 366 * 86_400.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)?")


def instant(text: str | None, option: str) -> int | None:
    """ns UTC of an ISO-8601 text with zone; None stays None."""
    if text is None:
        return None
    try:
        return parse_bounded(text)
    except (ValueError, OverflowError) as error:
        raise WrongInput(f"{option}: got {text!r}, {error}") from None


def durations(text: str | None, option: str) -> list[float]:
    """Seconds of each of "60s,15min,2h", at most 366 days."""
    found = []
    for part in (text or "").split(",") if text else ():
        match = _DURATION.fullmatch(part.strip())
        if match is None:
            raise WrongInput(f"{option}: got {part.strip()!r}, expected one like 60s, 15min or 2h")
        found.append(float(match[1]) * _SECONDS[match[2] or ""])
        if found[-1] > LONGEST:
            raise WrongInput(f"{option}: got {part.strip()!r}, expected at most 366d")
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
    return file_to_make(path, option)


def file_to_make(path: Path, option: str) -> Path:
    """The path, which is no folder, in a folder that exists."""
    if not path.absolute().parent.is_dir():
        raise WrongInput(f"{option}: {path.parent}: no such folder")
    if path.is_dir():
        raise WrongInput(f"{option}: {path} is a folder, expected a file")
    return path


def not_an_input(out: Path, inputs: Iterable[Path | None], option: str) -> None:
    """What is to be written is none of the files that are read: it would be gone."""
    for path in inputs:
        if path is not None and out.exists() and path.exists() and out.samefile(path):
            raise WrongInput(f"{option}: {out} is an input itself")


def folder_to_make(path: Path, option: str) -> None:
    """A folder, or where one can be made: no file stands on the way."""
    wanted = path.absolute()
    on_the_way = next(each for each in (wanted, *wanted.parents) if each.exists())
    if not on_the_way.is_dir():
        raise WrongInput(f"{option}: {on_the_way} is a file, expected a folder")


def text_of(file: Path) -> str:
    """What a UTF-8 file holds; one that cannot be read is wrong input."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise WrongInput(f"{file}: expected UTF-8 text, got {error.reason}") from None
    except OSError as error:
        raise WrongInput(in_words(error)) from error
