"""Devices' clocks: estimated and shown, and corrected only where it can be told from a backlog."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instant import HOUR, SECOND
from ingest.observation import DeviceId, Observation, PatientId, SignalCode, batch_of
from tests.support.intake_line import IntakeLine, estimates
from tests.support.twins import T0
from twin.estimate import Verdict
from twin.estimation.kalman import NEVER
from twin.intake.clock import Shifts


def lived(ahead: float, seconds: int, drift: float = 0.0, jitter: float = 0.3) -> IntakeLine:
    """A device that sends each second, its clock `ahead` s, each message up to `jitter` s late."""
    line = IntakeLine()
    line.tick()
    live(line, ahead, seconds, drift, jitter)
    return line


def live(
    line: IntakeLine, ahead: float, seconds: int, drift: float = 0.0, jitter: float = 0.3
) -> None:
    rng = np.random.default_rng(1)
    for _ in range(seconds):
        stamp = line.now + ahead + drift * line.now
        line.send(stamp, after=0.1 + float(rng.uniform(0, jitter)))
        line.tick()


def leads(line: IntakeLine) -> np.ndarray:
    """measured_at ahead of the device's stamp, s, of all verdict rows."""
    rows = line.rows()
    return (rows["measured_at"] - rows["device_stamp"]) / SECOND


def test_offset_and_drift_are_estimated_with_their_uncertainty() -> None:
    line = lived(-40.0, 900, drift=300e-6)
    report = line.reports()[-1]
    now = -40.0 + 300e-6 * line.now - 0.1
    assert report["offset"] == pytest.approx(now, abs=max(4 * report["offset_std"], 0.05))
    assert report["drift"] == pytest.approx(300, abs=4 * report["drift_std"])
    assert 0 < report["offset_std"] < 0.1


def test_a_slow_clock_is_shown_and_never_corrected() -> None:
    line = lived(-300.0, 300)
    assert not leads(line).any()
    assert line.reports()[-1]["offset"] == pytest.approx(-300.1, abs=0.2)
    assert line.reports()[-1]["correction"] == 0


def test_a_clock_ahead_is_corrected_by_the_smallest_lead_seen() -> None:
    line = lived(10.0, 120)
    correction = line.reports()[-1]["correction"]
    stamps = line.rows()
    smallest = ((stamps["device_stamp"] - stamps["received_at"]) / SECOND).min()
    assert correction == pytest.approx(smallest, abs=0.1)
    assert leads(line)[0] == 0
    assert leads(line)[-1] == pytest.approx(-correction)


def test_a_clock_that_ingest_has_set_right_is_not_corrected_again() -> None:
    line = IntakeLine()
    line.tick()
    for _ in range(200):
        at = T0 + round(line.now * SECOND)
        stamp = at + 9 * HOUR  # declared: `clock_offset_s = 32400`
        line.put("p1", batch_of([
            Observation(
                PatientId("p1"), DeviceId("watch"), SignalCode("heart_rate"), 70.0, at,
                at + SECOND // 5, stamp,
            )
        ]))  # fmt: skip
        line.tick()
    assert set(leads(line)) == {-9 * HOUR / SECOND}
    assert line.reports()[-1]["offset"] == pytest.approx(-0.2)
    assert line.reports()[-1]["correction"] == 0


def test_a_lead_of_less_than_two_seconds_is_not_corrected() -> None:
    assert not leads(lived(1.9, 200)).any()


def test_a_lead_within_three_standard_deviations_is_not_corrected() -> None:
    line = IntakeLine()
    line.tick()
    for n in range(200):
        line.send(line.now + (3.0 if n % 2 else 30.0))
        line.tick()
    assert not leads(line).any()


def test_a_correction_changes_on_a_tick_at_most_once_a_minute() -> None:
    line = lived(10.0, 300, drift=-0.02)
    corrections = np.unique([r["correction"] for r in line.reports()])
    assert 4 <= len(corrections) <= 6
    assert (np.diff(line.rows()["measured_at"]) > 0).all()
    assert -10 < leads(line).min() < -8


