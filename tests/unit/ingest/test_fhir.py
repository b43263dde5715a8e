"""FHIR R4 Observations and Bundles: what is read, what is kept, and what is refused and why."""

import json
from typing import Any

import pytest

from ingest.instant import parse_instant
from ingest.payload.decoded import Decoded, Reason, Rejection
from ingest.payload.fhir import decode
from ingest.payload.loinc import SIGNAL_OF

NOON = "2026-11-25T12:00:00Z"
NOON_NS = parse_instant(NOON)
UCUM = "http://unitsofmeasure.org"


def coded(*codes: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def quantity(value: Any, code: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "unit": "as people say", "system": UCUM, "code": code, **more}


def observation(**fields: Any) -> dict[str, Any]:
    """A heart rate of 72 at noon, with the fields given; None takes one away."""
    made = {
        "resourceType": "Observation",
        "status": "final",
        "code": coded("8867-4"),
        "effectiveDateTime": NOON,
        "valueQuantity": quantity(72, "/min"),
        **fields,
    }
    return {key: value for key, value in made.items() if value is not None}


def read(**fields: Any) -> Decoded:
    return decode(json.dumps(observation(**fields)).encode())


def only(decoded: Decoded) -> Rejection:
    assert len(decoded.rejections) == 1, decoded.rejections
    return decoded.rejections[0]


def test_an_observation_is_a_sample() -> None:
    decoded = read(device={"reference": "Device/watch-7"})
    (sample,) = decoded.samples
    assert (sample.signal, sample.value, sample.unit, sample.stamp) == (
        "heart_rate",
        72.0,
        "/min",
        NOON_NS,
    )
    assert sample.path == "valueQuantity.value"
    assert sample.at is not None
    assert sample.at.device == "watch-7"
    assert not decoded.rejections


@pytest.mark.parametrize("code", SIGNAL_OF)
def test_each_code_means_its_signal(code: str) -> None:
    (sample,) = read(code=coded("0000-0", code)).samples
    assert sample.signal == SIGNAL_OF[code]


def test_components_of_a_panel_are_read_each() -> None:
    decoded = read(
        code=coded("85354-9"),
        valueQuantity=None,
        component=[
            {"code": coded("8480-6"), "valueQuantity": quantity(120, "mm[Hg]")},
            {"code": coded("8462-4"), "dataAbsentReason": {"coding": [{"code": "error"}]}},
            {"code": coded("3151-8"), "valueQuantity": quantity(2, "L/min")},
            7,
        ],
    )
    assert [(s.signal, s.value) for s in decoded.samples] == [("systolic_bp", 120.0)]
    assert [(r.reason, r.path) for r in decoded.rejections] == [
        (Reason.FIELD_TYPE, "component[3]"),
        (Reason.VALUE_ABSENT, "component[1].dataAbsentReason"),
        (Reason.SIGNAL_UNKNOWN, "component[2].code"),
    ]


def test_a_bundle_is_read_entry_by_entry() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": {"resourceType": "Patient", "name": "not read"}},
            {"resource": observation()},
            {"resource": observation(status="entered-in-error")},
            {"resource": observation(), "request": {"method": "DELETE", "url": "x"}},
            {"fullUrl": "urn:uuid:1"},
        ],
    }
    decoded = decode(json.dumps(bundle).encode())
    assert len(decoded.samples) == 1
    assert decoded.surplus == 2
    assert [(r.reason, r.path) for r in decoded.rejections] == [
        (Reason.RESULT_NOT_VALID, "entry[2].resource.status"),
        (Reason.NOT_SUPPORTED, "entry[3].request.method"),
    ]


