"""What this installation is for: the manifest of its purpose, and the hours in which people watch.

A remote-monitoring service reads its data in service hours; outside them pages say whom to call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from ingest.instant import SECOND

Mode = Literal["wellness", "remote_monitoring", "research"]
EVERY_DAY = frozenset(range(7))
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Purpose:
    """mode: in wellness there are no clinical alarms. responsible: who answers for them, in words.

    days: 0 = Monday. begins and ends: minutes of the day on site; a service over midnight ends
    before it begins and belongs to the day on which it began. emergency: whom to call otherwise.
    """

    mode: Mode = "research"
    responsible: str = ""
    days: frozenset[int] = EVERY_DAY
    begins: int = 0
    ends: int = DAY_MINUTES
    emergency: str = "15 / 112"

    @property
    def always(self) -> bool:
        """Is somebody there day and night?"""
        return self.days == EVERY_DAY and (self.ends - self.begins) % DAY_MINUTES == 0

    def covered(self, instant: int, zone: ZoneInfo) -> bool:
        """Does somebody watch at an int64 ns UTC?"""
        if self.always:
            return True
        local = datetime.fromtimestamp(instant // SECOND, UTC).astimezone(zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        before = (day - 1) % 7 in self.days and minute < self.ends
        return before or (day in self.days and minute >= self.begins)
