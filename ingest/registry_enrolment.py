"""A registry file is taken in: models, devices, bindings, consents.

Doing it again changes nothing, and undoes nothing that was changed since: each line on consents
acts when it is read for the first time, and again when somebody wrote it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from ingest.consent import Basis
from ingest.database import rows
from ingest.observation import PatientId
from ingest.quarantine import Quarantine
from ingest.registry import Registry, RegistryRefused
from ingest.registry_commands import consent_command, put_in_outbox
from ingest.registry_devices import add_device, clock_lead, declare_models
from ingest.registry_file import RegistryFile, Withdrawal


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a file changed: how many of its lines; patients of whom nothing may be kept any more."""

    changed: int
    ended: tuple[PatientId, ...] = ()


def enrol_file(registry: Registry, file: RegistryFile, actor: str = "file") -> Enrolled:
    """Take in a registry file. Consents come before the devices, whose data they are about.

    Raises RegistryRefused; then a part of what stands before the wrong line may be taken in.
    """
    said = {each.patient: each.label for each in reversed(file.enrolments) if each.patient}
    asked = dict.fromkeys(each.patient for each in file.consents)
    asked |= dict.fromkeys(each.patient for each in file.withdrawals)
    known = registry.labels()
    for patient in asked:
        if patient not in known and patient not in said:
            why = "has a consent in the registry file and is no patient of it, nor a registered one"
            raise RegistryRefused(patient, why)
    for withdrawal in file.withdrawals:
        if withdrawal.at > registry.now():  # what waits would outlive it: erased is when it is read
            why = "withdraws at a time to come; what is to end then has `until`"
            raise RegistryRefused(withdrawal.patient, why)
    changed = declare_models(registry, file.models, actor)
    for patient in asked:
        if patient not in known:
            registry.add_patient(said[patient], patient)
    ended = []
    for patient in asked:
        lines, over = _consents(registry, file, patient, actor)
        changed += lines
        ended += [PatientId(patient)] * over
    for each in file.enrolments:  # the model first: whoever is bound is told with it
        if each.model or each.firmware or each.serial or each.clock_offset_s is not None:
            device = registry.content.devices.get(each.device)
            if device is None or device.retired_at is None:
                texts = (each.model or None, each.firmware or None, each.serial or None)
                ahead = clock_lead(each.device, each.clock_offset_s)
                changed += add_device(registry, each.device, *texts, actor, ahead) != device
    return Enrolled(changed + registry.enrol(file.enrolments), tuple(ended))


def erase_ended(registry: Registry, quarantine: Quarantine, patients: Sequence[PatientId]) -> int:
    """Erase what waits in quarantine from the patients' devices; returns how many messages."""
    worn = [each for each in registry.bindings() if each.patient in patients]
    return sum(quarantine.erase(each.device, each.start, each.end) for each in worn)


def _consents(registry: Registry, file: RegistryFile, patient: str, actor: str) -> tuple[int, bool]:
    """Take in a patient's lines: how many changed something, whether nothing may be kept now."""
    withdrawals = [each for each in file.withdrawals if each.patient == patient]
    now = registry.now()
    with registry.changing() as connection:
        taken = dict(
            rows(connection, "SELECT line, said FROM consent_line WHERE patient = ?", (patient,))
        )
        changed = 0
        for said in file.consents:
            if said.patient == patient:
                basis = until_withdrawn(said, withdrawals)
                changed += _take_basis(connection, basis, taken, now)
        for each in withdrawals:
            changed += _take_withdrawal(connection, each, taken)
        if not changed:
            return 0, False
        found = "SELECT patient, kind, signals, start, end FROM basis WHERE patient = ? ORDER BY id"
        bases = [
            Basis(who, kind, frozenset(signals.split()), start, end)
            for who, kind, signals, start, end in rows(connection, found, (patient,))
        ]
        put_in_outbox(connection, consent_command(bases, patient, actor, now))
    held = any(basis.end is not None and basis.end <= now for basis in bases)
    return changed, held and not any(basis.holds_at(now) for basis in bases)


def until_withdrawn(basis: Basis, withdrawals: Sequence[Withdrawal]) -> Basis:
    """The basis, ended where its patient withdrew what began before."""
    ends = [each.at for each in withdrawals if basis.start is None or basis.start < each.at]
    end = min((each for each in (basis.end, *ends) if each is not None), default=None)
    return Basis(basis.patient, basis.kind, basis.signals, basis.start, end)


def _take_basis(connection: apsw.Connection, basis: Basis, taken: dict[str, str], now: int) -> bool:
    """Whether it is new or was written anew: then the old one ends, or goes on in its place."""
    line, signals = f"{basis.kind} {basis.start}", " ".join(sorted(basis.signals))
    said, old = f"{signals}|{basis.end}", taken.get(line)
    if old == said:
        return False
    known = (basis.patient, basis.kind, basis.start)
    if old is not None and old.partition("|")[0] != signals:
        connection.execute(
            "UPDATE basis SET end = ?1, start = min(start, ?1) WHERE patient = ?2 AND kind = ?3 "
            "AND start IS ?4 AND signals = ?5 AND (end IS NULL OR end > ?1)",
            (now, *known, old.partition("|")[0]),
        )
    before = connection.total_changes()
    connection.execute(
        "UPDATE basis SET end = ?1 WHERE patient = ?2 AND kind = ?3 AND start IS ?4 "
        "AND signals = ?5",
        (basis.end, *known, signals),
    )
    if connection.total_changes() == before:
        connection.execute(
            "INSERT INTO basis(patient, kind, start, signals, end) VALUES (?, ?, ?, ?, ?)",
            (*known, signals, basis.end),
        )
    _remember(connection, basis.patient, line, said)
    return True


def _take_withdrawal(
    connection: apsw.Connection, withdrawal: Withdrawal, taken: dict[str, str]
) -> bool:
    """Whether it is new: then every basis that began before it ends with it, whoever registered it.

    A patient without any gets one that has ended, so that the withdrawal holds where no basis is
    required.
    """
    line = f"withdrawn {withdrawal.at}"
    if line in taken:
        return False
    patient, at = withdrawal.patient, withdrawal.at
    connection.execute(
        "UPDATE basis SET end = ?1 WHERE patient = ?2 AND (start IS NULL OR start < ?1) "
        "AND (end IS NULL OR end > ?1)",
        (at, patient),
    )
    if not rows(connection, "SELECT 1 FROM basis WHERE patient = ?", (patient,)):
        connection.execute(
            "INSERT INTO basis(patient, kind, signals, start, end) "
            "VALUES (?, 'consent', '', NULL, ?)",
            (patient, at),
        )
    _remember(connection, patient, line, "")
    return True


def _remember(connection: apsw.Connection, patient: str, line: str, said: str) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO consent_line VALUES (?, ?, ?)", (patient, line, said)
    )
