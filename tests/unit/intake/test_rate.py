"""The declared rate: what is beyond it is counted and not kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.intake_line import IntakeLine
from twin.estimate import Verdict


def declared(interval: float = 1.0) -> IntakeLine:
    line = IntakeLine()
    line.tick()
    line.declare(expected_interval_s={"heart_rate": interval})
    return line


def test_samples_beyond_the_declared_rate_are_refused_without_their_value() -> None:
    line = declared()
    for n in range(100):
        line.send(1 + n * 0.1)
    rows = line.rows()
    refused = rows["verdict"] == Verdict.REFUSED
    assert 75 <= refused.sum() <= 90
    assert np.isnan(rows["value"][refused]).all()
    assert not np.isnan(rows["value"][~refused]).any()
    line.tick()
    assert line.account()["over_rate"] == line.account()["refused"] == refused.sum()


def test_an_offline_backlog_comes_at_any_speed() -> None:
    line = declared()
    line.send(*[float(n) for n in range(1_000)])
    assert set(line.verdicts()) == {Verdict.ACCEPTED}


def test_a_signal_without_a_declared_rate_is_not_judged() -> None:
    line = declared()
    for n in range(50):
        line.send(1 + n * 0.1, signal="spo2", value=97.0)
    assert set(line.verdicts()) == {Verdict.ACCEPTED}


def test_nor_is_another_device() -> None:
    line = declared()
    for n in range(50):
        line.send(1 + n * 0.1, device="patch")
    assert set(line.verdicts()) == {Verdict.ACCEPTED}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=60),
    st.floats(-0.05, 0.05),
)
def test_a_device_that_keeps_its_rate_is_never_beyond_it(order: list[int], jitter: float) -> None:
    """In any order, as often as it comes."""
    line = declared()
    for n in order:
        line.send(1 + n + (jitter if n % 2 else 0))
    assert Verdict.REFUSED not in line.verdicts()
