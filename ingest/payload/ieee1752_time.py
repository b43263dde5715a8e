"""Time frames of Open mHealth and IEEE 1752: an instant, an interval, or a part of a day."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.instant import DAY, HOUR, MILLISECOND, MINUTE, SECOND, format_instant
from ingest.payload.decoded import Reason, Unusable, shown
from ingest.payload.fields import MAX_STAMP, is_number
from ingest.payload.moments import Moment, When, moment

#: ns. A month and a year are UCUM's mean ones (`mo`, `a`), as an interval alone has no calendar.
DURATIONS: Mapping[str, float] = {
    "ps": 1e-3,
    "ns": 1,
    "us": 1e3,
    "ms": MILLISECOND,
    "sec": SECOND,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
    "wk": 7 * DAY,
    "Mo": 30.4375 * DAY,
    "yr": 365.25 * DAY,
}
_PARTS = ("morning", "afternoon", "evening", "night")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: What an interval may be given by; exactly one of them.
_PAIRS = (
    ("start_date_time", "duration"),
    ("end_date_time", "duration"),
    ("start_date_time", "end_date_time"),
)
_PART = ("date", "part_of_day")


def time_frame(said: object, path: str, part_of_day: bool) -> When:
    """The time of an effective_time_frame. Raises Unusable.

    part_of_day: a date with one is allowed (not in IEEE 1752).
    """
    if not isinstance(said, dict):
        raise Unusable(Reason.TIME_UNREADABLE, path, "an object", shown(said))
    forms = [key for key in ("date_time", "time_interval") if key in said]
    if len(forms) != 1:
        expected = "date_time or time_interval, one of them"
        raise Unusable(Reason.TIME_UNREADABLE, path, expected, " and ".join(forms) or "neither")
    path = f"{path}.{forms[0]}"
    value = said[forms[0]]
    if forms[0] == "date_time":
        return When(path, moment(value, path))
    if not isinstance(value, dict):
        raise Unusable(Reason.TIME_UNREADABLE, path, "an object", shown(value))
    return _interval(value, path, part_of_day)


def _interval(said: Mapping[str, object], path: str, part_of_day: bool) -> When:
    allowed = (*_PAIRS, _PART) if part_of_day else _PAIRS
    forms = [pair for pair in allowed if pair[0] in said and pair[1] in said]
    if len(forms) != 1:
        expected = "two of start_date_time, end_date_time and duration"
        if part_of_day:
            expected += ", or date and part_of_day"
        raise Unusable(Reason.TIME_UNREADABLE, path, expected, f"{len(forms)} of these forms")
    if forms[0] == _PART:
        return _part(said, path)
    start, end = (
        moment(said[key], f"{path}.{key}") if key in said else None
        for key in ("start_date_time", "end_date_time")
    )
    if "duration" in said:
        length = _duration(said["duration"], path + ".duration")
        if start is not None and start.stamp is not None:
            end = _shifted(start.stamp, length, path)
        elif end is not None and end.stamp is not None:
            start = _shifted(end.stamp, -length, path)
    # One that ends before it begins is kept as said: Open mHealth's own valid example is such a one
    # (body-temperature 4.0, valid-temperature-with-statistic).
    return When(path, None, start, end)


def _part(said: Mapping[str, object], path: str) -> When:
    part = said["part_of_day"]
    if part not in _PARTS:
        expected = ", ".join(_PARTS)
        raise Unusable(Reason.FIELD_VALUE, path + ".part_of_day", expected, shown(part))
    date = said["date"]
    if not isinstance(date, str) or _DAY.fullmatch(date) is None:
        raise Unusable(Reason.TIME_UNREADABLE, path + ".date", "a date", shown(date))
    return When(path, moment(date, path + ".date", partial=True), part_of_day=str(part))


def _duration(said: object, path: str) -> float:
    """ns."""
    if not isinstance(said, dict) or not is_number(said.get("value")):
        raise Unusable(Reason.TIME_UNREADABLE, path, "a value and a unit", shown(said))
    unit = said.get("unit")
    if not isinstance(unit, str) or unit not in DURATIONS:
        raise Unusable(Reason.UNIT_UNKNOWN, path + ".unit", ", ".join(DURATIONS), shown(unit))
    return float(said["value"] * DURATIONS[unit])


def _shifted(stamp: int, length: float, path: str) -> Moment:
    if abs(stamp + length) >= MAX_STAMP:
        raise Unusable(
            Reason.TIME_UNREADABLE, path, "times between the years 1678 and 2262", "a longer one"
        )
    moved = stamp + round(length)
    return Moment(format_instant(moved), moved, "")
