"""`twin scenario`: what if, from a copy of the twin's state. Nothing is journalled or stored."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.commands.failure import failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import Columns, ConfigFile, DataDir, TimeColumn, columns, instant, one_of
from twin.commands.printing import say
from twin.commands.replay import chosen_model

if TYPE_CHECKING:
    from twin.branch import Branch
    from twin.estimation.scenario import Curve


def ask_scenario(
    scenario: Annotated[
        Path, path_argument(metavar="SCENARIO", help="What is asked: .toml or .json.")
    ],
    patient: Annotated[str, typer.Option(metavar="ID", help="Whose twin is asked.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="To write: .csv or .json.")],
    recording: Annotated[
        Path | None,
        typer.Option(metavar="OBSERVATIONS", help="Branch from a recording, not the live twin."),
    ] = None,
    wide: Columns = None,
    time_column: TimeColumn = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Branch there in the recording.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Model file for the recording.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Ask the twin what would happen: an activity, a drug's declared effect, a device lost.

    The answer is a scenario, not a measurement, and says so in every row. Without --recording it
    branches from the newest snapshots of the data folder, about a minute old.
    """
    from ingest.sheet import RecordingError
    from twin.estimation.scenario import ScenarioError, curves, personal, read_scenario
    from twin.snapshot import SnapshotUnreadable

    one_of(scenario, (".toml", ".json"), "SCENARIO")
    one_of(out, (".csv", ".json"), "--out")
    with wrong_input(ScenarioError, RecordingError, SnapshotUnreadable, OSError):
        toml = scenario.suffix.lower() == ".toml"
        asked = read_scenario(scenario.read_bytes(), str(scenario), toml)
        if recording is None:
            branch = _live(config, data_dir, patient)
        else:
            branch = _recorded(recording, wide, time_column, at, model, patient)
        known = branch.responses.of_patient(patient)
        made = curves(branch.bank, patient, branch.devices, personal(asked, known))
    with failing(OSError):
        text = _csv(made, patient) if out.suffix.lower() == ".csv" else _json(made, patient)
        out.write_text(text, "utf-8")
    for measured in {a.measured for a in asked.activity if a.gain is None}:
        own = known[measured]
        learnt = f"learnt in {own.minutes:.0f} min" if own.minutes else "assumed, as of people"
        say(f"answer to {measured}: {own.gain:.4g} ± {own.gain_std:.2g} /min per unit, {learnt}")
    say(f"{sum(len(curve.at) for curve in made)} rows in {out}: a scenario, not a measurement")


def _live(config: Path | None, data_dir: Path | None, patient: str) -> Branch:
    from twin.branch import branch_of_snapshots
    from twin.commands.place import config_at, present

    used = config_at(config, data_dir)
    return branch_of_snapshots(
        present(used.paths.snapshots, "snapshot"), used.journal.partitions, patient
    )


def _recorded(
    recording: Path,
    wide: str | None,
    time_column: str | None,
    at: str | None,
    model: Path | None,
    patient: str,
) -> Branch:
    from ingest.recording import read_recording
    from twin.branch import branch_of_recording

    chosen = None if model is None else chosen_model(model)
    read = read_recording(recording, columns(wide), time_column, patient)
    return branch_of_recording(read, instant(at, "--at"), chosen)


def rows_of(made: list[Curve], patient: str) -> list[dict[str, Any]]:
    """A row for each signal and time, each with the watermark in both languages."""
    from ingest.instant import format_instant
    from twin.forecast import WATERMARK

    mark = " / ".join(WATERMARK.values())
    rows = []
    for curve in made:
        for i, at in enumerate(curve.at.tolist()):
            mean, halves = float(curve.mean[i]), curve.halves[:, i].tolist()
            row: dict[str, Any] = {"watermark": mark, "patient": patient, "signal": curve.signal}
            row |= {"time": format_instant(at), "mean": mean, "std": float(curve.std[i])}
            for band, half in zip((50, 90, 95), halves, strict=True):
                row |= {f"lo{band}": mean - half, f"hi{band}": mean + half}
            rows.append(row | {"known_std": float(curve.known_std[i])})
    return rows


def _csv(made: list[Curve], patient: str) -> str:
    rows, text = rows_of(made, patient), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _json(made: list[Curve], patient: str) -> str:
    from twin.forecast import WATERMARK

    body = {"watermark": WATERMARK, "patient": patient, "rows": rows_of(made, patient)}
    return json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n"
