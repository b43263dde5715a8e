"""Dates, times and intervals as FHIR and IEEE 1752 write them, and what a value at one is.

Both take RFC 3339: a time has seconds and a zone. FHIR also allows a year, a month or a day alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from ingest.instant import format_instant
from ingest.payload.decoded import Kept, Paths, Reason, Sample, Unusable, shown
from ingest.payload.fields import stamp_of_text

_CLOCK = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
_ZONE = r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_INSTANT = re.compile(rf"{_DATE}[Tt]{_CLOCK}{_ZONE}", re.ASCII)
_NO_ZONE = re.compile(rf"{_DATE}[Tt]{_CLOCK}", re.ASCII)
_PARTIAL = re.compile(rf"{_DATE}|\d{{4}}-(0[1-9]|1[0-2])|\d{{4}}", re.ASCII)
_PRECISION = {4: "year", 7: "month", 10: "day"}
_LONGEST = 64


class Moment(NamedTuple):
    """stamp: ns UTC, None for a date without time, whose `precision` is then said ("" else)."""

    text: str
    stamp: int | None
    precision: str


def moment(said: object, path: str, partial: bool = False) -> Moment:
    """The moment that a text says; a date alone only with `partial`. Raises Unusable."""
    expected = "an ISO-8601 date and time with seconds and zone"
    if partial:
        expected += ", or a date"
    if not isinstance(said, str) or len(said) > _LONGEST:
        raise Unusable(Reason.TIME_UNREADABLE, path, expected, shown(said))
    found = _moment(said)
    if found is None or (found.precision and not partial):
        if _NO_ZONE.fullmatch(said) is not None:
            expected = "a zone at the end, e.g. Z or +02:00"
            raise Unusable(Reason.TIME_WITHOUT_ZONE, path, expected, shown(said))
        raise Unusable(Reason.TIME_UNREADABLE, path, expected, shown(said))
    return found


@dataclass(frozen=True, slots=True)
class When:
    """When a value holds: at an instant or date (at), or over an interval. path: where it is said.

    part_of_day: which part of the date is meant, "" none.
    """

    path: str
    at: Moment | None = None
    start: Moment | None = None
    end: Moment | None = None
    part_of_day: str = ""

    @property
    def stamp(self) -> int | None:
        """ns UTC, if it is an instant; an interval of no length is one."""
        if self.at is not None:
            return self.at.stamp
        if self.end is None or self.start is None or self.start.stamp != self.end.stamp:
            return None
        return self.end.stamp


def place(
    signal: str,
    value: float,
    unit: str | None,
    at: Paths,
    when: When,
    statistic: str | None = None,
    denominator: str = "",
) -> Sample | Kept:
    """A sample, if it is a value at an instant; else what is kept of it."""
    stamp = when.stamp
    if stamp is not None and statistic is None:
        return Sample(signal, value, unit, stamp, at=at)
    last = when.at or when.end or when.start
    precisions = (each.precision for each in (when.at, when.end, when.start) if each is not None)
    return Kept(
        signal,
        value,
        unit,
        at,
        last.text if last is not None else "",
        "part_of_day" if when.part_of_day else next(filter(None, precisions), ""),
        when.start.text if when.start is not None else "",
        when.end.text if when.end is not None else "",
        statistic,
        denominator,
        when.part_of_day,
        (when.at or when.end or Moment("", None, "")).stamp,
    )


@lru_cache(maxsize=1 << 12)
def _moment(said: str) -> Moment | None:
    try:
        if _INSTANT.fullmatch(said) is not None:
            stamp = stamp_of_text(said)
            return Moment(format_instant(stamp), stamp, "")
        if _PARTIAL.fullmatch(said) is not None:
            date.fromisoformat(f"{said}-01-01"[:10] if len(said) < 7 else f"{said}-01"[:10])
            return Moment(said, None, _PRECISION[len(said)])
    except (ValueError, OverflowError):
        pass
    return None
