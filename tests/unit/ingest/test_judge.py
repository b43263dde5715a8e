"""What one message, the registry and the catalogue decide."""

import json
from collections.abc import Mapping
from random import Random

import pytest

from ingest.instant import DAY, MINUTE, SECOND, parse_instant
from ingest.judge import bind, judge, read
from ingest.observation import DeviceId, PatientId
from ingest.payload.decoded import Reason, Rejection, Sample
from ingest.screen import screen
from ingest.settings import DeviceSettings, IngestSettings, ScreenSettings
from ingest.topic import telemetry_topic
from tests.support.payloads import DOCUMENTS, mutated
from tests.support.sparkplug import payload as sparkplug

NOON = "2026-11-25T12:00:00Z"
NOW = parse_instant(NOON)
SETTINGS = IngestSettings(devices=DeviceSettings(gateways=frozenset({"gw1"})))
WATCH = DeviceId("watch-7")
SOMEBODY = PatientId("p-1")


class OnePatient:
    """Everybody's devices are on the same patient, or on nobody for a reason."""

    def __init__(self, answer: PatientId | Reason = SOMEBODY) -> None:
        self._answer = answer

    def patient_at(self, device: str, stamp: int) -> PatientId | Reason:
        return self._answer

    def refusal(self, patient: str, signal: str, stamp: int) -> Reason | None:
        return None

    def noise_std(self, device: str) -> Mapping[str, float]:
        return {}


def message(**fields: object) -> bytes:
    return json.dumps({"time": NOON, "values": {"heart_rate": 72}} | fields).encode()


def reasons(topic: str, payload: bytes, received_at: int = NOW) -> list[Reason]:
    return [r.reason for r in read(topic, payload, received_at, SETTINGS).rejections]


# --- one message ------------------------------------------------------------------------------


def test_a_payload_that_names_another_device_is_refused_whole() -> None:
    topic = "twin/v1/watch-7/telemetry"
    assert reasons(topic, message(device="watch-7")) == []
    assert reasons(topic, message(device="watch-8")) == [Reason.IDENTITY_MISMATCH]
    assert not read(topic, message(device="watch-8"), NOW, SETTINGS).measured
    gateway = "twin/v1/gw1/watch-7/telemetry"
    assert reasons(gateway, message(device="watch-7")) == []
    assert reasons(gateway, message(device="gw1/watch-7")) == []


def test_a_payload_over_the_limit_is_refused_by_size() -> None:
    reading = read(telemetry_topic("watch-7"), b"x" * (256 * 1024 + 1), NOW, SETTINGS)
    rejection = reading.rejections[0]
    assert rejection.reason is Reason.PAYLOAD_TOO_LARGE
    assert rejection.got == "262145 bytes"


def test_a_status_is_online_or_offline() -> None:
    topic = "twin/v1/watch-7/status"
    for payload in (b"online", b"offline", b""):
        reading = read(topic, payload, NOW, SETTINGS)
        assert (reading.telemetry, reading.rejections) == (False, [])
    assert reasons(topic, b"\xffsleeping") == [Reason.STATUS_UNREADABLE]


def test_our_own_refusals_are_not_read() -> None:
    reading = read("twin/v1/watch-7/refused", b"\xff", NOW, SETTINGS)
    assert (reading.telemetry, reading.rejections, reading.measured) == (False, [], [])


def test_an_observation_carries_both_times_and_the_devices_own_numbers() -> None:
    payload = message(sequence=4, boot="b", quality={"heart_rate": 0.9})
    reading = read(telemetry_topic(WATCH), payload, NOW + SECOND, SETTINGS)
    observations, rejections = bind(reading, OnePatient(), NOW + SECOND, Reason.DEVICE_UNKNOWN)
    (observation,) = observations
    assert not rejections
    assert (observation.patient, observation.device, observation.signal) == (
        "p-1",
        "watch-7",
        "heart_rate",
    )
    assert (observation.measured_at, observation.device_stamp) == (NOW, NOW)
    assert observation.received_at == NOW + SECOND
    assert (observation.device_sequence, observation.quality) == (4, 0.9)
    assert observation.boot != 0


def test_whose_it_is_not_known_refuses_all_samples_once() -> None:
    payload = message(values={"heart_rate": 72, "spo2": 97, "glucose": -1})
    reading = read(telemetry_topic(WATCH), payload, NOW, SETTINGS)
    bindings = OnePatient(Reason.DEVICE_UNKNOWN)
    observations, rejections = bind(reading, bindings, NOW, Reason.DEMO_FULL)
    assert not observations
    assert [(r.reason, r.samples) for r in rejections] == [
        (Reason.VALUE_OUT_OF_RANGE, 1),
        (Reason.DEMO_FULL, 2),
    ]


# --- screen -----------------------------------------------------------------------------------


def sample(signal: str, value: float, unit: str | None = None, stamp: int = NOW) -> Sample:
    return Sample(signal, value, unit, stamp)


