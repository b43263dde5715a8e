"""`twin alarms`: what limits would have raised on the record, before they are enabled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import Failed, WrongInput, failing, wrong_input
from twin.commands.options import ConfigFile, DataDir, Json, one_of
from twin.commands.printing import print_columns, print_json, say

if TYPE_CHECKING:
    from ingest.observation import Command
    from ingest.recording import Recording
    from twin.config import Config

app = typer.Typer(no_args_is_help=True, help="Alarms and their limits")


@app.callback()
def alarms() -> None:
    """Alarms and their limits."""


@app.command("backtest")
def backtest_limits(
    days: Annotated[float, typer.Option(min=0.01, help="The newest so many days.")] = 1.0,
    patient: Annotated[str | None, typer.Option(metavar="ID", help="Only of this patient.")] = None,
    limits: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Limits: patient,signal,priority,low,high."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Write a page with a plot.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say how many alarms these limits would have raised on the stored record."""
    from ingest.sheet import RecordingError
    from twin.backtest import backtest, backtest_page
    from twin.commands.place import config_at
    from twin.runtime.parts import model_of

    if html is not None:
        one_of(html, (".html",), "--html")
    used = config_at(config, data_dir)
    if used.purpose.mode == "wellness":
        raise Failed("purpose.mode is wellness: there are no clinical alarms to try limits of")
    recording = _recorded(used, patient, days)
    with wrong_input(RecordingError, OSError):
        told = [] if limits is None else _told(limits, recording, patient)
    with wrong_input(ValueError):
        found = backtest(recording, told, model_of(used))
    if html is not None:
        with failing(OSError):
            html.write_text(backtest_page(found), "utf-8")
    if as_json:
        print_json(
            {
                "raised": len(found.raised),
                "patients": found.patients,
                "each_day": found.each_day,
                "each_day_high": found.each_day_high,
                "within_budget": found.within_budget,
                "rules": [
                    {"rule": rule, "priority": priority, "alarms": count}
                    for (rule, priority), count in found.by_rule.items()
                ],
            }
        )
    else:
        rows = [(rule, priority, count) for (rule, priority), count in found.by_rule.items()]
        print_columns(("rule", "priority", "alarms"), rows)
    verdict = "within" if found.within_budget else "beyond"
    say(
        f"{len(found.raised)} alarms for {found.patients} patients, {found.each_day:.2f} for each "
        f"patient and day: {verdict} the budget"
    )


def _told(limits: Path, recording: Recording, patient: str | None) -> list[Command]:
    """The limits of the file; of one patient's record those of others are none of its business."""
    from twin.commands.said_files import read_limits

    known = set(recording.patient) if patient is None else None
    return read_limits(limits, int(recording.received_at.min()), known)


def _recorded(config: Config, patient: str | None, days: float) -> Recording:
    """The newest days of the embedded store's record."""
    import apsw
    import pyarrow as pa

    from ingest.instant import DAY
    from ingest.recording import recording_of
    from twin.commands.place import present
    from twin.commands.tables import observation_table
    from twin.store.embedded import EmbeddedStore
    from twin.store.sqlite_file import StoreDamaged

    path = present(config.paths.store, "embedded store")
    with failing(StoreDamaged, apsw.Error, OSError), EmbeddedStore(path, readonly=True) as store:
        tables = [observation_table(piece) for piece in store.reading.observations(patient)]
    if not tables:
        if patient is None:
            raise Failed("no observation in the record")
        raise WrongInput(f"--patient: got {patient!r}, expected a patient who has measurements")
    whole = pa.concat_tables(tables)
    stamps = whole.column("measured_at").to_numpy().astype("int64")
    chosen = stamps >= stamps.max() - round(days * DAY)
    if not chosen.any():
        raise WrongInput("--days: nothing in this span")
    return recording_of(whole.filter(pa.array(chosen)))
