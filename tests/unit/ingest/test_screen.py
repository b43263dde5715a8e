"""Stamps that cannot be are refused with what they look like."""

from __future__ import annotations

import pytest

from ingest.instant import DAY, HOUR, MINUTE, SECOND, parse_instant
from ingest.judge import judge
from ingest.payload.decoded import Rejection, Sample
from ingest.screen import screen
from ingest.settings import ScreenSettings
from ingest.stamping import UNITS, Unit

CODES = {"µs": "us", "ns": "ns"}
NOW = parse_instant("2026-11-25T08:00:00Z")


def refused(stamp: int, read_in: Unit | None = "ms") -> Rejection:
    """What is said of a stamp that cannot be."""
    found = screen(Sample("heart_rate", 70.0, None, stamp), stamp, NOW, ScreenSettings(), read_in)
    assert isinstance(found, Rejection)
    return found


def said(stamp: int, read_in: Unit | None = "ms") -> str:
    """What the refusal of a stamp says that it looks like."""
    return refused(stamp, read_in).got.partition("Z")[2]


def test_epoch_seconds_read_as_milliseconds_are_named() -> None:
    assert said(NOW // 1000) == " (looks like seconds)"
    declared = 'to declare epoch seconds: stamp_unit = "s" of the device\'s model'
    assert refused(NOW // 1000).expected == f"at most 400 days before its receipt; {declared}"
    assert said(NOW // 1000, None) == ""  # a text: it has no unit


@pytest.mark.parametrize(
    ("read_in", "meant", "words"),
    [
        ("us", "ms", " (looks like milliseconds)"),
        ("us", "s", " (looks like seconds)"),
        ("ns", "us", " (looks like µs)"),
        ("ns", "ms", " (looks like milliseconds)"),
    ],
)
def test_a_number_in_a_coarser_unit_is_named(read_in: Unit, meant: Unit, words: str) -> None:
    number = NOW // UNITS[meant]
    assert said(number * UNITS[read_in], read_in) == words


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
    seconds = round(ahead / (15 * MINUTE)) * 900
    declared = f"clock_offset_s = {seconds} of the device, or stamp_zone of its model"
    assert refused(NOW + ahead).expected.endswith(declared) is bool(words)


@pytest.mark.parametrize(("factor", "unit"), [(1_000, "µs"), (1, "ns")])
def test_finer_epochs_are_named(factor: int, unit: str) -> None:
    payload = b'{"time": %d, "values": {"heart_rate": 70}}' % (NOW // factor)
    (line,) = judge(payload, now=NOW)
    assert line["reason"] == "time_unreadable"
    expected, _, how = str(line["expected"]).partition("; to declare ")
    assert expected == f"epoch milliseconds of the years 1678 to 2262; it looks like {unit}"
    assert how == f'epoch {unit}: stamp_unit = "{CODES[unit]}" of the device\'s model'
