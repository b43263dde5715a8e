"""The log as bytes, against logs that SQLite itself wrote."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.journal.pages import PAGE_SIZE
from ingest.journal.tables import connect_to_write
from ingest.journal.wal import _checksum, read_log

FRAME = 24 + PAGE_SIZE


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Ten commits of one page each (and what their tables took), as SQLite wrote them."""
    path = tmp_path_factory.mktemp("log") / "a.db"
    db = connect_to_write(path)
    db.execute("CREATE TABLE t (x)")
    for i in range(10):
        db.execute("INSERT INTO t VALUES (?)", (i,))
    content = path.with_name("a.db-wal").read_bytes()
    db.close()
    return content


def test_every_frame_that_sqlite_wrote_is_sound(log: bytes) -> None:
    read = read_log(log, PAGE_SIZE)
    assert read.sound == read.claimed == (len(log) - 32) // FRAME
    assert read.pages[2] == log[-PAGE_SIZE:]


@given(st.data())
def test_a_flipped_byte_ends_what_is_sound_but_not_what_is_claimed(
    log: bytes, data: st.DataObject
) -> None:
    frames = (len(log) - 32) // FRAME
    frame = data.draw(st.integers(0, frames - 2))
    offset = data.draw(st.one_of(st.integers(0, 3), st.integers(8, FRAME - 1)))
    torn = bytearray(log)
    torn[32 + frame * FRAME + offset] ^= 1 << data.draw(st.integers(0, 7))
    read = read_log(bytes(torn), PAGE_SIZE)
    assert read.sound <= frame
    assert read.claimed == frames


@pytest.mark.parametrize("offset", range(32))
def test_a_flipped_byte_of_the_header_leaves_all_frames_claimed(log: bytes, offset: int) -> None:
    torn = bytearray(log)
    torn[offset] ^= 0x10
    read = read_log(bytes(torn), PAGE_SIZE)
    assert (read.sound, read.claimed) == (0, (len(log) - 32) // FRAME)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 32 + FRAME - 1])
def test_a_log_without_a_whole_frame_holds_nothing(log: bytes, size: int) -> None:
    read = read_log(log[:size], PAGE_SIZE)
    assert (read.sound, read.claimed, read.pages) == (0, 0, {})


def test_a_commit_that_was_not_finished_is_neither_sound_nor_claimed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    db = connect_to_write(path)
    db.execute("CREATE TABLE t (x)")
    db.execute("PRAGMA cache_size=1; BEGIN")
    for _ in range(40):  # more than the cache: frames are written before the commit
        db.execute("INSERT INTO t VALUES (zeroblob(3000))")
    content = path.with_name("a.db-wal").read_bytes()
    db.execute("ROLLBACK")
    db.close()
    read = read_log(content, PAGE_SIZE)
    assert read.sound == read.claimed < (len(content) - 32) // FRAME


def test_frames_of_an_earlier_round_of_the_log_are_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    db = connect_to_write(path)
    db.execute("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(40000))")
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    db.execute("INSERT INTO t VALUES (1)")
    content = path.with_name("a.db-wal").read_bytes()
    db.close()
    read = read_log(content, PAGE_SIZE)
    assert 0 < read.sound == read.claimed < (len(content) - 32) // FRAME


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=64).filter(lambda w: len(w) % 2 == 0),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.booleans(),
)
def test_the_checksum_is_that_of_the_definition(
    words: list[int], start: tuple[int, int], big_endian: bool
) -> None:
    s1, s2 = start
    for x, y in zip(words[::2], words[1::2], strict=True):
        s1 = (s1 + x + s2) % 2**32
        s2 = (s2 + y + s1) % 2**32
    block = b"".join(word.to_bytes(4, "big" if big_endian else "little") for word in words)
    assert _checksum(block, start, big_endian) == (s1, s2)
