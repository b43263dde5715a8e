"""The registry: pseudonyms, labels, bindings, the outbox, several processes, files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.instant import DAY, HOUR, parse_instant
from ingest.observation import Bound
from ingest.payload.decoded import Reason
from ingest.registry import Registry, RegistryRefused
from ingest.registry_file import Enrolment, RegistryFileWrong, read_registry_file
from ingest.settings import DeviceSettings

NOW = parse_instant("2026-11-25T12:00:00Z")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(tmp_path / "registry.db", DeviceSettings(register_at_most=3), lambda: NOW)
    yield registry
    registry.close()


def test_a_patient_gets_a_random_pseudonym_and_a_label(registry: Registry) -> None:
    patient, other = registry.add_patient("Bed 12"), registry.add_patient()
    assert patient != other
    assert patient.startswith("p-")
    assert len(patient) == 10
    assert registry.labels() == {patient: "Bed 12", other: ""}
    registry.label(patient, " Bed 13 ")
    assert registry.labels()[patient] == "Bed 13"


def test_what_cannot_be_is_refused_with_its_subject(registry: Registry) -> None:
    with pytest.raises(RegistryRefused, match="p-none: is not a registered patient"):
        registry.label("p-none", "x")
    with pytest.raises(RegistryRefused, match="p-none"):
        registry.bind("watch-7", "p-none")
    patient = registry.add_patient()
    with pytest.raises(RegistryRefused, match="already"):
        registry.add_patient(patient=patient)
    with pytest.raises(RegistryRefused, match="watch 7"):
        registry.bind("watch 7", patient)
    with pytest.raises(RegistryRefused, match="label"):
        registry.label(patient, "a\nb")
    with pytest.raises(RegistryRefused, match="nobody"):
        registry.unbind("watch-7", NOW)


def test_a_binding_is_looked_up_by_device_and_stamp(registry: Registry) -> None:
    patient = registry.add_patient()
    assert registry.patient_at("watch-7", NOW) is Reason.DEVICE_UNKNOWN
    registry.bind("watch-7", patient, start=NOW)
    assert registry.patient_at("watch-7", NOW) == patient
    assert registry.patient_at("watch-7", NOW - 1) is Reason.DEVICE_UNBOUND
    registry.unbind("watch-7", NOW + HOUR)
    assert registry.patient_at("watch-7", NOW + HOUR) is Reason.DEVICE_UNBOUND
    assert registry.knows("watch-7")


def test_the_next_patient_ends_the_binding_to_the_last(registry: Registry) -> None:
    first, second = registry.add_patient(), registry.add_patient()
    registry.bind("watch-7", first)
    registry.bind("watch-7", second, start=NOW)
    assert [(b.patient, b.start, b.end) for b in registry.bindings("watch-7")] == [
        (first, None, NOW),
        (second, NOW, None),
    ]
    assert registry.devices() == [Bound("watch-7", second)]
    with pytest.raises(RegistryRefused, match="during that time"):
        registry.bind("watch-7", first, start=NOW - DAY, end=NOW + DAY)


def test_binding_again_changes_nothing(registry: Registry) -> None:
    patient = registry.add_patient()
    registry.bind("watch-7", patient)
    registry.bind("watch-7", patient)
    registry.bind("watch-7", patient, start=NOW)
    assert len(registry.bindings()) == 1
    assert len(registry.take_outbox()) == 1


def test_each_change_leaves_its_command_until_it_is_forgotten(registry: Registry) -> None:
    first, second = registry.add_patient(), registry.add_patient()
    registry.bind("watch-7", first, actor="anna")
    registry.bind("watch-7", second, start=NOW)
    commands = registry.take_outbox()
    assert [(c.kind, c.actor, c.patient, c.body) for _, c in commands] == [
        ("binding", "anna", first, {"device": "watch-7", "from": None, "to": None}),
        ("binding", "registry", first, {"device": "watch-7", "from": None, "to": NOW}),
        ("binding", "registry", second, {"device": "watch-7", "from": NOW, "to": None}),
    ]
    assert len({c.id for _, c in commands}) == 3
    registry.forget(commands[1][0])
    assert registry.take_outbox() == commands[2:]


def test_a_refused_change_leaves_no_command(registry: Registry) -> None:
    first, second = registry.add_patient(), registry.add_patient()
    registry.bind("watch-7", first, start=NOW)
    before = registry.take_outbox()
    with pytest.raises(RegistryRefused):
        registry.bind("watch-7", second, start=None)
    assert registry.take_outbox() == before


def test_unknown_devices_register_up_to_the_limit(registry: Registry) -> None:
    registry.add_patient("by a person")
    assert registry.register(["a", "b", "a"]) == 2
    assert registry.register(["b", "c", "d", "e"]) == 1
    assert registry.patient_at("c", 0) in registry.labels()
    assert registry.patient_at("d", 0) is Reason.DEVICE_UNKNOWN
    assert len(registry.labels()) == 4


def test_another_process_sees_the_change_at_its_next_refresh(
    registry: Registry, tmp_path: Path
) -> None:
    other = Registry(tmp_path / "registry.db", DeviceSettings(), lambda: NOW)
    patient = other.add_patient("Bed 1")
    other.bind("watch-7", patient)
    other.close()
    assert not registry.knows("watch-7")
    registry.refresh()
    assert registry.patient_at("watch-7", NOW) == patient
    assert registry.labels() == {patient: "Bed 1"}


# --- files ------------------------------------------------------------------------------------

TOML = """
[[devices]]
device = "watch-7"
patient = "p-seven"
label = "Bed 7"
from = 2026-11-01T00:00:00Z

