"""Rows without the columns that are as usual: whatever they hold comes back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from twin.sparse_rows import packed, unpacked

ROW = np.dtype([("a", "u1"), ("b", "<u4"), ("c", "<f8"), ("d", "<f4"), ("e", "<i8")])
#: Nine columns: their marks take two bytes.
WIDE = np.dtype([(f"column-{n}", "<i2") for n in range(9)])


def rows_of(kind: np.dtype, octets: bytes) -> NDArray[np.void]:
    return np.frombuffer(octets, kind)


@given(st.sampled_from([ROW, WIDE]), st.data())
def test_what_is_read_is_what_was_written(kind: np.dtype, data: st.DataObject) -> None:
    size = kind.itemsize
    usual = rows_of(kind, data.draw(st.binary(min_size=size, max_size=size)))
    # Some rows repeat others, as real ones do.
    some = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=4))
    octets = b"".join(data.draw(st.lists(st.sampled_from([*some, usual.tobytes()]), max_size=9)))
    rows = rows_of(kind, octets)
    read = unpacked(*packed(rows, usual), len(rows), usual)
    assert read.dtype == kind
    assert read.tobytes() == octets


def test_what_is_as_usual_or_the_same_in_all_rows_takes_a_bit() -> None:
    usual = np.zeros(1, ROW)
    usual["c"] = np.nan
    rows = np.repeat(usual, 100)
    rows["e"] = 1 << 50
    rows["a"][7] = 3
    marks, values = packed(rows, usual)
    assert len(marks) == 2
    assert values == (1 << 50).to_bytes(8, "little") + rows["a"][1:].tobytes()


@pytest.mark.parametrize(("less", "more"), [(1, b""), (0, b"1")])
def test_values_that_do_not_belong_to_the_marks_are_refused(less: int, more: bytes) -> None:
    usual = np.zeros(1, ROW)
    unlike = np.ones(3, ROW)
    unlike["b"][1] = 2
    marks, values = packed(unlike, usual)
    with pytest.raises(ValueError, match=r"."):
        unpacked(marks, values[less:] + more, 3, usual)
    with pytest.raises(ValueError, match=r"."):
        unpacked(marks, values, 2, usual)
