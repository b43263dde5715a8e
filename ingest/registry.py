"""The registry: devices, pseudonymous patients with a label, bindings of one to the other in time.

A SQLite file of its own. Several processes may open it (a command while the service runs). Every
change of a binding leaves its command in the outbox in the same transaction; the service appends
it to the journal. Labels stay here: nothing but the pseudonym goes on.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import MappingProxyType

import msgspec

from ingest.binding import Binding, in_order, patient_at
from ingest.database import open_database, rows
from ingest.observation import Bound, Command, DeviceId, PatientId
from ingest.payload.decoded import Reason
from ingest.registry_file import Enrolment
from ingest.settings import DeviceSettings

_TABLES = """
CREATE TABLE IF NOT EXISTS patient(
    id TEXT PRIMARY KEY, label TEXT NOT NULL, created_at INTEGER NOT NULL,
    automatic INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS binding(
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, patient TEXT NOT NULL REFERENCES patient(id),
    start INTEGER, end INTEGER);
CREATE INDEX IF NOT EXISTS binding_device ON binding(device);
CREATE TABLE IF NOT EXISTS outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, command BLOB NOT NULL);
"""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DEVICE = re.compile(r"([A-Za-z0-9._-]{1,64}/)?[A-Za-z0-9._-]{1,64}")
_LABEL_LENGTH = 200
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base32, lower case

_command = msgspec.msgpack.Decoder(Command)
_encode = msgspec.msgpack.Encoder().encode


class RegistryRefused(Exception):
    """A change that cannot be made: `subject` is the id or value at fault, `why` says why."""

    def __init__(self, subject: str, why: str) -> None:
        super().__init__(f"{subject}: {why}")
        self.subject = subject
        self.why = why


@dataclass(frozen=True, slots=True)
class _Content:
    labels: Mapping[str, str]
    bindings: Mapping[str, tuple[Binding, ...]]


class Registry:
    """Safe to use from several threads. `now` gives ns UTC."""

    def __init__(self, path: Path, settings: DeviceSettings, now: Callable[[], int]) -> None:
        self.settings = settings
        self._now = now
        self._lock = RLock()
        self._connection = open_database(path, _TABLES)
        self._version = -1
        self._content = _Content({}, {})
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
        """Whether the device was ever bound, as of the last `refresh`."""
        return device in self._content.bindings

    def patient_at(self, device: str, stamp: int) -> PatientId | Reason:
        """Whose the device was at its stamp, as of the last `refresh`; or why nobody knows."""
        bindings = self._content.bindings.get(device)
        if bindings is None:
            return Reason.DEVICE_UNKNOWN
        if len(bindings) == 1 and bindings[0].start is bindings[0].end is None:
            return bindings[0].patient
        return patient_at(bindings, stamp, self.settings.ambiguous_ns)

    def sole_patient(self, device: str) -> PatientId | None:
        """Whose the device is at any stamp, as of the last `refresh`; None if that depends."""
        bindings = self._content.bindings.get(device)
        if bindings is not None and len(bindings) == 1:
            only = bindings[0]
            if only.start is only.end is None:
                return only.patient
        return None

    @property
    def content(self) -> object:
        """Another object after every change that was taken in: for who keeps answers."""
        return self._content

    def labels(self) -> Mapping[str, str]:
        """Patient id → label ("" where nobody gave one), for all registered patients."""
        self.refresh()
        return MappingProxyType(self._content.labels)

    def devices(self) -> Sequence[Bound]:
        """Every device that was ever bound, with whom it is on now."""
        self.refresh()
        now = self._now()
        return [
            Bound(device, next((b.patient for b in bindings if b.holds_at(now)), None))
            for device, bindings in self._content.bindings.items()
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
        with self._lock, self._connection:
            made = self._bind(Binding(DeviceId(device), PatientId(patient), start, end), actor)
        self._reload()
        return made

    def unbind(self, device: str, end: int, actor: str = "registry") -> Binding:
        """End the device's binding that holds at `end` (ns UTC). Raises RegistryRefused."""
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

    # --- outbox -------------------------------------------------------------------------------

    def take_outbox(self, at_most: int = 1_000) -> Sequence[tuple[int, Command]]:
        """(number, command) pairs that the journal may not have yet, oldest first."""
        with self._lock:
            waiting = rows(
                self._connection,
                "SELECT id, command FROM outbox ORDER BY id LIMIT ?",
                (at_most,),
            )
        return [(number, _command.decode(command)) for number, command in waiting]

    def forget(self, up_to: int) -> None:
        """The journal has the commands up to this number. Twice in the journal acts once."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM outbox WHERE id <= ?", (up_to,))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # --- enrolment from a file ----------------------------------------------------------------

    def enrol(self, enrolments: Iterable[Enrolment]) -> int:
        """Take in what a registry file says; returns how many lines changed something.

        All or nothing, and doing it again changes nothing: a binding that was ended or followed
        by another since is not opened again. Raises RegistryRefused.
        """
        changed = 0
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
            raise RegistryRefused(made, "a patient id is 1–64 of A–Z a–z 0–9 . _ -")
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
        if not _DEVICE.fullmatch(wanted.device):
            raise RegistryRefused(wanted.device, "a device id is 1–64 of A–Z a–z 0–9 . _ -")
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
        command = Command(
            f"binding-{secrets.token_hex(8)}",
            "binding",
            actor,
            self._now(),
            {"device": binding.device, "from": binding.start, "to": binding.end},
            binding.patient,
        )
        self._connection.execute("INSERT INTO outbox(command) VALUES (?)", (_encode(command),))

    # --- kept in memory -----------------------------------------------------------------------

    def _reload(self) -> None:
        with self._lock:
            self._load()

    def _load(self) -> None:
        labels = {row[0]: row[1] for row in rows(self._connection, "SELECT id, label FROM patient")}
        grouped: dict[str, list[Binding]] = {}
        for row in rows(self._connection, "SELECT device, patient, start, end FROM binding"):
            grouped.setdefault(row[0], []).append(Binding(*row))
        # One assignment: lookups in other threads see the old or the new content, never a mix.
        self._content = _Content(labels, {each: in_order(of) for each, of in grouped.items()})

    def _number(self, query: str) -> int:
        return int(rows(self._connection, query)[0][0])


def _checked_label(label: str) -> str:
    text = label.strip()
    if len(text) > _LABEL_LENGTH or not text.isprintable():
        raise RegistryRefused("label", f"is at most {_LABEL_LENGTH} printable characters")
    return text