[[devices]]
device = "watch-8"
from = "2026-11-01T00:00:00+01:00"
"""
CSV = "device,patient,label,from,to\nwatch-7,p-seven,Bed 7,2026-11-01T00:00:00Z,\nwatch-8,,,,\n"


def test_a_registry_file_is_taken_in_once(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(TOML)
    assert registry.enrol(read_registry_file(file).enrolments) == 2
    labels, bindings = registry.labels(), registry.bindings()
    assert labels["p-seven"] == "Bed 7"
    assert registry.patient_at("watch-8", NOW) != "p-seven"
    assert registry.enrol(read_registry_file(file).enrolments) == 0
    assert (registry.labels(), registry.bindings()) == (labels, bindings)


def test_csv_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text(CSV)
    start = parse_instant("2026-11-01T00:00:00Z")
    assert read_registry_file(file).enrolments == [
        Enrolment("watch-7", "p-seven", "Bed 7", start),
        Enrolment("watch-8"),
    ]


def test_a_file_read_again_does_not_undo_what_was_changed_since(registry: Registry) -> None:
    lines = [Enrolment("watch-7", "p-seven")]
    registry.enrol(lines)
    registry.bind("watch-7", registry.add_patient(), start=NOW)
    bindings = registry.bindings()
    assert registry.enrol(lines) == 0
    assert registry.bindings() == bindings


def test_a_wrong_line_changes_nothing_at_all(registry: Registry) -> None:
    with pytest.raises(RegistryRefused, match="bad id"):
        registry.enrol([Enrolment("watch-7"), Enrolment("bad id")])
    assert (registry.labels(), registry.bindings()) == ({}, [])


@pytest.mark.parametrize(
    ("name", "text", "place", "key"),
    [
        ("a.toml", '[[devices]]\nname = "x"', "devices[0]", "name"),
        ("a.toml", "[[devices]]", "devices[0]", "device"),
        ("a.toml", "[[devices]]\ndevice = 7", "devices[0]", "device"),
        ("a.toml", '[[devices]]\ndevice = "a"\nfrom = 2026-11-01', "devices[0]", "from"),
        ("a.toml", "[[devices]]\ndevice = x", "line 2", ""),
        ("a.toml", "[[devices]]\ndevice = ", "end of document", ""),
        ("a.toml", "[other]", "top level", "other"),
        ("a.csv", "device,from\na,yesterday\n", "line 2", "from"),
        ("a.csv", "device,surname\na,b\n", "line 2", "surname"),
        ("a.csv", "device\na,b\n", "line 2", "more"),
        (
            "a.csv",
            "device,from,to\na,2026-11-02T00:00:00Z,2026-11-01T00:00:00Z\n",
            "line 2",
            "to",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_key(
    tmp_path: Path, name: str, text: str, place: str, key: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(RegistryFileWrong) as refused:
        read_registry_file(file)
    assert (refused.value.place, refused.value.key) == (place, key)
    assert str(file) in str(refused.value)