@pytest.mark.parametrize(
    ("fields", "measured_at", "precision", "start", "end"),
    [
        ({"effectiveDateTime": "2012-09-17"}, "2012-09-17", "day", "", ""),
        ({"effectiveDateTime": "2012-09"}, "2012-09", "month", "", ""),
        ({"effectiveDateTime": "2012"}, "2012", "year", "", ""),
        (
            {
                "effectiveDateTime": None,
                "effectivePeriod": {"start": NOON, "end": "2026-11-25T12:05:00Z"},
            },
            "2026-11-25T12:05:00.000000000Z",
            "",
            "2026-11-25T12:00:00.000000000Z",
            "2026-11-25T12:05:00.000000000Z",
        ),
        (
            {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-11"}},
            "2026-11",
            "month",
            "2026-11",
            "",
        ),
    ],
)
def test_a_date_or_a_period_is_kept_and_is_no_sample(
    fields: Any, measured_at: str, precision: str, start: str, end: str
) -> None:
    decoded = read(**fields)
    assert not decoded.samples
    assert not decoded.rejections
    (kept,) = decoded.kept
    assert (kept.measured_at, kept.precision, kept.start, kept.end) == (
        measured_at,
        precision,
        start,
        end,
    )


def test_a_period_of_no_length_is_an_instant() -> None:
    decoded = read(effectiveDateTime=None, effectivePeriod={"start": NOON, "end": NOON})
    assert [s.stamp for s in decoded.samples] == [NOON_NS]


def sampled_data(**fields: Any) -> dict[str, Any]:
    return {
        "origin": {"value": 90, "system": UCUM, "code": "%"},
        "period": 500,
        "factor": 0.1,
        "dimensions": 1,
        "data": "70 71 72",
        **fields,
    }


def test_sampled_data_are_samples_at_their_distance() -> None:
    decoded = read(
        code=coded("59408-5"),
        valueQuantity=None,
        valueSampledData=sampled_data(data="70 E 72.5 L U U x 1e999"),
    )
    assert [(s.value, s.stamp - NOON_NS, s.path) for s in decoded.samples] == [
        (97.0, 0, "valueSampledData.data[0]"),
        (97.25, 1_000_000_000, "valueSampledData.data[2]"),
    ]
    assert [(r.reason, r.path, r.samples) for r in decoded.rejections] == [
        (Reason.VALUE_ABSENT, "valueSampledData.data[1]", 1),
        (Reason.VALUE_BOUND_ONLY, "valueSampledData.data[3]", 1),
        (Reason.VALUE_BOUND_ONLY, "valueSampledData.data[4]", 2),
        (Reason.VALUE_NOT_A_NUMBER, "valueSampledData.data[6]", 2),
    ]


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"period": 0}, Reason.FIELD_VALUE, "period"),
        ({"period": "1"}, Reason.FIELD_TYPE, "period"),
        ({"period": 1e15}, Reason.TIME_UNREADABLE, "period"),
        ({"dimensions": 3}, Reason.NOT_SUPPORTED, "dimensions"),
        ({"data": 5}, Reason.FIELD_TYPE, "data"),
        ({"data": None}, Reason.VALUE_ABSENT, "data"),
        ({"origin": {"value": 0}}, Reason.UNIT_UNKNOWN, "origin.code"),
        ({"factor": "2"}, Reason.FIELD_TYPE, "factor"),
    ],
)
def test_sampled_data_that_cannot_be_read(fields: Any, reason: Reason, path: str) -> None:
    refusal = only(read(valueQuantity=None, valueSampledData=sampled_data(**fields)))
    assert (refusal.reason, refusal.path) == (reason, f"valueSampledData.{path}")


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"status": "cancelled"}, Reason.RESULT_NOT_VALID, "status"),
        ({"status": "registered"}, Reason.RESULT_NOT_VALID, "status"),
        ({"status": "done"}, Reason.FIELD_VALUE, "status"),
        ({"status": None}, Reason.FIELD_MISSING, "status"),
        (
            {"modifierExtension": [{"url": "x"}]},
            Reason.FIELD_NOT_UNDERSTOOD,
            "modifierExtension",
        ),
        ({"implicitRules": "urn:x"}, Reason.FIELD_NOT_UNDERSTOOD, "implicitRules"),
        ({"code": None}, Reason.FIELD_MISSING, "code"),
        ({"code": 7}, Reason.FIELD_TYPE, "code"),
        ({"code": coded("8867-4", system="urn:x")}, Reason.SIGNAL_UNKNOWN, "code"),
        ({"code": coded("29463-7")}, Reason.SIGNAL_UNKNOWN, "code"),
        ({"code": coded("8867-4", "9279-1")}, Reason.SIGNAL_UNKNOWN, "code"),
        ({"effectiveDateTime": None}, Reason.TIME_MISSING, "effective[x]"),
        ({"effectiveInstant": NOON}, Reason.FIELD_TYPE, "effective[x]"),
        ({"effectiveDateTime": NOON[:-1]}, Reason.TIME_WITHOUT_ZONE, "effectiveDateTime"),
        ({"effectiveDateTime": NOON[:16] + "Z"}, Reason.TIME_UNREADABLE, "effectiveDateTime"),
        ({"effectiveDateTime": "2026-02-30"}, Reason.TIME_UNREADABLE, "effectiveDateTime"),
        ({"effectiveDateTime": 5}, Reason.TIME_UNREADABLE, "effectiveDateTime"),
        (
            {"effectiveDateTime": None, "effectiveInstant": "2026-11-25"},
            Reason.TIME_UNREADABLE,
            "effectiveInstant",
        ),
        (
            {"effectiveDateTime": None, "effectiveTiming": {}},
            Reason.NOT_SUPPORTED,
            "effectiveTiming",
        ),
        (
            {"effectiveDateTime": None, "effectivePeriod": {"start": "2027", "end": "2026"}},
            Reason.TIME_UNREADABLE,
            "effectivePeriod",
        ),
        ({"dataAbsentReason": coded("unknown")}, Reason.VALUE_ABSENT, "dataAbsentReason"),
        ({"valueQuantity": None}, Reason.FIELD_MISSING, "value[x]"),
        ({"valueString": "72"}, Reason.FIELD_TYPE, "value[x]"),
        (
            {"valueQuantity": None, "valueString": "72"},
            Reason.VALUE_NOT_A_NUMBER,
            "valueString",
        ),
        (
            {"valueQuantity": None, "valueInteger": 72},
            Reason.VALUE_NOT_A_NUMBER,
            "valueInteger",
        ),
        ({"valueQuantity": 72}, Reason.FIELD_TYPE, "valueQuantity"),
        (
            {"valueQuantity": quantity("72", "/min")},
            Reason.VALUE_NOT_A_NUMBER,
            "valueQuantity.value",
        ),
        (
            {"valueQuantity": quantity(True, "/min")},
            Reason.VALUE_NOT_A_NUMBER,
            "valueQuantity.value",
        ),
        (
            {"valueQuantity": quantity(72, "/min", comparator="<")},
            Reason.VALUE_BOUND_ONLY,
            "valueQuantity.comparator",
        ),
        (
            {"valueQuantity": {"value": 72, "unit": "/min"}},
            Reason.UNIT_UNKNOWN,
            "valueQuantity.code",
        ),
        (
            {"valueQuantity": quantity(72, "/min", system="urn:x")},
            Reason.UNIT_UNKNOWN,
            "valueQuantity.system",
        ),
        ({"component": {}}, Reason.FIELD_TYPE, "component"),
    ],
)
def test_what_cannot_be_used_says_why_and_where(fields: Any, reason: Reason, path: str) -> None:
    decoded = read(**fields)
    assert not decoded.samples
    assert not decoded.kept
    refusal = only(decoded)
    assert (refusal.reason, refusal.path) == (reason, path)
    assert refusal.expected


