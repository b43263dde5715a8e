"""`twin illness`: what the nights of a recording say of the onset of an illness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import (
    Columns,
    FilePatient,
    Json,
    TimeColumn,
    columns,
    not_an_input,
    one_of,
)
from twin.commands.printing import print_json, say

if TYPE_CHECKING:
    from twin.assessment.illness import Judged
    from twin.nights import Nights


def judge_nights(
    observations: Annotated[
        Path, path_argument(metavar="OBSERVATIONS", help="CSV (also .csv.gz) or Parquet.")
    ],
    out: Annotated[Path, typer.Option(metavar="OUT", help="A row a night: .csv or .parquet.")],
    zone: Annotated[str, typer.Option(metavar="ZONE", help="Time zone of the nights.")] = "UTC",
    wide: Columns = None,
    time_column: TimeColumn = None,
    patient: FilePatient = None,
    as_json: Json = False,
) -> None:
    """Illness onset from nights (resting heart rate, respiration, HRV, skin temperature)."""
    from ingest.recording import read_recording
    from ingest.sheet import RecordingError
    from twin.nights import judged_nights
    from twin.table_file import write_tables

    one_of(out, (".csv", ".parquet"), "--out")
    not_an_input(out, [observations], "--out")
    try:
        site = ZoneInfo(zone)
    except (LookupError, OSError, ValueError) as error:  # a folder of zones is OSError
        raise WrongInput(f"--zone: expected a zone as Europe/Paris, got {zone!r}") from error
    with wrong_input(RecordingError, OSError, ValueError):
        recording = read_recording(observations, columns(wide), time_column, patient)
        rows = judged_nights(recording, site)
    with failing(OSError):
        write_tables([_table(rows)], out)
    onsets = sum(row.state == "onset" for _, _, row in rows)
    people = len({name for name, _, _ in rows})
    if as_json:
        print_json({"out": str(out), "patients": people, "nights": len(rows), "onset": onsets})
    say(f"{len(rows)} nights of {people} patients in {out}; {onsets} with the signs of an onset")


def _table(rows: list[tuple[str, Nights, Judged]]) -> Any:
    import pyarrow as pa

    from twin.assessment.illness import SIGNALS_OF_ILLNESS
    from twin.nights import day_of

    found: dict[str, Any] = {
        "patient": [name for name, _, _ in rows],
        "night": [day_of(row.night) for _, _, row in rows],
        "state": [row.state.value for _, _, row in rows],
        "cusum": [row.cusum for _, _, row in rows],
        "innovation": pa.array(
            [None if row.innovation != row.innovation else row.innovation for _, _, row in rows],
            pa.float64(),
        ),
        "nights_learnt": [row.nights for _, _, row in rows],
    }
    for code in SIGNALS_OF_ILLNESS:
        values = [nights[row.night].get(code) for _, nights, row in rows]
        found[code] = pa.array([one and one.value for one in values], pa.float64())
        usual = [row.usual.get(code) for _, _, row in rows]
        found[f"{code}_usual"] = pa.array(usual, pa.float64())
    return pa.table(found)
