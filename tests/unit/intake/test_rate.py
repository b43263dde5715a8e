"""The declared rate: what is beyond it is counted and not kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal.protocol import partition_of
from tests.support.intake_line import PARTITIONS, IntakeLine
from twin.estimate import Kind, Status, Verdict
from twin.snapshot import capture, restore
from twin.step import new_state


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


@pytest.mark.parametrize("declared", [{"heart_rate": 300}, {"spo2": 300}])
def test_a_new_key_is_as_old_as_its_device_is_declared_to_be_slow(
    declared: dict[str, float],
) -> None:
    """The first values of a slow watch: fresh up to 600 s as declared, to 10 s where it is not."""
    line = IntakeLine()
    line.declare(expected_interval_s=declared)
    line.send(after=15)
    line.run(299)
    line.tick()
    line.send(after=15)
    early = Status.FRESH if "heart_rate" in declared else Status.LATE
    assert line.rows()["status"].tolist() == [early, early]
    aged = line.rows(Kind.STATUS)["status"].tolist()
    assert (Status.STALE in aged) == ("heart_rate" not in declared)
    line.run(700)
    assert line.rows(Kind.STATUS)["status"].tolist()[-1] in (Status.LATE, Status.STALE)


def test_what_a_key_has_learned_of_itself_comes_before_what_is_declared() -> None:
    line = IntakeLine()
    line.declare(expected_interval_s={"heart_rate": 300})
    for n in range(4):
        line.send(n * 1.0)
    line.run(40)
    assert line.rows(Kind.STATUS)["status"].tolist() == [Status.FRESH, Status.LATE]


def test_what_is_declared_of_a_new_key_is_in_its_snapshot() -> None:
    line = IntakeLine()
    line.declare(expected_interval_s={"heart_rate": 300})
    line.send()
    partition = partition_of("p1", PARTITIONS)
    state = new_state(PARTITIONS)
    restore(state, "s", capture(line.state, partition).encode())
    line.state = state
    line.run(299)
    assert line.rows(Kind.STATUS)["status"].tolist() == [Status.FRESH]
