"""What ingest does with messages, the same for those that arrive and those that are replayed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

import apsw
import msgspec

from ingest.batch import RecordBuilder, rows_by_patient
from ingest.births import Births
from ingest.catalogue import SIGNALS
from ingest.consent import may_be_kept
from ingest.device_state import StateTeller
from ingest.journal.protocol import ALL_PARTITIONS, Journal, partition_of
from ingest.judge import bind, read
from ingest.observation import DeviceId, DeviceState, Observation
from ingest.payload.decoded import Reason, Rejection
from ingest.payload.native import NOTHING_SAID
from ingest.payload.sparkplug_births import Spoken
from ingest.plain import Message, Plain, PlainPath
from ingest.plain_group import Group, GroupPath
from ingest.quarantine import Quarantine, StoredMessage
from ingest.reading import Reading
from ingest.registry import Registry
from ingest.registry_content import Announcement
from ingest.registry_devices import announce
from ingest.screen import STAMP_FAULTS
from ingest.settings import IngestSettings

_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one message. kept: what is refused of it may be kept in quarantine."""

    reading: Reading
    observations: Sequence[Observation]
    rejections: Sequence[Rejection]
    kept: bool = True


def decide(
    messages: Sequence[Message], registry: Registry, settings: IngestSettings
) -> list[Decision]:
    """A decision for each message; registers unknown devices where the settings say so.

    Raises apsw.Error if the registry's disk does; never because of what a message holds.
    """
    registry.refresh()
    readings = _readings(messages, registry, settings)
    unknown = Reason.DEVICE_UNKNOWN
    if settings.devices.unknown == "register":
        new = dict.fromkeys(
            r.device for r in readings if r.measured and not registry.knows(r.device)
        )
        if new:
            registry.register(new)
        unknown = Reason.DEMO_FULL
    return [
        _decided(reading, registry, message.received_at, unknown)
        for reading, message in zip(readings, messages, strict=True)
    ]


def _decided(reading: Reading, registry: Registry, received_at: int, unknown: Reason) -> Decision:
    observations, rejections = bind(reading, registry, received_at, unknown)
    allowed = registry.allowed(reading.device, received_at) if rejections else frozenset()
    if all(each.reason is Reason.EMPTY for each in rejections):  # nothing to keep, or to read anew
        return Decision(reading, observations, rejections, kept=not rejections)
    if may_be_kept(rejections, allowed, reading.surplus):
        return Decision(reading, observations, rejections)
    return Decision(reading, observations, [_bare(each) for each in rejections], kept=False)


#: Reasons whose path may end in a key of the sender's own.
_NAMED = frozenset({Reason.FIELD_DUPLICATE, Reason.FIELD_NOT_UNDERSTOOD})


def _bare(rejection: Rejection) -> Rejection:
    """Without anything that the sender wrote: no value, and no name that is not one of ours."""
    ours = rejection.signal in SIGNALS or not (rejection.signal or rejection.reason in _NAMED)
    path, signal = (rejection.path, rejection.signal) if ours else ("", "")
    return msgspec.structs.replace(rejection, got="", path=path, signal=signal)


def _readings(
    messages: Sequence[Message], registry: Registry, settings: IngestSettings
) -> list[Reading]:
    """In order, as a birth gives the data behind it its meaning; births are on disk afterwards."""
    births = registry.births
    births.refresh()
    readings = []
    try:
        for m in messages:
            reading = _read(m, settings, births, registry)
            if reading.spoken is not None:
                _take_in(reading, reading.spoken, m.received_at, births)
            readings.append(reading)
        births.commit()
    finally:
        births.discard()  # what is not on disk now was not acknowledged either
    return readings


def _read(
    message: Message, settings: IngestSettings, births: Births, registry: Registry
) -> Reading:
    """`read`; what a decoder fails at is refused alone, and waits for one that can read it."""
    topic, payload, at = message.topic, message.payload, message.received_at
    try:
        return read(topic, payload, at, settings, births, registry.stamping)
    except (apsw.Error, OSError):
        raise
    except Exception as error:  # noqa: BLE001 — one message must not stop its neighbours
        address = settings.routes.address(topic)
        expected, failure = "a payload at which its decoder does not fail", type(error).__name__
        _log.error("a decoder failed with %s; the message is in quarantine", failure)
        fault = Rejection(Reason.UNDECODABLE, "", expected, failure)
        return Reading(DeviceId("") if address is None else address.device, True, [fault])


