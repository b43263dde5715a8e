"""What limits would have raised on a record."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ingest.instant import SECOND
from ingest.observation import Command
from ingest.recording import Recording, recording_of
from tests.support.twins import T0
from twin.backtest import backtest, backtest_page


def record() -> Recording:
    """Ten minutes of two patients; p1's heart rate is 140 from the second minute to the sixth."""
    at = np.arange(0, 600, 2)
    rate = np.where((at >= 120) & (at < 360), 140.0, 75.0)
    stamps = T0 + at * SECOND
    return recording_of(
        pa.table(
            {
                "patient": ["p1"] * len(at) + ["p2"] * len(at),
                "device": ["w"] * (2 * len(at)),
                "signal": ["heart_rate"] * (2 * len(at)),
                "value": np.concatenate([rate, np.full(len(at), 75.0)]),
                "measured_at": np.concatenate([stamps, stamps]),
            }
        )
    )


def test_the_starting_limits_raise_what_the_record_has() -> None:
    found = backtest(record())
    assert found.by_rule == {("heart_rate/high", "medium"): 1}
    assert [(row.patient, row.limit) for row in found.raised] == [("p1", 130.0)]
    assert (found.patients, found.within_budget) == (2, False)
    assert found.each_day == pytest.approx(12.0)  # one in an hour at least, of two patients


def test_a_limit_that_is_tried_changes_what_is_raised() -> None:
    body = {"signal": "heart_rate", "priority": "medium", "high": 145.0, "reason": "try"}
    found = backtest(record(), [Command("l", "limits", "I. Roux", T0, body)])
    assert (found.by_rule, found.within_budget) == ({}, True)


def test_the_page_says_the_counts_and_holds_no_identity() -> None:
    page = backtest_page(backtest(record()))
    assert "would have raised 1 alarms for 2 patients" in page
    assert "heart_rate/high" in page
    assert "<svg" in page
    assert "p1" not in page
