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
from ingest.payload.native import Said
from ingest.payload.native_bulk import Single, Wide, decode_bulk
from ingest.registry import Registry
from ingest.settings import IngestSettings
from ingest.topic import Kind, is_declared

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

_Placed = tuple[int, Route, int]  # place among the messages, where it goes, when it was received


class PlainPath:
    """Keeps a route for each topic, for as long as the registry stays as it is."""

    def __init__(self, registry: Registry, settings: IngestSettings, partitions: int) -> None:
        self._registry = registry
        self._settings = settings
        self._partitions = partitions
        self._routes: dict[str, Route | None] = {}
        self._ranges = {code: (known.lower, known.upper, nan) for code, known in SIGNALS.items()}
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
        whole: list[_Placed] = []
        payloads: list[bytes] = []
        for message in messages:
            topic, payload = message.topic, message.payload
            if topic in routes:
                route = routes[topic]
            else:
                route = routes[topic] = self.route(topic)
            if route is not None and len(payload) <= largest:
                received_at = message.received_at
                if route.since <= received_at < route.until:
                    whole.append((len(found), route, received_at))
                    payloads.append(payload)
            found.append(None)
        singles, wide = decode_bulk(payloads)
        self._take_singles(found, whole, singles)
        for each in wide:
            place, route, received_at = whole[each.place]
            found[place] = self._listed(each, route, received_at)
        return found

    def route(self, topic: str) -> Route | None:
        """Where the telemetry of a topic goes; None: nothing of it is plain."""
        address = self._settings.routes.address(topic)
        if address is None or address.kind is not Kind.TELEMETRY or address.form != "native":
            return None
        if not is_declared(address, self._settings.devices.gateways):
            return None
        settled = self._registry.settled(address.device)
        if settled is None:
            return None
        allowed, noise = settled.signals, settled.noise_std
        ranges = self._ranges
        if allowed or noise:
            ranges = {
                signal: (lower, upper, noise.get(signal, nan))
                for signal, (lower, upper, _) in self._ranges.items()
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

    def _take_singles(
        self, found: list[Plain | None], whole: list[_Placed], singles: list[Single | None]
    ) -> None:
        """Put what messages of one stamp give in their places."""
        # One loop, no calls: it is run for every message of every device.
        screen = self._settings.screen
        ancient, future = screen.ancient_ns, screen.future_ns
        for (place, route, received_at), single in zip(whole, singles, strict=True):
            if single is None:
                continue
            stamp, values, sequence, boot, said = single
            device, _, _, since, until, ranges = route
            if not (-future <= received_at - stamp <= ancient and since <= stamp < until):
                continue
            entries: list[Entry] = []
            for signal, value in values.items():
                limits = ranges.get(signal)
                if limits is None or value.__class__ is not float:
                    break
                lower, upper, std = limits
                if not lower <= value <= upper:
                    break
                entries.append(
                    (device, signal, value, std, nan, stamp, received_at, stamp, sequence, boot)
                )
            else:
                if entries:
                    found[place] = route, entries, len(entries), said, stamp

    def _listed(self, wide: Wide, route: Route, received_at: int) -> Plain | None:
        """What a message with a list of stamps gives."""
        _, oldest, newest, columns, sequence, boot, said = wide
        screen, device, ranges = self._settings.screen, route.device, route.ranges
        if not (received_at - screen.ancient_ns <= oldest and route.since <= oldest):
            return None
        if not (newest <= received_at + screen.future_ns and newest < route.until):
            return None
        entries: list[Entry] = []
        rows = 0
        for signal, stamps, values, least, most in columns:
            limits = ranges.get(signal)
            if limits is None or not (limits[0] <= least and most <= limits[1]):
                return None
            count, std = len(values), limits[2]
            rows += count
            if count <= COLUMNS_ROWS:
                of = device, signal, values, stamps, received_at, sequence, boot, std
                entries.append(tuple.__new__(Columns, of))
                continue
            for begin in range(0, count, COLUMNS_ROWS):
                part = slice(begin, begin + COLUMNS_ROWS)
                entries.append(
                    Columns(
                        device, signal, values[part], stamps[part],
                        received_at, sequence, boot, std,
                    )
                )  # fmt: skip
        return route, entries, rows, said, newest
