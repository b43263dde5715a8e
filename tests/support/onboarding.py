"""A registry with two patients and a model, a quarantine and a journal, in a folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.decide import decide
from ingest.device_model import DeviceModel
from ingest.frames import Delivery
from ingest.instant import format_instant
from ingest.journal.sqlite import SqliteJournal
from ingest.onboarding import Onboarding
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.registry import Registry
from ingest.registry_content import Announcement
from ingest.registry_devices import announce, declare_models
from ingest.settings import IngestSettings

BAND = DeviceModel(name="band-2", regulatory="ce", delay_s=9, noise_std={"heart_rate": 2.5})


@contextmanager
def onboarding_in(
    folder: Path, now: Callable[[], int], journal: SqliteJournal | None = None
) -> Iterator[Onboarding]:
    """Patients p-1 (Bed 1) and p-2, the model band-2; journal: else one of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = IngestSettings()
    registry = Registry(folder / "registry.db", settings.devices, now)
    for patient, label in (("p-1", "Bed 1"), ("p-2", "")):
        if patient not in registry.labels():
            registry.add_patient(label, patient)
    declare_models(registry, [BAND], "file")
    quarantine = Quarantine(folder / "quarantine.db", settings.quarantine)
    own = journal or SqliteJournal(folder / "journal", reserve_bytes=1 << 20)
    yield Onboarding(registry, quarantine, own, settings)
    if journal is None:
        own.close()
    quarantine.close()
    registry.close()


def hear(onboarding: Onboarding, device: str, values: str = '{"heart_rate":72}') -> None:
    """A message of the device is refused, and waits in quarantine."""
    now = onboarding.registry.now()
    payload = f'{{"time":"{format_instant(now)}","values":{values}}}'.encode()
    message = Delivery(f"twin/v1/{device}/telemetry", payload, now, 1, 1)
    (decision,) = decide([message], onboarding.registry, onboarding.settings)
    refused = RefusedMessage(message.topic, payload, now, device, decision.rejections)
    onboarding.quarantine.put([refused], now)


def hear_announce(onboarding: Onboarding, device: str) -> None:
    """The device says what it is."""
    now = onboarding.registry.now()
    topic = f"twin/v1/{device}/announce"
    announce(
        onboarding.registry, [Announcement(device, topic, "band-2", "1.4.2", "S-77", now, now)]
    )
