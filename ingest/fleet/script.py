"""A fault script: what goes wrong on the way, written down beforehand, and what a ledger must say.

The script changes a stream of messages and nothing else: what the devices measure stays the same.
So what each device's ledger must say of it is known exactly (`Told`), and can be held against the
twin's. Pure: the same script gives the same messages, relative to the start.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Annotated, Literal

from msgspec import Meta

from ingest.catalogue import SIGNALS, to_canonical
from ingest.fleet.message import Message
from ingest.fleet.settings import (
    Faults,
    FleetSettings,
    Natural,
    Positive,
    Rate,
    Table,
)
from ingest.instant import HOUR, MINUTE, SECOND

FaultKind = Literal[
    "lost", "duplicated", "reordered", "held", "silent", "reboot", "unit", "identity", "artefact",
    "seconds", "offset", "drift", "stolen", "connecting",
]  # fmt: skip
#: Nothing goes wrong by itself in a scripted fleet.
_NONE = Faults(
    artefacts_per_hour=0, body_off_per_day=0, offline_per_day=0, reboots_per_day=0, duplicated=0,
    clock_behind_s=0, clock_drift_ppm=0,
)  # fmt: skip
_FUTURE, _NEVER = 5 * MINUTE, -(2**63)


class Fault(Table, frozen=True):
    """What happens to the messages of one device, or of all, that fall due in a span of time.

    lost: never sent. duplicated: sent again `delay_s` later. reordered: sent `delay_s` later than
    due. held: sent together at the end of the span. silent: nothing is measured, and no number
    used. reboot: the count of messages begins anew, once, without a mark. unit: values are said to
    be in `unit`. identity: the payload names another device. artefact: values times `factor`.
    seconds: epoch seconds are written where milliseconds are meant. offset: the clock is `offset_s`
    ahead. drift: it gains `ppm` from the beginning of the span on. stolen: with each message of
    `device` somebody who signs in with its certificate publishes two more, on a connection of its
    own: under the topic of `thief`, and under the device's own, saying to be `thief`. connecting:
    at `at_s`, `devices` further ones connect at once, each on its own, and send a heart rate.
    """

    kind: FaultKind
    #: As in topics; without it all devices.
    device: str | None = None
    at_s: Rate = 0.0
    duration_s: Positive = 1e9
    #: Each so-manieth message of a device within the span.
    every: Natural = 1
    delay_s: Positive = 5.0
    unit: str = "furlong"
    factor: Annotated[float, Meta(gt=0)] = 1.5
    offset_s: float = 9 * HOUR / SECOND
    ppm: float = 200.0
    thief: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")] = "thief"
    devices: Annotated[int, Meta(ge=1, le=50_000)] = 1_000

    def __post_init__(self) -> None:
        if self.kind == "stolen" and self.device is None:
            raise ValueError("expected `device`, whose certificate is stolen")
        if self.kind == "connecting" and self.device is not None:
            raise ValueError("expected no `device`: so many further ones connect")


class FaultScript(FleetSettings, frozen=True):
    """A fleet of which nothing goes wrong but what is written here, in this order."""

    faults: Faults = _NONE
    fault: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        crowds = any(each.kind == "connecting" for each in self.fault)
        if crowds and self.connection.certificates is not None:
            raise ValueError("a fault `connecting`: its devices have no certificates")


@dataclass(slots=True)
class Told:
    """What a ledger must say of one device: samples, but missing, redelivered, restarts: messages.

    refused: by reason. missing: numbers that never came though a higher one of their count did.
    """

    received: int = 0
    duplicate: int = 0
    redelivered: int = 0
    missing: int = 0
    restarts: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def scripted(script: FaultScript, stream: Iterable[Message]) -> Iterator[Message]:
    """The messages as they are sent, by time of sending. stream: by time of sending too."""
    waiting: list[tuple[int, int, Message]] = []
    order = count()
    ways = defaultdict[str, _Way](lambda: _Way(script.fault))
    for message in stream:
        while waiting and waiting[0][0] < message.at:
            yield heapq.heappop(waiting)[2]
        for sent in ways[message.device].sent(message):
            heapq.heappush(waiting, (sent.at, next(order), sent))
    while waiting:
        yield heapq.heappop(waiting)[2]


@dataclass(slots=True)
class _Way:
    """One device's way to the broker: how often each fault was met, and what its count lacks."""

    faults: tuple[Fault, ...]
    met: Counter[int] = field(default_factory=Counter)
    behind: int = 0

    def sent(self, message: Message) -> list[Message]:
        """What is sent in place of the message."""
        out, stolen = [message], list[Message]()
        for place, fault in enumerate(self.faults):
            begin, end = round(fault.at_s * SECOND), round((fault.at_s + fault.duration_s) * SECOND)
            if fault.kind == "connecting":
                continue
            if fault.device not in (None, message.device) or not begin <= message.at < end:
                continue
            self.met[place] += 1
            if self.met[place] % fault.every == 0:
                if fault.kind == "silent" and out:  # once, however many copies there would be
                    self.behind += 1
                if fault.kind == "stolen":
                    stolen += _stolen(fault, message)
                    continue
                out = [changed for each in out for changed in self._changed(fault, each, end)]
        if out and message.sequence is not None:
            out = [replace(each, sequence=message.sequence - self.behind) for each in out]
        return out + stolen

    def _changed(self, fault: Fault, message: Message, end: int) -> list[Message]:
        delay = round(fault.delay_s * SECOND)
        match fault.kind:
            case "lost" | "silent":
                return []
            case "reboot":
                if self.met[self.faults.index(fault)] == fault.every:
                    self.behind = message.sequence or 0
                return [message]
            case "duplicated":
                return [message, replace(message, at=message.at + delay)]
            case "reordered":
                return [replace(message, at=message.at + delay)]
            case "held":
                return [replace(message, at=end)]
            case _:
                return [_spoilt(fault, message)]


