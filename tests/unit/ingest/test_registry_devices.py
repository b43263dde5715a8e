"""Models, devices and announcements in the registry, and what the worker is told of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.announcement import Announced, read_announcement
from ingest.decide import decide
from ingest.device_model import DeviceModel, ModelWrong, model_of
from ingest.frames import Delivery
from ingest.instant import HOUR, SECOND, format_instant, parse_instant
from ingest.payload.decoded import Reason, Rejection
from ingest.registry import Registry, RegistryRefused
from ingest.registry_content import Announcement
from ingest.registry_devices import (
    add_device,
    announce,
    announcements,
    clock_lead,
    declare_models,
    retire_device,
)
from ingest.registry_enrolment import enrol_file
from ingest.registry_file import RegistryFileWrong, read_registry_file
from ingest.settings import DeviceSettings, IngestSettings

NOW = parse_instant("2026-11-25T12:00:00Z")
BAND = DeviceModel(
    name="band-2",
    regulatory="wellness",
    live=True,
    delay_s=30,
    expected_interval_s={"heart_rate": 5},
    noise_std={"heart_rate": 2.5},
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(tmp_path / "registry.db", DeviceSettings(), lambda: NOW)
    registry.add_patient(patient="p-1")
    registry.add_patient(patient="p-2")
    yield registry
    registry.close()


def told(registry: Registry, kind: str = "device") -> list[dict[str, Any]]:
    """Bodies, and whom they are about, of the commands that wait for the journal."""
    waiting = registry.take_outbox()
    registry.forget(waiting[-1][0] if waiting else 0)
    return [{**c.body, "about": c.patient, "by": c.actor} for _, c in waiting if c.kind == kind]


def test_a_device_may_be_registered_before_it_is_heard(registry: Registry) -> None:
    declare_models(registry, [BAND], "file")
    add_device(registry, "watch-7", "band-2", serial="S1", actor="anna")
    assert registry.knows("watch-7")
    assert registry.patient_at("watch-7", NOW) is Reason.DEVICE_UNBOUND
    assert told(registry) == []  # it is on nobody: no worker needs it
    registry.bind("watch-7", "p-1", actor="anna")
    (body,) = told(registry)
    assert body == {
        "device": "watch-7",
        "model": "band-2",
        "regulatory": "wellness",
        "live": True,
        "delay_s": 30.0,
        "expected_interval_s": {"heart_rate": 5.0},
        "noise_std": {"heart_rate": 2.5},
        "bias_std": {},
        "stamp_unit": None,
        "stamp_zone": "",
        "firmware": "",
        "serial": "S1",
        "clock_offset_s": 0.0,
        "about": "p-1",
        "by": "anna",
    }


def test_a_changed_model_is_told_of_every_device_of_it_that_is_on_somebody(
    registry: Registry,
) -> None:
    declare_models(registry, [BAND], "file")
    for device, patient in (("a", "p-1"), ("b", "p-2"), ("c", None)):
        add_device(registry, device, "band-2")
        if patient:
            registry.bind(device, patient)
    told(registry)
    assert declare_models(registry, [BAND], "file") == 0
    assert told(registry) == []
    assert declare_models(registry, [DeviceModel(name="band-2", delay_s=5)], "file") == 1
    assert [(b["device"], b["about"], b["delay_s"]) for b in told(registry)] == [
        ("a", "p-1", 5.0),
        ("b", "p-2", 5.0),
    ]


def test_a_new_patient_of_a_device_is_told_its_model_and_the_old_one_no_more(
    registry: Registry,
) -> None:
    declare_models(registry, [BAND], "file")
    add_device(registry, "a", "band-2")
    registry.bind("a", "p-1")
    registry.bind("a", "p-2", start=NOW)
    told(registry)
    add_device(registry, "a", firmware="2.0")
    assert [(b["about"], b["firmware"]) for b in told(registry)] == [("p-2", "2.0")]


def test_noise_of_the_model_goes_into_rows_where_the_device_says_none(registry: Registry) -> None:
    declare_models(registry, [BAND], "file")
    add_device(registry, "a", "band-2")
    registry.bind("a", "p-1")
    payload = b'{"time":"%s","values":{"heart_rate":72,"spo2":97}}' % format_instant(NOW).encode()
    message = Delivery("twin/v1/a/telemetry", payload, NOW, 1, 1)
    (decision,) = decide([message], registry, IngestSettings())
    noise = {o.signal: o.noise_std for o in decision.observations}
    assert noise["heart_rate"] == 2.5
    assert noise["spo2"] != noise["spo2"]


def test_a_retired_device_is_on_nobody_and_is_not_bound_until_it_is_added_again(
    registry: Registry,
) -> None:
    registry.bind("a", "p-1", start=NOW - HOUR)
    retire_device(registry, "a", "anna")
    assert registry.patient_at("a", NOW) is Reason.DEVICE_UNBOUND
    assert registry.patient_at("a", NOW - SECOND) == "p-1"
    with pytest.raises(RegistryRefused, match="retired"):
        registry.bind("a", "p-2", start=NOW)
    add_device(registry, "a")
    registry.bind("a", "p-2", start=NOW)
    with pytest.raises(RegistryRefused, match="stranger: is not a registered device"):
        retire_device(registry, "stranger")


def test_what_cannot_be_is_refused(registry: Registry) -> None:
    with pytest.raises(RegistryRefused, match="band-9: is not a declared model; declared: none"):
        add_device(registry, "a", "band-9")
    with pytest.raises(RegistryRefused, match="device id"):
        add_device(registry, "a b")
    with pytest.raises(RegistryRefused, match="at most 64"):
        add_device(registry, "a", serial="x" * 65)


@pytest.mark.parametrize(
    ("table", "key", "expected"),
    [
        ({}, "models", "a name"),
        ({"name": ""}, "name", "1–64 printable"),
        ({"name": "m", "colour": 1}, "models", "one of name, maker"),
        ({"name": "m", "regulatory": "fda"}, "regulatory", '"ce", "wellness" or "research"'),
        ({"name": "m", "delay_s": -1}, "delay_s", "0 to 86400"),
        ({"name": "m", "live": "yes"}, "live", "bool"),
        ({"name": "m", "noise_std": {"pulse": 1}}, "noise_std.pulse", "a signal's code"),
        ({"name": "m", "noise_std": {"spo2": 0}}, "noise_std.spo2", "a number above 0"),
        ({"name": "m", "stamp_unit": "min"}, "stamp_unit", '"s", "ms", "us" or "ns"'),
        ({"name": "m", "stamp_unit": 1000}, "stamp_unit", '"s", "ms", "us" or "ns"'),
        ({"name": "m", "stamp_zone": "Paris"}, "stamp_zone", "or a name like Europe/Paris"),
        ({"name": "m", "stamp_zone": "+25:00"}, "stamp_zone", "an offset like +02:00"),
        ({"name": "m", "stamp_zone": "../zone"}, "stamp_zone", "an offset like +02:00"),
    ],
)
def test_a_model_that_cannot_be_used_says_which_key(
    table: dict[str, object], key: str, expected: str
) -> None:
    with pytest.raises(ModelWrong) as wrong:
        model_of(table)
    assert wrong.value.key == key
    assert expected in wrong.value.expected


def test_a_registry_file_declares_models_and_says_which_device_is_one(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(
        '[[models]]\nname = "band-2"\nnoise_std = {heart_rate = 2}\n'
        '[[devices]]\ndevice = "a"\npatient = "p-1"\nmodel = "band-2"\nfirmware = "1.4"\n'
    )
    assert enrol_file(registry, read_registry_file(file)).changed == 3
    assert enrol_file(registry, read_registry_file(file)).changed == 0
    assert registry.noise_std("a") == {"heart_rate": 2.0}
    assert [(b["about"], b["firmware"]) for b in told(registry)] == [("p-1", "1.4")]
    file.write_text('[[models]]\nname = "band-2"\nstamp_zone = "Paris"\n')
    with pytest.raises(RegistryFileWrong, match=r"models\[0\], stamp_zone: expected a zone"):
        read_registry_file(file)
    file.write_text('[[models]]\nname = "band-2"\nlive = 3\n')
    with pytest.raises(RegistryFileWrong, match=r"models\[0\], live: expected bool"):
        read_registry_file(file)


def test_a_clock_that_is_declared_to_be_ahead_is_mended_and_its_stamp_is_kept(
    registry: Registry, tmp_path: Path
) -> None:
    nine = 9 * HOUR
    registry.bind("phone", "p-1", NOW - 10 * HOUR, NOW - HOUR)
    registry.bind("phone", "p-2", NOW - HOUR)
    payload = b'{"time":"%s","values":{"heart_rate":72}}' % format_instant(NOW + nine).encode()
    message = Delivery("twin/v1/phone/telemetry", payload, NOW + SECOND, 1, 1)
    (wrong,) = decide([message], registry, IngestSettings())
    assert [each.reason for each in wrong.rejections] == [Reason.FUTURE]
    file = tmp_path / "devices.csv"
    file.write_text("device,patient,from,clock_offset_s\nphone,p-2,2026-11-25T11:00:00Z,32400\n")
    assert enrol_file(registry, read_registry_file(file)).changed == 1
    (mended,) = decide([message], registry, IngestSettings())
    (observation,) = mended.observations
    assert observation.measured_at == NOW
    assert observation.device_stamp == NOW + nine
    assert observation.patient == "p-2"
    late = message._replace(received_at=NOW + 401 * 24 * HOUR)
    (ancient,) = decide([late], registry, IngestSettings())
    assert [each.reason for each in ancient.rejections] == [Reason.ANCIENT]
    file.write_text("device,clock_offset_s\nphone,soon\n")
    with pytest.raises(RegistryFileWrong, match="clock_offset_s: expected a number of seconds"):
        read_registry_file(file)
    with pytest.raises(RegistryRefused, match="two days"):
        add_device(registry, "phone", clock_offset=3 * 24 * HOUR)
    for seconds in (1e300, -1e300, float("nan"), float("inf"), 172_801.0):
        with pytest.raises(RegistryRefused, match="two days"):
            clock_lead("phone", seconds)
    file.write_text("device,clock_offset_s\nphone,1e300\n")
    with pytest.raises(RegistryRefused, match="phone: a clock that is more than two days wrong"):
        enrol_file(registry, read_registry_file(file))


def said(device: str, at: int = NOW, **texts: str) -> Announcement:
    known = {"model": "", "firmware": "", "serial": ""} | texts
    return Announcement(device, f"twin/v1/{device}/announce", **known, since=at, last_at=at)


def test_an_unknown_device_that_announces_itself_waits_with_what_it_said(
    registry: Registry,
) -> None:
    declare_models(registry, [BAND], "file")
    announce(registry, [said("new", model="band-2", firmware="1.0", serial="S9")])
    announce(registry, [said("new", NOW + HOUR, model="band-2", firmware="1.1", serial="S9")])
    (waiting,) = announcements(registry)
    assert (waiting.device, waiting.firmware) == ("new", "1.1")
    assert (waiting.since, waiting.last_at) == (NOW, NOW + HOUR)
    assert not registry.knows("new")
    made = add_device(registry, "new")
    assert (made.model, made.firmware, made.serial) == ("band-2", "1.1", "S9")
    assert announcements(registry) == []


def test_what_is_announced_again_changes_nothing_that_others_keep(registry: Registry) -> None:
    add_device(registry, "a", firmware="2.0")
    announce(registry, [said("new", firmware="1.0")])
    content = registry.content
    announce(registry, [said("a", firmware="2.0"), said("new", NOW + SECOND, firmware="1.0")])
    assert announcements(registry)[0].last_at == NOW
    assert registry.content is content


def test_a_known_device_says_its_firmware_but_not_another_model(registry: Registry) -> None:
    declare_models(registry, [BAND, DeviceModel(name="other")], "file")
    add_device(registry, "a", "other")
    registry.bind("a", "p-1")
    told(registry)
    announce(registry, [said("a", model="band-2", firmware="2.0")])
    announce(registry, [said("a", model="band-2", firmware="2.0")])
    assert [(b["model"], b["firmware"], b["by"]) for b in told(registry)] == [
        ("other", "2.0", "device")
    ]
    assert announcements(registry) == []


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (b"", ""),
        (b"[1]", ""),
        (b'{"model": 3}', ""),
        (b'{"serial": "%s"}' % (b"x" * 65), "serial"),
        (b'{"firmware": "a\\nb"}', "firmware"),
        (b" " * 5_000, ""),
    ],
)
def test_an_announcement_that_cannot_be_read_is_refused_with_its_place(
    payload: bytes, path: str
) -> None:
    refused = read_announcement(payload)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.path) == (Reason.ANNOUNCEMENT_UNREADABLE, path)


def test_an_announcement_keeps_its_three_texts_and_nothing_else() -> None:
    payload = b'{"model": "band-2", "firmware": "1.4", "gps": [48.1, -1.6]}'
    assert read_announcement(payload) == Announced("band-2", "1.4")
