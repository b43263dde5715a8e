"""Stamps that cannot be are refused with what they look like."""

from __future__ import annotations

import pytest

from ingest.instant import DAY, HOUR, MINUTE, SECOND, parse_instant
from ingest.judge import judge
from ingest.payload.decoded import Rejection, Sample
from ingest.screen import screen
from ingest.settings import ScreenSettings

NOW = parse_instant("2026-11-25T08:00:00Z")


def said(stamp: int) -> str:
    """What the refusal of a stamp says was there."""
    refused = screen(Sample("heart_rate", 70.0, None, stamp), NOW, ScreenSettings())
    assert isinstance(refused, Rejection)
    return refused.got.partition("Z")[2]


def test_epoch_seconds_read_as_milliseconds_are_named() -> None:
    assert said(NOW // 1000) == " (looks like seconds)"


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (9 * HOUR, " (9 h ahead: zone?)"),
        (9 * HOUR - 13 * SECOND, " (9 h ahead: zone?)"),
        (5 * HOUR + 45 * MINUTE, " (5.75 h ahead: zone?)"),
        (14 * HOUR, " (14 h ahead: zone?)"),
        (HOUR + 7 * MINUTE, ""),
        (15 * HOUR, ""),
        (3 * DAY, ""),
        (-401 * DAY, ""),
    ],
)
def test_a_clock_in_another_zone_is_named_and_nothing_else(ahead: int, words: str) -> None:
    assert said(NOW + ahead) == words


@pytest.mark.parametrize(("factor", "unit"), [(1_000, "µs"), (1, "ns")])
def test_finer_epochs_are_named(factor: int, unit: str) -> None:
    payload = b'{"time": %d, "values": {"heart_rate": 70}}' % (NOW // factor)
    (line,) = judge(payload, now=NOW)
    assert line["reason"] == "time_unreadable"
    assert line["expected"] == f"epoch milliseconds; it looks like {unit}"
