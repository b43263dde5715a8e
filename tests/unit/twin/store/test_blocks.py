"""Blocks give back what went in, and refuse what was damaged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest.catalogue import SIGNALS
from twin.store.blocks import (
    CONFLICTS,
    ESTIMATES,
    FORECASTS,
    OBSERVATIONS,
    STATUSES,
    BlockDamaged,
    Layout,
    decode,
    encode,
    rounded,
    steps_per_unit,
)

LAYOUTS = (ESTIMATES, OBSERVATIONS, CONFLICTS, STATUSES, FORECASTS)


@st.composite
def rows_of(draw: st.DrawFn, layout: Layout) -> np.ndarray:
    """Anything that fits the columns: extremes, NaN, infinities, one row or several."""
    n = draw(st.integers(1, 40))
    rows = np.zeros(n, layout.rows)
    for column in (*layout.first, *layout.second):
        kind = np.dtype(column.form)
        smooth = st.integers(0, 200).map(float) if kind.kind == "f" else st.integers(0, 200)
        elements = draw(st.sampled_from([smooth, hnp.from_dtype(kind)]))
        rows[column.name] = draw(hnp.arrays(kind, n, elements=elements))
    return rows


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_row_comes_back_as_it_was(layout: Layout, data: st.DataObject) -> None:
    rows = data.draw(rows_of(layout))
    first, second = encode(rows, layout, 100)
    back = decode(first, second, len(rows), layout, 100)
    chart = decode(first, None, len(rows), layout, 100)
    for column in (*layout.first, *layout.second):
        assert np.array_equal(
            back[column.name], rows[column.name], equal_nan=rows[column.name].dtype.kind == "f"
        )
    for column in layout.first:
        assert chart[column.name].tobytes() == back[column.name].tobytes()


@pytest.mark.parametrize("signal", [*SIGNALS, "never heard of"])
@settings(deadline=None)
@given(values=hnp.arrays(np.float64, 20, elements=st.floats(-1e4, 1e4)))
def test_rounding_is_to_the_declared_step_and_done_once(signal: str, values: np.ndarray) -> None:
    once = rounded(values, signal)
    assert np.abs(once - values).max() <= 0.5 / steps_per_unit(signal) * (1 + 1e-9) + 1e-12
    assert rounded(once, signal).tobytes() == once.tobytes()
    assert not np.signbit(once[once == 0]).any()


def test_rounded_numbers_are_the_decimal_numbers_that_people_write() -> None:
    assert rounded(np.array([72.123456]), "heart_rate")[0] == 72.12
    assert rounded(np.array([36.66666]), "body_temperature")[0] == 36.667


def test_a_regular_series_takes_few_bytes() -> None:
    rows = np.zeros(1024, OBSERVATIONS.rows)
    rows["time"] = 1_764_000_000_000_000_000 + np.arange(1024) * 5_000_000_000
    rows["value"] = 72 + np.arange(1024) % 3
    rows["received_at"] = rows["time"] + 250_000_000
    rows["device_stamp"] = rows["time"]
    first, second = encode(rows, OBSERVATIONS, 100)
    assert len(first) + len(second) < 2 * 1024


@pytest.mark.parametrize("place", [0, 5, 40, -1])
def test_a_flipped_byte_is_seen(place: int) -> None:
    rows = np.zeros(10, STATUSES.rows)
    rows["time"] = np.arange(10) ** 3
    first, second = encode(rows, STATUSES, 100)
    broken = bytearray(first)
    broken[place] ^= 1
    with pytest.raises(BlockDamaged, match="checksum"):
        decode(bytes(broken), second, 10, STATUSES, 100)


def test_a_cut_block_is_seen() -> None:
    rows = np.zeros(10, STATUSES.rows)
    first, second = encode(rows, STATUSES, 100)
    with pytest.raises(BlockDamaged):
        decode(first[:2], second, 10, STATUSES, 100)