def _take_in(reading: Reading, spoken: Spoken, at: int, births: Births) -> None:
    if spoken.part == "BIRTH" and (spoken.declared or spoken.seq >= 0):
        births.born(reading.device, at, spoken.session, spoken.declared)
        reading.online = True
    elif spoken.part == "DEATH" and not reading.rejections:
        reading.dead = births.died(reading.device, at, spoken.session)


def append(decisions: Iterable[Decision], journal: Journal) -> int:
    """Journal the observations, a batch for each partition; returns how many, once durable.

    Raises JournalFull.
    """
    builder = RecordBuilder()
    count = sum(_gather(each.observations, builder, journal.partitions) for each in decisions)
    if records := builder.take():
        journal.append("observations", records)
    return count


def _gather(observations: Iterable[Observation], builder: RecordBuilder, partitions: int) -> int:
    count = 0
    for patient, rows in rows_by_patient(observations).items():
        builder.add(_partition(patient, partitions), patient, rows, len(rows))
        count += len(rows)
    return count


_partition = lru_cache(maxsize=1 << 17)(partition_of)


@dataclass(slots=True)
class Decided:
    """What became of a group of messages, ready to be written.

    records: (partition, record) pairs for the journal: `accepted` samples, and what devices said of
    themselves. samples: how many each message gives, or −1 where `explained` has the decision, in
    the same order.
    """

    records: list[tuple[int, bytes]]
    accepted: int
    samples: Sequence[int]
    explained: Sequence[tuple[Message, Decision]]


def _unless_it_fails(of: str, read: Callable[[], _Found]) -> _Found | None:
    """What a decoder of many gives; None where it fails, as one message must not stop others."""
    try:
        return read()
    except (apsw.Error, OSError):
        raise
    except Exception as error:  # noqa: BLE001 — whatever it holds
        failure = type(error).__name__
        _log.error("the decoder of %s failed with %s; each is read alone", of, failure)
        return None


class Decider:
    """`decide`, with a short way for plain messages; the same decisions, rows and order."""

    def __init__(self, registry: Registry, settings: IngestSettings, partitions: int) -> None:
        self._registry = registry
        self._settings = settings
        self._partitions = partitions
        self._path = PlainPath(registry, settings, partitions)
        self._groups = GroupPath(registry, settings, self._path)
        self._teller = StateTeller()

    def decide(self, messages: Sequence[Message]) -> Decided:
        """As `decide`; the records hold a device's observations in order of receipt."""
        self._registry.refresh()
        group = self._group(messages)
        if group is None:
            return self._each(messages)
        if not group.left:
            return Decided(group.records, group.accepted, group.samples, ())
        rest = self._each([messages[n] for n in group.left])
        for n, samples in zip(group.left, rest.samples, strict=True):
            group.samples[n] = samples
        return Decided(
            group.records + rest.records,
            group.accepted + rest.accepted,
            group.samples,
            rest.explained,
        )

    def _each(self, messages: Sequence[Message]) -> Decided:
        """By the short way, message by message, and where that ends by the long one."""
        plain = self._plain(messages)
        left = [m for m, found in zip(messages, plain, strict=True) if found is None]
        decisions = decide(left, self._registry, self._settings) if left else []
        announced = list(_announcements(left, decisions))
        if announced:
            announce(self._registry, announced)
        builder = RecordBuilder()
        accepted = 0
        nexts = iter(decisions)
        for message, found in zip(messages, plain, strict=True):
            if found is None:
                decision = next(nexts)
                accepted += _gather(decision.observations, builder, self._partitions)
                if decision.reading.state_said or not decision.observations:
                    self._tell(decision, message.received_at)
                for device in decision.reading.dead:
                    self._tell_offline(device, message.received_at)
                continue
            route, entries, rows, said, stamp = found
            builder.add(route.partition, route.patient, entries, rows)
            accepted += rows
            if said is not NOTHING_SAID:
                at = message.received_at
                if not self._teller.repeats(route.device, route.patient, said, at):
                    state = DeviceState(route.device, route.patient, stamp, at, *said)
                    self._teller.say(route.partition, state)
        records = builder.take() + self._teller.take()
        samples = [-1 if found is None else found[2] for found in plain]
        return Decided(records, accepted, samples, list(zip(left, decisions, strict=True)))

    def _group(self, messages: Sequence[Message]) -> Group | None:
        """What the messages give as columns; None where they are too few, or where that fails."""
        return _unless_it_fails("a group", lambda: self._groups.read(messages))

    def _plain(self, messages: Sequence[Message]) -> Sequence[Plain | None]:
        """What plain messages give. Where their decoder fails at one of them, none is plain: each
        is then decided on alone (`_read`)."""
        found = _unless_it_fails("many messages", lambda: self._path.read(messages))
        return [None] * len(messages) if found is None else found

    def _tell(self, decision: Decision, received_at: int) -> None:
        reading = decision.reading
        if reading.online is not None and reading.device in self._settings.devices.gateways:
            state = DeviceState(reading.device, "", received_at, received_at, online=reading.online)
            self._teller.say(ALL_PARTITIONS, state)
        unheard = not decision.observations and reading.telemetry
        refused = unheard and bool(decision.rejections)
        stamps = refused and any(r.reason in STAMP_FAULTS for r in decision.rejections)
        sequence = reading.sequence if unheard else -1
        if not (reading.state_said or refused or sequence >= 0):
            return
        refused_at = received_at if reading.newest is None else reading.newest
        at = max((instant for _, _, instant in reading.measured), default=refused_at)
        patient = self._registry.patient_at(reading.device, at)
        if isinstance(patient, Reason) or self._registry.allowed(reading.device, at) is None:
            return
        self._teller.say(
            _partition(patient, self._partitions),
            DeviceState(
                reading.device,
                patient,
                at,
                received_at,
                reading.battery,
                reading.contact,
                reading.online,
                sequence,
                reading.boot if sequence >= 0 else 0,
                stamps,
                refused,
            ),
        )

    def _tell_offline(self, device: str, at: int) -> None:
        patient = self._registry.patient_at(device, at)
        if not isinstance(patient, Reason):
            state = DeviceState(device, patient, at, at, online=False)
            self._teller.say(_partition(patient, self._partitions), state)


