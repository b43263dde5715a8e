"""Instants: int64 nanoseconds UTC inside, ISO-8601 with zone at the edges."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

NANOSECOND = 1
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: A year less than int64 holds.
FURTHEST = 2**63 - 1 - 366 * DAY

_ISO = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9})\d*)?)?"
    r"\s?([Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ZoneMissing(ValueError):
    """A date and time without zone: no instant."""


def parse_instant(text: str) -> int:
    """Nanoseconds since 1970 UTC of an ISO-8601 date and time with zone.

    Raises ZoneMissing for one without zone, which is no instant, and ValueError (naming what was
    expected) for anything else. Digits beyond nanoseconds are cut. A leap second (``:60``) is read
    as ``:59``.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError("expected an ISO-8601 date and time with zone, e.g. 2026-11-25T08:00:00Z")
    year, month, day, hour, minute = (int(match.group(i)) for i in range(1, 6))
    second = 59 if match.group(6) == "60" else int(match.group(6) or 0)
    zone = match.group(8)
    offset = UTC if zone is None or zone in "Zz" else _zone(zone)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=offset) - _EPOCH
    if zone is None:
        raise ZoneMissing("expected a zone at the end, e.g. Z or +02:00")
    fraction = int((match.group(7) or "0").ljust(9, "0"))
    return (moment.days * 86_400 + moment.seconds) * SECOND + fraction


def parse_bounded(text: str) -> int:
    """`parse_instant` of what a person asks for: also raises ValueError within a year of where
    int64 ns end (1677, 2262), so that a day before it is still a time."""
    instant = parse_instant(text)
    if abs(instant) > FURTHEST:
        raise ValueError("expected a time between the years 1679 and 2261")
    return instant


def _zone(text: str) -> timezone:
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def format_instant(instant: int) -> str:
    """ISO-8601 with nanoseconds and Z, the exact inverse of `parse_instant`."""
    seconds, fraction = divmod(int(instant), SECOND)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
