"""F and Q of a step, against two independent computations."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from filterpy.common import van_loan_discretization
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.twins import HEART_RATE, SWINGING, model_of
from twin.estimation.kalman import (
    DISCRETE,
    FA,
    FB,
    FK,
    FM,
    Q00,
    Q01,
    Q11,
    QM,
    discretise,
)
from twin.estimation.models import ModelFile

MONTH = 30 * 86400.0


def discretised(model: ModelFile, dt: float) -> np.ndarray:
    out = np.zeros((1, DISCRETE))
    discretise(model.table(), 0, dt, out, 0)
    return out[0]


def exactly(constants: dict[str, float], dt: float) -> dict[int, float]:
    """The closed forms of the module docstring in 80 decimal digits, where nothing cancels."""
    with localcontext() as context:
        context.prec = 80
        d = {key: Decimal(value) for key, value in constants.items()}
        D = Decimal(dt)
        em = (-D / d["level_time"]).exp()
        al = 1 / d["deviation_time"]
        a = (-al * D).exp()
        A2 = (1 - a * a) / (2 * al)
        found = {
            FM: em,
            QM: d["spread"] ** 2 * (1 - em * em),
            FA: a,
            Q00: d["deviation_noise"] * A2,
        }
        if d.get("velocity_time"):
            q, be = d["velocity_noise"], 1 / d["velocity_time"]
            b, k = (-be * D).exp(), 1 / (al - be)
            B2, AB = (1 - b * b) / (2 * be), (1 - a * b) / (al + be)
            found[FK], found[FB] = k * (b - a), b
            found[Q00] += q * k * k * (B2 - 2 * AB + A2)
            found[Q01], found[Q11] = q * k * (B2 - AB), q * B2
        return {column: float(value) for column, value in found.items()}


@pytest.mark.parametrize("constants", [HEART_RATE, SWINGING], ids=["ou", "with velocity"])
@pytest.mark.parametrize("dt", [1e-9, 1e-6, 1e-3, 0.04, 1.0, 3.99, 4.01, 60.0, 3600.0, MONTH])
def test_f_and_q_are_exact_from_a_nanosecond_to_a_month(
    constants: dict[str, float], dt: float
) -> None:
    ours = discretised(model_of(**constants), dt)
    for column, value in exactly(constants, dt).items():
        assert ours[column] == pytest.approx(value, rel=2e-13, abs=3e-16 * (column in (FM, FA))), (
            column
        )


@given(
    dt=st.floats(-9, 7).map(lambda x: 10.0**x),
    tv=st.floats(-1, 5).map(lambda x: 10.0**x),
    ratio=st.floats(1.2, 1e3),
)
@settings(max_examples=150, deadline=None)
def test_f_and_q_are_exact_for_all_time_constants_that_a_model_file_may_hold(
    dt: float, tv: float, ratio: float
) -> None:
    constants = SWINGING | {"velocity_time": tv, "deviation_time": tv * ratio * (1 + 1e-12)}
    ours = discretised(model_of(**constants), dt)
    for column, value in exactly(constants, dt).items():
        # A decay to nothing is kept to 1e-16 of one; the closed form loses some digits where it
        # begins to be used.
        smallest = 3e-16 if column in (FM, FA) else 1e-290
        assert ours[column] == pytest.approx(value, rel=1e-11, abs=smallest), column


@pytest.mark.parametrize("dt", [0.5, 2.0, 10.0, 30.0])
def test_f_and_q_agree_with_the_matrix_exponential_where_that_is_sound(dt: float) -> None:
    c = SWINGING
    F = np.array([[-1 / c["deviation_time"], 1.0], [0.0, -1 / c["velocity_time"]]])
    G = np.diag([c["deviation_noise"] ** 0.5, c["velocity_noise"] ** 0.5])
    phi, Q = van_loan_discretization(F, G, dt)
    ours = discretised(model_of(**c), dt)
    np.testing.assert_allclose([[ours[FA], ours[FK]], [0, ours[FB]]], phi, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose([[ours[Q00], ours[Q01]], [ours[Q01], ours[Q11]]], Q, rtol=1e-9)


@pytest.mark.parametrize("constants", [HEART_RATE, SWINGING], ids=["ou", "with velocity"])
def test_the_stationary_covariance_is_the_limit_of_q(constants: dict[str, float]) -> None:
    model = model_of(**constants)
    ours = discretised(model, 1e9)
    signal = model.signals["heart_rate"]
    np.testing.assert_allclose(ours[[Q00, Q01, Q11]], signal.stationary(), rtol=1e-12)
    assert ours[QM] == pytest.approx(signal.spread**2, rel=1e-12)
    assert (ours[[FM, FA, FK, FB]] == 0).all()


def test_two_steps_are_one_step() -> None:
    model = model_of(**SWINGING)
    one, two, three = (discretised(model, dt) for dt in (7.0, 11.0, 18.0))

    def matrices(o: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.array([[o[FA], o[FK]], [0, o[FB]]]),
            np.array([[o[Q00], o[Q01]], [o[Q01], o[Q11]]]),
        )

    (F1, Q1), (F2, Q2), (F3, Q3) = matrices(one), matrices(two), matrices(three)
    np.testing.assert_allclose(F2 @ F1, F3, rtol=1e-13)
    np.testing.assert_allclose(F2 @ Q1 @ F2.T + Q2, Q3, rtol=1e-13)
