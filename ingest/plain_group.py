"""Many plain messages at once, as columns: no object for any of them, from payloads to records.

A group that is large enough is read by the compiled `native_kernel`, screened in arrays and cut
into records of partitions. The same decisions, rows and order as `ingest.plain` and, behind it,
`ingest.judge` give; a property test compares them. What is not usual is left, and with it all that
the group has of the same device and patient, so that a device's rows stay in order of receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ingest.batch_columns import Samples, records_of
from ingest.catalogue import CODES
from ingest.frames_kernel import PLACES, publishes
from ingest.payload.native_kernel import SIGNALS_AT_MOST, read_singles
from ingest.plain import Message, PlainPath, Route
from ingest.registry import Registry
from ingest.settings import IngestSettings

#: Messages from which on columns are cheaper than objects.
WORTH_IT = 96
_ROUTES_KEPT = 1 << 17

_topic, _payload, _received = (attrgetter(name) for name in ("topic", "payload", "received_at"))


@dataclass(frozen=True, slots=True)
class Group:
    """What became of a group. samples: of each message, −1 where it is left; left: their places."""

    records: list[tuple[int, bytes]]
    accepted: int
    samples: list[int]
    left: list[int]


@dataclass(slots=True)
class _Routes:
    """Topics → numbers, and by number what of a `Route` is compared or written (`_grow`)."""

    number: dict[str, int] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    names: list[tuple[int, str, str]] = field(default_factory=list)
    since: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    until: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    ranges: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    #: (kinds of ranges, signals, 3): lower, upper, noise; ∞ as the lower where it may not be kept.
    range_of: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 3)))
    _kinds: dict[tuple[tuple[str, tuple[float, float, float]], ...], int] = field(
        default_factory=dict
    )

    def add(self, topics: Sequence[str], found: Sequence[Route | None]) -> None:
        """Give these topics numbers, −1 where nothing of them is plain."""
        for topic, route in zip(topics, found, strict=True):
            self.number[topic] = -1 if route is None else len(self.routes)
            if route is not None:
                self.routes.append(route)
                self.names.append((route.partition, route.patient, route.device))
        new = self.routes[len(self.since) :]
        self.since = np.append(self.since, np.array([r.since for r in new], np.int64))
        self.until = np.append(self.until, np.array([r.until for r in new], np.int64))
        self.ranges = np.append(self.ranges, np.array([*map(self._kind, new)], np.int64))

    def _kind(self, route: Route) -> int:
        """The number of its ranges: nearly all devices share one."""
        key = tuple(route.ranges.items())
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = len(self._kinds)
            of = np.full((1, len(CODES), 3), np.inf)
            for row, code in enumerate(CODES):
                if code in route.ranges:
                    of[0, row] = route.ranges[code]
            before = self.range_of if kind else np.empty((0, len(CODES), 3))
            self.range_of = np.concatenate((before, of))
        return kind


class GroupPath:
    """Reads groups by the routes of a `PlainPath`, for as long as the registry stays as it is."""

    def __init__(self, registry: Registry, settings: IngestSettings, path: PlainPath) -> None:
        self._registry = registry
        self._settings = settings
        self._path = path
        self._content = registry.content
        self._routes = _Routes()
        self._known: tuple[str, ...] = ()
        self._codes = np.empty(0, np.uint8)
        self._code_at = np.zeros(1, np.int64)

    def read(self, messages: Sequence[Message]) -> Group | None:
        """The group's plain messages; None where columns are not worth it. Call `refresh` of the
        registry before."""
        if len(messages) < WORTH_IT or len(CODES) > SIGNALS_AT_MOST:
            return None
        self._look()
        n = len(messages)
        topics = [*map(_topic, messages)]
        route = self._numbers(topics)
        if not self._routes.routes:
            return None
        received = np.fromiter(map(_received, messages), np.int64, n)
        payloads = [*map(_payload, messages)]
        sizes = np.fromiter(map(len, payloads), np.int64, n)
        text = np.frombuffer(b"".join(payloads), np.uint8)
        count, stamp, sequence = (np.empty(n, np.int64) for _ in range(3))
        room = len(text) // 5 + 1
        of, signal, value = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
        samples = read_singles(
            text, np.cumsum(sizes), self._codes, self._code_at, count, stamp, sequence, of, signal,
            value,
        )  # fmt: skip
        of, signal, value = of[:samples], signal[:samples], value[:samples]
        count[self._unfit(route, received, sizes, stamp)] = -1
        kind = self._routes.ranges[route[of]]
        ranges = self._routes.range_of[kind, signal]
        count[of[~((ranges[:, 0] <= value) & (value <= ranges[:, 1]))]] = -1
        left = np.flatnonzero(count < 0)
        if len(left) == n:
            return None
        if len(left):
            self._leave_with(left, route, topics, count)
            left = np.flatnonzero(count < 0)
            if len(left) == n:
                return None
            kept = count[of] >= 0
            of, signal, value, ranges = of[kept], signal[kept], value[kept], ranges[kept]
        samples_of = Samples(
            route[of], signal, value, ranges[:, 2], stamp[of], received[of], sequence[of]
        )
        records = records_of(samples_of, self._routes.names)
        return Group(records, len(of), count.tolist(), left.tolist())

    def _look(self) -> None:
        """Forget the routes of a registry that has changed; know the catalogue as it is."""
        if self._registry.content is not self._content or len(self._routes.number) > _ROUTES_KEPT:
            self._content = self._registry.content
            self._routes = _Routes()
        if self._known != tuple(CODES):
            self._known = tuple(CODES)
            self._routes = _Routes()
            sizes = [len(code) for code in self._known]
            self._code_at = np.concatenate(([0], np.cumsum(sizes)))
            self._codes = np.frombuffer("".join(self._known).encode(), np.uint8)

    def _numbers(self, topics: Sequence[str]) -> NDArray[np.int64]:
        """(n,) the number of each topic's route, −1: none."""
        number = self._routes.number
        found = [*map(number.get, topics)]
        if None in found:
            new = [*dict.fromkeys(topic for topic in topics if topic not in number)]
            self._routes.add(new, [self._path.route(topic) for topic in new])
            found = [*map(number.get, topics)]
        return np.array(found, np.int64)

    def _unfit(
        self,
        route: NDArray[np.int64],
        received: NDArray[np.int64],
        sizes: NDArray[np.int64],
        stamp: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """(n,) whether a message is not plain for its route, size or stamp."""
        screen, since = self._settings.screen, self._routes.since[route]
        until, lead = self._routes.until[route], received - stamp
        fit = (route >= 0) & (sizes <= self._settings.payload_max_bytes)
        fit &= (since <= received) & (received < until) & (since <= stamp) & (stamp < until)
        fit &= (-screen.future_ns <= lead) & (lead <= screen.ancient_ns)
        return ~fit

    def _leave_with(
        self,
        left: NDArray[np.int64],
        route: NDArray[np.int64],
        topics: Sequence[str],
        count: NDArray[np.int64],
    ) -> None:
        """Leave also what else the patients and devices of the messages that are left said."""
        routes = self._routes.routes
        patients = {routes[n].patient for n in np.unique(route[left]).tolist() if n >= 0}
        odd = {topics[n] for n in left[route[left] < 0].tolist()}
        devices = {
            address.device
            for topic in odd
            if (address := self._settings.routes.address(topic)) is not None
        }
        with_them = np.array([r.patient in patients or r.device in devices for r in routes], bool)
        known = np.flatnonzero(route >= 0)
        count[known[with_them[route[known]]]] = -1


def warm_up() -> None:
    """Compile the kernels of a group, or load them from the cache: a moment, or some seconds."""
    publishes(np.frombuffer(b"0000", np.uint8), 0, False, 4, np.empty((1, PLACES), np.int64))
    text, at = np.frombuffer(b"{}", np.uint8), np.empty((5, 1), np.int64)
    read_singles(
        text, np.array([2]), text, np.array([0, 2]), at[0], at[1], at[2], at[3], at[4],
        np.empty(1),
    )  # fmt: skip
