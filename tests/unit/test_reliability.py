"""The fault campaign's account of itself: what each test adds, and the line above the table."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.reliability import Campaign, Row, head_of

Outcome = Literal["passed", "failed", "skipped"]


def report(
    when: Literal["setup", "call", "teardown"], seconds: float, outcome: Outcome = "passed"
) -> pytest.TestReport:
    return pytest.TestReport(
        "tests/fault/test_x.py::test_it", ("", 0, ""), {}, outcome, None, when, duration=seconds
    )


def test_a_test_tells_of_its_call_and_how_long_its_set_up_took() -> None:
    campaign = Campaign()
    assert campaign.line(report("setup", 90), 1_000, 2) is None
    told = campaign.line(report("call", 30), 1_030, 2)
    assert told is not None
    assert (told["seconds"], told["setup_s"], told["outcome"]) == (30, 90, "passed")
    assert campaign.line(report("teardown", 5), 1_035, 2) is None


def test_what_goes_wrong_in_set_up_or_at_the_end_is_a_failure() -> None:
    campaign = Campaign()
    for when in ("setup", "teardown"):
        told = campaign.line(report(when, 7, "failed"), 1_000, 2)  # type: ignore[arg-type]
        assert told is not None
        assert (told["outcome"], told["seconds"], told["setup_s"]) == ("failed", 7, 0)


def test_the_minutes_begin_with_the_first_set_up() -> None:
    first = {"at": 1_795_000_120.0, "seconds": 30.0, "setup_s": 90.0, "load": 1.0}
    last = {"at": 1_795_000_180.0, "seconds": 50.0, "setup_s": 10.0, "load": 3.0}
    row = Row("it is broken", "0 lost", 4, 1, 0, 0, None)
    assert ": 1 faults, 4 runs in 3 minutes, 0 failed." in head_of([first, last], [row])
    before = [{k: v for k, v in each.items() if k != "setup_s"} for each in (first, last)]
    assert "4 runs in 2 minutes" in head_of(before, [row])  # a report of a release before
