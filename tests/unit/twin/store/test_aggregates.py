"""Windows say what a loop over their rows says, and longer ones are made of shorter ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.instant import MINUTE, SECOND
from twin.bands import bands
from twin.store.aggregates import QUARTER, Estimates, aggregated, as_series, combined
from twin.store.thinning import Observed

rows = st.dictionaries(st.integers(0, 2700), st.integers(-50, 50), max_size=80)
DEVICES = {1: "a", 2: "b"}


def of(estimates: dict[int, int], seen: dict[int, int]) -> tuple[Estimates, Observed]:
    time = np.array(sorted(estimates), np.int64)
    mean = np.array([estimates[int(t)] for t in time], np.float64)
    at = np.array(sorted(seen), np.int64)
    value = np.array([seen[int(t)] for t in at], np.float64)
    device = (1 + at % 2).astype(np.uint32)
    band = bands(mean, np.full(len(mean), 2.0))
    return Estimates(time * SECOND, mean, band), Observed(at * SECOND, value, device, ())


@given(rows, rows)
def test_a_window_is_what_a_loop_over_its_rows_says(
    estimates: dict[int, int], seen: dict[int, int]
) -> None:
    made = aggregated(*of(estimates, seen), MINUTE, (-10.0, 10.0))

    assert made["start"].tolist() == sorted({t // 60 * MINUTE for t in [*estimates, *seen]})
    for window in made:
        first = int(window["start"]) // SECOND
        own = {t: v for t, v in estimates.items() if first <= t < first + 60}
        heard = {t: v for t, v in seen.items() if first <= t < first + 60}
        assert (window["n"], window["observed"]) == (len(own), len(heard))
        if own:
            assert window["mean"] == np.mean(list(own.values()))
            assert (window["min"], window["max"]) == (min(own.values()), max(own.values()))
            assert window["hi95"] == max(own.values()) + 2 * 1.959963984540054
        if heard:
            assert (window["least"], window["most"]) == (min(heard.values()), max(heard.values()))
            assert heard[(first * SECOND + int(window["least_at"])) // SECOND] == window["least"]
        later = sorted(own)
        held = zip(later, [*later[1:], first + 60], strict=False)
        outside = sum(until - t for t, until in held if abs(own[t]) > 10)
        assert window["outside_s"] == outside


@given(rows, rows)
def test_a_longer_window_of_shorter_ones_is_one_of_their_rows(
    estimates: dict[int, int], seen: dict[int, int]
) -> None:
    minutes = aggregated(*of(estimates, seen), MINUTE)

    made = combined(minutes, QUARTER)

    whole = aggregated(*of(estimates, seen), QUARTER)
    for name in ("start", "n", "observed", "min", "max", "lo50", "hi95", "least", "most"):
        np.testing.assert_array_equal(made[name], whole[name], name)
    for name in ("least_at", "most_at", "least_device", "most_device"):
        np.testing.assert_array_equal(made[name], whole[name], name)
    for name in ("mean", "value"):
        np.testing.assert_allclose(made[name], whole[name], rtol=1e-12, err_msg=name)


def test_a_chart_begins_where_it_was_asked_to_and_names_the_devices() -> None:
    windows = aggregated(*of({30: 1, 90: 3}, {31: 5, 33: 7, 92: 6}), MINUTE)

    series = as_series(combined(windows, 2 * MINUTE), 20 * SECOND, DEVICES)

    assert series.time.tolist() == [20 * SECOND]
    assert (series.mean.tolist(), series.minimum.tolist()) == ([2.0], [1.0])
    assert series.observed.tolist() == [5.0, 7.0]
    assert series.device == ["b", "b"]
