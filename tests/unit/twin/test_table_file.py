"""Tables as files: quotes only where a cell needs them, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from twin.table_file import write_tables


def piece(patient: str | None, at: int = 1_764_057_600_123_456_789) -> pa.Table:
    return pa.table(
        {
            "patient": pa.array([patient], pa.string()),
            "at": pa.array([at], pa.timestamp("ns", tz="UTC")),
            "value": pa.array([0.1]),
            "complete": pa.array([True]),
            "nis": pa.array([None], pa.float64()),
        }
    )


def test_plain_cells_and_names_have_no_quotes(tmp_path: Path) -> None:
    assert write_tables([piece("p 1'é"), piece(None)], tmp_path / "e.csv") == 2
    assert (tmp_path / "e.csv").read_text("utf-8") == (
        "patient,at,value,complete,nis\n"
        "p 1'é,2025-11-25T08:00:00.123456789Z,0.1,true,\n"
        ",2025-11-25T08:00:00.123456789Z,0.1,true,\n"
    )


@pytest.mark.parametrize("patient", ["a,b", 'a"b', "a\nb", "a\rb"])
def test_a_cell_that_needs_quotes_has_them(tmp_path: Path, patient: str) -> None:
    write_tables([piece("p1"), piece(patient)], tmp_path / "e.csv")
    with (tmp_path / "e.csv").open(newline="", encoding="utf-8") as lines:
        assert [row["patient"] for row in csv.DictReader(lines)] == ["p1", patient]


@pytest.mark.parametrize("name", ["e.parquet", "E.PARQUET"])
def test_the_name_decides_in_any_case(tmp_path: Path, name: str) -> None:
    write_tables([piece("a,b"), piece(None)], tmp_path / name)
    assert parquet.read_table(tmp_path / name).equals(pa.concat_tables([piece("a,b"), piece(None)]))


@pytest.mark.parametrize("name", ["e.csv", "e.parquet"])
def test_what_fails_on_the_way_leaves_the_file_as_it_was(tmp_path: Path, name: str) -> None:
    def cut() -> Iterator[pa.Table]:
        yield piece("p1")
        raise OSError("disk")

    (tmp_path / name).write_text("before")
    with pytest.raises(OSError, match="disk"):
        write_tables(cut(), tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "before"
