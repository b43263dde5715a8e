"""`twin fit`: class constants of a signal from recordings, as a model file and a report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import (
    Columns,
    Json,
    TimeColumn,
    columns,
    durations,
    folder_to_make,
    not_an_input,
    one_of,
)
from twin.commands.printing import print_columns, print_json, say
from twin.commands.replay import chosen_model, progress_bar

if TYPE_CHECKING:
    from twin.estimation.models import ModelFile
    from twin.report.fit import FitReport
    from twin.report.provenance import Source


def fit_constants(
    recordings: Annotated[
        list[Path], path_argument(metavar="OBSERVATIONS", help="CSV or Parquet, a file or more.")
    ],
    signal: Annotated[str, typer.Option(metavar="CODE", help="Whose constants: heart_rate, …")],
    out: Annotated[
        Path, typer.Option("--out", metavar="MODEL", help="Model file to write: .toml.")
    ],
    report: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the report, HTML and JSON.")
    ],
    horizons: Annotated[
        str, typer.Option(metavar="60s,15min,...", help="How far ahead forecasts are judged.")
    ] = "60s,5min,15min",
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to begin; without it, the shipped.")
    ] = None,
    wide: Columns = None,
    time_column: TimeColumn = None,
    trials: Annotated[
        int, typer.Option(min=10, max=10_000, help="So many sets of constants, in each search.")
    ] = 80,
    folds: Annotated[
        int, typer.Option(min=0, max=100, help="So many groups of persons are left out in turn.")
    ] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same constants.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit the constants of a signal by the score of its forecasts, and say what they are worth."""
    from ingest.catalogue import SIGNALS
    from ingest.sheet import RecordingError
    from twin.commands.recordings import people
    from twin.estimation.fitting import NothingToFit, by_horizon, evidence, fit
    from twin.estimation.models import base_model
    from twin.report.fit import FitReport
    from twin.report.provenance import code, source_of

    one_of(out, (".toml",), "--out")
    not_an_input(out, [*recordings, model], "--out")
    folder_to_make(report, "--report")
    ahead = _ahead(horizons)
    used = base_model() if model is None else chosen_model(model)
    if signal not in used.signals:
        known = ", ".join(code for code in SIGNALS if code in used.signals)
        raise WrongInput(f"--signal: got {signal!r}, expected one that the model has: {known}")
    with wrong_input(RecordingError, OSError, NothingToFit):
        files = [source_of(path, "recording") for path in recordings]
        read = people(recordings, columns(wide), time_column)
        given = evidence(read.recording, signal, ahead)
    with progress_bar("fit") as bar:
        done = fit(
            given,
            used,
            trials=trials,
            folds=folds,
            seed=seed,
            progress=bar or (lambda done, total: None),
        )
    text, written = _written(
        done.model, signal, out.stem, _source(given.persons, ahead, files, seed)
    )
    made = FitReport(
        out.stem,
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        used.version,
        written.version,
        seed,
        read.labels,
        done,
        by_horizon(given, used),
        by_horizon(given, written),
        files,
        code(),
    )
    _save(made, text, out, report, as_json)


def _ahead(horizons: str) -> list[float]:
    ahead = sorted(set(durations(horizons, "--horizons")))
    if not ahead or ahead[0] <= 0 or ahead[-1] > 7 * 86_400:
        raise WrongInput("--horizons: expected times above 0 and up to a week, like 60s,15min")
    return ahead


def _source(
    persons: Sequence[str], ahead: Sequence[float], files: Sequence[Source], seed: int
) -> str:
    from twin.estimation.pairing import horizon_name

    names = ", ".join(map(horizon_name, ahead))
    hashes = ", ".join(f"{each.name} {each.sha256[:16]}" for each in files)
    return f"twin fit: {names} ahead, {len(persons)} persons, seed {seed}; SHA-256 of {hashes}"


def _written(model: ModelFile, signal: str, name: str, source: str) -> tuple[str, ModelFile]:
    """The model file's text, and what is read back from it."""
    from dataclasses import replace

    from twin.estimation.model_text import model_text
    from twin.estimation.models import parse_model

    sourced = replace(model.signals[signal], source=source)
    whole = replace(model, signals={**model.signals, signal: sourced})
    note = f"Constants of {signal} by `twin fit`; all others are those of {model.version}."
    text = model_text(whole, name, "1", note)
    return text, parse_model(text, name)


def _save(made: FitReport, text: str, out: Path, folder: Path, as_json: bool) -> None:
    from twin.report.files import write_pair, write_whole
    from twin.report.fit import fit_document, fit_page

    content = fit_document(made)
    with failing(OSError):
        html, _ = write_pair(fit_page(made), content, folder, out.stem)
        write_whole(out, text)
    if as_json:
        print_json({"model": str(out), "report": str(html), **content})
        return
    rows = [(name, f"{a:.4g}", f"{b:.4g}") for name, (a, b) in made.fit.constants.items()]
    rows.append(("score", f"{made.fit.before:.4f}", f"{made.fit.after:.4f}"))
    if made.fit.left_out:
        before, after = made.unseen
        rows.append(("score of persons left out", f"{before:.4f}", f"{after:.4f}"))
    print_columns(("constant", "before", "after"), rows)
    say(f"{out} ({made.to_version}); report: {html}")
