"""Model files: what is read, what is refused and how it is said."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.catalogue import SIGNALS
from tests.support.twins import HEART_RATE, SWINGING, model_of, model_text
from twin.estimation.models import (
    COV_DV,
    HORIZON,
    NOISE2,
    PARAMETERS,
    QUANTISATION2,
    VAR_D,
    VAR_V,
    WANDER,
    ModelError,
    base_model,
    parse_model,
)

GOOD = model_text(**HEART_RATE)


def test_the_base_model_has_a_sourced_model_for_every_signal_of_the_catalogue() -> None:
    model = base_model()
    assert set(model.codes) == set(SIGNALS)
    assert all(signal.source for signal in model.signals.values())
    assert model.table().shape == (len(SIGNALS), PARAMETERS)
    assert np.isfinite(model.table()).all()


def test_the_version_changes_with_every_byte_of_the_content() -> None:
    one, other = parse_model(GOOD), parse_model(GOOD + "\n")
    assert one.version.startswith("test-1+")
    assert one.version != other.version
    assert one.signals == other.signals
    assert parse_model(GOOD).version == one.version


def test_the_table_holds_variances_and_the_horizon_in_nanoseconds() -> None:
    (row,) = model_of(**SWINGING | {"ring": 16}).table()
    assert row[NOISE2] == 1.2**2
    assert row[QUANTISATION2] == pytest.approx(1 / 12)
    assert row[HORIZON] == 2 * 16 * 60 * 1e9
    signal = model_of(**SWINGING).signals["heart_rate"]
    assert (row[VAR_D], row[COV_DV], row[VAR_V]) == signal.stationary()
    assert row[WANDER] == pytest.approx(signal.stationary()[0] * 900 / (60 + 900))


def test_without_an_interval_of_its_own_a_signal_takes_the_catalogues() -> None:
    (row,) = model_of(**HEART_RATE).table()
    assert row[HORIZON] == 2 * 32 * SIGNALS["heart_rate"].expected_interval_s * 1e9


def table(**changed: object) -> str:
    return model_text(**HEART_RATE | changed)


REFUSED = [
    ("name = ", "base.toml", "TOML"),
    ('version = "1"', "base.toml: name", "a string"),
    ('name = "x"\nversion = 1', "base.toml:2: version", "a string"),
    ('name = "x"\nversion = "1"', "base.toml: signal", "a table for each signal"),
    ('name = "x"\nversion = "1"\nsignal = 3', "base.toml:3: signal", "a table for each signal"),
    ('name = "x"\nversion = "1"\n[signal]\nspo2 = 3', "signal.spo2", "a table of constants"),
    (model_text("pulse", **HEART_RATE), "signal.pulse", "one of heart_rate"),
    (table(ringg=3), "signal.heart_rate.ringg", "one of calibration, daily_swing, deviation_noise"),
    (table(mean=True), "signal.heart_rate.mean", "a number"),
    (table(mean="high"), "signal.heart_rate.mean", "a number"),
    (table(mean=float("nan")), "signal.heart_rate.mean", "a number"),
    (table(mean=float("inf")), "signal.heart_rate.mean", "-1e+09 to 1e+09"),
    (table(spread=0.0), "signal.heart_rate.spread", "1e-06 to 1e+06"),
    (table(level_time=0.0), "signal.heart_rate.level_time", "1 to 1e+09"),
    (table(deviation_time=-3.0), "signal.heart_rate.deviation_time", "0.1 to 1e+08"),
    (table(noise=0.0), "signal.heart_rate.noise", "1e-06 to 1e+06"),
    (table(ring=1), "signal.heart_rate.ring", "2 to 64"),
    (table(ring=65), "signal.heart_rate.ring", "2 to 64"),
    (table(ring=16.5), "signal.heart_rate.ring", "a whole number"),
    (table(step_samples=0), "signal.heart_rate.step_samples", "1 to 1000"),
    (table(robust=0.0), "signal.heart_rate.robust", "0.1 to 1e+09"),
    (table(gate=0.0), "signal.heart_rate.gate", "0.1 to 1e+12"),
    (table(source=""), "signal.heart_rate.source", "where the constants come from"),
    (
        table(velocity_time=17.0, velocity_noise=0.1),
        "signal.heart_rate.velocity_time",
        "0, or a fifth away from deviation_time at least",
    ),
    (table(deviation_noise=0.0), "signal.heart_rate.deviation_noise", "some noise"),
    *(
        (GOOD.replace(f"\n{key} =", "\n#"), f"signal.heart_rate.{key}", "a number")
        for key in ("mean", "spread", "level_time", "deviation_time", "deviation_noise", "noise")
    ),
    (GOOD.replace("source =", "#"), "signal.heart_rate.source", "where the constants come from"),
]


@pytest.mark.parametrize(("content", "where", "expected"), REFUSED)
def test_a_model_file_that_cannot_be_used_is_refused_with_place_and_expectation(
    content: str, where: str, expected: str
) -> None:
    with pytest.raises(ModelError) as refused:
        parse_model(content)
    assert where in refused.value.where
    assert expected in refused.value.expected
    assert str(refused.value).startswith(f"{refused.value.where}: got ")


def test_a_refusal_names_the_file_that_was_given() -> None:
    with pytest.raises(ModelError, match=r"^mine\.toml:\d+: signal\.heart_rate\.ring: got 1, "):
        parse_model(table(ring=1), "mine.toml")


def test_calibration_factors_are_interpolated_in_the_logarithm_of_the_horizon() -> None:
    rows = [[10, 0.8, 0.9, 1.0], [1000, 0.4, 0.7, 1.2]]
    model = parse_model(model_text(**HEART_RATE, calibration=rows)).signals["heart_rate"]
    assert model.scales(0.0) == (1.0, 1.0, 1.0)
    assert model.scales(5.0) == pytest.approx((0.9, 0.95, 1.0))
    assert model.scales(10.0) == pytest.approx((0.8, 0.9, 1.0))
    assert model.scales(100.0) == pytest.approx((0.6, 0.8, 1.1))
    assert model.scales(1e6) == pytest.approx((0.4, 0.7, 1.2))


@pytest.mark.parametrize(
    "rows",
    [
        5,
        [[60, 1.0, 1.0]],
        [[60, 1.0, 1.0, "1"]],
        [[60, 1.0, 1.0, 1.0], [60, 1.0, 1.0, 1.0]],
        [[0, 1.0, 1.0, 1.0]],
        [[60, 5.0, 1.0, 1.0]],
        [[60, 1.0, 1.0, 0.5]],
        [[60, 0.0, 1.0, 1.0]],
    ],
)
def test_a_calibration_that_cannot_be_is_refused_with_its_place(rows: object) -> None:
    with pytest.raises(ModelError) as refused:
        parse_model(model_text(**HEART_RATE, calibration=rows))
    assert refused.value.where.endswith("signal.heart_rate.calibration")
