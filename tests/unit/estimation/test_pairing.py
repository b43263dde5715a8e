"""Which forecast a reading judges: the nearest that could be made, and never one that saw it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instant import SECOND
from ingest.recording import Recording
from twin.estimation.comparators import device_label, moments, plain, random_walk, raw_devices
from twin.estimation.models import base_model
from twin.estimation.pairing import Readings, held, horizon_name, origins, readings, subset


def seconds(*values: float) -> np.ndarray:
    return (np.array(values) * SECOND).astype(np.int64)


def recording(*rows: tuple[str, str, float, float]) -> Recording:
    """Heart rates: patient, device, value, second."""
    n = len(rows)
    at = seconds(*(row[3] for row in rows))
    return Recording(
        [row[0] for row in rows], [row[1] for row in rows], ["heart_rate"] * n,
        np.array([row[2] for row in rows]), at, at, np.full(n, np.nan), np.full(n, np.nan),
        np.arange(n), 0, {},
    )  # fmt: skip


def test_forecast_is_the_one_made_a_horizon_before() -> None:
    made = seconds(*range(100))
    assert origins(made, seconds(60, 75, 99, 59), 60).tolist() == [0, 15, 39, -1]


def test_forecast_may_be_off_by_half_an_interval_and_not_more() -> None:
    made = seconds(0, 300, 600, 900)
    assert origins(made, seconds(1800 + 149), 1800).tolist() == [0]
    assert origins(made, seconds(1800 + 151), 1800).tolist() == [1]
    assert origins(made, seconds(1800 + 900 + 149, 1800 + 900 + 151), 1800).tolist() == [3, -1]


def test_sparse_forecasts_are_off_by_a_quarter_of_the_horizon_at_most() -> None:
    made = seconds(0, 300, 600)
    assert origins(made, seconds(60 + 15, 60 + 16), 60).tolist() == [0, -1]


def test_now_is_the_last_estimate_that_is_not_newer() -> None:
    made = seconds(0, 10, 20)
    assert origins(made, seconds(-1, 0, 9.9, 10, 35, 35.1), 0).tolist() == [-1, 0, 0, 1, 2, -1]


def test_without_forecasts_nothing_is_judged() -> None:
    assert origins(seconds(), seconds(1, 2), 60).tolist() == [-1, -1]
    assert np.isnan(held(Readings(seconds(), np.empty(0)), seconds(1))).all()


@given(
    st.lists(st.integers(0, 5000), unique=True, min_size=1).map(sorted),
    st.lists(st.integers(0, 9000), min_size=1).map(sorted),
    st.sampled_from([0.0, 1.0, 60.0, 900.0]),
)
def test_no_reading_judges_a_forecast_made_after_it(
    made: list[int], at: list[int], horizon: float
) -> None:
    stamps, reading = seconds(*made), seconds(*at)
    found = origins(stamps, reading, horizon)
    chosen = found >= 0
    newest = reading - (1 if horizon else 0)
    assert (stamps[found[chosen]] <= newest[chosen]).all()


def test_last_value_is_held_as_long_as_allowed() -> None:
    given_ = Readings(seconds(0, 10), np.array([70.0, 80.0]))
    assert held(given_, seconds(0, 9, 10, 99)).tolist() == [70, 70, 80, 80]
    found = held(given_, seconds(-1, 15, 16), 5 * SECOND)
    assert np.isnan(found).tolist() == [True, False, True]


def test_readings_are_sorted_and_implausible_ones_are_left_out() -> None:
    found = readings(recording(("a", "d", 71, 5), ("a", "d", 70, 1), ("a", "d", 999, 3)))
    assert found["a", "heart_rate"].value.tolist() == [70, 71]


def test_subset_repeats_and_orders_rows() -> None:
    part = subset(recording(("a", "d", 70, 0), ("b", "e", 71, 1)), np.array([1, 0, 1]))
    assert part.patient == ["b", "a", "b"]
    assert part.value.tolist() == [71, 70, 71]


@pytest.mark.parametrize(
    ("value", "name"),
    [(0, "now"), (0.5, "0.5s"), (60, "60s"), (90, "90s"), (120, "2min"), (3600, "1h")],
)
def test_horizons_are_named_as_people_write_them(value: float, name: str) -> None:
    assert horizon_name(value) == name


def test_device_is_called_without_the_person() -> None:
    assert device_label("bed-1", "bed-1") == "device"
    assert device_label("bed-1-ECG", "bed-1") == "ECG"
    assert device_label("watch", "bed-1") == "watch"
    assert device_label("band", "b") == "band"


def test_raw_devices_are_told_apart_only_where_there_are_several() -> None:
    one = recording(("a", "a", 70, 0), ("b", "b", 71, 0))
    assert raw_devices(one, np.arange(2), "heart_rate") == {}
    two = recording(("a", "watch", 70, 0), ("a", "band", 71, 0), ("b", "band", 72, 0))
    found = raw_devices(two, np.arange(3), "heart_rate")
    assert list(found) == ["band", "watch"]
    assert found["band"]["b", "heart_rate"].value.tolist() == [72]


def test_moments_find_the_variances_of_a_random_walk() -> None:
    rng = np.random.default_rng(3)
    level = 70 + np.cumsum(rng.normal(0, 0.5, 20_000) * np.sqrt(2))
    value = level + rng.normal(0, 0.5, 20_000)
    noise, walk = moments(Readings(seconds(*range(0, 40_000, 2)), value), 1 / 12)
    assert noise == pytest.approx(0.25, rel=0.1)
    assert walk == pytest.approx(0.25, rel=0.1)


def test_random_walk_is_the_scalar_recursion() -> None:
    rng = np.random.default_rng(4)
    at = np.cumsum(rng.integers(1, 5, 50))
    given_ = Readings(seconds(*at), np.round(70 + np.cumsum(rng.normal(size=50))))
    track = random_walk(given_, "heart_rate", [60.0])
    noise, walk = moments(given_, 1 / 12)

    level, variance = given_.value[0], noise
    for n in range(1, 50):
        variance += walk * float(at[n] - at[n - 1])
        gain = variance / (variance + noise)
        level, variance = level + gain * (given_.value[n] - level), (1 - gain) * variance
        assert track.mean[n].tolist() == pytest.approx([level, level])
        assert track.std[n] ** 2 == pytest.approx([variance, variance + 60 * walk])


def test_plain_model_has_neither_weight_nor_gate() -> None:
    model = plain(base_model())
    assert {(each.robust, each.gate) for each in model.signals.values()} == {(1e9, 1e12)}
    assert model.version.endswith("-plain")
