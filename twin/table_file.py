"""Arrow tables as CSV or Parquet files, piece by piece, whole or not at all.

CSV: ISO-8601 ns with Z, shortest float64, empty = none, and quotes only where a cell needs them (a
comma, quote or line break in it), so that `cut`, `awk` and `grep` read it, too. Arrow's own writer
puts quotes around every text and every name of a column.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_NEEDS_QUOTES = '[",\r\n]'


def write_tables(tables: Iterable[pa.Table], out: Path) -> int:
    """Write one or more tables of the same columns one after the other, by the file's name.

    Returns how many rows. Blocks on the disk; raises OSError, and then `out` is as it was.
    """
    draft = out.with_name(f".{out.stem}.part{out.suffix}")
    write = _write_parquet if out.suffix.lower() == ".parquet" else _write_csv
    try:
        rows = write(tables, draft)
        draft.replace(out)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(out)) from error
    finally:
        draft.unlink(missing_ok=True)
    return rows


def _write_parquet(tables: Iterable[pa.Table], draft: Path) -> int:
    from pyarrow import parquet

    rows, writer = 0, None
    try:
        for table in tables:
            if writer is None:
                writer = parquet.ParquetWriter(draft, table.schema)
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _write_csv(tables: Iterable[pa.Table], draft: Path) -> int:
    rows, begun = 0, False
    with draft.open("wb") as file:
        for table in tables:
            if not begun:
                file.write((",".join(table.column_names) + "\n").encode())
                begun = True
            _append_csv(_in_words(table), file)
            rows += table.num_rows
    return rows


def _append_csv(table: pa.Table, file: BinaryIO) -> None:
    from pyarrow import csv

    style = "needed" if _needs_quotes(table) else "none"
    csv.write_csv(table, file, csv.WriteOptions(include_header=False, quoting_style=style))


def _needs_quotes(table: pa.Table) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    return any(
        pc.any(pc.match_substring_regex(column.unique(), _NEEDS_QUOTES)).as_py() for column in texts
    )


def _in_words(table: pa.Table) -> pa.Table:
    """The table with its instants as texts."""
    import pyarrow as pa

    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            stamps = table.column(place).to_numpy().astype("datetime64[ns]")
            texts: list[Any] = [f"{text}Z" for text in np.datetime_as_string(stamps)]
            table = table.set_column(place, column.name, pa.array(texts, pa.string()))
    return table
