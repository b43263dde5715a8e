"""The time of a record, as a declared mapping says it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from ingest.instant import ZoneMissing
from ingest.payload.decoded import Reason, Rejection, shown
from ingest.payload.fields import stamp_of_number, stamp_of_text
from ingest.payload.paths import NOTHING, Node, Path
from ingest.stamping import NAMES, ZONE, Unit, instant_of_wall, zone_of

Written = Literal["iso", "s", "ms", "us", "ns"]
_NUMBER = re.compile(r"-?\d{1,19}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where the time stands and how it is written.

    date: where the date is, if `path` leads to a time of day. zone: of times that name none;
    zone_path: where the document says it. local: epoch numbers count the wall clock of that zone.
    step: ns between the values of a list that has one time.
    """

    path: Path
    unit: Written = "iso"
    zone: tzinfo | None = None
    zone_path: Path | None = None
    date: Path | None = None
    local: bool = False
    step: int = 0

    @property
    def number(self) -> Unit | None:
        """The unit of times that are numbers; None: they are texts."""
        return None if self.unit == "iso" else self.unit

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
            return self._of_number(said, self.unit, zone, place)
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
            return Rejection(Reason.TIME_WITHOUT_ZONE, place, ZONE, shown(said))

    def _of_number(
        self, said: object, unit: Unit, zone: tzinfo | None, place: str
    ) -> int | Rejection:
        number = _number(said)
        if number is None:
            expected = f"a number, epoch {NAMES[unit]}"
            return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
        try:
            stamp = stamp_of_number(number, unit)
        except ValueError as error:
            expected = str(error).replace("expected", "a number,", 1)
            return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
        if not self.local:
            return stamp
        if zone is None:
            return Rejection(Reason.TIME_WITHOUT_ZONE, place, ZONE, "none")
        return _of_wall(stamp, zone, place, shown(said))


def _number(said: object) -> int | float | None:
    if isinstance(said, str) and _NUMBER.fullmatch(said):
        return float(said) if "." in said else int(said)
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return said


def _of_text(said: object, zone: tzinfo | None, place: str) -> int | Rejection:
    expected = "an ISO-8601 date and time"
    if not isinstance(said, str):
        return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
    try:
        return stamp_of_text(said)
    except ZoneMissing:
        if zone is None:
            return Rejection(Reason.TIME_WITHOUT_ZONE, place, ZONE, shown(said))
    except ValueError:
        return Rejection(Reason.TIME_UNREADABLE, place, expected, shown(said))
    return _of_wall(stamp_of_text(said + "Z"), zone, place, shown(said))


def _of_wall(wall: int, zone: tzinfo, place: str, got: str) -> int | Rejection:
    try:
        return instant_of_wall(wall, zone)
    except ValueError as error:
        return Rejection(Reason.TIME_UNREADABLE, place, str(error), got)
