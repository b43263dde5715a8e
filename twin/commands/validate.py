"""`twin validate`: how far a model can be believed on recordings, as a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from twin.commands.failure import Failed, WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import (
    Columns,
    Json,
    ModelPath,
    TimeColumn,
    columns,
    durations,
    folder_to_make,
    text_of,
)
from twin.commands.printing import print_columns, print_json, say
from twin.commands.replay import chosen_model

if TYPE_CHECKING:
    from twin.estimation.credibility import Credibility
    from twin.estimation.thresholds import Statement, Thresholds
    from twin.report.document import Report
    from twin.report.provenance import Source

Order = Literal["measured", "received"]
_HORIZONS = "60s,15min,30min"


def validate_model(
    recordings: Annotated[
        list[Path], path_argument(metavar="RECORDING...", help="CSV (also .csv.gz) or Parquet.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the report; made if absent.")
    ],
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Of the report's files, and its title.")
    ] = "credibility",
    wide: Columns = None,
    time_column: TimeColumn = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Reference: a long file with the same patients."),
    ] = None,
    reference_device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Reference: this device, withheld from the twin."),
    ] = None,
    reference_wide: Annotated[
        str | None,
        typer.Option(
            "--reference-columns",
            metavar="COLUMN=signal,...",
            help="Reference: these columns of the wide files.",
        ),
    ] = None,
    model: ModelPath = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another model file, on the same readings.")
    ] = None,
    horizons: Annotated[
        str, typer.Option(metavar="60s,15min,...", help="How far ahead to judge.")
    ] = _HORIZONS,
    order: Annotated[
        Order, typer.Option(help="By the time of measurement, or of receipt as live.")
    ] = "measured",
    question: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The question of interest.")
    ] = None,
    context: Annotated[str | None, typer.Option(metavar="TEXT", help="The context of use.")] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Limits registered beforehand (TOML): exit code 1 if one is not kept.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge a model on recordings and write a credibility report, HTML and JSON.

    The reference is what the recording itself measured later, or what --reference… says.
    """
    from ingest.sheet import RecordingError
    from twin.commands.recordings import people, reference_for
    from twin.estimation.checks import checks
    from twin.estimation.credibility import credibility
    from twin.estimation.models import base_model
    from twin.estimation.thresholds import judged
    from twin.report.document import Report
    from twin.report.files import write_report
    from twin.report.provenance import code

    if sum(each is not None for each in (reference, reference_device, reference_wide)) > 1:
        raise WrongInput("expected one of --reference, --reference-device, --reference-columns")
    folder_to_make(out, "--out")
    plain = name.isprintable() and Path(name).name == name and not name.startswith(".")
    if not name or not plain:
        raise WrongInput(f"--name: got {name!r}, expected a file's name without its ending")
    ahead = _positive(durations(horizons, "--horizons"))
    limits = None if thresholds is None else _thresholds(thresholds)
    used = base_model() if model is None else chosen_model(model)
    other = None if compare is None else chosen_model(compare)
    with wrong_input(RecordingError, OSError):
        files = _sources(recordings, reference, model, compare, thresholds)
        read = people(recordings, columns(wide), time_column)
        against, recording, truth = reference_for(
            read.recording,
            recordings,
            reference,
            reference_device,
            columns(reference_wide, "--reference-columns"),
            time_column,
        )
    if limits is not None:
        ahead = [*ahead, *(limit.seconds for limit in limits.limits if limit.seconds > 0)]
    found = credibility(
        recording, truth, used, ahead, compare=other, order=order, progress=_progress
    )
    if not found.signals:
        raise WrongInput("the recordings: got no observation that the model can use")
    _expect_readings(found, reference=truth is not None)
    report = Report(
        name,
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        _statement(limits, question, context),
        against,
        order,
        used,
        other,
        [read.labels[patient] for patient in dict.fromkeys(recording.patient)],
        found,
        checks(recording, found.replayed.taken, used),
        limits,
        [] if limits is None else judged(limits, found),
        files,
        code(),
    )
    with failing(OSError):
        written = write_report(report, out, name)
    _tell(report, written, as_json)