@pytest.mark.parametrize(
    ("signal", "value", "unit", "canonical"),
    [
        ("heart_rate", 72, None, 72.0),
        ("heart_rate", 72, "{beats}/min", 72.0),
        ("glucose", 5.5, "mmol/L", 99.088),
        ("body_temperature", 98.6, "[degF]", 37.0),
        ("body_temperature", 310.15, "K", 37.0),
        ("systolic_bp", 16, "kPa", 120.00986128),
        ("spo2", 0.97, "1", 97.0),
        ("hrv_rmssd", 0.04, "s", 40.0),
    ],
)
def test_units_become_canonical(
    signal: str, value: float, unit: str | None, canonical: float
) -> None:
    found = screen(sample(signal, value, unit), NOW, NOW, ScreenSettings())
    assert found == pytest.approx(canonical)


@pytest.mark.parametrize(
    ("signal", "value", "unit", "reason", "path"),
    [
        ("heartrate", 72, None, Reason.SIGNAL_UNKNOWN, "values.heartrate"),
        ("heart_rate", 72, "bpm", Reason.UNIT_UNKNOWN, "units.heart_rate"),
        ("heart_rate", 72, "", Reason.UNIT_UNKNOWN, "units.heart_rate"),
        ("heart_rate", 14.9, None, Reason.VALUE_OUT_OF_RANGE, "values.heart_rate"),
        ("spo2", 100.1, None, Reason.VALUE_OUT_OF_RANGE, "values.spo2"),
        ("body_temperature", 37, "[degF]", Reason.VALUE_OUT_OF_RANGE, "values.body_temperature"),
        ("spo2", float("nan"), None, Reason.VALUE_NOT_A_NUMBER, "values.spo2"),
    ],
)
def test_what_no_sensor_of_a_living_person_shows_is_refused(
    signal: str, value: float, unit: str | None, reason: Reason, path: str
) -> None:
    rejection = screen(sample(signal, value, unit), NOW, NOW, ScreenSettings())
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.path, rejection.signal) == (reason, path, signal)
    assert rejection.expected


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        (NOW + 5 * MINUTE, None),
        (NOW + 5 * MINUTE + 1, Reason.FUTURE),
        (NOW - 400 * DAY, None),
        (NOW - 400 * DAY - 1, Reason.ANCIENT),
    ],
)
def test_a_stamp_that_cannot_be_a_time_of_measurement_is_refused(
    stamp: int, reason: Reason | None
) -> None:
    answer = screen(sample("spo2", 97, stamp=stamp), stamp, NOW, ScreenSettings())
    assert (answer.reason if isinstance(answer, Rejection) else None) is reason
    assert screen(sample("spo2", 97, stamp=stamp), stamp, None, ScreenSettings()) == 97


# --- twin decode ------------------------------------------------------------------------------


def test_judge_gives_a_line_for_each_observation_and_each_refusal() -> None:
    payload = message(
        values={"glucose": 5.0, "spo2": 5}, units={"glucose": "mmol/L"}, quality={"glucose": 1}
    )
    assert judge(payload) == [
        {
            "signal": "glucose",
            "value": pytest.approx(90.08),
            "unit": "mg/dL",
            "measured_at": "2026-11-25T12:00:00.000000000Z",
            "quality": 1.0,
            "path": "values.glucose",
        },
        {
            "reason": "value_out_of_range",
            "path": "values.spo2",
            "expected": "30 to 100 %",
            "got": "5.0 %",
            "signal": "spo2",
        },
    ]


def test_judge_knows_an_age_only_when_it_is_told_the_time() -> None:
    assert "signal" in judge(message())[0]
    assert "reason" not in judge(message())[0]
    assert judge(message(), now=NOW - 60 * MINUTE)[0]["reason"] == "future"


def test_judge_takes_the_topic_into_account_where_it_is_given() -> None:
    assert judge(message(device="b"), topic="twin/v1/a/telemetry")[0]["reason"] == (
        "identity_mismatch"
    )
    assert judge(message(), topic="twin/v1/a b/telemetry")[0]["reason"] == "topic_unknown"
    assert judge(b"online", topic="twin/v1/a/status") == []


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["watch-7/spo2", "watch-7/spo2"], []),
        (["watch-8/spo2", "watch-7/spo2"], ["[0].n"]),
        (["spo2", "gw/watch-7/spo2"], ["[1].n"]),
        (["urn:dev:ow:1:spo2", "urn:dev:ow:1:x:spo2"], []),
        (["urn:dev:ow:1:spo2", "urn:dev:ow:2:spo2"], ["[1].n"]),
        (["2001:db8::2/spo2", "urn:dev:ow:1:spo2", "watch-7/spo2"], ["[1].n"]),
    ],
)
def test_a_value_that_names_another_device_is_refused_alone(
    names: list[str], refused: list[str]
) -> None:
    pack = [{"n": name, "v": 97, "t": 1_795_000_000} for name in names]
    lines = judge(json.dumps(pack).encode(), "senml", "twin/v1/watch-7/telemetry")
    assert [line["path"] for line in lines if "reason" in line] == refused
    assert all(line.get("reason", "identity_mismatch") == "identity_mismatch" for line in lines)
    assert len(lines) == len(names)
    without_topic = judge(json.dumps(pack).encode(), "senml")
    assert not any("reason" in line for line in without_topic)


