"""The time of a record, as a declared mapping says it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from ingest.instant import SECOND
from ingest.payload.decoded import Reason, Rejection, shown
from ingest.payload.fields import ZoneMissing, stamp_of_text, within
from ingest.payload.paths import NOTHING, Node, Path

Unit = Literal["iso", "s", "ms", "us", "ns"]
_FACTOR = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?")
_NUMBER = re.compile(r"-?\d{1,19}(\.\d{1,9})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 — of a clock on the wall
_MICROSECOND = timedelta(microseconds=1)
_ZONE = "a zone: an offset like +02:00, or a name like Europe/Paris"


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where the time stands and how it is written.

    date: where the date is, if `path` leads to a time of day. zone: of times that name none;
    zone_path: where the document says it. local: epoch numbers count the wall clock of that zone.
    step: ns between the values of a list that has one time.
    """

    path: Path
    unit: Unit = "iso"
    zone: tzinfo | None = None
    zone_path: Path | None = None
    date: Path | None = None
    local: bool = False
    step: int = 0

    def stamp(self, node: Node) -> int | Rejection:
        """ns UTC of a record."""
        return self.stamp_of(self.path.value(node), node, self.path.place(node))

    def stamp_of(self, said: object, node: Node, place: str) -> int | Rejection:
        """ns UTC of a time that stands at a place of the record."""
        if said is NOTHING or said is None:
            expected = f"the time of the record ({self.unit})"
            return Rejection(Reason.TIME_MISSING, place, expected, "nothing")
        zone = self._zone(node)
        if isinstance(zone, Rejection):
            return zone
        if self.unit != "iso":
            return self._of_number(said, zone, place)
        if self.date is not None:
            date = self.date.value(node)
            if not isinstance(date, str):
                got = "nothing" if date is NOTHING else shown(date)
                return Rejection(Reason.TIME_MISSING, self.date.place(node), "a date", got)
            said = f"{date}T{said}"
        return _of_text(said, zone, place)

    def _zone(self, node: Node) -> tzinfo | Rejection | None:
        if self.zone_path is None:
            return self.zone
        said = self.zone_path.value(node)
        if said is NOTHING or said is None:
            return self.zone
        try:
            return zone_of(said if isinstance(said, str) else "")
        except ValueError:
            place = self.zone_path.place(node)
            return Rejection(Reason.TIME_WITHOUT_ZONE, place, _ZONE, shown(said))

    def _of_number(self, said: object, zone: tzinfo | None, place: str) -> int | Rejection:
        expected = f"a number, epoch {self.unit}"
        number = _number(said)
        if number is None:
            return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
        factor = _FACTOR[self.unit]
        try:
            # A float of epoch seconds is good for a quarter of a microsecond.
            exact = number * factor if isinstance(number, int) else _rounded(number, factor)
            stamp = within(exact)
        except (ValueError, OverflowError):
            expected += " of the years 1678 to 2262"
            return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
        if not self.local:
            return stamp
        if zone is None:
            return Rejection(Reason.TIME_WITHOUT_ZONE, place, _ZONE, "none")
        return _of_wall(stamp, zone, place, shown(said))


def zone_of(text: str) -> tzinfo:
    """An offset or the name of a time zone. Raises ValueError."""
    if text in ("Z", "UTC"):
        return UTC
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        delta = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-delta if sign == "-" else delta)
    try:
        return ZoneInfo(text)
    except (OSError, LookupError, ValueError):
        raise ValueError(_ZONE) from None


def _number(said: object) -> int | float | None:
    if isinstance(said, str) and _NUMBER.fullmatch(said):
        return float(said) if "." in said else int(said)
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return said


def _rounded(number: float, factor: int) -> int:
    whole = int(number)  # raises for NaN and infinities
    return whole * factor + round((number - whole) * min(factor, 10**6)) * max(1, factor // 10**6)


def _of_text(said: object, zone: tzinfo | None, place: str) -> int | Rejection:
    expected = "an ISO-8601 date and time"
    if not isinstance(said, str):
        return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
    try:
        return stamp_of_text(said)
    except ZoneMissing:
        if zone is None:
            return Rejection(Reason.TIME_WITHOUT_ZONE, place, _ZONE, shown(said))
    except ValueError:
        return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
    return _of_wall(stamp_of_text(said + "Z"), zone, place, shown(said))


def _of_wall(wall: int, zone: tzinfo, place: str, got: str) -> int | Rejection:
    """ns UTC of a wall clock's ns since 1970, where that is one instant."""
    seconds = wall // SECOND
    try:
        local = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=zone)
        (offset,) = {local.replace(fold=fold).utcoffset() for fold in (0, 1)}
    except ValueError:
        expected = "a time that the wall clock of its zone shows once"
        return Rejection(Reason.TIME_UNREADABLE, place, expected, got)
    except OverflowError:
        return Rejection(Reason.TIME_UNREADABLE, place, "a year from 1 to 9999", got)
    ahead = timedelta() if offset is None else offset
    return wall - ahead // _MICROSECOND * 1000
