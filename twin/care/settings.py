"""What the page is told about its surroundings when it is made, and what it asks them later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from twin.care.purpose import Purpose

LANGUAGES = ("en", "fr")


@dataclass(frozen=True, slots=True)
class CareSettings:
    """How the page presents itself and who gets in."""

    #: Everything shown was simulated: a permanent ribbon says so.
    simulated: bool
    #: Whoever has it gets in. None: everybody who reaches the address, hence loopback only.
    token: str | None
    #: Time zone of the site, in which every time is shown (IANA name).
    zone: str = "UTC"
    #: Language of readers who ask for none that there is: "en" or "fr".
    language: str = "en"
    #: Names this build; an open page that sees another one offers to reload itself.
    build: str = "0"
    #: How fast the pipeline's clock runs against the wall clock (a demo may run faster).
    speed: float = 1.0
    #: What this installation is for; whether alarms are on is the twin's word, not this.
    purpose: Purpose = field(default_factory=Purpose)

    def __post_init__(self) -> None:
        ZoneInfo(self.zone)
        if self.language not in LANGUAGES:
            raise ValueError(f"language: got {self.language!r}, expected one of {LANGUAGES}")
        if self.token is not None and len(self.token) < 16:
            raise ValueError("token: expected at least 16 characters")
        if not self.speed > 0:
            raise ValueError(f"speed: got {self.speed}, expected more than 0")


@dataclass(frozen=True, slots=True)
class Health:
    """How the process around the page is.

    alive: it can go on by itself. ready: it can serve its role. degraded: names of what is wrong
    outside (broker, database), for which nobody must restart it. parts: name → word, for reading.
    """

    alive: bool = True
    ready: bool = True
    degraded: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """One sample for /metrics; a name that ends in `_total` is a counter, any other a gauge."""

    name: str
    labels: Mapping[str, str]
    value: float
    help: str


Metrics = Callable[[], Iterable[Metric]]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a call to people about an alarm. state: waiting, delivered, given_up, settled.

    at: of the last attempt, int64 ns UTC.
    """

    channel: str
    escalation: int
    state: str
    at: int


#: Alarm id → what became of its calls, oldest first.
Receipts = Callable[[str], Iterable[Receipt]]


def nobody_called(_alarm: str) -> Iterable[Receipt]:
    """Where nobody is called beside the page."""
    return ()
