"""What a message holds, whoever's it is: decoded, screened, and told apart from other devices'.

Pure; one message alone decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ingest.announcement import Announced
from ingest.announcement import read_announcement as announcement_in
from ingest.instant import format_instant
from ingest.observation import DeviceId
from ingest.payload.decoded import Decoded, Kept, Paths, Reason, Rejection, Sample, shortened
from ingest.payload.sparkplug_births import Spoken
from ingest.screen import screen, screen_kept
from ingest.settings import ScreenSettings
from ingest.stamping import AS_SAID, Stamping, Unit
from ingest.topic import is_device_id

#: Payload → online; empty: a retained status was cleared.
_STATUSES: Mapping[bytes, bool | None] = MappingProxyType(
    {b"online": True, b"offline": False, b"": None}
)


@dataclass(slots=True)
class Reading:
    """What a message holds, whoever's it is.

    device: "" where the topic names none. measured: samples with their canonical values and the
    instants (ns UTC) that their stamps mean. kept: values of dates and intervals, likewise.
    telemetry: the message is one (a status or one of our own refusals is not). battery, contact,
    online, announced: what the device said of itself, None: nothing. spoken: of a Sparkplug
    message; dead: the devices whose death it says. newest: the newest stamp of samples that were
    refused for something else (ns UTC, None: of none).
    """

    device: DeviceId
    telemetry: bool
    rejections: list[Rejection] = field(default_factory=list)
    measured: list[tuple[Sample, float, int]] = field(default_factory=list)
    kept: list[tuple[Kept, float]] = field(default_factory=list)
    surplus: int = 0
    sequence: int = -1
    boot: int = 0
    battery: float | None = None
    contact: bool | None = None
    online: bool | None = None
    announced: Announced | None = None
    spoken: Spoken | None = None
    dead: Sequence[str] = ()
    newest: int | None = None

    @property
    def state_said(self) -> bool:
        """Whether the device said something of itself."""
        return not (self.battery is self.contact is self.online is None)


def read_status(device: DeviceId, payload: bytes) -> Reading:
    """Online, offline, or nothing that is known."""
    if payload in _STATUSES:
        return Reading(device, False, online=_STATUSES[payload])
    got = shortened(payload[:65].decode("utf-8", "replace"))
    fault = Rejection(Reason.STATUS_UNREADABLE, "", "online or offline", got)
    return Reading(device, True, [fault])


def read_announcement(device: DeviceId, payload: bytes) -> Reading:
    """What the device says that it is."""
    announced = announcement_in(payload)
    if isinstance(announced, Announced):
        return Reading(device, False, announced=announced)
    return Reading(device, True, [announced])


def nothing_in(reading: Reading) -> Rejection | None:
    """The refusal of a message that holds nothing at all, not even a field that is passed over."""
    told = reading.rejections or reading.measured or reading.kept
    if told or reading.state_said or reading.surplus:
        return None
    return Rejection(Reason.EMPTY, "", "a measurement, or something the device says of itself")


def screened(
    device: DeviceId | None,
    decoded: Decoded,
    received_at: int | None,
    settings: ScreenSettings,
    stamping: Stamping = AS_SAID,
    unit: Unit | None = None,
) -> Reading:
    """The decoded payload of a device; received_at None leaves the age of stamps unjudged.

    stamping: what is declared of its stamps; unit: the format's of times that are numbers, if any.
    """
    named = decoded.device
    if named is not None and device is not None and named not in (device, device.split("/")[-1]):
        fault = Rejection(
            Reason.IDENTITY_MISMATCH,
            "device",
            "the device of the topic, or none",
            shortened(named),
            samples=max(1, len(decoded.samples) + len(decoded.kept)),
        )
        return Reading(device, True, [fault], surplus=decoded.surplus)
    reading = Reading(
        device or DeviceId(""),
        True,
        list(decoded.rejections),
        surplus=decoded.surplus,
        sequence=decoded.sequence,
        boot=decoded.boot,
        battery=decoded.battery,
        contact=decoded.contact,
    )
    names, read_in = _Names(device), unit and (stamping.unit or unit)
    for sample in decoded.samples:
        if sample.at is not None and names.another(sample.at):
            continue
        at: int | Rejection = sample.stamp
        if stamping is not AS_SAID:
            at = _instant(sample.stamp, sample.time_path, stamping, sample.signal)
        if isinstance(at, Rejection):
            reading.rejections.append(at)
            continue
        value = screen(sample, at, received_at, settings, read_in)
        if isinstance(value, Rejection):
            reading.rejections.append(value)
            if received_at is not None and settings.can_be(at, received_at):
                reading.newest = max(reading.newest or at, at)
        else:
            reading.measured.append((sample, value, at))
    for kept in decoded.kept:
        if names.another(kept.at):
            continue
        end = kept.stamp and _instant(kept.stamp, kept.at.time, stamping, kept.signal)
        if isinstance(end, Rejection):
            reading.rejections.append(end)
            continue
        value = screen_kept(kept, end, received_at, settings)
        if isinstance(value, Rejection):
            reading.rejections.append(value)
        else:
            reading.kept.append((kept, value))
    reading.rejections += names.rejections()
    return reading


def _instant(stamp: int, path: str, stamping: Stamping, signal: str) -> int | Rejection:
    """ns UTC that the stamp means."""
    try:
        return stamping.instant(stamp)
    except ValueError as error:
        got = format_instant(stamp)
        return Rejection(Reason.TIME_UNREADABLE, path, str(error), got, signal)


@dataclass(slots=True)
class _Names:
    """The devices that values of a message name, against the one of its topic (None: not known).

    A name in the form of our own ids must be the topic's. One of another space (a URN, an address)
    cannot be compared with it, but all of a message must be the same.
    """

    device: DeviceId | None
    elsewhere: str | None = None
    others: dict[str, list[str]] = field(default_factory=dict)  # name → where

    def another(self, at: Paths) -> bool:
        """Whether the value names another device; then it is remembered as refused."""
        name, device = at.device, self.device
        if name is None or device is None or name in (device, device.split("/")[-1]):
            return False
        if not is_device_id(name):
            self.elsewhere = self.elsewhere or name
            if name == self.elsewhere:
                return False
        self.others.setdefault(name, []).append(at.named or at.value)
        return True

    def rejections(self) -> list[Rejection]:
        """One for each other device."""
        expected = "the device of the topic, or none"
        return [
            Rejection(
                Reason.IDENTITY_MISMATCH, paths[0], expected, shortened(name), samples=len(paths)
            )
            for name, paths in self.others.items()
        ]