def test_steps_may_be_an_integer() -> None:
    decoded = read(code=coded("55423-8"), valueQuantity=None, valueInteger=40)
    assert [(s.signal, s.value, s.unit) for s in decoded.samples] == [("step_count", 40.0, None)]


def test_members_that_lie_inside_are_read_and_others_come_by_themselves() -> None:
    panel = {
        "code": coded("85353-1"),
        "valueQuantity": None,
        "hasMember": [{"reference": "#a"}, {"reference": "Observation/b"}],
    }
    decoded = read(**panel, contained=[observation(id="a"), observation(id="c")])
    assert [s.path for s in decoded.samples] == ["contained[0].valueQuantity.value"]
    assert only(read(**panel)).reason is Reason.VALUE_ABSENT
    bundle = {"resourceType": "Bundle", "entry": [{"resource": observation(**panel)}]}
    bundle["entry"] = [{"resource": observation(**panel)}, {"resource": observation()}]
    assert not decode(json.dumps(bundle).encode()).rejections


def test_a_key_twice_refuses_its_observation_alone() -> None:
    good = json.dumps(observation())
    bad = good.replace('"status": "final"', '"status": "cancelled", "status": "final"')
    text = f'{{"resourceType":"Bundle","entry":[{{"resource":{bad}}},{{"resource":{good}}}]}}'
    decoded = decode(text.encode())
    assert len(decoded.samples) == 1
    refusal = only(decoded)
    assert (refusal.reason, refusal.path) == (
        Reason.FIELD_DUPLICATE,
        "entry[0].resource.status",
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.UNDECODABLE),
        (b"<Observation/>", Reason.UNDECODABLE),
        (b"[]", Reason.UNDECODABLE),
        (b"{}", Reason.SCHEMA_UNKNOWN),
        (b'{"resourceType":"Patient"}', Reason.SCHEMA_UNKNOWN),
        (b'{"resourceType":"Bundle"}', Reason.FIELD_MISSING),
        (b'{"resourceType":"Bundle","entry":{}}', Reason.FIELD_TYPE),
        (b'{"resourceType":"Bundle","entry":[{},7]}', Reason.SCHEMA_UNKNOWN),
        (b'{"a":' * 100_000, Reason.UNDECODABLE),
    ],
)
def test_what_holds_no_observation_is_said_so(payload: bytes, reason: Reason) -> None:
    assert only(decode(payload)).reason is reason
