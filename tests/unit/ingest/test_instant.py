"""Instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.instant import HOUR, MINUTE, SECOND, ZoneMissing, format_instant, parse_instant

FIRST = 0
LAST = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * SECOND


@given(st.integers(FIRST, LAST))
def test_formatting_and_parsing_are_inverse_to_the_nanosecond(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_parsing_agrees_with_the_standard_library(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_instant(moment.isoformat()) == seconds * 1000


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01 00:00:01z", SECOND),
        ("19700101T000001Z", SECOND),
        ("1970-01-01T00:00:00,5Z", SECOND // 2),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:00.0000000019Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00+01", 0),
        ("1970-01-01T05:30:00+0530", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("2016-12-31T23:59:60Z", parse_instant("2016-12-31T23:59:59Z")),
        ("1970-01-02T00:00:00Z", 24 * HOUR),
        ("1969-12-31T23:59:00Z", -MINUTE),
    ],
)
def test_the_usual_ways_to_write_an_instant_are_read(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T08:00:00",
        "2026-11-25",
        "2026-11-25T08:00:00 Europe/Berlin",
        "08:00:00Z",
        "1764057600",
        "",
        "2026-11-25T08:00:00Z ",
        "2026-11-25T8:00:00Z",
        "2026-13-25T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-11-25T24:00:01Z",
        "2026-11-25T08:61:00Z",
        "2026-11-25T08:00:00+25:00",
        "٢٠٢٦-11-25T08:00:00Z",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)


def test_a_time_without_zone_is_refused_with_what_was_expected() -> None:
    with pytest.raises(ZoneMissing, match=r"expected a zone at the end, e\.g\. Z or \+02:00"):
        parse_instant("2026-11-25T08:00:00")
    with pytest.raises(ValueError, match="day is out of range"):  # what is no date has no zone
        parse_instant("2026-02-30T08:00:00")
