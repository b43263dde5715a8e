"""Gaps and redeliveries by the devices' own numbers: counted, and nothing is ever discarded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.intake_line import IntakeLine
from twin.estimate import Verdict
from twin.intake.identity import REMEMBERED


def test_a_number_passed_over_is_open_and_after_a_minute_missing() -> None:
    line = IntakeLine()
    line.tick()
    line.send(number=1)
    line.tick()
    line.send(number=4)
    line.run(11)
    assert line.account()["open"] == 2
    line.run(47)
    assert "missing" not in line.account()
    line.run(13)
    assert line.account()["missing"] == 2
    assert "open" not in line.account()


def test_an_earlier_message_fills_its_gap() -> None:
    line = IntakeLine()
    line.tick()
    for number in (1, 3, 2):
        line.send(100.0 + number, number=number)
    line.run(70)
    assert line.account() == {"accepted": 3}
    assert line.verdicts() == [Verdict.ACCEPTED] * 3


def test_a_message_that_comes_after_its_minute_is_missing_no_longer() -> None:
    line = IntakeLine()
    line.tick()
    line.send(1.0, number=1)
    line.send(3.0, number=3)
    line.run(70)
    line.send(2.0, number=2)
    line.run(6)
    assert line.account() == {"accepted": 3}


def test_a_message_that_comes_again_is_named_and_its_samples_are_duplicates() -> None:
    line = IntakeLine()
    line.tick()
    line.send(1.0, 2.0, number=7)
    line.send(1.0, 2.0, number=7, after=0.4)
    line.tick()
    assert line.account() == {"accepted": 2, "duplicate": 2, "redelivered": 1}


def test_a_reboot_without_mark_begins_a_new_count_and_loses_nothing() -> None:
    line = IntakeLine()
    line.tick()
    for number, stamp in ((500, 1), (501, 2), (0, 3), (1, 4), (2, 5)):
        line.send(float(stamp), number=number)
    line.run(70)
    assert line.account() == {"accepted": 5, "restarts": 1}
    assert line.verdicts() == [Verdict.ACCEPTED] * 5


def test_a_late_message_of_the_count_before_fills_its_gap_there() -> None:
    line = IntakeLine()
    line.tick()
    for number, stamp in ((8, 1), (10, 3), (0, 4), (1, 5), (9, 2)):
        line.send(float(stamp), number=number)
    line.run(70)
    assert line.account() == {"accepted": 5, "restarts": 1}


def test_a_mark_of_boot_tells_counts_apart_whatever_the_numbers() -> None:
    line = IntakeLine()
    line.tick()
    for boot, number, stamp in ((7, 1, 1), (7, 3, 3), (8, 4, 4), (8, 6, 6), (7, 2, 2)):
        line.send(float(stamp), number=number, boot=boot)
    line.run(70)
    assert line.account() == {"accepted": 5, "restarts": 1, "missing": 1}


def test_numbers_that_are_no_count_make_no_gaps() -> None:
    line = IntakeLine()
    line.tick()
    for n in range(3):
        line.send(float(n), number=1_790_000_000_000 + n * 5_000_000)
    line.run(70)
    assert line.account() == {"accepted": 3, "restarts": 2}


@pytest.mark.parametrize(("wrong", "every"), [(100_000, 1.0), (100_000, 300.0), (5, 1.0)])
def test_one_wrong_number_is_a_new_count_and_no_loss(wrong: int, every: float) -> None:
    line = IntakeLine()
    line.tick()
    for n, number in enumerate((998, 999, 1000, wrong, 1002, 1003)):
        line.send(n * every, number=number)
    line.run(70)
    account = line.account()
    assert account["accepted"] == 6
    assert account["restarts"] == 2
    assert account.get("missing", 0) + account.get("open", 0) == 0


def test_a_wrong_number_of_a_message_without_a_usable_sample_is_no_loss_either() -> None:
    line = IntakeLine()
    line.tick()
    line.send(number=1)
    line.tick()
    line.say(sequence=90_000)
    line.tick()
    line.send(number=3)
    line.run(70)
    assert line.account() == {"accepted": 2, "restarts": 2}


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.1, 900.0),
    st.integers(1, 12),
    st.integers(1, 200_000),
    st.sampled_from(["heart_rate", "systolic_bp"]),
    st.booleans(),
)
def test_true_loss_is_counted_however_much_and_whatever_the_rate(
    every: float, before: int, lost: int, signal: str, wrong_clock: bool
) -> None:
    """By its own clock, or by receipts where that stands still."""
    line = IntakeLine()
    line.tick()
    last = before + lost
    for n in (*range(before), last):
        at = float(min(n, before)) if wrong_clock else n * every
        line.send(at, number=n, signal=signal, after=n * every)
    line.run(70)
    assert line.account()["missing"] == lost


def test_of_too_many_open_gaps_the_oldest_is_counted_missing() -> None:
    line = IntakeLine()
    line.tick()
    for n in range(REMEMBERED + 4):
        line.send(float(n), number=2 * n)
    line.run(6)
    assert line.account()["missing"] == 3
    assert line.account()["open"] == REMEMBERED


def test_devices_without_numbers_have_neither_gaps_nor_redeliveries() -> None:
    line = IntakeLine()
    line.tick()
    line.send(1.0)
    line.send(1.0, after=0.5)
    line.run(70)
    assert line.account() == {"accepted": 1, "duplicate": 1}


def test_two_wearers_of_a_device_have_counts_of_their_own() -> None:
    line = IntakeLine()
    line.tick()
    line.send(1.0, number=1)
    line.send(2.0, number=2, patient="p2")
    line.send(3.0, number=3, patient="p2")
    line.run(70)
    assert line.account() == {"accepted": 1}
    assert line.account(patient="p2") == {"accepted": 2}


def test_a_message_whose_samples_were_all_refused_is_no_gap() -> None:
    line = IntakeLine()
    line.tick()
    line.send(1.0, number=1)
    line.say(sequence=2)
    line.say(sequence=3, contact=True)
    line.send(4.0, number=4)
    line.run(70)
    assert line.account() == {"accepted": 2}


@settings(max_examples=60, deadline=None)
@given(
    # With its first and last no more than a ring (24) holds: what comes deeper is belated.
    st.lists(st.sampled_from(["kept", "lost", "twice"]), min_size=3, max_size=22),
    st.randoms(use_true_random=False),
)
def test_the_account_says_what_was_lost_and_what_came_twice(fates: list[str], rng: object) -> None:
    fates = ["kept", *fates, "kept"]
    deliveries = [n for n, fate in enumerate(fates) if fate != "lost"]
    deliveries += [n for n, fate in enumerate(fates) if fate == "twice"]
    assert hasattr(rng, "shuffle")
    rest = deliveries[1:]
    rng.shuffle(rest)
    line = IntakeLine()
    line.tick()
    for place, number in enumerate([0, *rest]):
        line.send(float(number), number=number, after=1 + place * 0.01)
    line.run(70)
    lost, twice = fates.count("lost"), fates.count("twice")
    expected = {"accepted": len(fates) - lost, "duplicate": twice, "redelivered": twice}
    account = line.account()
    assert account == {k: v for k, v in (expected | {"missing": lost}).items() if v}
