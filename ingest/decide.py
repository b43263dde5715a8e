"""What ingest does with messages, the same for those that arrive and those that are replayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ingest.journal.protocol import Journal, partition_of
from ingest.judge import Reading, bind, read
from ingest.observation import Observation, batch_of, encode_record
from ingest.payload.decoded import Reason, Rejection
from ingest.quarantine import Quarantine
from ingest.registry import Registry
from ingest.settings import IngestSettings

#: Rows of one record; a message with more samples is spread over several.
_RECORD_ROWS = 5_000


class Message(Protocol):
    """What is decided on: a delivery, or a message from quarantine."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def received_at(self) -> int: ...


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
    by_partition: dict[int, list[Observation]] = {}
    count = 0
    for decision in decisions:
        count += len(decision.observations)
        for each in decision.observations:
            partition = _partition(each.patient, journal.partitions)
            by_partition.setdefault(partition, []).append(each)
    records = [
        (partition, encode_record(batch_of(rows[i : i + _RECORD_ROWS])))
        for partition, rows in by_partition.items()
        for i in range(0, len(rows), _RECORD_ROWS)
    ]
    if records:
        journal.append("observations", records)
    return count


_partition = lru_cache(maxsize=1 << 17)(partition_of)


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
