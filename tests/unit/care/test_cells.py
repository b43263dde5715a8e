"""Cells of frames as compiled code writes them: what pages show, as msgspec writes it."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twin.care.cells_kernel import BEYOND, CELL, write_cells
from twin.care.display import shown
from twin.care.latest import LATEST_ROW
from twin.care.vitals import VITALS, columns

T0 = 1_795_593_600_000_000_000
_USUAL = st.floats(-50, 300) | st.sampled_from([0.0, -0.0, 0.005, 72.125, 99.995, 0.3, 8.0])
_ANY = st.floats(width=64) | st.sampled_from([float("nan"), float("inf"), 1e300, 1e-9])


@st.composite
def rows_of(draw: st.DrawFn) -> np.ndarray:
    """Keys as a fold has them, with usual numbers or any at all."""
    n = draw(st.integers(0, 12))
    rows, numbers = np.zeros(n, LATEST_ROW), draw(st.sampled_from([_USUAL, _USUAL | _ANY]))
    with np.errstate(over="ignore"):
        for name, (kind, *_) in (LATEST_ROW.fields or {}).items():
            if kind.kind == "f":
                rows[name] = draw(hnp.arrays(np.float64, n, elements=numbers))
    rows["signal"] = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, len(VITALS) - 1)))
    rows["status"] = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 4)))
    rows["coasting"] = draw(hnp.arrays(np.bool_, n))
    rows["as_of"] = T0 + draw(
        hnp.arrays(np.int64, n, elements=st.integers(-90_000_000_000_000, 2_000_000_000))
    )
    return rows


def written(rows: np.ndarray, places: np.ndarray, time: int) -> bytes:
    text, number = np.full(len(places) * CELL + 2 + BEYOND, 7, np.uint8), np.empty(1)
    bits = number.view(np.uint64)
    return bytes(text[: write_cells(rows, places, columns(), time, number, bits, text)])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=300, deadline=None)
@given(rows=rows_of(), first=st.sampled_from([0, 3, 70_000]))
def test_a_cell_is_what_is_shown_of_its_key_in_json(rows: np.ndarray, first: int) -> None:
    places = np.arange(first, first + len(rows))
    cells = shown(rows)
    expected = zip(
        places.tolist(),
        cells.mean.tolist(),
        cells.half95.tolist(),
        cells.arrow.tolist(),
        cells.approximate.astype(np.int64).tolist(),
        cells.status.tolist(),
        ((cells.as_of - T0) // 1_000_000).tolist(),
        strict=True,
    )
    all_rows = np.zeros(first + len(rows), LATEST_ROW)
    all_rows[first:] = rows
    assert written(all_rows, places, T0) == msgspec.json.encode(list(expected))


def test_numbers_of_few_digits_are_as_the_nearest_float_is_written() -> None:
    chance = np.random.default_rng(20261127)
    n = 20_000
    for signal in range(len(VITALS)):
        rows = np.zeros(n, LATEST_ROW)
        digits = chance.integers(0, 10 ** chance.integers(1, 10, n))
        rows["signal"], rows["as_of"] = signal, T0
        rows["mean"] = digits / columns()[4, signal]
        text, number = np.empty(n * CELL + 2 + BEYOND, np.uint8), np.empty(1)
        size = write_cells(rows, np.arange(n), columns(), T0, number, number.view(np.uint64), text)
        said = msgspec.json.decode(text[:size].tobytes())
        assert [cell[1] for cell in said] == shown(rows).mean.tolist()
        pieces = text[:size].tobytes().split(b"],[")
        expected = [msgspec.json.encode(mean) for mean in shown(rows).mean.tolist()]
        assert [piece.split(b",")[1] for piece in pieces] == expected
