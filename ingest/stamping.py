"""What is known to be wrong with a device's stamps, the instants that they mean all the same, and
what stamps that cannot be look like.

A number of time is read in the unit that is declared; zone and lead are then taken off what was
said. All pure. The stamp as the device said it stays its measurement's identity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from ingest.instant import DAY, HOUR, MILLISECOND, MINUTE, SECOND

Unit = Literal["s", "ms", "us", "ns"]
#: ns of one.
UNITS: Mapping[Unit, int] = {"s": SECOND, "ms": MILLISECOND, "us": 1000, "ns": 1}
NAMES: Mapping[Unit, str] = {"s": "seconds", "ms": "milliseconds", "us": "µs", "ns": "ns"}

ZONE = "a zone: an offset like +02:00, or a name like Europe/Paris"
_OFFSET = re.compile(r"([+-])([01]\d|2[0-3]):?([0-5]\d)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 — of a clock on the wall
_MICROSECOND = timedelta(microseconds=1)
#: Zones lie on quarters of an hour, 14 h at most; a device's clock is this near to one (ns).
_QUARTER, _FARTHEST, _NEAR = 15 * MINUTE, 14 * HOUR, 2 * MINUTE
#: Epoch seconds in 2001; doubled, in 2033.
_IN_2001 = 10**9


@dataclass(frozen=True, slots=True)
class Stamping:
    """How a device's stamps differ from what its format says.

    unit: of times that are numbers; None: the format's. zone: times show the wall clock there,
    whatever zone they name. ahead: the clock's lead, ns.
    """

    unit: Unit | None = None
    zone: tzinfo | None = None
    ahead: int = 0

    def instant(self, stamp: int) -> int:
        """The instant (ns UTC) that a stamp means.

        Raises ValueError, saying what was expected, for a time that the wall clock of the zone
        shows twice or never.
        """
        placed = stamp if self.zone is None else instant_of_wall(stamp, self.zone)
        return placed - self.ahead


#: Nothing is known to be wrong.
AS_SAID = Stamping()


class Likeness(NamedTuple):
    """What a stamp looks like, in words, and how a device that writes it so is declared."""

    words: str
    declared: str


def likeness(stamp: int, received_at: int, read_in: Unit | None) -> Likeness | None:
    """What a stamp that cannot be looks like, where it is clear enough to be named.

    stamp, received_at: ns UTC; read_in: the unit in which its number was read, None: it was none.
    """
    if read_in is not None:
        for unit, factor in UNITS.items():
            if unit != read_in and abs(stamp * factor // UNITS[read_in] - received_at) <= DAY:
                return _of_unit(unit)
    ahead = stamp - received_at
    quarters = round(ahead / _QUARTER)
    if 0 < ahead <= _FARTHEST + _NEAR and abs(ahead - quarters * _QUARTER) <= _NEAR:
        offset = quarters * _QUARTER // SECOND
        how = f"clock_offset_s = {offset} of the device, or stamp_zone of its model"
        return Likeness(f"{quarters / 4:g} h ahead: zone?", f"a clock in another zone: {how}")
    return None


def likeness_of_number(number: int | float, read_in: Unit) -> Likeness | None:
    """The same for a number that is no stamp at all in its unit; without a time of receipt."""
    for unit, factor in UNITS.items():  # a whole number may be longer than any float
        if unit != read_in and _IN_2001 * SECOND <= number * factor < 2 * _IN_2001 * SECOND:
            return _of_unit(unit)
    return None


def _of_unit(unit: Unit) -> Likeness:
    how = f'epoch {NAMES[unit]}: stamp_unit = "{unit}" of the device\'s model'
    return Likeness(f"looks like {NAMES[unit]}", how)


def declared_as(expected: str, found: Likeness | None) -> str:
    """What was expected, and how a device that is known to write otherwise is declared."""
    return expected if found is None else f"{expected}; to declare {found.declared}"


def zone_of(text: str) -> tzinfo:
    """An offset or the name of a time zone. Raises ValueError, saying what was expected."""
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
        raise ValueError(ZONE) from None


def instant_of_wall(wall: int, zone: tzinfo) -> int:
    """ns UTC of a wall clock's ns since 1970, where that is one instant.

    Raises ValueError, saying what was expected.
    """
    try:
        local = (_EPOCH + timedelta(seconds=wall // SECOND)).replace(tzinfo=zone)
        (offset,) = {local.replace(fold=fold).utcoffset() for fold in (0, 1)}
    except ValueError:
        raise ValueError("a time that the wall clock of its zone shows once") from None
    except OverflowError:
        raise ValueError("a year from 1 to 9999") from None
    ahead = timedelta() if offset is None else offset
    return wall - ahead // _MICROSECOND * 1000
