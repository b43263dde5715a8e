"""Stamps of devices that are declared to write them wrongly: what they mean, in every format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decide import decide
from ingest.device_model import DeviceModel
from ingest.frames import Delivery
from ingest.instant import HOUR, MILLISECOND, MINUTE, SECOND, format_instant, parse_instant
from ingest.observation import Observation
from ingest.payload.decoded import Reason, Rejection
from ingest.registry import Registry
from ingest.registry_devices import add_device, declare_models
from ingest.routes import Routes
from ingest.settings import DeviceSettings, IngestSettings
from ingest.stamping import AS_SAID, UNITS, Stamping, Unit, likeness, zone_of
from tests.support.sparkplug import double, payload
from twin.config_mapping import MappingTable

NOW = parse_instant("2026-11-25T08:00:00Z")
PARIS = "Europe/Paris"
RULE = MappingTable.model_validate(
    {
        "name": "acme",
        "topic": "acme/{gateway}",
        "time": {"path": "ts", "unit": "s"},
        "device_path": "id",
        "fields": [{"signal": "heart_rate", "path": "hr"}],
    }
).rule()
SETTINGS = IngestSettings(
    devices=DeviceSettings(gateways=frozenset({"gw"})), routes=Routes((), [RULE])
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(tmp_path / "registry.db", SETTINGS.devices, lambda: NOW)
    registry.add_patient(patient="p-1")
    yield registry
    registry.close()


def declared(registry: Registry, unit: Unit | None = None, zone: str = "", ahead: int = 0) -> None:
    """All devices of these tests are of a model with such stamps."""
    declare_models(registry, [DeviceModel(name="m", stamp_unit=unit, stamp_zone=zone)], "file")
    for device in ("d", "gw/d", "G/N/d"):
        add_device(registry, device, "m", clock_offset=ahead)
        registry.bind(device, "p-1")


def received(registry: Registry, topic: str, message: bytes, at: int = NOW) -> object:
    """The only observation of a message, or the only refusal."""
    (decision,) = decide([Delivery(topic, message, at, 1, 1)], registry, SETTINGS)
    (found,) = (*decision.observations, *decision.rejections)
    return found


def native(time: object) -> tuple[str, bytes]:
    said = {"time": time, "values": {"heart_rate": 70}}
    return "twin/v1/d/telemetry", json.dumps(said).encode()


def senml(time: int | float) -> tuple[str, bytes]:
    pack = [{"bt": time, "bn": ""}, {"n": "heart_rate", "v": 70}]
    return "twin/v1/d/senml", json.dumps(pack).encode()


def senml_cbor(time: int | float) -> tuple[str, bytes]:
    return "twin/v1/d/senml-cbor", cbor2.dumps([{0: "heart_rate", 2: 70, 6: time}])


def sparkplug(time: int) -> tuple[str, bytes]:
    return "spBv1.0/G/DBIRTH/N/d", payload(double("heart_rate", 70), timestamp=time, seq=1)


def mapped(time: int | float) -> tuple[str, bytes]:
    return "acme/gw", json.dumps({"id": "d", "ts": time, "hr": 70}).encode()


NUMBERED = {
    "native": native,
    "senml": senml,
    "senml-cbor": senml_cbor,
    "sparkplug": sparkplug,
    "mapped": mapped,
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", NUMBERED)
def test_numbers_are_read_in_the_unit_that_the_model_declares(
    registry: Registry, form: str, unit: Unit
) -> None:
    message = NUMBERED[form](NOW // UNITS[unit])
    declared(registry, unit)
    found = received(registry, *message)
    assert isinstance(found, Observation)
    assert (found.measured_at, found.device_stamp) == (NOW, NOW)


@pytest.mark.parametrize(
    ("form", "unit", "reason"),
    [
        ("native", "s", Reason.ANCIENT),
        ("native", "us", Reason.TIME_UNREADABLE),
        ("native", "ns", Reason.TIME_UNREADABLE),
        ("senml", "ms", Reason.TIME_UNREADABLE),
        ("senml", "us", Reason.TIME_UNREADABLE),
        ("senml-cbor", "ns", Reason.TIME_UNREADABLE),
        ("sparkplug", "s", Reason.ANCIENT),
        ("sparkplug", "ns", Reason.TIME_UNREADABLE),
        ("mapped", "ms", Reason.TIME_UNREADABLE),
    ],
)
def test_another_unit_that_nobody_declared_is_refused_and_says_how_to_declare_it(
    registry: Registry, form: str, unit: Unit, reason: Reason
) -> None:
    message = NUMBERED[form](NOW // UNITS[unit])
    declared(registry)
    refused = received(registry, *message)
    assert isinstance(refused, Rejection)
    assert refused.reason is reason
    assert refused.expected.endswith(f'stamp_unit = "{unit}" of the device\'s model')
    declared(registry, unit)
    assert isinstance(received(registry, *message), Observation)


def test_a_unit_that_is_declared_and_not_kept_is_refused_by_its_own_name(
    registry: Registry,
) -> None:
    declared(registry, "s")  # and new firmware does it right
    refused = received(registry, *native(NOW // MILLISECOND))
    assert isinstance(refused, Rejection)
    assert refused.expected.startswith("epoch seconds of the years 1678 to 2262; it looks like mil")


def test_a_declared_unit_says_nothing_of_times_that_are_texts(registry: Registry) -> None:
    declared(registry, "s")
    found = received(registry, *native(format_instant(NOW)))
    assert isinstance(found, Observation)
    assert found.measured_at == NOW


def test_fractions_are_read_where_a_unit_is_declared(registry: Registry) -> None:
    assert isinstance(received(registry, *native(NOW / SECOND)), Rejection)
    declared(registry, "s")
    found = received(registry, *native(NOW // SECOND + 0.25))
    assert isinstance(found, Observation)
    assert found.measured_at == NOW + SECOND // 4
    for wrong in (float("nan"), float("inf"), 1e300):
        refused = received(registry, *native(wrong))
        assert isinstance(refused, Rejection)
        assert refused.reason in (Reason.TIME_UNREADABLE, Reason.UNDECODABLE)


@pytest.mark.parametrize("form", ["native", "senml", "mapped"])
@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "9" * 4000, "9" * 6000])
def test_a_whole_number_of_any_length_is_refused_as_a_time(
    registry: Registry, form: str, number: str
) -> None:
    declared(registry)
    topic, message = NUMBERED[form](1234567)
    refused = received(registry, topic, message.replace(b"1234567", number.encode()))
    assert isinstance(refused, Rejection)
    reasons = Reason.TIME_UNREADABLE, Reason.FIELD_TYPE, Reason.UNDECODABLE
    assert refused.reason in (*reasons, Reason.TIME_RELATIVE)


def test_the_unit_of_the_format_costs_nothing_and_changes_nothing(registry: Registry) -> None:
    declared(registry, "ms")
    assert registry.settled("d") is not None
    declared(registry, "s")
    assert registry.settled("d") is None


@pytest.mark.parametrize("form", ["native", "senml", "sparkplug", "mapped", "fhir", "ieee1752"])
def test_a_wall_clock_sent_as_utc_is_placed_in_its_zone_and_kept_as_said(
    registry: Registry, form: str
) -> None:
    wall = NOW + HOUR  # Paris in November
    declared(registry, zone=PARIS)
    numbers = {"native": wall // MILLISECOND, "sparkplug": wall // MILLISECOND}
    if form in NUMBERED:
        topic, message = NUMBERED[form](numbers.get(form, wall // SECOND))
    else:
        topic = f"twin/v1/d/{form}"
        document = {
            "fhir": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                "effectiveDateTime": format_instant(wall),
                "valueQuantity": {
                    "value": 70,
                    "system": "http://unitsofmeasure.org",
                    "code": "/min",
                },
            },
            "ieee1752": {
                "heart_rate": {"value": 70, "unit": "beats/min"},
                "effective_time_frame": {"date_time": format_instant(wall)},
            },
        }[form]
        message = json.dumps(document).encode()
    found = received(registry, topic, message)
    assert isinstance(found, Observation)
    assert (found.measured_at, found.device_stamp) == (NOW, wall)


def test_summer_time_is_the_zones_and_an_hour_shown_twice_is_not_guessed(
    registry: Registry,
) -> None:
    declared(registry, zone=PARIS)
    summer = parse_instant("2026-07-01T12:00:00Z")
    found = received(registry, *native(format_instant(summer + 2 * HOUR)), summer)
    assert isinstance(found, Observation)
    assert found.measured_at == summer
    twice = parse_instant("2026-10-25T02:30:00Z")
    refused = received(registry, *native(format_instant(twice)), twice)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.path) == (Reason.TIME_UNREADABLE, "time")
    assert refused.expected == "a time that the wall clock of its zone shows once"


def test_zone_unit_and_lead_are_mended_together(registry: Registry) -> None:
    declared(registry, "s", "+05:45", 7 * SECOND)
    stamp = NOW + 5 * HOUR + 45 * MINUTE + 7 * SECOND
    found = received(registry, *native(stamp // SECOND))
    assert isinstance(found, Observation)
    assert (found.measured_at, found.device_stamp) == (NOW, stamp)


def test_a_lead_that_is_declared_of_a_sparkplug_device_is_taken_off(registry: Registry) -> None:
    declared(registry, ahead=9 * HOUR)
    found = received(registry, *sparkplug((NOW + 9 * HOUR) // MILLISECOND))
    assert isinstance(found, Observation)
    assert found.measured_at == NOW


def test_statistics_are_kept_by_the_declared_clock_too(registry: Registry) -> None:
    declared(registry, ahead=9 * HOUR)
    interval = {"time_interval": {"start_date_time": format_instant(NOW)}}
    interval["time_interval"]["end_date_time"] = format_instant(NOW + 9 * HOUR)
    body = {
        "heart_rate": {"value": 70, "unit": "beats/min"},
        "effective_time_frame": interval,
        "descriptive_statistic": "average",
    }
    refused = received(registry, "twin/v1/d/ieee1752", json.dumps(body).encode())
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.STATISTIC  # for what it is, not for its time


@given(
    st.integers(-(2**62), 2**62),
    st.sampled_from([None, zone_of("+09:00"), zone_of(PARIS)]),
    st.integers(-HOUR, HOUR),
)
def test_two_stamps_never_mean_one_instant(stamp: int, zone: object, ahead: int) -> None:
    stamping = Stamping(None, zone, ahead)  # type: ignore[arg-type]
    try:
        first, second = stamping.instant(stamp), stamping.instant(stamp + 1)
    except ValueError:
        return  # an hour that is shown twice, or never
    assert second == first + 1
    assert AS_SAID.instant(stamp) == stamp


def test_what_a_stamp_looks_like_is_named_only_where_it_is_clear() -> None:
    assert likeness(NOW - HOUR, NOW, "ms") is None
    assert likeness(NOW + 9 * HOUR, NOW, "ms") == (
        "9 h ahead: zone?",
        "a clock in another zone: clock_offset_s = 32400 of the device, or stamp_zone of its model",
    )