@pytest.mark.parametrize("state", [{}, {"n": "battery", "vb": True}])
def test_another_device_is_told_of_at_the_name_that_names_it(state: dict[str, object]) -> None:
    time = {"t": 1_795_000_000}
    pack = [
        {"bn": "watch-7/"},
        {"n": "spo2", "v": 97, **time},
        state,
        {"bn": "watch-8/", "n": "spo2", "v": 97, **time},
        {"n": "heart_rate", "v": 70, **time},
        {"bn": "watch-", "n": "9/heart_rate", "v": 70, **time},
    ]
    lines = judge(json.dumps(pack).encode(), "senml", "twin/v1/watch-7/telemetry")
    told = [line for line in lines if line.get("reason") == "identity_mismatch"]
    assert [(line["path"], line["got"]) for line in told] == [
        ("[3].bn", "watch-8"),
        ("[5].n", "watch-9"),
    ]


def test_a_value_of_a_date_is_a_line_with_its_precision() -> None:
    fhir = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-11-25",
        "valueQuantity": {"value": 72, "system": "http://unitsofmeasure.org", "code": "/min"},
    }
    (line,) = judge(json.dumps(fhir).encode(), "fhir")
    assert line == {
        "signal": "heart_rate",
        "value": 72.0,
        "unit": "/min",
        "measured_at": "2026-11-25",
        "precision": "day",
        "path": "valueQuantity.value",
    }


@pytest.mark.parametrize(
    ("when", "reason", "path"),
    [
        ({"effectiveDateTime": "2026-11-25"}, Reason.TIME_IMPRECISE, "effectiveDateTime"),
        (
            {"effectivePeriod": {"start": "2026-11-25T11:00:00Z"}},
            Reason.STATISTIC,
            "effectivePeriod",
        ),
    ],
)
def test_live_a_value_of_no_instant_goes_to_quarantine_and_to_no_filter(
    when: dict[str, object], reason: Reason, path: str
) -> None:
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "valueQuantity": {"value": 72, "system": "http://unitsofmeasure.org", "code": "/min"},
        **when,
    }
    reading = read("twin/v1/watch-7/fhir", json.dumps(observation).encode(), NOW, SETTINGS)
    observations, rejections = bind(reading, OnePatient(), NOW, Reason.DEVICE_UNKNOWN)
    assert observations == []
    assert [(r.reason, r.path) for r in rejections] == [(reason, path)]


@pytest.mark.parametrize("form", DOCUMENTS)
def test_nothing_of_a_payload_enters_a_log(form: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0):
        for seed in range(50):
            text = json.dumps(DOCUMENTS[form]).replace("watch-7", "secret-7")
            judge(text.encode(), form)
            judge(mutated(form, Random(seed)), form, now=NOW)
        judge(b'{"time":1,"values":{"spo2":1},"units":{"spo2":"secret-7"}}', form)
    assert not [each for each in caplog.records if each.name.startswith("ingest")]
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        ("native", b'{"time":"2026-11-25T12:00:00Z","values":{}}'),
        ("native", b'{"times":["2026-11-25T12:00:00Z"],"values":{"spo2":[null]},"sequence":4}'),
        ("senml", b"[]"),
        ("senml", b'[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1795600000}]'),
        ("senml-cbor", b"\x80"),
        ("ieee1752", b"[]"),
    ],
)
def test_a_message_that_holds_nothing_is_refused_for_that(form: str, payload: bytes) -> None:
    topic = f"twin/v1/watch-7/{'telemetry' if form == 'native' else form}"
    (rejection,) = read(topic, payload, NOW, IngestSettings()).rejections
    assert rejection.reason is Reason.EMPTY
    (line,) = judge(payload, form)
    assert line["reason"] == "empty"


@pytest.mark.parametrize("more", [b'"battery":0.5', b'"contact":true', b'"firmware":"1.2"'])
def test_a_message_that_holds_no_value_but_something_else_is_not_refused(more: bytes) -> None:
    payload = b'{"time":"2026-11-25T12:00:00Z","values":{},' + more + b"}"
    assert read("twin/v1/watch-7/telemetry", payload, NOW, IngestSettings()).rejections == []
    assert judge(payload) == []


def test_a_birth_and_a_death_need_hold_nothing_and_data_must() -> None:
    def reasons(part: str) -> list[Reason]:
        topic = f"spBv1.0/ward/{part}/gw/watch"
        return [each.reason for each in read(topic, sparkplug(), NOW, IngestSettings()).rejections]

    assert (reasons("DBIRTH"), reasons("DDEATH"), reasons("DDATA")) == ([], [], [Reason.EMPTY])
