"""Slices of hot rows: what comes back is what went in, whole or packed, of all series or of one."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.store import slices
from twin.store.blocks import (
    ESTIMATES,
    FORECASTS,
    OBSERVATIONS,
    STATUSES,
    BlockDamaged,
    Layout,
    Rows,
    checked,
    with_checksum,
)
from twin.store.slices import charted, rows_of, rows_of_series, slice_of, slices_of, unpacked

T0 = 1_764_000_000_000_000_000


def some(layout: Layout, n: int, seed: int = 1) -> Rows:
    """Rows of a few series as a transaction brings them: whole milliseconds, rounded numbers."""
    chance = np.random.default_rng(seed)
    rows = np.zeros(n, layout.rows)
    rows["series"] = np.arange(n) % 7 + 70_000
    rows["time"] = T0 + chance.integers(0, 90_000, n) * 1_000_000
    for name in ("mean", "value", "std", "trend"):
        if name in (layout.rows.names or ()):
            rows[name] = np.rint(chance.normal(70, 9, n) * 100) / 100
    for name in ("known_at", "received_at", "device_stamp"):
        if name in (layout.rows.names or ()):
            rows[name] = rows["time"] + chance.integers(-5, 9_000_000, n)
    return rows


@pytest.mark.parametrize("layout", [ESTIMATES, OBSERVATIONS])
@pytest.mark.parametrize("n", [1, 199, 200, 3000])
def test_rows_come_back_as_they_were(layout: Layout, n: int) -> None:
    rows = some(layout, n)
    assert rows_of([slice_of(rows, layout)], layout).tobytes() == rows.tobytes()


def test_a_packed_slice_is_a_third_of_its_rows() -> None:
    rows = some(ESTIMATES, 3000)
    assert len(slice_of(rows, ESTIMATES)) < rows.nbytes / 3


def test_common_zeros_are_left_out_where_that_saves_bytes() -> None:
    rows = np.zeros(300, ESTIMATES.rows)
    alike = len(slice_of(rows, ESTIMATES))
    rows["std"] = np.round(np.arange(300) * 0.0101, 4)
    blob = slice_of(rows, ESTIMATES)
    assert len(blob) <= alike + 2 * 300  # millionths would be four bytes each, not two
    assert rows_of([blob], ESTIMATES).tobytes() == rows.tobytes()


@pytest.mark.parametrize("n", [150, 3000])
def test_rows_of_one_series_are_read_alone(n: int) -> None:
    rows = some(ESTIMATES, n)
    own = rows[rows["series"] == 70_003]
    made = [slice_of(rows, ESTIMATES)] * 2
    found = rows_of_series(made, ESTIMATES, 70_003, chart=False)
    assert found.tobytes() == own.tobytes() * 2
    chart = rows_of_series(made, ESTIMATES, 70_003, chart=True)
    assert chart.tobytes() == charted(own, ESTIMATES).tobytes() * 2
    assert len(rows_of_series(made, ESTIMATES, 5, chart=True)) == 0


def test_a_slice_of_one_series_is_that_series_or_nothing() -> None:
    rows = some(OBSERVATIONS, 400)
    rows["series"] = 9
    made = [slice_of(rows, OBSERVATIONS)]
    assert rows_of_series(made, OBSERVATIONS, 9, chart=False).tobytes() == rows.tobytes()
    assert len(rows_of_series(made, OBSERVATIONS, 8, chart=False)) == 0


def test_parts_packed_together_are_the_parts() -> None:
    rows = some(ESTIMATES, 2000)
    for part, blob in zip(
        (rows[:500], rows[500:1999], rows[1999:]),
        slices_of(rows, np.arange(2000), [0, 500, 1999, 2000], ESTIMATES),
        strict=True,
    ):
        assert rows_of([blob], ESTIMATES).tobytes() == part.tobytes()


_NUMBERS = st.lists(
    st.floats(width=64) | st.sampled_from([0.1, 1e-7, 1e300, float("nan"), float("inf"), -5e9]),
    min_size=2,
    max_size=40,
)
_STAMPS = st.integers(-(2**63), 2**63 - 1)


@given(_NUMBERS, st.data())
def test_any_numbers_and_stamps_come_back(numbers: list[float], data: st.DataObject) -> None:
    rows = np.zeros(len(numbers), OBSERVATIONS.rows)
    rows["value"] = np.array(numbers) + 0.0
    with np.errstate(over="ignore"):
        rows["quality"] = np.array(numbers, np.float32)
    for name in ("time", "received_at"):
        rows[name] = data.draw(st.lists(_STAMPS, min_size=len(rows), max_size=len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_FEW", 1)
        found = rows_of([slice_of(rows, OBSERVATIONS)], OBSERVATIONS)
        assert unpacked([slice_of(rows, OBSERVATIONS)], OBSERVATIONS).tobytes() == found.tobytes()
    for name in OBSERVATIONS.rows.names or ():
        assert np.array_equal(found[name], rows[name], equal_nan=name in ("value", "quality"))


@pytest.mark.parametrize("layout", [ESTIMATES, OBSERVATIONS, STATUSES, FORECASTS])
def test_slices_unpacked_by_the_writer_are_those_that_readers_read(layout: Layout) -> None:
    parts = [some(layout, n, seed=n) for n in (1, 300, 60, 2100)]
    parts[1]["series"] = 9
    blobs = [slice_of(part, layout) for part in parts]
    assert unpacked(blobs, layout).tobytes() == rows_of(blobs, layout).tobytes()
    assert unpacked(blobs, layout).tobytes() == b"".join(part.tobytes() for part in parts)
    assert len(unpacked([], layout)) == 0


def test_what_no_release_writes_is_unpacked_as_it_is_read() -> None:
    blob = slice_of(some(OBSERVATIONS, 300), OBSERVATIONS)
    columns = [bytes(checked(blob))[:8]]
    for column in (slices._SERIES, *OBSERVATIONS.first, *OBSERVATIONS.second):
        fours = np.arange(300, dtype="<u4").tobytes()
        columns += [struct.pack("<BBq", 4, 1, 7), fours]
        assert column.name
    made = with_checksum(columns)
    found = rows_of([made], OBSERVATIONS)
    assert found["noise_std"][299] == 3060  # a whole number in a column of fractions
    assert unpacked([made], OBSERVATIONS).tobytes() == found.tobytes()


@pytest.mark.parametrize("n", [5, 500])
def test_a_flipped_byte_or_a_cut_is_noticed(n: int) -> None:
    blob = slice_of(some(ESTIMATES, n), ESTIMATES)
    broken = bytearray(blob)
    broken[len(blob) // 2] ^= 8
    for wrong in (bytes(broken), blob[: len(blob) // 2], b""):
        for read in (rows_of, unpacked):
            with pytest.raises(BlockDamaged):
                read([wrong], ESTIMATES)


@pytest.mark.parametrize("cut", [3, 9, 40, 2_000])
def test_a_slice_that_was_cut_before_its_checksum_was_made_is_damaged(cut: int) -> None:
    body = bytes(checked(slice_of(some(ESTIMATES, 500), ESTIMATES)))
    for read in (rows_of, unpacked):
        with pytest.raises(BlockDamaged):
            read([with_checksum([body[:-cut]])], ESTIMATES)
