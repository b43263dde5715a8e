"""`twin assess`: the rules of scores and alarms on a recording, offline and deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import (
    Columns,
    FilePatient,
    Json,
    ModelPath,
    TimeColumn,
    columns,
    not_an_input,
    one_of,
)
from twin.commands.printing import counted, print_json, say
from twin.commands.replay import chosen_model, progress_bar

if TYPE_CHECKING:
    from ingest.observation import Command
    from ingest.recording import Recording
    from twin.offline import Assessed

ENDINGS = (".csv", ".parquet")


def assess_recording(
    observations: Annotated[
        Path, path_argument(metavar="OBSERVATIONS", help="CSV (also .csv.gz) or Parquet.")
    ],
    news2: Annotated[
        Path, typer.Option("--news2", metavar="OUT", help="Scores: .csv or .parquet.")
    ],
    alarms: Annotated[
        Path, typer.Option("--alarms", metavar="OUT", help="Transitions: .csv or .parquet.")
    ],
    entries: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What people entered: patient,at,kind,value."),
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Limits: patient,signal,priority,low,high."),
    ] = None,
    wide: Columns = None,
    time_column: TimeColumn = None,
    model: ModelPath = None,
    patient: FilePatient = None,
    as_json: Json = False,
) -> None:
    """NEWS2 and alarms of a recording, with a tick for each second of its time.

    The same input gives the same bytes. What is no use to the twin is counted on stderr.
    """
    from ingest.recording import read_recording
    from ingest.sheet import RecordingError
    from twin.offline import assess

    for out, option in ((news2, "--news2"), (alarms, "--alarms")):
        _check_out(out, option, [observations, entries, limits])
    if news2.absolute() == alarms.absolute():
        raise WrongInput("--alarms: the file of --news2")
    chosen = None if model is None else chosen_model(model)  # its signals may have limits
    with wrong_input(RecordingError, OSError):
        recording = read_recording(observations, columns(wide), time_column, patient)
        told = _told(recording, entries, limits)
    with wrong_input(ValueError), progress_bar("assess") as progress:
        done = assess(recording, told, chosen, progress=progress)
    if done.refused:
        raise WrongInput(_why(*done.refused[0], {"entry": entries, "limits": limits}))
    _write(done, news2, alarms)
    _report(done, news2, alarms, as_json)


def _check_out(out: Path, option: str, inputs: list[Path | None]) -> None:
    one_of(out, ENDINGS, option)
    not_an_input(out, inputs, option)


def _told(recording: Recording, entries: Path | None, limits: Path | None) -> list[Command]:
    from twin.commands.said_files import read_entries, read_limits

    begin = int(recording.received_at.min()) if len(recording) else 0
    known = set(recording.patient)
    told = [] if limits is None else read_limits(limits, begin, known)
    return told + ([] if entries is None else read_entries(entries, known))


def _why(named: str, why: str, files: Mapping[str, Path | None]) -> str:
    """What the twin refused when its turn came, at its place (`kind-line`) in its file."""
    from twin.commands.said_files import refused_line

    kind, _, line = named.partition("-")
    return refused_line(files.get(kind) or kind, line, why)


def _write(done: Assessed, news2: Path, alarms: Path) -> None:
    from twin.commands.said_files import alarm_table, score_table
    from twin.table_file import write_tables

    with failing(OSError):
        write_tables([score_table(done.scores)], news2)
        write_tables([alarm_table(done.alarms)], alarms)


def _report(done: Assessed, news2: Path, alarms: Path, as_json: bool) -> None:
    raised = len({a.id for a in done.alarms if a.event.value == "raised"})
    aside = {name: n for name, n in sorted(done.counts.items()) if n and name != "accepted"}
    if as_json:
        print_json(
            {
                "news2": str(news2),
                "alarms": str(alarms),
                "scores": len(done.scores),
                "transitions": len(done.alarms),
                "raised": raised,
                "counts": aside,
            }
        )
    words = f"{len(done.scores)} scores in {news2}; {raised} alarms in {alarms}"
    say(words + (f"; {counted(aside)}" if aside else ""))