def _announcements(
    messages: Sequence[Message], decisions: Sequence[Decision]
) -> Iterator[Announcement]:
    for message, decision in zip(messages, decisions, strict=True):
        said, at = decision.reading.announced, message.received_at
        if said is not None:
            device = decision.reading.device
            yield Announcement(
                device, message.topic, said.model, said.firmware, said.serial, at, at
            )


@dataclass(frozen=True, slots=True)
class ReplayedMessage:
    """What became of one message. outcome: used (whole), refused (again, or a part of it), cut (not
    kept whole, so it cannot be decided on), dropped (it may not be kept: counted and erased).

    observations: samples that were journalled; reasons: why the rest was refused.
    """

    id: str
    outcome: Literal["used", "refused", "cut", "dropped"]
    observations: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did."""

    messages: Sequence[ReplayedMessage]

    def count(self, outcome: str) -> int:
        """How many messages came to this."""
        return sum(each.outcome == outcome for each in self.messages)

    @property
    def observations(self) -> int:
        return sum(each.observations for each in self.messages)


def replay_quarantined(
    quarantine: Quarantine,
    registry: Registry,
    journal: Journal,
    settings: IngestSettings,
    ids: Sequence[str] | None = None,
) -> Replayed:
    """Decide again on quarantined messages (all, or those of the ids) as of their first receipt.

    Those that are now used whole leave the quarantine, after their observations are durable; the
    others stay under their new reasons. Samples that were used the first time are duplicates to
    the worker. Works beside a running service. Raises JournalFull, apsw.Error.
    """
    return Replayed(
        [
            _replay(message, quarantine, registry, journal, settings)
            for each in (quarantine.messages() if ids is None else ids)
            for message in quarantine.find(each)
        ]
    )


def _replay(
    message: StoredMessage,
    quarantine: Quarantine,
    registry: Registry,
    journal: Journal,
    settings: IngestSettings,
) -> ReplayedMessage:
    if not message.whole:
        return ReplayedMessage(message.id, "cut")
    (decision,) = decide([message], registry, settings)
    observations = append([decision], journal)
    reasons = tuple(dict.fromkeys(str(each.reason) for each in decision.rejections))
    if not decision.rejections:
        quarantine.remove(message.id)
        return ReplayedMessage(message.id, "used", observations)
    if not decision.kept and reasons != (Reason.EMPTY,):
        quarantine.count_only(message.id, decision.reading.device, decision.rejections)
        return ReplayedMessage(message.id, "dropped", observations, reasons)
    quarantine.replace(message.id, decision.rejections)
    return ReplayedMessage(message.id, "refused", observations, reasons)
