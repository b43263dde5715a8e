"""Tables as a DuckDB file: the only module that knows DuckDB, an optional extra."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from twin.commands.failure import WrongInput

#: DuckDB keeps nanoseconds without a zone only: its stamps with one are of microseconds.
_UTC = pa.timestamp("ns")


def write_duckdb(tables: Iterable[pa.Table], out: Path, name: str) -> int:
    """Write the tables one after the other as one table `name`, stamps in UTC; returns how many
    rows. Whole or not at all: a file that was there is replaced. Raises OSError, and WrongInput
    where DuckDB is not installed."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise WrongInput(
            "--out: a .duckdb file needs DuckDB: pip install 'wearable-twin[duckdb]'"
        ) from error
    draft = out.with_name(f".{out.stem}.part{out.suffix}")
    draft.unlink(missing_ok=True)
    rows = 0
    try:
        with duckdb.connect(str(draft)) as connection:
            for table in tables:
                connection.register("piece", _without_zone(table))
                if not rows:
                    connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM piece LIMIT 0")
                connection.execute(f"INSERT INTO {name} FROM piece")
                connection.unregister("piece")
                rows += table.num_rows
        draft.replace(out)
    except duckdb.Error as error:  # a full disk, as DuckDB says it
        raise OSError(None, str(error).splitlines()[0], str(out)) from error
    finally:
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)
    return rows


def _without_zone(table: pa.Table) -> pa.Table:
    fields = [
        pa.field(each.name, _UTC if pa.types.is_timestamp(each.type) else each.type)
        for each in table.schema
    ]
    return table.cast(pa.schema(fields))
