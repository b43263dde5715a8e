"""What ingest does with messages, the same for those that arrive and those that are replayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ingest.batch import RecordBuilder, rows_by_patient
from ingest.device_state import StateTeller
from ingest.journal.protocol import Journal, partition_of
from ingest.judge import Reading, bind, read
from ingest.observation import DeviceState, Observation
from ingest.payload.decoded import Reason, Rejection
from ingest.payload.native import NOTHING_SAID
from ingest.plain import Message, Plain, PlainPath
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one message."""

    reading: Reading
    observations: Sequence[Observation]
    rejections: Sequence[Rejection]


def decide(
    messages: Sequence[Message], registry: Registry, settings: IngestSettings
) -> list[Decision]:
    """A decision for each message; registers unknown devices where the settings say so.

    Raises apsw.Error if the registry's disk does; never because of what a message holds.
    """
    registry.refresh()
    readings = [read(m.topic, m.payload, m.received_at, settings) for m in messages]
    unknown = Reason.DEVICE_UNKNOWN
    if settings.devices.unknown == "register":
        new = dict.fromkeys(
            r.device for r in readings if r.measured and not registry.knows(r.device)
        )
        if new:
            registry.register(new)
        unknown = Reason.DEMO_FULL
    return [
        Decision(reading, *bind(reading, registry, message.received_at, unknown))
        for reading, message in zip(readings, messages, strict=True)
    ]


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
    themselves. plain: for each
    message what it gives, or None where `explained` has the decision, in the same order.
    """

    records: list[tuple[int, bytes]]
    accepted: int
    plain: Sequence[Plain | None]
    explained: Sequence[tuple[Message, Decision]]


class Decider:
    """`decide`, with a short way for plain messages; the same decisions, rows and order."""

    def __init__(self, registry: Registry, settings: IngestSettings, partitions: int) -> None:
        self._registry = registry
        self._settings = settings
        self._partitions = partitions
        self._path = PlainPath(registry, settings, partitions)
        self._teller = StateTeller()

    def decide(self, messages: Sequence[Message]) -> Decided:
        """As `decide`; the records hold the observations in order of receipt."""
        self._registry.refresh()
        plain = self._path.read(messages)
        left = [m for m, found in zip(messages, plain, strict=True) if found is None]
        decisions = decide(left, self._registry, self._settings) if left else []
        builder = RecordBuilder()
        accepted = 0
        nexts = iter(decisions)
        for message, found in zip(messages, plain, strict=True):
            if found is None:
                decision = next(nexts)
                accepted += _gather(decision.observations, builder, self._partitions)
                if decision.reading.state_said:
                    self._tell(decision, message.received_at)
                continue
            if found.rows:
                builder.add(found.route.partition, found.route.patient, found.entries, found.rows)
                accepted += found.rows
            if found.said is not NOTHING_SAID:
                self._tell_plain(found, message.received_at)
        records = builder.take() + self._teller.take()
        return Decided(records, accepted, plain, list(zip(left, decisions, strict=True)))

    def _tell(self, decision: Decision, received_at: int) -> None:
        reading = decision.reading
        at = max((sample.stamp for sample, _ in reading.measured), default=received_at)
        patient = self._registry.patient_at(reading.device, at)
        if isinstance(patient, Reason):
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
            ),
        )

    def _tell_plain(self, found: Plain, received_at: int) -> None:
        route = found.route
        battery, contact = found.said
        state = DeviceState(route.device, route.patient, found.stamp, received_at, battery, contact)
        self._teller.say(route.partition, state)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did, in messages (observations: samples). cut: not kept whole, too large."""

    used: int
    refused: int
    cut: int
    observations: int


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
    used = refused = cut = observations = 0
    for each in quarantine.messages() if ids is None else ids:
        for message in quarantine.find(each):
            if not message.whole:
                cut += 1
                continue
            decisions = decide([message], registry, settings)
            observations += append(decisions, journal)
            if decisions[0].rejections:
                quarantine.replace(message.id, decisions[0].rejections)
                refused += 1
            else:
                quarantine.remove(message.id)
                used += 1
    return Replayed(used, refused, cut, observations)
