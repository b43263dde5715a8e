"""`twin smooth`: one signal of one patient as it looks afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import Failed, WrongInput, failing, wrong_input
from twin.commands.given import path_argument
from twin.commands.options import (
    Columns,
    ConfigFile,
    DataDir,
    ModelPath,
    TimeColumn,
    columns,
    instant,
    not_an_input,
    one_of,
)
from twin.commands.printing import counted, say
from twin.commands.replay import chosen_model

if TYPE_CHECKING:
    from ingest.recording import Recording
    from twin.config import Config
    from twin.estimation.models import ModelFile
    from twin.estimation.smoother import Smoothed

_BEGINNING, _END = -(1 << 62), 1 << 62


def smooth_history(
    signal: Annotated[str, typer.Option(metavar="CODE", help="Which signal.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="To write: .csv, .parquet, .html.")
    ],
    observations: Annotated[
        Path | None,
        path_argument(metavar="[OBSERVATIONS]", help="A recording; without it, the store's."),
    ] = None,
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose; not needed where there is one only.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Stamps from this on; else all.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Stamps before this; else all.")
    ] = None,
    wide: Columns = None,
    time_column: TimeColumn = None,
    model: ModelPath = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Smooth a patient's history: every estimate knows what was measured after it, too.

    Filtered as live, then smoothed backwards (Rauch–Tung–Striebel). Both are in the file; an .html
    is a report with the picture, what hindsight changed and what went in.
    """
    import pyarrow as pa

    from ingest.recording import read_recording
    from ingest.sheet import RecordingError
    from twin.commands.place import config_at
    from twin.estimation.models import base_model
    from twin.estimation.smoother import smooth
    from twin.table_file import write_tables

    one_of(out, (".csv", ".parquet", ".html"), "--out")
    not_an_input(out, [observations, model], "--out")
    first, last = instant(start, "--from"), instant(end, "--to")
    with wrong_input(RecordingError, OSError):
        if observations is not None:
            read = read_recording(observations, columns(wide), time_column)
        else:
            read = stored_recording(config_at(config, data_dir), patient)
    chosen = base_model() if model is None else chosen_model(model)
    interval = _BEGINNING if first is None else first, _END if last is None else last
    only = _only(read, patient, signal)
    with wrong_input(ValueError):
        found = smooth(only, *interval, chosen)
    aside = _aside(read, only, chosen)
    if out.suffix.lower() == ".html":
        files = {"recording": observations, "model": model}
        with failing(OSError):
            _write_page(out, only, interval, found, chosen, files)
        say(f"{len(found.at)} stamps in {out}{aside}")
        return
    table = pa.table(
        {
            "as_of": pa.array(found.at, pa.timestamp("ns", tz="UTC")),
            "mean": found.mean,
            "std": found.std,
            "filtered_mean": found.filtered_mean,
            "filtered_std": found.filtered_std,
        }
    )
    with failing(OSError):
        write_tables([table], out)
    say(f"{len(found.at)} rows in {out}{aside}")


def _aside(read: Recording, only: Recording, model: ModelFile) -> str:
    """What was left out, as it follows a sentence: by the file's reading, or out of range."""
    import numpy as np

    from twin.estimation.bank import Bank
    from twin.estimation.replay import refusals

    unusable = refusals(only, np.arange(len(only)), Bank(model)).reasons
    aside = counted({**read.refused, **unusable})
    return f"; {aside}" if aside else ""


def _write_page(
    out: Path,
    only: Recording,
    interval: tuple[int, int],
    found: Smoothed,
    model: ModelFile,
    files: Mapping[str, Path | None],
) -> None:
    """The report; files: role → what was read, none: it came from the store, or ships."""
    from twin.report.deep_dive import DeepDive, deep_dive_page
    from twin.report.files import write_whole
    from twin.report.provenance import code, source_of

    inside = (only.measured_at >= interval[0]) & (only.measured_at < interval[1])
    page = deep_dive_page(
        DeepDive(
            only.patient[0],
            only.signal[0],
            datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            model.version,
            only.measured_at[inside],
            only.value[inside],
            found,
            [source_of(path, role) for role, path in files.items() if path is not None],
            code(),
        )
    )
    write_whole(out, page)


def _only(recording: Recording, patient: str | None, signal: str) -> Recording:
    import numpy as np

    from twin.estimation.pairing import subset

    people = list(dict.fromkeys(recording.patient))
    if not people:
        aside = counted(recording.refused)
        raise WrongInput("the recording: got no observation" + (f"; {aside}" if aside else ""))
    if (patient is None and len(people) > 1) or (patient is not None and patient not in people):
        got = "" if patient is None else f"got {patient!r}, "
        more = ", …" if len(people) > 20 else ""
        raise WrongInput(f"--patient: {got}expected one of {', '.join(people[:20])}{more}")
    wanted = people[0] if patient is None else patient
    chosen = [
        i
        for i, key in enumerate(zip(recording.patient, recording.signal, strict=True))
        if key == (wanted, signal)
    ]
    if not chosen:
        keys = zip(recording.patient, recording.signal, strict=True)
        seen = ", ".join(sorted({code for whose, code in keys if whose == wanted}))
        raise WrongInput(f"--signal: nothing of {signal!r} of this patient, expected one of {seen}")
    return subset(recording, np.array(chosen, np.int64))


def stored_recording(config: Config, patient: str | None) -> Recording:
    """The embedded store's observations of a patient (None: of all)."""
    import apsw
    import pyarrow as pa

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
    return recording_of(pa.concat_tables(tables))
