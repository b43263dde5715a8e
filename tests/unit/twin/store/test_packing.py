"""What is compiled packs and shapes rows as numpy does it, byte for byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.numpy_packing import packed_block, packed_slices
from twin.bytewise import octets
from twin.estimate import ESTIMATE_ROW
from twin.store import slices
from twin.store.blocks import (
    CONFLICTS,
    ESTIMATES,
    FORECASTS,
    OBSERVATIONS,
    STATUSES,
    Rows,
    encode,
    rounded_to,
)
from twin.store.columns import Column, Layout
from twin.store.rows_kernel import all_newer, estimates
from twin.store.slices import slices_of

LAYOUTS = (ESTIMATES, OBSERVATIONS, CONFLICTS, STATUSES, FORECASTS)
T0 = 1_764_000_000_000_000_000


def numbers(chance: np.random.Generator, column: Column, n: int) -> np.ndarray:
    """As filters say them, or as nobody expects them."""
    walk = np.cumsum(chance.integers(-3, 4, n))
    usual = np.rint(chance.normal(70, 9, n) * 100) / 100
    ways = [usual, walk / 100, chance.normal(70, 9, n), np.full(n, 1.5), np.full(n, np.nan)]
    ways += [np.where(chance.random(n) < 0.1, np.nan, usual), chance.choice([0.0, -0.0], n)]
    ways += [np.where(np.arange(n) == n // 3, odd, usual) for odd in (np.inf, 1e300, 1e4, -0.0)]
    return ways[chance.integers(len(ways))]


def whole(chance: np.random.Generator, column: Column, n: int) -> np.ndarray:
    """Stamps of milliseconds, of anything; counts, with and without outliers."""
    size = np.dtype(column.form).itemsize
    if size < 8:
        return chance.integers(0, chance.choice([1, 2, 5, 200]), n)
    stamps = T0 + np.cumsum(chance.integers(4_900, 5_100, n)) * 1_000_000
    few = chance.integers(0, 300, n)
    ways = [stamps, stamps + few, T0 + few * 1_000, T0 + few * 10_000, few * -(10**6)]
    ways += [chance.integers(-(2**63), 2**63 - 1, n), np.full(n, 17), few[::-1].cumsum()]
    ways += [np.where(np.arange(n) == n // 2, 2**63 - 1, few)]
    return ways[chance.integers(len(ways))]


def some(layout: Layout, n: int, seed: int) -> Rows:
    chance = np.random.default_rng(seed)
    rows = np.zeros(n, layout.rows)
    rows["series"] = chance.integers(1, chance.choice([2, 900, 2**32]), n)
    with np.errstate(over="ignore"):
        for column in (*layout.first, *layout.second):
            made = numbers if column.form.endswith(("f4", "f8")) else whole
            rows[column.name] = made(chance, column, n)
    return rows


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=150, deadline=None)
@given(
    n=st.one_of(st.integers(1, 70), st.sampled_from([500, 1024, 2048, 3000])),
    seed=st.integers(0, 2**32),
    per_unit=st.sampled_from([1, 100, 1000, 1_000_000]),
)
def test_a_block_has_the_bytes_that_numpy_packs(
    layout: Layout, n: int, seed: int, per_unit: int
) -> None:
    rows = some(layout, n, seed)
    assert encode(rows, layout, per_unit) == packed_block(rows, layout, per_unit)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 400),
    seed=st.integers(0, 2**32),
    cuts=st.sets(st.floats(0, 0.999), max_size=3),
)
def test_slices_have_the_bytes_that_numpy_packs(
    layout: Layout, n: int, seed: int, cuts: set[float]
) -> None:
    rows, bounds = some(layout, n, seed), sorted({0, n, *(int(cut * n) for cut in cuts)})
    order = np.random.default_rng(seed).permutation(n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_FEW", 0)
        made = slices_of(rows, order, bounds, layout)
    assert made == packed_slices(rows[order], bounds, layout)


@settings(deadline=None)
@given(
    said=hnp.arrays(np.float64, (30, 4), elements=st.floats(width=64)),
    per_unit=st.sampled_from([1, 100, 1000, 1_000_000]),
)
def test_estimates_are_rounded_as_everywhere(said: np.ndarray, per_unit: int) -> None:
    source, rows = np.zeros(len(said), ESTIMATE_ROW), np.empty(len(said), ESTIMATES.rows)
    with np.errstate(over="ignore"):
        for column, name in zip(said.T, ("mean", "std", "trend", "nis"), strict=True):
            source[name] = column
        source["trend_std"] = said[:, 1]
    numbered, model = np.zeros(len(said), np.uint32), np.zeros(len(said), np.uint16)
    units = np.array([per_unit], np.float64)
    chosen = np.arange(len(said))
    estimates(source, chosen, numbered, units, 1000.0, np.array([7], np.uint16), model, rows)
    for name in ("mean", "std", "trend", "trend_std", "nis"):
        expected = rounded_to(source[name].astype(np.float64), 1000 if name == "nis" else per_unit)
        with np.errstate(over="ignore"):
            assert rows[name].tobytes() == expected.astype(rows[name].dtype).tobytes()
    assert (rows["model"] == 7).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=1, max_size=8))
def test_rows_are_newer_than_all_before_them_or_nothing_is_noted(
    said: list[tuple[int, int]],
) -> None:
    rows = np.zeros(len(said), OBSERVATIONS.rows)
    rows["series"], rows["time"] = np.array(said).T
    newest, expected, newer = np.array([0, 2, -1]), [0, 2, -1], True
    for series, time in said:
        newer &= time > expected[series]
        expected[series] = max(time, expected[series])
    assert all_newer(octets(rows), rows.itemsize, newest, np.empty(len(said), np.int64)) == newer
    assert newest.tolist() == (expected if newer else [0, 2, -1])
