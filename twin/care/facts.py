"""What is known of a device on a patient, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from twin.device_report import Silence


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The newest report of one device on one patient; None: not said, or not known.

    silence: a word of `Silence`, "" while it is heard, since `since` (ns UTC, 0: never). offset_s:
    by how much its stamps lead their receipt (negative: late, or its clock is slow) ± offset_std_s;
    drift_ppm ± drift_std_ppm; correction_s is taken from its stamps. Of its numbered messages:
    missing, still_open (not come yet), redelivered; restarts of its count. accepted … conflict: its
    observations by verdict; refused: by the twin, by reason. reported_at: ns UTC, 0: the first
    report is still to come.
    """

    device: str
    patient: str
    silence: str
    since: int
    reported_at: int
    last_received: int
    expected_s: float
    battery: float | None
    contact: bool | None
    online: bool | None
    offset_s: float | None
    offset_std_s: float | None
    drift_ppm: float | None
    drift_std_ppm: float | None
    correction_s: float
    missing: int
    still_open: int
    redelivered: int
    restarts: int
    accepted: int
    belated: int
    duplicate: int
    conflict: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """All devices that reached the twin: observations by verdict, the refused by reason, and of
    their numbered messages what the numbers tell."""

    devices: int
    verdicts: Mapping[str, int]
    refused: Mapping[str, int]
    messages: Mapping[str, int]


def by_device(facts: Iterable[DeviceFacts]) -> Mapping[str, DeviceFacts]:
    """Of each device its facts on whom it was heard last."""
    newest: dict[str, DeviceFacts] = {}
    for one in facts:
        known = newest.get(one.device)
        if known is None or one.last_received >= known.last_received:
            newest[one.device] = one
    return newest


def without_ingest(facts: Iterable[DeviceFacts], since: int) -> list[DeviceFacts]:
    """The same while ingest is down since then (ns UTC): who was heard until now is silent for it.

    The worker cannot say it: it judges on ticks, and those come from ingest.
    """
    cause = Silence.INGEST.word
    return [one if one.silence else replace(one, silence=cause, since=since) for one in facts]
