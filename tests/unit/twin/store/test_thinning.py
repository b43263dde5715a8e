"""Buckets keep extremes and leave gaps empty."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.bands import bands
from twin.store.thinning import Observed, bucket_length, bucketed

numbers = st.integers(-50, 50)


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(0, 999), st.tuples(numbers, st.integers(0, 5)), max_size=60),
    st.lists(st.tuples(st.integers(0, 999), numbers, st.sampled_from("ab")), max_size=60),
    st.integers(1, 40),
)
def test_each_bucket_is_what_a_loop_over_its_rows_says(
    estimates: dict[int, tuple[int, int]], seen: list[tuple[int, int, str]], points: int
) -> None:
    time = np.array(sorted(estimates), np.int64)
    mean = np.array([estimates[int(t)][0] for t in time], np.float64)
    std = np.array([estimates[int(t)][1] for t in time], np.float64)
    observed = Observed.of(
        [(device, *_columns([(t, v) for t, v, d in seen if d == device])) for device in ("a", "b")]
    )
    length = bucket_length(0, 1000, points)
    series = bucketed(time, mean, bands(mean, std), 0, length, observed)

    assert len(series.time) <= points
    assert series.time.tolist() == sorted({t // length * length for t in estimates})
    for i, start in enumerate(series.time.tolist()):
        inside = (time >= start) & (time < start + length)
        own = bands(mean[inside], std[inside])
        assert np.isclose(series.mean[i], mean[inside].mean())
        assert series.minimum[i] == mean[inside].min()
        assert series.maximum[i] == mean[inside].max()
        assert (series.lo95[i], series.hi95[i]) == (own.lo95.min(), own.hi95.max())
        assert (series.lo50[i], series.hi50[i]) == (own.lo50.min(), own.hi50.max())
    _check_observations(series.observed_at, series.observed, observed, length)


def _columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(rows)
    return np.array([t for t, _ in rows], np.int64), np.array([v for _, v in rows], np.float64)


def _check_observations(
    time: np.ndarray, value: np.ndarray, observed: Observed, length: int
) -> None:
    for slot in set((observed.time // length).tolist()):
        inside = observed.time // length == slot
        shown = time // length == slot
        assert shown.sum() <= 4
        assert value[shown].min() == observed.value[inside].min()
        assert value[shown].max() == observed.value[inside].max()
        assert time[shown][0] == observed.time[inside][0]
        assert time[shown][-1] == observed.time[inside][-1]
    assert set((time // length).tolist()) == set((observed.time // length).tolist())


def test_buckets_cover_the_range_with_no_more_than_was_asked() -> None:
    assert bucket_length(0, 10, 3) == 4
    assert bucket_length(5, 5, 3) == 1
    year = 365 * 86_400 * 10**9
    assert bucket_length(0, year, 1000) * 1000 >= year
