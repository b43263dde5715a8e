"""`twin export`: the embedded store's record as one CSV, Parquet or DuckDB file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from twin.commands.failure import WrongInput, failing
from twin.commands.options import ConfigFile, DataDir, Json, instant, one_of
from twin.commands.printing import print_json, say

if TYPE_CHECKING:
    import pyarrow as pa

    from twin.store.reading import Reading

What = Literal["observations", "estimates"]
_BEGINNING, _END = -(1 << 62), 1 << 62


def export_record(
    what: Annotated[What, typer.Argument(help="In replay's columns, or with bands.")],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="File to write: .csv, .parquet or .duckdb."),
    ],
    patient: Annotated[str | None, typer.Option(metavar="ID", help="Only this patient's.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="First stamp, ISO-8601 with zone.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Stamps before this.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write observations or estimates of the embedded store; beside a running service too."""
    import apsw

    from twin.commands.duck import write_duckdb
    from twin.commands.place import config_at, present
    from twin.store.embedded import EmbeddedStore
    from twin.store.sqlite_file import StoreDamaged
    from twin.table_file import write_tables

    one_of(out, (".csv", ".parquet", ".duckdb"), "--out")
    first, last = instant(start, "--from"), instant(end, "--to")
    if first is not None and last is not None and last <= first:
        raise WrongInput("--to: expected a time after --from")
    path = present(config_at(config, data_dir).paths.store, "embedded store")
    with failing(StoreDamaged, apsw.Error, OSError), EmbeddedStore(path, readonly=True) as store:
        if patient is not None and not store.reading.knows(patient):
            raise WrongInput(f"--patient: got {patient!r}, expected a patient who has measurements")
        span = (_BEGINNING if first is None else first, _END if last is None else last)
        tables = _tables(store.reading, what, patient, *span)
        if out.suffix.lower() == ".duckdb":
            rows = write_duckdb(tables, out, what)
        else:
            rows = write_tables(tables, out)
    if as_json:
        print_json({"out": str(out), "rows": rows})
    say(f"{rows} rows in {out}")


def _tables(
    reading: Reading, what: What, patient: str | None, start: int, end: int
) -> Iterator[pa.Table]:
    """At least one table, so that an empty record still gives a file with its columns."""
    from twin.commands.tables import estimate_table, no_rows, observation_table

    if what == "observations":
        yield no_rows(observation_table)
        for piece in reading.observations(patient, start, end):
            yield observation_table(piece)
    else:
        yield no_rows(estimate_table)
        for piece in reading.estimates(patient, start, end):
            yield estimate_table(piece)
