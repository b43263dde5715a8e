"""`twin replay`: a recording through the twin, offline and deterministic."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from twin.commands.failure import failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import (
    Columns,
    FilePatient,
    Json,
    ModelPath,
    TimeColumn,
    columns,
    durations,
    not_an_input,
    one_of,
    text_of,
)
from twin.commands.printing import counted, print_json, say

if TYPE_CHECKING:
    from twin.estimation.models import ModelFile

Order = Literal["measured", "received"]
Progress = Callable[[int, int], None]


def replay_recording(
    observations: Annotated[
        Path, path_argument(metavar="OBSERVATIONS", help="CSV (also .csv.gz) or Parquet.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="ESTIMATES", help="File to write: .csv or .parquet.")
    ],
    wide: Columns = None,
    time_column: TimeColumn = None,
    order: Annotated[
        Order, typer.Option(help="By the time of measurement, or of receipt as live.")
    ] = "measured",
    forecast: Annotated[
        str | None,
        typer.Option(metavar="60s,15min,...", help="Rows for these times ahead, too."),
    ] = None,
    model: ModelPath = None,
    patient: FilePatient = None,
    device: Annotated[
        str | None, typer.Option(metavar="ID", help="Where the file names none: its own name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a recording through the twin: the same input gives the same bytes.

    One row for each observation that is accepted or belated; what gives none is counted on stderr.
    """
    from ingest.recording import read_recording
    from ingest.sheet import RecordingError
    from twin.estimation.replay import replay
    from twin.table_file import write_tables

    one_of(out, (".csv", ".parquet"), "--out")
    not_an_input(out, [observations], "--out")
    horizons = durations(forecast, "--forecast")
    chosen = None if model is None else chosen_model(model)
    named = columns(wide)
    with wrong_input(RecordingError, OSError):
        recording = read_recording(observations, named, time_column, patient, device)
    with progress_bar("replay") as progress:
        done = replay(recording, model=chosen, order=order, forecast=horizons, progress=progress)
    with failing(OSError):
        write_tables([done.table], out)
    _report(out, done.table.num_rows, done.counts, as_json)


def chosen_model(file: Path) -> ModelFile:
    """The model file that was named; what it declares is in the catalogue. Raises WrongInput."""
    from ingest.catalogue import SignalConflict, declare
    from twin.estimation.models import ModelError, parse_model

    with wrong_input(ModelError, SignalConflict):
        model = parse_model(text_of(file), str(file))
        declare(model.declared)
    return model


@contextmanager
def progress_bar(what: str) -> Iterator[Progress | None]:
    """Tells a bar of that name on stderr, where somebody looks at it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _report(out: Path, rows: int, counts: Mapping[str, int], as_json: bool) -> None:
    aside = {name: n for name, n in counts.items() if n and name != "rows"}
    if as_json:
        print_json({"out": str(out), "rows": rows, "counts": aside})
    say(f"{rows} rows in {out}" + (f"; {counted(aside)}" if aside else ""))
