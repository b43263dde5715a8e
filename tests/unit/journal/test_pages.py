"""Rows read page by page are those that SQLite reads."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal.pages import PAGE_SIZE, Pages

Column = None | int | float | str | bytes
COLUMNS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.binary(max_size=200),
    st.integers(4_000, 13_000).map(lambda size: (bytes(range(1, 252)) * 52)[:size]),
)


def _write(path: Path, rows: dict[int, tuple[Column, Column]]) -> None:
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA page_size={PAGE_SIZE}; CREATE TABLE t (a, b)")
    for row_id, row in rows.items():
        db.execute("INSERT INTO t (rowid, a, b) VALUES (?, ?, ?)", (row_id, *row))
    db.close()


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.integers(-(2**63), 2**63 - 1), st.tuples(COLUMNS, COLUMNS), min_size=1, max_size=40
    )
)
def test_every_row_of_a_sound_file_is_read_as_sqlite_reads_it(
    rows: dict[int, tuple[Column, Column]],
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        _write(path, rows)
        read = [row for row in Pages(path.read_bytes(), {}).rows() if len(row[1]) == 2]
        assert len(read) == len(rows)
        assert dict(read) == rows


def test_rows_of_other_pages_are_read_when_one_page_is_gone(tmp_path: Path) -> None:
    rows: dict[int, tuple[Column, Column]] = {n: (n, b"x" * 900) for n in range(100)}
    path = tmp_path / "a.db"
    _write(path, rows)
    content = bytearray(path.read_bytes())
    content[4 * PAGE_SIZE : 5 * PAGE_SIZE] = b"\xff" * PAGE_SIZE
    read = {row_id for row_id, row in Pages(bytes(content), {}).rows() if len(row) == 2}
    assert 90 <= len(read) < 100


def test_a_page_of_the_log_stands_for_that_of_the_file(tmp_path: Path) -> None:
    for name, value in (("old", 1), ("new", 2)):
        _write(tmp_path / name, {7: (value, "x")})
    newer = (tmp_path / "new").read_bytes()[PAGE_SIZE : 2 * PAGE_SIZE]
    pages = Pages((tmp_path / "old").read_bytes(), {2: newer})
    assert [row for row in pages.rows() if row[0] == 7] == [(7, (2, "x"))]


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=200, max_size=PAGE_SIZE - 100))
def test_rubbish_never_raises(rubbish: bytes) -> None:
    leaf = bytes([0x0D, 0, 0, 0, 200]) + rubbish
    list(Pages(leaf.ljust(PAGE_SIZE, b"\x01") * 2, {5: leaf}).rows())
