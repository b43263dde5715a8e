"""Arrows and "≈": decided here, printed everywhere else."""

import numpy as np

from ingest.catalogue import SIGNALS
from twin.care.vitals import ORDER, VITALS, arrows, rounded, uncertain, ward_columns

HEART = np.array([ORDER["heart_rate"]])


def arrow(trend: float, trend_std: float) -> int:
    return int(arrows(HEART, np.array([trend]), np.array([trend_std]))[0])


def test_every_signal_of_the_catalogue_says_how_it_is_shown() -> None:
    assert list(VITALS) == list(SIGNALS)


def test_the_arrow_leans_only_beyond_the_noise_of_the_slope() -> None:
    assert arrow(1.0, 0.5) == 1
    assert arrow(1.0, 0.7) == 0
    assert arrow(-1.0, 0.1) == -1


def test_the_arrow_is_steep_from_the_second_slope_on() -> None:
    assert arrow(1.5, 0.1) == 2
    assert arrow(-4.0, 0.1) == -2
    assert arrow(0.49, 0.001) == 0


def test_no_slope_gives_no_arrow() -> None:
    assert arrow(float("nan"), 0.1) == 0
    assert arrow(3.0, float("nan")) == 0


def test_uncertain_by_width_and_for_glucose_by_share_of_the_value() -> None:
    order = np.array([ORDER["heart_rate"], ORDER["heart_rate"], ORDER["glucose"], ORDER["glucose"]])
    mean, half = np.array([70.0, 70, 100, 200]), np.array([8.0, 8.1, 16, 16])
    assert uncertain(order, mean, half).tolist() == [False, True, True, False]


def test_a_frame_carries_two_decimals_more_than_is_shown() -> None:
    order = np.array([ORDER["heart_rate"], ORDER["body_temperature"]])
    assert rounded(order, np.array([72.1234, 37.1284])).tolist() == [72.12, 37.128]


def test_the_ward_has_columns_for_what_is_watched_and_for_who_has_nothing_else() -> None:
    first = ["heart_rate", "respiratory_rate", "spo2"]
    assert ward_columns([]) == first
    assert ward_columns([{"heart_rate", "step_count"}, {"glucose"}]) == [*first, "glucose"]
    assert ward_columns([{"heart_rate"}, {"hrv_rmssd"}]) == [*first, "hrv_rmssd"]
