"""Consents that the registry file says: taken in once, never undone by reading it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.consent import Basis
from ingest.decide import decide
from ingest.frames import Delivery
from ingest.instant import HOUR, MILLISECOND, parse_instant
from ingest.observation import PatientId
from ingest.payload.decoded import Reason
from ingest.quarantine import Quarantine, RefusedMessage
from ingest.registry import Registry, RegistryRefused
from ingest.registry_devices import consent, withdraw
from ingest.registry_enrolment import Enrolled, enrol_file, erase_ended
from ingest.registry_file import RegistryFileWrong, read_registry_file
from ingest.settings import DeviceSettings, IngestSettings, QuarantineSettings

NOW = parse_instant("2026-11-25T12:00:00Z")
FROM = parse_instant("2026-11-25T00:00:00Z")
PATIENT = PatientId("p-1")
DEVICES = '[[devices]]\ndevice = "watch-1"\npatient = "p-1"\n'
CONSENT = """
[[consents]]
patient = "p-1"
basis = "consent"
signals = ["heart_rate"]
from = 2026-11-25T00:00:00Z
"""
WITHDRAWN = '[[consents]]\npatient = "p-1"\nwithdrawn = 2026-11-25T11:00:00Z\n'


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = Registry(tmp_path / "registry.db", DeviceSettings(require_basis=True), lambda: NOW)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.toml"


def taken_in(registry: Registry, file: Path, text: str) -> Enrolled:
    file.write_text(text, "utf-8")
    return enrol_file(registry, read_registry_file(file))


def outcome(registry: Registry, signal: str = "heart_rate", stamp: int = NOW) -> str:
    """What becomes of a message of the patient's device."""
    payload = json.dumps({"time": stamp // MILLISECOND, "values": {signal: 72}}).encode()
    message = Delivery("twin/v1/watch-1/telemetry", payload, NOW, 1, 1)
    (decision,) = decide([message], registry, IngestSettings())
    return str(decision.rejections[0].reason) if decision.rejections else "kept"


def told(registry: Registry) -> list[dict[str, Any]]:
    """Bodies of the consent commands that wait for the journal."""
    waiting = registry.take_outbox()
    registry.forget(waiting[-1][0] if waiting else 0)
    return [command.body for _, command in waiting if command.kind == "consent"]


def test_a_consent_of_the_file_holds_for_its_signals_and_time_and_is_told_once(
    registry: Registry, file: Path
) -> None:
    text = CONSENT + DEVICES
    assert taken_in(registry, file, text) == Enrolled(2)  # the consent, and the device
    assert outcome(registry) == "kept"
    assert outcome(registry, "spo2") == Reason.NOT_ALLOWED
    assert outcome(registry, stamp=FROM - HOUR) == Reason.NO_BASIS
    line = {"basis": "consent", "signals": ["heart_rate"], "from": FROM, "to": None}
    assert told(registry) == [{"bases": [line]}]
    assert taken_in(registry, file, text) == Enrolled(0)
    assert told(registry) == []


def test_a_withdrawal_of_the_file_ends_what_began_before_it(registry: Registry, file: Path) -> None:
    taken_in(registry, file, CONSENT + DEVICES)
    consent(registry, Basis("p-1", "care"))  # by a command
    text = CONSENT + WITHDRAWN + DEVICES
    assert taken_in(registry, file, text) == Enrolled(2, (PATIENT,))
    assert outcome(registry) == Reason.NO_BASIS
    assert outcome(registry, stamp=FROM + HOUR) == Reason.NO_BASIS
    again = CONSENT.replace("T00:00:00Z", "T11:30:00Z")
    assert taken_in(registry, file, text + again) == Enrolled(1)
    assert outcome(registry) == "kept"
    assert taken_in(registry, file, text + again) == Enrolled(0)


def test_who_only_withdrew_is_kept_from_also_where_no_basis_is_required(
    tmp_path: Path, file: Path
) -> None:
    registry = Registry(tmp_path / "free.db", DeviceSettings(), lambda: NOW)
    taken_in(registry, file, DEVICES)
    assert outcome(registry) == "kept"
    assert taken_in(registry, file, WITHDRAWN + DEVICES) == Enrolled(1, (PATIENT,))
    assert outcome(registry) == Reason.NO_BASIS
    registry.close()


def test_what_a_command_withdrew_is_not_opened_by_the_next_start(
    registry: Registry, file: Path
) -> None:
    taken_in(registry, file, CONSENT + DEVICES)
    withdraw(registry, "p-1")
    assert taken_in(registry, file, CONSENT + DEVICES) == Enrolled(0)
    assert outcome(registry) == Reason.NO_BASIS
    assert taken_in(registry, file, DEVICES) == Enrolled(0)  # nor does a line that is gone end one


def test_a_line_that_is_written_anew_takes_the_place_of_what_it_said(
    registry: Registry, file: Path
) -> None:
    taken_in(registry, file, CONSENT + DEVICES)
    assert taken_in(registry, file, CONSENT.replace("heart_rate", "spo2") + DEVICES).changed == 1
    assert outcome(registry) == Reason.NOT_ALLOWED
    assert outcome(registry, "spo2") == "kept"
    ended = CONSENT.replace("heart_rate", "spo2") + "until = 2026-11-25T10:00:00Z\n"
    assert taken_in(registry, file, ended + DEVICES) == Enrolled(1, (PATIENT,))
    assert outcome(registry, "spo2") == Reason.NO_BASIS


def test_a_patient_whom_nobody_knows_is_refused_before_anything_is_taken_in(
    registry: Registry, file: Path
) -> None:
    with pytest.raises(RegistryRefused, match="p-l: has a consent in the registry file and is no"):
        taken_in(registry, file, CONSENT.replace("p-1", "p-l") + DEVICES)
    assert (registry.labels(), registry.bindings()) == ({}, [])


def test_what_waits_of_a_patient_who_withdrew_is_erased(
    registry: Registry, file: Path, tmp_path: Path
) -> None:
    taken_in(registry, file, CONSENT + DEVICES)
    quarantine = Quarantine(tmp_path / "quarantine.db", QuarantineSettings())
    message = Delivery("twin/v1/watch-1/telemetry", b"{", NOW, 1, 1)
    (decision,) = decide([message], registry, IngestSettings())
    refused = RefusedMessage(message.topic, b"{", NOW, "watch-1", decision.rejections)
    quarantine.put([refused], NOW)
    done = taken_in(registry, file, CONSENT + WITHDRAWN + DEVICES)
    assert erase_ended(registry, quarantine, done.ended) == 1
    assert quarantine.items(10) == []
    quarantine.close()


def test_a_withdrawal_to_come_is_refused_as_nothing_would_erase_what_waits(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "registry.toml"
    file.write_text(DEVICES + CONSENT + WITHDRAWN.replace("T11", "T13"))
    with pytest.raises(RegistryRefused, match="p-1: withdraws at a time to come"):
        enrol_file(registry, read_registry_file(file))
    assert registry.bindings() == []
    file.write_text(DEVICES + CONSENT + WITHDRAWN)
    assert enrol_file(registry, read_registry_file(file)).ended == (PATIENT,)


@pytest.mark.parametrize(
    ("table", "key", "expected"),
    [
        ('basis = "consent"', "patient", "the id of a patient"),
        ('patient = "p-1"', "basis", "one of consent, care"),
        ('patient = "p-1"\nbasis = "wish"', "basis", "one of consent, care"),
        ('patient = "p-1"\nbasis = "care"\nsignals = ["pulse"]', "signals", "a list of signals'"),
        ('patient = "p-1"\nbasis = "care"\nsignals = "spo2"', "signals", "a list of signals'"),
        ('patient = "p-1"\nbasis = "care"\nsignals = []', "signals", "or no such key: all"),
        ('patient = "p-1"\nbasis = "care"\nfrom = 2026-11-25', "from", "date and time with zone"),
        ('patient = "p-1"\nwithdrawn = true', "withdrawn", "date and time with zone"),
        (
            'patient = "p-1"\nbasis = "care"\nwithdrawn = 2026-11-25T00:00:00Z',
            "withdrawn",
            "it alone beside patient",
        ),
        ('patient = "p-1"\nbasis = "care"\nname = "Ann"', "name", "one of patient, basis"),
        (
            'patient = "p-1"\nbasis = "care"\nfrom = 2026-11-25T00:00:00Z\n'
            "until = 2026-11-24T00:00:00Z",
            "until",
            "a time after from",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_with_its_place(
    file: Path, table: str, key: str, expected: str
) -> None:
    file.write_text(f"{CONSENT}[[consents]]\n{table}\n", "utf-8")
    with pytest.raises(RegistryFileWrong) as wrong:
        read_registry_file(file)
    assert (wrong.value.place, wrong.value.key) == ("consents[1]", key)
    assert expected in wrong.value.expected


def test_two_lines_of_one_beginning_are_refused(file: Path) -> None:
    file.write_text(CONSENT + CONSENT, "utf-8")
    with pytest.raises(RegistryFileWrong, match=r"consents\[1\], from: expected another"):
        read_registry_file(file)
