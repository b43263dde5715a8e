"""What the worker last reported of each device on each patient: a fold of the estimates journal.

The newest report of a pair replaces the one before; nothing is added up here. One dead gateway, or
a broker that is away, silences many devices: `grouped` makes one event of them, with a count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin.device_report import DEVICE_ROW, DeviceReports, Silence, SystemEvent

EVENTS = 100
#: Fields of a report that count messages by the device's own numbers.
NUMBERS = ("missing", "open", "redelivered", "restarts")
#: Silence that a group of devices shares, and what the group is named by: all, or the gateway.
_SHARED = frozenset({Silence.BROKER, Silence.INGEST})


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The newest report of one device on one patient; None: not said, or not known.

    silence: a word of `Silence`, "" while it is heard, since `since` (ns UTC, 0: never). offset_s:
    by how much its stamps lead their receipt (negative: late, or its clock is slow) ± offset_std_s;
    drift_ppm ± drift_std_ppm; correction_s is taken from its stamps. Of its numbered messages:
    missing, still_open (not come yet), redelivered; restarts of its count. over_rate: samples that
    were refused as beyond the declared rate. reported_at: ns UTC.
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
    over_rate: int


@dataclass(frozen=True, slots=True)
class SilentGroup:
    """Devices that are silent for one cause: one event. gateway: "" where it is not about one."""

    cause: str
    gateway: str
    since: int
    devices: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.devices)


class ToldState(msgspec.Struct, frozen=True, array_like=True):
    """As it is saved; rows are DEVICE_ROWs, one of each pair."""

    layout: str = ""
    patients: list[str] = []
    devices: list[str] = []
    rows: bytes = b""
    events: list[SystemEvent] = []


class Told:
    """Not safe for several threads; its owner locks. events: the newest of the line itself."""

    def __init__(self) -> None:
        self.events: deque[SystemEvent] = deque(maxlen=EVENTS)
        self._rows: dict[tuple[str, str], NDArray[Any]] = {}

    def fold(self, output: DeviceReports | SystemEvent) -> None:
        """Take in one record."""
        if isinstance(output, SystemEvent):
            self.events.append(output)
            return
        for row in output.rows:
            key = output.devices[row["device"]], output.patients[row["patient"]]
            self._rows[key] = row.copy()

    def facts(self) -> list[DeviceFacts]:
        """Of every device on every patient, in order of device id, then of patient."""
        return [_facts(*key, self._rows[key]) for key in sorted(self._rows)]

    def numbers(self) -> Mapping[str, int]:
        """Messages of all devices by what their numbers tell: missing, open, redelivered; restarts
        of their counts."""
        rows = np.array([*self._rows.values()], DEVICE_ROW)
        return {name: int(rows[name].sum()) for name in NUMBERS}

    def state(self) -> ToldState:
        keys = list(self._rows)
        rows = np.array([self._rows[key] for key in keys], DEVICE_ROW)
        devices, patients = [key[0] for key in keys], [key[1] for key in keys]
        return ToldState(
            str(DEVICE_ROW.descr), patients, devices, rows.tobytes(), list(self.events)
        )

    @classmethod
    def of(cls, state: ToldState) -> Told:
        """What was saved; of another layout nothing: the reports come again within an hour."""
        told = cls()
        told.events.extend(state.events)
        if state.layout == str(DEVICE_ROW.descr):
            rows = np.frombuffer(state.rows, DEVICE_ROW)
            keys = zip(state.devices, state.patients, strict=True)
            told._rows = dict(zip(keys, rows, strict=True))
        return told


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


def grouped(facts: Sequence[DeviceFacts]) -> list[SilentGroup]:
    """The silences, one for each cause: all devices without a broker, all devices of a gateway.

    A gateway whose devices are all late, two of them at least, is silent itself, whether or not
    anybody said so.
    """
    silent = [one for one in facts if one.silence]
    lost = _lost_gateways(facts)
    groups: dict[tuple[str, str], list[DeviceFacts]] = {}
    for one in silent:
        gateway = one.device.rpartition("/")[0]
        cause = Silence[one.silence.upper()]
        if cause in _SHARED:
            key = (one.silence, "")
        elif cause is Silence.GATEWAY or (cause is Silence.LATE and gateway in lost):
            key = (Silence.GATEWAY.word, gateway)
        else:
            key = (one.silence, f"\0{one.device}")
        groups.setdefault(key, []).append(one)
    return [
        SilentGroup(
            cause,
            "" if gateway.startswith("\0") else gateway,
            min(one.since for one in of),
            tuple(dict.fromkeys(one.device for one in of)),
        )
        for (cause, gateway), of in groups.items()
    ]


def _lost_gateways(facts: Iterable[DeviceFacts]) -> set[str]:
    late: dict[str, list[bool]] = {}
    for one in facts:
        if gateway := one.device.rpartition("/")[0]:
            late.setdefault(gateway, []).append(one.silence in ("late", "gateway"))
    return {gateway for gateway, each in late.items() if len(each) > 1 and all(each)}


def _facts(device: str, patient: str, row: NDArray[Any]) -> DeviceFacts:
    return DeviceFacts(
        device,
        patient,
        Silence(int(row["silence"])).word,
        int(row["since"]),
        int(row["at"]),
        int(row["last_received"]),
        int(row["expected"]) * 1e-9,
        _number(row["battery"], 2),
        _said(row["contact"]),
        _said(row["online"]),
        _number(row["offset"]),
        _number(row["offset_std"]),
        _number(row["drift"]),
        _number(row["drift_std"]),
        float(row["correction"]),
        int(row["missing"]),
        int(row["open"]),
        int(row["redelivered"]),
        int(row["restarts"]),
        int(row["over_rate"]),
    )


def _number(value: Any, digits: int = 6) -> float | None:
    number = float(value)
    return round(number, digits) if number == number else None


def _said(value: Any) -> bool | None:
    return None if value < 0 else bool(value)
