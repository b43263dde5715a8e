"""How a device that nobody knows becomes one whose data is used: pending, approved, replayed.

Pending is who sent what could be used and waits in quarantine, or announced itself. To approve it
is to register and bind it; then what it sent so far is decided on again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.binding import Binding
from ingest.decide import Replayed, replay_quarantined
from ingest.journal.protocol import Journal
from ingest.payload.decoded import Reason
from ingest.quarantine import Quarantine, Waiting
from ingest.registry import Registry, RegistryRefused
from ingest.registry_commands import records_of
from ingest.registry_content import Announcement, Device
from ingest.registry_devices import add_device, announcements, retire_device
from ingest.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class Pending:
    """A device that waits to be approved: on which topic it was heard, since when, until when (ns
    UTC), how many messages wait in quarantine; what it announced, empty where nothing."""

    device: str
    topic: str
    since: int
    last_at: int
    messages: int
    model: str = ""
    firmware: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """The device, whose it is now, and what became of the messages that waited."""

    device: Device
    binding: Binding
    replayed: Replayed


def pending_devices(registry: Registry, quarantine: Quarantine) -> Sequence[Pending]:
    """Who waits to be approved, by name."""
    registry.refresh()
    said = {each.device: each for each in announcements(registry)}
    heard = {each.device: each for each in quarantine.waiting()}
    known = sorted({*said, *heard})
    return [_pending(said.get(d), heard.get(d)) for d in known if not registry.knows(d)]


def _pending(said: Announcement | None, heard: Waiting | None) -> Pending:
    either = [each for each in (said, heard) if each is not None]
    first = either[-1]
    return Pending(
        first.device,
        first.topic,
        min(each.since for each in either),
        max(each.last_at for each in either),
        heard.count if heard else 0,
        said.model if said else "",
        said.firmware if said else "",
        said.serial if said else "",
    )


def registered_devices(registry: Registry) -> Sequence[Device]:
    """Every registered device, those that are only bound included, by name."""
    registry.refresh()
    content = registry.content
    known = sorted({*content.devices, *content.bindings})
    return [content.devices.get(device) or Device(device) for device in known]


@dataclass(frozen=True, slots=True)
class Onboarding:
    """Works beside a running service, in whatever process. May raise apsw.Error, JournalFull."""

    registry: Registry
    quarantine: Quarantine
    journal: Journal
    settings: IngestSettings

    def pending(self) -> Sequence[Pending]:
        """By name."""
        return pending_devices(self.registry, self.quarantine)

    def devices(self) -> Sequence[Device]:
        """Every registered device, those that are only bound included, by name."""
        return registered_devices(self.registry)

    def bindings(self, device: str) -> Sequence[Binding]:
        """In order."""
        return self.registry.bindings(device)

    def add(
        self,
        device: str,
        model: str | None = None,
        firmware: str | None = None,
        serial: str | None = None,
        actor: str = "registry",
    ) -> Device:
        """Register, or change what is known. Raises RegistryRefused."""
        made = add_device(self.registry, device, model, firmware, serial, actor)
        self._hand_over()
        return made

    def bind(
        self,
        device: str,
        patient: str,
        start: int | None = None,
        end: int | None = None,
        actor: str = "registry",
    ) -> Binding:
        """As `Registry.bind`, with its command in the journal at return. Raises RegistryRefused."""
        made = self.registry.bind(device, patient, start, end, actor)
        self._hand_over()
        return made

    def unbind(self, device: str, end: int, actor: str = "registry") -> Binding:
        """As `Registry.unbind`. Raises RegistryRefused."""
        made = self.registry.unbind(device, end, actor)
        self._hand_over()
        return made

    def retire(self, device: str, actor: str = "registry") -> Device:
        """The device is used no more. Raises RegistryRefused."""
        made = retire_device(self.registry, device, actor)
        self._hand_over()
        return made

    def approve(
        self,
        device: str,
        patient: str,
        model: str | None = None,
        start: int | None = None,
        actor: str = "registry",
    ) -> Approved:
        """Register the device (with what it announced), bind it from `start` on (None: from the
        beginning), and use what waits of it in quarantine. Raises RegistryRefused."""
        self.registry.refresh()
        if model and model not in self.registry.content.models:
            raise RegistryRefused(model, "is not a declared model")
        binding = self.registry.bind(device, patient, start, None, actor)
        added = add_device(self.registry, device, model, actor=actor)
        self._hand_over()
        waiting = dict.fromkeys(
            each
            for reason in (Reason.DEVICE_UNKNOWN, Reason.DEVICE_UNBOUND)
            for each in self.quarantine.messages(reason, device)
        )
        replayed = replay_quarantined(
            self.quarantine, self.registry, self.journal, self.settings, list(waiting)
        )
        return Approved(added, binding, replayed)

    def _hand_over(self) -> None:
        """What the registry tells the worker, before any data that hangs on it. The service may do
        the same at the same time: a command twice in the journal acts once."""
        waiting = self.registry.take_outbox()
        if waiting:
            commands = (command for _, command in waiting)
            self.journal.append("observations", records_of(commands, self.journal.partitions))
            self.registry.forget(waiting[-1][0])