def _expect_readings(found: Credibility, reference: bool) -> None:
    """Raises WrongInput where nothing of any signal could be judged: there is no report of that."""
    horizons = [each for signal in found.signals for each in signal.horizons]
    if any(each.metrics["readings"] for each in horizons):
        return
    times = ", ".join(dict.fromkeys(each.name for each in horizons))
    of = ", ".join(signal.signal for signal in found.signals)
    if reference:
        raise WrongInput(f"the reference: nothing to judge, no reading of {of} at {times}")
    raise WrongInput(
        f"the recordings: nothing to judge, no reading of {of} lies {times} after an estimate; "
        "expected longer recordings, or shorter --horizons"
    )


def _positive(ahead: Sequence[float]) -> Sequence[float]:
    if not ahead or min(ahead) <= 0 or max(ahead) > 366 * 86_400:
        raise WrongInput("--horizons: expected times above 0 and up to a year, like 60s,15min")
    return ahead


def _thresholds(file: Path) -> Thresholds:
    from twin.estimation.thresholds import ThresholdError, parse_thresholds

    def seconds_of(text: str) -> float | None:
        try:
            (seconds,) = durations(text, "")
        except (WrongInput, ValueError):
            return None
        return seconds

    with wrong_input(ThresholdError):
        return parse_thresholds(text_of(file), str(file), seconds_of)


def _statement(limits: Thresholds | None, question: str | None, context: str | None) -> Statement:
    """What the thresholds file states; options come before it."""
    from twin.estimation.thresholds import Statement

    stated = Statement() if limits is None else limits.statement
    return replace(stated, question=question or stated.question, context=context or stated.context)


def _sources(
    recordings: Sequence[Path],
    reference: Path | None,
    model: Path | None,
    compare: Path | None,
    thresholds: Path | None,
) -> list[Source]:
    from twin.report.provenance import source_of

    more = (
        (reference, "reference"),
        (model, "model"),
        (compare, "other model"),
        (thresholds, "thresholds"),
    )
    found = [source_of(path, "recording") for path in recordings]
    return found + [source_of(path, role) for path, role in more if path is not None]


def _progress(begins: str) -> None:
    import sys

    if sys.stderr.isatty():
        say(begins)


def _tell(report: Report, written: tuple[Path, Path], as_json: bool) -> None:
    """Print the summary, then end with exit code 1 if a threshold or check failed."""
    from twin.estimation.thresholds import limit_in_words
    from twin.report.document import document

    failed = [limit_in_words(each.limit) for each in report.verdicts if not each.passed]
    failed += [check.name for check in report.checks if check.passed is False]
    if as_json:
        signals = document(report)["signals"]
        metrics: dict[str, Any] = {
            signal: {at: horizon["metrics"] for at, horizon in each["horizons"].items()}
            for signal, each in signals.items()
        }
        html, data = map(str, written)
        print_json({"html": html, "json": data, "failed": failed, "metrics": metrics})
    else:
        print_columns(
            ("signal", "ahead", "readings", "RMSE", "MAE", "skill", "90 %"), _rows(report)
        )
        say(f"report in {written[0]} and {written[1].name}")
    if failed:
        raise Failed(f"{len(failed)} not kept: {'; '.join(failed)}")


def _rows(report: Report) -> list[tuple[object, ...]]:
    return [
        (
            signal.signal,
            horizon.name,
            int(horizon.metrics["readings"]),
            *(_shown(horizon.metrics[name], ".3g") for name in ("rmse", "mae")),
            *(_shown(horizon.metrics[name], ".1%") for name in ("skill", "coverage90")),
        )
        for signal in report.found.signals
        for horizon in signal.horizons
    ]


def _shown(value: float, format: str) -> str | None:  # noqa: A002
    """None: there was nothing to make it of."""
    return f"{value:{format}}" if math.isfinite(value) else None