def _stolen(fault: Fault, message: Message) -> list[Message]:
    """What the thief sends beside the message: it has no count of its own."""
    theirs = replace(message, sequence=None, boot=None, signed_as=message.device)
    return [replace(theirs, device=fault.thief), replace(theirs, names=fault.thief)]


def crowd_names(script: FaultScript) -> list[list[str]]:
    """For each fault `connecting` the names of its devices."""
    crowds = [each for each in script.fault if each.kind == "connecting"]
    return [
        [f"{script.prefix}crowd-{chr(97 + n % 26)}{i:05}" for i in range(each.devices)]
        for n, each in enumerate(crowds)
    ]


def crowds(script: FaultScript) -> list[tuple[int, list[Message]]]:
    """(ns since the start, messages) of each fault `connecting`, in order."""
    begun = [round(each.at_s * SECOND) for each in script.fault if each.kind == "connecting"]
    return [
        (at, [Message(name, at, (at,), {"heart_rate": (60.0 + n % 60,)}, exact=True)
              for n, name in enumerate(names)])
        for at, names in zip(begun, crowd_names(script), strict=True)
    ]  # fmt: skip


def _spoilt(fault: Fault, message: Message) -> Message:
    """The message with other content."""
    if fault.kind == "unit":
        return replace(message, units=dict.fromkeys(message.values, fault.unit))
    if fault.kind == "identity":
        return replace(message, names=f"not-{message.device}"[:64])
    if fault.kind == "artefact":
        spoilt = {
            signal: tuple(None if v is None else round(v * fault.factor, 3) for v in column)
            for signal, column in message.values.items()
        }
        return replace(message, values=spoilt)
    if fault.kind == "seconds":
        return replace(message, in_seconds=True)
    began = round(fault.at_s * SECOND)
    times = tuple(
        t + round(fault.offset_s * SECOND)
        if fault.kind == "offset"
        else t + round((t - began) * fault.ppm * 1e-6)
        for t in message.times
    )
    return replace(message, times=times)


def told(sent: Iterable[Message]) -> Mapping[str, Told]:
    """What the ledger of each device must say of these messages, in the order they were sent.

    All of them are known devices, on one patient each; ingest has its usual limits.
    """
    ledgers = defaultdict[str, Told](Told)
    counts = defaultdict[str, _Count](_Count)
    known: set[tuple[str, str, int]] = set()
    for message in sent:
        ledger = ledgers[message.device]
        samples = [
            (signal, time, value)
            for signal, column in message.values.items()
            for time, value in zip(message.times, column, strict=True)
            if value is not None
        ]
        ledger.received += len(samples)
        for signal, time, value in samples:
            reason = _refusal(message, signal, time, value)
            key = message.device, signal, time
            if reason:
                ledger.refused[reason] += 1
                continue
            ledger.duplicate += key in known
            known.add(key)
        if message.names is None and message.sequence is not None:
            can_be = not message.in_seconds and max(message.times) - message.at <= _FUTURE
            newest = max(message.times) if can_be else _NEVER
            counts[message.device].take(message.sequence, newest, ledger)
    for device, numbers in counts.items():
        numbers.close(ledgers[device])
    return ledgers


def _refusal(message: Message, signal: str, time: int, value: float) -> str:
    if message.names is not None:
        return "identity_mismatch"
    canonical = to_canonical(SIGNALS[signal], value, message.units.get(signal))
    if canonical is None:
        return "unit_unknown"
    if not SIGNALS[signal].lower <= canonical <= SIGNALS[signal].upper:
        return "value_out_of_range"
    if message.in_seconds:
        return "ancient"
    return "future" if time - message.at > _FUTURE else ""


@dataclass(slots=True)
class _Count:
    """The numbers of one device that came, of its present count."""

    came: set[int] = field(default_factory=set)
    newest: int = _NEVER

    def take(self, number: int, stamp: int, ledger: Told) -> None:
        newer = stamp > self.newest
        self.newest = max(self.newest, stamp)
        if self.came and number <= max(self.came) and newer:
            self.close(ledger)
            ledger.restarts += 1
        elif self.came and (number in self.came or number < min(self.came)):
            # Below the first that came: whether it came before the account began nobody knows.
            ledger.redelivered += 1
            return
        self.came.add(number)

    def close(self, ledger: Told) -> None:
        """The count is over: what is missing of it."""
        if self.came:
            ledger.missing += max(self.came) - min(self.came) + 1 - len(self.came)
        self.came.clear()