def test_a_backlog_does_not_take_a_correction_back() -> None:
    line = lived(10.0, 200)
    standing = line.reports()[-1]["correction"]
    waiting = []
    for _ in range(90):
        waiting.append(line.now + 10.0)
        line.tick()
    for stamp in waiting:
        line.send(stamp)
    live(line, 10.0, 120)
    assert line.reports()[-1]["correction"] == pytest.approx(standing, abs=0.1)


def test_a_clock_that_was_set_right_is_corrected_no_longer() -> None:
    line = lived(10.0, 200)
    live(line, 0.0, 200)
    assert line.reports()[-1]["correction"] == 0
    assert leads(line)[-1] == 0


def test_the_slow_clock_of_a_live_device_is_corrected() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(live=True)
    live(line, -20.0, 180)
    assert leads(line)[-1] == pytest.approx(20.1, abs=0.15)


def test_a_declared_delay_is_taken_from_the_stamps_from_the_beginning() -> None:
    line = IntakeLine()
    line.tick()
    line.declare(delay_s=30)
    live(line, 0.0, 20)
    assert (leads(line) == -30).all()
    assert line.verdicts() == [Verdict.ACCEPTED] * 20


def test_what_comes_again_after_a_correction_is_still_a_duplicate() -> None:
    line = lived(10.0, 100, jitter=0.0)
    before = line.rows()["device_stamp"]
    assert leads(line)[-1] < 0
    for stamp in before[-20:].tolist():
        line.send((stamp - T0) / SECOND)
    assert line.verdicts()[-20:] == [Verdict.DUPLICATE] * 20


def test_a_step_of_our_own_clock_is_not_taken_for_the_devices() -> None:
    line = lived(0.0, 130)
    line.tick(-120, stepped=True)
    live(line, 0.0, 10)
    assert not leads(line).any()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**12), st.integers(-(10**11), 10**11)), min_size=1, max_size=8
    ),
    st.lists(st.integers(-(10**10), 12 * 10**12), min_size=2, max_size=60),
)
def test_corrected_stamps_keep_their_order(moves: list[tuple[int, int]], stamps: list[int]) -> None:
    shifts = Shifts()
    moved: set[int] = set()
    for since, by in sorted(moves):
        if since not in moved:
            moved.add(since)
            shifts.move(0, T0 + since, by)
    ordered = np.array(sorted({T0 + 2 * s for s in stamps}), np.int64)
    assert (np.diff(shifts.moved(0, ordered)) > 0).all()


def test_the_first_piece_reaches_back_for_ever() -> None:
    shifts = Shifts()
    shifts.move(3, NEVER, 5)
    assert shifts.moved(3, np.array([T0 - 10**15, T0])).tolist() == [T0 - 10**15 - 5, T0 - 5]


def test_estimates_end_the_same_whatever_the_order_within_a_corrected_clock() -> None:
    ends = []
    for swap in (False, True):
        line = lived(10.0, 100, jitter=0.0)
        stamps = [line.now + 10 + n for n in range(8)]
        for stamp in reversed(stamps) if swap else stamps:
            line.send(stamp, value=60 + stamp % 7, after=9)
        ends.append(list(estimates(line)))
    assert ends[0] == ends[1]


def test_of_a_backlog_alone_the_offset_is_as_uncertain_as_the_delay() -> None:
    line = IntakeLine()
    line.tick()
    for n in range(60):  # an hour, sent in a second, its newest ten minutes old
        line.send(-600.0 - 60 * n)
    line.run(65)
    report = line.reports()[-1]
    assert report["offset"] == pytest.approx(-600, abs=2)
    assert report["offset_std"] > 600
    assert report["correction"] == 0


def test_of_one_late_message_nobody_knows_whether_the_clock_or_the_way_was_slow() -> None:
    line = IntakeLine()
    line.tick()
    line.send(-600.0)
    line.run(65)
    assert line.reports()[-1]["offset_std"] == pytest.approx(600, abs=2)


def test_a_clock_that_is_ahead_is_known_at_once() -> None:
    line = IntakeLine()
    line.tick()
    for _ in range(62):
        line.send(line.now + 60.0)
        line.tick()
    assert line.reports()[-1]["offset_std"] < 0.1
