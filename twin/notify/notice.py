"""Which transitions of an alarm are worth a call, and what a call says.

A call says that there is an alarm, its priority and where to look; never whom it is about, which
vital, or any number: it goes through telephones and servers that are not ours. Open and sign in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ingest.instant import format_instant
from twin.judgement import Alarm, AlarmEvent, AlarmKind, AlarmState

#: Transitions that call somebody.
CALLING = frozenset({AlarmEvent.RAISED, AlarmEvent.ALARMED_AGAIN, AlarmEvent.ESCALATED})
#: Transitions after which nobody need come: calls that still wait are dropped.
SETTLING = frozenset({AlarmEvent.ACKNOWLEDGED, AlarmEvent.PAUSED, AlarmEvent.CLOSED})


@dataclass(frozen=True, slots=True)
class Notice:
    """One call. escalation: 0 the assigned nurse, 1 the team, 2 the shift lead, 3 a physician.

    at: the transition's time, int64 ns UTC; link: page of the alarm, "" where none is configured.
    """

    alarm: str
    event: str
    priority: str
    escalation: int
    at: int
    link: str

    @property
    def key(self) -> str:
        """The same for the same call, however often it is sent: receivers may drop a second one."""
        return f"{self.alarm}-{self.event}-{self.at}"

    @property
    def body(self) -> dict[str, str | int]:
        """What a webhook sends."""
        return {
            "id": self.key,
            "alarm": self.alarm,
            "event": self.event,
            "priority": self.priority,
            "escalation": self.escalation,
            "at": format_instant(self.at),
            "link": self.link,
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """One line for people."""
        where = f" {self.link}" if self.link else ""
        return f"Alarm of {self.priority} priority. Open the ward and sign in.{where}"


def notices(alarms: Iterable[Alarm], priorities: Collection[str], address: str) -> Iterator[Notice]:
    """The calls that these transitions make. address: of the page, without a slash at its end."""
    for alarm in alarms:
        calls = alarm.event in CALLING and alarm.state == AlarmState.ACTIVE and not alarm.joined
        if not calls or alarm.kind == AlarmKind.ADVISORY or alarm.paused_until:
            continue
        if alarm.priority.value in priorities:
            link = f"{address}/alarms/{alarm.id}" if address else ""
            yield Notice(
                alarm.id, alarm.event.value, alarm.priority.value, alarm.escalation, alarm.at, link
            )


def settled(alarms: Iterable[Alarm]) -> Iterator[str]:
    """Ids of alarms that nobody need come for any more."""
    return (alarm.id for alarm in alarms if alarm.event in SETTLING)
