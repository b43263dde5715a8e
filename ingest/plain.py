"""The short way from a plain message to its rows: no object for a message, a sample, a decision.

Plain: telemetry of a device whose last binding and only basis cover it, decoded at once, each value
within its signal's range in the canonical unit, every stamp of a plausible age. That is nearly
every message. Whatever is not plain is None here and decided by `ingest.judge`, which is also the
definition of what this does: a property test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from typing import NamedTuple, Protocol

from ingest.batch import COLUMNS_ROWS, Columns, Entry
from ingest.catalogue import SIGNALS
from ingest.journal.protocol import partition_of
from ingest.observation import DeviceId, PatientId
from ingest.payload.native import Said, decode_plain
from ingest.registry import Registry
from ingest.settings import IngestSettings
from ingest.topic import Kind, is_declared

_RANGES = {code: (signal.lower, signal.upper, nan) for code, signal in SIGNALS.items()}
_ROUTES_KEPT = 1 << 17


class Message(Protocol):
    """What is decided on: a delivery, or a message from quarantine."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def received_at(self) -> int: ...


class Route(NamedTuple):
    """Where the telemetry of a topic goes."""

    device: DeviceId
    patient: PatientId
    partition: int
    #: Stamps in [since, until) are the patient's, and may be kept.
    since: int
    until: int
    #: Signal → (lower, upper, noise of the device's model or NaN) of those that may be kept.
    ranges: Mapping[str, tuple[float, float, float]]


#: What a plain message gives: entries for its route's patient, how many rows they are, what the
#: device said of itself, and its newest stamp if it said something. A bare tuple: a named one costs
#: a tenth of the whole decision.
Plain = tuple[Route, list[Entry], int, Said, int]


class PlainPath:
    """Keeps a route for each topic, for as long as the registry stays as it is."""

    def __init__(self, registry: Registry, settings: IngestSettings, partitions: int) -> None:
        self._registry = registry
        self._settings = settings
        self._partitions = partitions
        self._routes: dict[str, Route | None] = {}
        self._content = registry.content

    def read(self, messages: Iterable[Message]) -> list[Plain | None]:
        """For each message what it gives, or None if it is not plain.

        Call `refresh` of the registry before.
        """
        if self._registry.content is not self._content or len(self._routes) > _ROUTES_KEPT:
            self._content = self._registry.content
            self._routes.clear()
        routes, largest = self._routes, self._settings.payload_max_bytes
        found: list[Plain | None] = []
        for message in messages:
            topic, payload = message.topic, message.payload
            if topic in routes:
                route = routes[topic]
            else:
                route = routes[topic] = self._route(topic)
            plain = None
            if route is not None and len(payload) <= largest:
                plain = self._plain(route, payload, message.received_at)
            found.append(plain)
        return found

    def _route(self, topic: str) -> Route | None:
        address = self._settings.routes.address(topic)
        if address is None or address.kind is not Kind.TELEMETRY or address.form != "native":
            return None
        if not is_declared(address, self._settings.devices.gateways):
            return None
        settled = self._registry.settled(address.device)
        if settled is None:
            return None
        allowed, noise = settled.signals, settled.noise_std
        ranges = _RANGES
        if allowed or noise:
            ranges = {
                signal: (lower, upper, noise.get(signal, nan))
                for signal, (lower, upper, _) in _RANGES.items()
                if signal in allowed or not allowed
            }
        return Route(
            address.device,
            settled.patient,
            partition_of(settled.patient, self._partitions),
            settled.since,
            settled.until,
            ranges,
        )

    def _plain(self, route: Route, payload: bytes, received_at: int) -> Plain | None:
        decoded = decode_plain(payload)
        if decoded is None:
            return None
        stamps, values, sequence, boot, said = decoded
        screen, device, ranges = self._settings.screen, route.device, route.ranges
        since, until = route.since, route.until
        if not since <= received_at < until:
            return None
        first, last = received_at - screen.ancient_ns, received_at + screen.future_ns
        entries: list[Entry] = []
        if isinstance(stamps, int):
            if not (first <= stamps <= last and since <= stamps < until):
                return None
            for signal, value in values.items():
                limits = ranges.get(signal)
                if limits is None or value.__class__ is not float:
                    return None
                lower, upper, std = limits
                if not lower <= value <= upper:
                    return None
                entries.append(
                    (device, signal, value, std, nan, stamps, received_at, stamps, sequence, boot)
                )
            return (route, entries, len(entries), said, stamps) if entries else None
        oldest, newest = min(stamps), max(stamps)
        if not (first <= oldest and newest <= last and since <= oldest and newest < until):
            return None
        rows = 0
        for signal, column in values.items():
            limits = ranges.get(signal)
            if limits is None or not isinstance(column, list) or len(column) != len(stamps):
                return None
            at, numbers = _said(stamps, column)
            lower, upper, std = limits
            if numbers and not (lower <= min(numbers) and max(numbers) <= upper):
                return None
            rows += len(numbers)
            for begin in range(0, len(numbers), COLUMNS_ROWS):
                part = slice(begin, begin + COLUMNS_ROWS)
                entries.append(
                    Columns(
                        device,
                        signal,
                        numbers[part],
                        at[part],
                        received_at,
                        sequence,
                        boot,
                        std,
                    )
                )
        return (route, entries, rows, said, newest) if rows else None


def _said(stamps: list[int], column: list[float | None]) -> tuple[list[int], list[float]]:
    """Without the places that hold no value."""
    if None not in column:
        return stamps, column  # type: ignore[return-value]
    pairs = [
        (stamp, value) for stamp, value in zip(stamps, column, strict=True) if value is not None
    ]
    return [stamp for stamp, _ in pairs], [value for _, value in pairs]
