"""A device that nobody knows: pending, approved, and what it sent so far is used."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.decide import Decider
from ingest.device_model import DeviceModel
from ingest.frames import Delivery
from ingest.instant import MINUTE, SECOND, format_instant, parse_instant
from ingest.journal.sqlite import SqliteJournal
from ingest.observation import Command, ObservationBatch, decode_record
from ingest.onboarding import Onboarding
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.registry import Registry, RegistryRefused
from ingest.registry_devices import declare_models
from ingest.settings import IngestSettings

NOW = parse_instant("2026-11-25T12:00:00Z")
SETTINGS = IngestSettings()


@pytest.fixture
def onboarding(tmp_path: Path) -> Iterator[Onboarding]:
    registry = Registry(tmp_path / "registry.db", SETTINGS.devices, lambda: NOW)
    registry.add_patient(patient="p-1")
    quarantine = Quarantine(tmp_path / "quarantine.db", SETTINGS.quarantine)
    journal = SqliteJournal(tmp_path / "journal", reserve_bytes=1 << 20)
    yield Onboarding(registry, quarantine, journal, SETTINGS)
    journal.close()
    quarantine.close()
    registry.close()


@pytest.fixture
def hear(onboarding: Onboarding) -> Callable[..., None]:
    """Takes in a message as ingest does."""
    decider = Decider(onboarding.registry, SETTINGS, onboarding.journal.partitions)

    def heard(device: str, kind: str, payload: bytes, at: int = NOW) -> None:
        message = Delivery(f"twin/v1/{device}/{kind}", payload, at, 1, 1)
        decided = decider.decide([message])
        onboarding.quarantine.put(
            [
                RefusedMessage(m.topic, m.payload, m.received_at, d.reading.device, d.rejections)
                for m, d in decided.explained
                if d.rejections
            ],
            at,
        )
        if decided.records:
            onboarding.journal.append("observations", decided.records)

    return heard


def telemetry(at: int, value: int = 72) -> bytes:
    return b'{"time":"%s","values":{"heart_rate":%d}}' % (format_instant(at).encode(), value)


def journalled(onboarding: Onboarding) -> list[object]:
    reader = onboarding.journal.reader("observations", 0)
    records = [decode_record(entry.record) for entry in reader.read(100, 0.0)]
    reader.close()
    return list(records)


def test_who_sends_what_could_be_used_or_announces_itself_is_pending(
    onboarding: Onboarding, hear: Callable[..., None]
) -> None:
    hear("b-heard", "telemetry", telemetry(NOW))
    hear("b-heard", "telemetry", telemetry(NOW + SECOND), NOW + SECOND)
    hear("a-both", "announce", b'{"model":"band-2","serial":"S1"}', NOW - MINUTE)
    hear("a-both", "telemetry", telemetry(NOW))
    hear("c-rubbish", "telemetry", b"{")
    first, second = onboarding.pending()
    assert (first.device, first.model, first.serial, first.messages) == (
        "a-both",
        "band-2",
        "S1",
        1,
    )
    assert (first.since, first.last_at) == (NOW - MINUTE, NOW)
    assert (second.device, second.topic) == ("b-heard", "twin/v1/b-heard/telemetry")
    assert (second.since, second.last_at, second.messages) == (NOW, NOW + SECOND, 2)


def test_approval_registers_binds_tells_the_worker_and_uses_what_waited(
    onboarding: Onboarding, hear: Callable[..., None]
) -> None:
    declare_models(onboarding.registry, [DeviceModel(name="band-2", delay_s=9)], "file")
    hear("new", "announce", b'{"model":"band-2","firmware":"1.4"}')
    hear("new", "telemetry", telemetry(NOW, 71))
    hear("new", "telemetry", telemetry(NOW + SECOND, 999))  # of no living heart
    done = onboarding.approve("new", "p-1", actor="anna")
    assert (done.device.model, done.device.firmware) == ("band-2", "1.4")
    assert done.binding.start is None
    assert done.replayed.count("used") == done.replayed.observations == 1
    assert onboarding.pending() == []
    records = journalled(onboarding)
    commands = [r for r in records if isinstance(r, Command)]
    assert {(c.kind, c.actor, c.patient) for c in commands} == {
        ("binding", "anna", "p-1"),
        ("device", "anna", "p-1"),
    }
    (batch,) = [r for r in records if isinstance(r, ObservationBatch)]
    assert batch.table()["value"].tolist() == [71.0]
    assert records.index(batch) == len(records) - 1  # after what the worker must know first
    assert onboarding.registry.take_outbox() == []


def test_a_refused_approval_changes_nothing(
    onboarding: Onboarding, hear: Callable[..., None]
) -> None:
    hear("new", "telemetry", telemetry(NOW))
    for patient, model in (("p-9", None), ("p-1", "band-9")):
        with pytest.raises(RegistryRefused):
            onboarding.approve("new", patient, model)
    assert [each.device for each in onboarding.pending()] == ["new"]


def test_each_change_is_in_the_journal_when_it_returns(onboarding: Onboarding) -> None:
    onboarding.add("watch-7", serial="S1", actor="anna")
    onboarding.bind("watch-7", "p-1", NOW - MINUTE, actor="anna")
    onboarding.unbind("watch-7", NOW - SECOND, actor="bert")
    onboarding.retire("watch-7", actor="bert")
    kinds = [(r.kind, r.actor) for r in journalled(onboarding) if isinstance(r, Command)]
    assert kinds == [("binding", "anna"), ("device", "anna"), ("binding", "bert")]
    (device,) = onboarding.devices()
    assert device.retired_at == NOW
