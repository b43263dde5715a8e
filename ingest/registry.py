"""The registry: devices, pseudonymous patients with a label, bindings of one to the other in time.

A SQLite file of its own. Several processes may open it (a command while the service runs). Every
change that the worker or the record must know leaves its command in the outbox in the same
transaction; the service appends it to the journal. Labels stay here: nothing but the pseudonym goes
on. Models, what is known of a device, and consents are in `ingest.registry_devices`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import MappingProxyType

import apsw

from ingest.binding import Binding, in_order
from ingest.births import Births
from ingest.database import open_database, rows
from ingest.observation import Bound, Command, DeviceId, PatientId
from ingest.payload.decoded import Reason
from ingest.registry_commands import binding_command, device_command, outbox, put_in_outbox
from ingest.registry_content import TABLES, Content, Settled, load
from ingest.registry_file import Enrolment
from ingest.settings import DeviceSettings
from ingest.stamping import Stamping
from ingest.topic import DEVICE_ID, NAME

_NAME = re.compile(NAME)
_LABEL_LENGTH = 200
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base32, lower case


class RegistryRefused(Exception):
    """A change that cannot be made: `subject` is the id or value at fault, `why` says why."""

    def __init__(self, subject: str, why: str) -> None:
        super().__init__(f"{subject}: {why}")
        self.subject = subject
        self.why = why


def checked_device(device: str) -> DeviceId:
    """The id, well-formed. Raises RegistryRefused."""
    if not DEVICE_ID.fullmatch(device):
        raise RegistryRefused(device, "a device id is 1–64 of A–Z a–z 0–9 . _ -, not . or ..")
    return DeviceId(device)


class Registry:
    """Safe to use from several threads. `now` gives ns UTC. births: of Sparkplug's devices, for the
    thread that decides on messages."""

    def __init__(self, path: Path, settings: DeviceSettings, now: Callable[[], int]) -> None:
        self.settings = settings
        self._now = now
        self._lock = RLock()
        self._connection = open_database(path, TABLES)
        self.births = Births(path)
        self._version = -1
        self._content = Content(settings.ambiguous_ns, settings.require_basis)
        self.refresh()

    # --- asked --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what other processes changed; a few µs where nothing did."""
        with self._lock:
            version = self._connection.pragma("data_version")
            if version != self._version:
                self._load()
                self._version = version

    def knows(self, device: str) -> bool:
        """Whether the device was ever registered or bound, as of the last `refresh`."""
        return device in self._content.bindings or device in self._content.devices

    def patient_at(self, device: str, stamp: int) -> PatientId | Reason:
        """Whose the device was at its stamp, as of the last `refresh`; or why nobody knows."""
        return self._content.patient_at(device, stamp)

    def settled(self, device: str) -> Settled | None:
        """What holds for nearly all the device sends now, as of the last `refresh`, or None."""
        return self._content.settled(device, self._now())

    def refusal(self, patient: str, signal: str, stamp: int) -> Reason | None:
        """Why a value of the patient may not be kept now, as of the last `refresh`, or None."""
        return self._content.refusal(patient, signal, stamp, self._now())

    def allowed(self, device: str, at: int) -> frozenset[str] | None:
        """What may be kept of a message of the device received at `at`: signals (empty: all), or
        None: nothing. Of a device that is on nobody, all: it waits for its patient."""
        patient = self._content.patient_at(device, at)
        if isinstance(patient, Reason):
            return frozenset()
        return self._content.allowed(patient, self._now())

    def stamping(self, device: str) -> Stamping:
        """What is declared to be wrong with the device's stamps; as of the last `refresh`."""
        return self._content.stamping(device)

    def noise_std(self, device: str) -> Mapping[str, float]:
        """By signal, of one value, where the device's model says it; as of the last `refresh`."""
        return self._content.noise_std(device)

    @property
    def content(self) -> Content:
        """Everything; another object after every change that was taken in."""
        return self._content

    def labels(self) -> Mapping[str, str]:
        """Patient id → label ("" where nobody gave one), for all registered patients."""
        self.refresh()
        return MappingProxyType(self._content.labels)

    def devices(self) -> Sequence[Bound]:
        """Every device that was ever registered or bound, with whom it is on now."""
        self.refresh()
        now, content = self._now(), self._content
        return [
            Bound(device, content.patient_now(device, now))
            for device in {**content.bindings, **content.devices}
        ]

    def bindings(self, device: str | None = None) -> Sequence[Binding]:
        """All bindings, or those of a device, in order."""
        self.refresh()
        content = self._content.bindings
        if device is not None:
            return content.get(device, ())
        return [binding for each in content.values() for binding in each]

    # --- changed ------------------------------------------------------------------------------

    def add_patient(self, label: str = "", patient: str | None = None) -> PatientId:
        """A new patient under a random pseudonym, or the given one. Raises RegistryRefused."""
        with self._lock, self._connection:
            if patient is not None and patient in self._content.labels:
                raise RegistryRefused(patient, "is already registered")
            made = self._insert_patient(label, patient)
        self._reload()
        return made

    def label(self, patient: str, text: str) -> None:
        """Give the patient the name that pages show. Raises RegistryRefused."""
        with self._lock, self._connection:
            self._set_label(patient, text)
        self._reload()

    def bind(
        self,
        device: str,
        patient: str,
        start: int | None = None,
        end: int | None = None,
        actor: str = "registry",
    ) -> Binding:
        """The device is on the patient in [start, end). None: without beginning, without end.

        An open binding of the device that began earlier ends at `start`. Doing it again changes
        nothing. Raises RegistryRefused: unknown patient, malformed device, overlap.
        """
        self.refresh()
        with self._lock, self._connection:
            made = self._bind(Binding(DeviceId(device), PatientId(patient), start, end), actor)
        self._reload()
        return made

    def unbind(self, device: str, end: int, actor: str = "registry") -> Binding:
        """End the device's binding that holds at `end` (ns UTC). Raises RegistryRefused."""
        self.refresh()
        with self._lock, self._connection:
            open_ones = [b for b in self._stored(device) if b.holds_at(end) and b.start != end]
            if not open_ones:
                raise RegistryRefused(device, "is bound to nobody at that time")
            ended = self._end(open_ones[0], end, actor)
        self._reload()
        return ended

    def register(self, devices: Iterable[str]) -> int:
        """A new patient for each unknown device, bound without start; returns how many were made.

        Stops at `register_at_most` patients made so. One transaction for all.
        """
        made = 0
        with self._lock:
            with self._connection:
                count = self._number("SELECT count(*) FROM patient WHERE automatic")
                for device in devices:
                    if count + made >= self.settings.register_at_most:
                        break
                    if not self._stored(device):
                        patient = self._insert_patient("", None, automatic=True)
                        self._bind(Binding(DeviceId(device), patient), "registry")
                        made += 1
            self._reload()
        return made

    @contextmanager
    def changing(self) -> Iterator[apsw.Connection]:
        """One transaction on the file, for `ingest.registry_devices`; taken in at its end, if
        something changed: a new content costs every route that was kept for the old one."""
        with self._lock:
            with self._connection:
                self.refresh()  # what another process changed: decided on in this transaction
                before = self._connection.total_changes()
                yield self._connection
            if self._connection.total_changes() != before:
                self._load()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """The file, to be asked: no transaction, no lock that another process waits for."""
        with self._lock:
            yield self._connection

    def now(self) -> int:
        """ns UTC of the clock that this registry lives by."""
        return self._now()

    # --- outbox -------------------------------------------------------------------------------

    def take_outbox(self, at_most: int = 1_000) -> Sequence[tuple[int, Command]]:
        """(number, command) pairs that the journal may not have yet, oldest first."""
        with self._lock:
            return outbox(self._connection, at_most)

    def forget(self, up_to: int) -> None:
        """The journal has the commands up to this number. Twice in the journal acts once."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM outbox WHERE id <= ?", (up_to,))

    def close(self) -> None:
        self.births.close()
        with self._lock:
            self._connection.close()

    # --- enrolment from a file ----------------------------------------------------------------

    def enrol(self, enrolments: Iterable[Enrolment]) -> int:
        """Take in what a registry file says; returns how many lines changed something.

        All or nothing, and doing it again changes nothing: a binding that was ended or followed
        by another since is not opened again. Raises RegistryRefused.
        """
        changed = 0
        self.refresh()
        with self._lock:
            with self._connection:
                for each in enrolments:
                    changed += self._enrol(each)
            self._reload()
        return changed

    def _enrol(self, each: Enrolment) -> bool:
        stored = self._stored(each.device)
        before = self._connection.total_changes()
        patient = PatientId(each.patient or (stored[-1].patient if stored else ""))
        if not patient or self._label_of(patient) is None:
            patient = self._insert_patient(each.label, patient or None)
        elif each.label and self._label_of(patient) != each.label:
            self._set_label(patient, each.label)
        known = next((b for b in stored if (b.patient, b.start) == (patient, each.start)), None)
        if known is None:
            self._bind(Binding(DeviceId(each.device), patient, each.start, each.end), "file")
        elif each.end is not None and known.end is None:
            self._end(known, each.end, "file")
        return self._connection.total_changes() != before

    # --- in a transaction ---------------------------------------------------------------------

    def _insert_patient(
        self, label: str, patient: str | None, automatic: bool = False
    ) -> PatientId:
        made = patient or "p-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
        if not _NAME.fullmatch(made):
            raise RegistryRefused(made, "a patient id is 1–64 of A–Z a–z 0–9 . _ -, not . or ..")
        if self._label_of(made) is not None:  # 1 in 10^12 for a random one
            raise RegistryRefused(made, "is already registered")
        self._connection.execute(
            "INSERT INTO patient VALUES (?, ?, ?, ?)",
            (made, _checked_label(label), self._now(), automatic),
        )
        return PatientId(made)

    def _label_of(self, patient: str) -> str | None:
        found = rows(self._connection, "SELECT label FROM patient WHERE id = ?", (patient,))
        return str(found[0][0]) if found else None

    def _set_label(self, patient: str, text: str) -> None:
        if self._label_of(patient) is None:
            raise RegistryRefused(patient, "is not a registered patient")
        self._connection.execute(
            "UPDATE patient SET label = ? WHERE id = ?", (_checked_label(text), patient)
        )

    def _stored(self, device: str) -> tuple[Binding, ...]:
        found = rows(
            self._connection,
            "SELECT device, patient, start, end FROM binding WHERE device = ?",
            (device,),
        )
        return in_order([Binding(*row) for row in found])

    def _bind(self, wanted: Binding, actor: str) -> Binding:
        checked_device(wanted.device)
        retired = "SELECT 1 FROM device WHERE id = ? AND retired_at IS NOT NULL"
        if rows(self._connection, retired, (wanted.device,)):
            raise RegistryRefused(wanted.device, "is retired: add it again before it is bound")
        if self._label_of(wanted.patient) is None:
            raise RegistryRefused(wanted.patient, "is not a registered patient")
        if wanted.start is not None and wanted.end is not None and wanted.end <= wanted.start:
            raise RegistryRefused(wanted.device, "the binding ends before it begins")
        for binding in self._stored(wanted.device):
            if binding.overlaps(wanted):
                if binding.patient == wanted.patient and binding.end == wanted.end:
                    return binding
                if (
                    binding.end is not None
                    or wanted.start is None
                    or (binding.start is not None and binding.start >= wanted.start)
                ):
                    raise RegistryRefused(
                        wanted.device, f"is bound to {binding.patient} during that time"
                    )
                self._end(binding, wanted.start, actor)
        self._connection.execute(
            "INSERT INTO binding(device, patient, start, end) VALUES (?, ?, ?, ?)",
            (wanted.device, wanted.patient, wanted.start, wanted.end),
        )
        self._tell(wanted, actor)
        return wanted

    def _end(self, binding: Binding, end: int, actor: str) -> Binding:
        self._connection.execute(
            "UPDATE binding SET end = ? WHERE device = ? AND patient = ? AND start IS ?",
            (end, binding.device, binding.patient, binding.start),
        )
        ended = Binding(binding.device, binding.patient, binding.start, end)
        self._tell(ended, actor)
        return ended

    def _tell(self, binding: Binding, actor: str) -> None:
        now = self._now()
        put_in_outbox(self._connection, binding_command(binding, actor, now))
        device = self._content.devices.get(binding.device)
        if device is not None and (binding.end is None or binding.end > now):
            model = self._content.models.get(device.model)
            told = device_command(device, model, binding.patient, actor, now)
            put_in_outbox(self._connection, told)

    # --- kept in memory -----------------------------------------------------------------------

    def _reload(self) -> None:
        with self._lock:
            self._load()

    def _load(self) -> None:
        # One assignment: lookups in other threads see the old or the new content, never a mix.
        settings = self.settings
        self._content = load(self._connection, settings.ambiguous_ns, settings.require_basis)

    def _number(self, query: str) -> int:
        return int(rows(self._connection, query)[0][0])


def _checked_label(label: str) -> str:
    text = label.strip()
    if len(text) > _LABEL_LENGTH or not text.isprintable():
        raise RegistryRefused("label", f"is at most {_LABEL_LENGTH} printable characters")
    return text
