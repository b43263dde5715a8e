"""What the specifications say, case by case, beside the documents that come with them.

RFC 8428 (SenML), FHIR R4, IEEE 1752.1 with Open mHealth, Sparkplug B 3.0. Each case: a payload, the
values that must come of it and the reasons of what must be refused. Sparkplug's numeric types,
nulls and aliases have tables of their own in tests/unit/ingest/test_sparkplug.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.judge import judge
from ingest.payload import sparkplug
from ingest.payload.sparkplug_births import NO_TABLE
from tests.support.sparkplug import double, payload

BT = 1_795_600_000
HR = {"bn": "", "bt": BT, "bu": "beat/min", "n": "heart_rate"}

#: RFC 8428: section, records, values, reasons.
SENML: list[tuple[str, Any, list[float], list[str]]] = [
    ("4.1 base name + name", [{"bn": "urn:dev:ow:1:heart_rate", "bt": BT, "v": 7e1}], [70.0], []),
    ("4.1 a name alone", [{"n": "heart_rate", "t": BT, "v": 70}], [70.0], []),
    ("4.1 base time + time", [HR | {"t": -5, "v": 70}, {"n": "heart_rate", "v": 71}], [70, 71], []),
    ("4.1 base unit and its own", [HR | {"u": "1/min", "v": 70}], [70.0], []),
    ("4.1 base value + value", [HR | {"bv": 60, "v": 12}], [72.0], []),
    ("4.1 base value alone", [HR | {"bv": 60}], [60.0], []),
    ("4.1 the next base value", [HR | {"bv": 60, "v": 1}, {**HR, "bv": 50, "v": 1}], [61, 51], []),
    ("4.1 base version", [HR | {"bver": 10, "v": 70}], [70.0], []),
    ("4.4 a higher version", [HR | {"bver": 11, "v": 70}], [], ["version_unsupported"]),
    ("4.4 version 0", [HR | {"bver": 0, "v": 70}], [], ["version_unsupported"]),
    (
        "4.4 two versions",
        [HR | {"bver": 5, "v": 70}, {"bver": 6, "n": "heart_rate", "v": 71}],
        [],
        ["version_unsupported"],
    ),
    ("4.4 must be understood", [HR | {"v": 70, "x_": 1}], [], ["field_not_understood"]),
    ("4.4 need not be understood", [HR | {"v": 70, "x": 1}], [70.0], []),
    ("4.5.1 a letter that no name has", [HR | {"n": "heart rate", "v": 70}], [], ["name_invalid"]),
    ("4.5.1 begins with a dash", [HR | {"n": "-heart_rate", "v": 70}], [], ["name_invalid"]),
    ("4.5.1 no name", [{"bt": BT, "v": 70}], [], ["name_invalid"]),
    ("4.5.3 a relative time", [{"n": "heart_rate", "t": -5, "v": 70}], [], ["time_relative"]),
    ("4.5.3 no time", [{"n": "heart_rate", "v": 70}], [], ["time_relative"]),
    ("4.5.3 2**28 is absolute", [{"n": "heart_rate", "t": 2**28, "v": 70}], [70.0], []),
    (
        "4.5.3 below it is not",
        [{"n": "heart_rate", "t": 2**28 - 1, "v": 70}],
        [],
        ["time_relative"],
    ),
    ("4.5.3 a fraction of a second", [HR | {"t": 0.25, "v": 70}], [70.0], []),
    ("4.2 no value", [HR], [], ["field_missing"]),
    ("4.2 two values", [HR | {"v": 70, "vs": "70"}], [], ["field_type"]),
    ("4.2 a text", [HR | {"vs": "70"}], [], ["value_not_a_number"]),
    ("4.2 a boolean", [HR | {"vb": True}], [], ["value_not_a_number"]),
    ("4.2 bytes", [HR | {"vd": "NzA"}], [], ["value_not_a_number"]),
    ("4.2 a sum", [HR | {"s": 900}], [], ["not_supported"]),
    ("4.2 a sum beside a value", [HR | {"s": 900, "v": 70}], [70.0], ["not_supported"]),
    ("4.1 a base sum", [HR | {"bs": 900, "v": 70}], [70.0], ["not_supported"]),
    ("4.3 update time is no time", [HR | {"ut": 60, "v": 70}], [70.0], []),
    ("12.1 another unit's name", [HR | {"u": "lat", "v": 70}], [], ["unit_unknown"]),
    ("12.1 a ratio", [{"n": "spo2", "t": BT, "u": "/", "v": 0.97}], [97.0], []),
    ("5.1 no array", {"n": "heart_rate", "v": 70}, [], ["undecodable"]),
    ("5.1 no object", [HR | {"v": 70}, 7], [70.0], ["field_type"]),
    ("5.1 a key that is no label", [HR | {"V": 70}], [], ["field_missing"]),
]


def values_and_reasons(document: object, form: str) -> tuple[list[float], list[str]]:
    lines = judge(json.dumps(document).encode(), form)
    return (
        [round(float(str(line["value"])), 3) for line in lines if "reason" not in line],
        [str(line["reason"]) for line in lines if "reason" in line],
    )


@pytest.mark.parametrize(
    ("records", "values", "reasons"), [each[1:] for each in SENML], ids=[each[0] for each in SENML]
)
def test_senml_is_read_as_rfc_8428_says(
    records: Any, values: list[float], reasons: list[str]
) -> None:
    assert values_and_reasons(records, "senml") == (values, reasons)


def test_a_resolved_time_is_base_time_and_time() -> None:
    (line,) = judge(json.dumps([HR | {"t": 0.25, "v": 70}]).encode(), "senml")
    assert line["measured_at"] == "2026-11-25T09:46:40.250000000Z"


UCUM = "http://unitsofmeasure.org"


def fhir(code: str = "8867-4", **changed: Any) -> dict[str, Any]:
    """An Observation at an instant; None: the field is not there."""
    made = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "effectiveDateTime": "2026-11-25T08:00:00+01:00",
        "valueQuantity": {"value": 72, "system": UCUM, "code": "/min"},
    } | changed
    return {key: value for key, value in made.items() if value is not None}


def quantity(value: float, code: str, **more: Any) -> dict[str, Any]:
    return {"value": value, "system": UCUM, "code": code} | more


def sampled(data: str, **more: Any) -> dict[str, Any]:
    return {
        "valueQuantity": None,
        "valueSampledData": {
            "origin": quantity(0, "/min"), "period": 1000, "dimensions": 1, "data": data
        } | more,
    }  # fmt: skip


FHIR: list[tuple[str, Any, list[float], list[str]]] = [
    ("final", fhir(), [72.0], []),
    *((f"status {each}", fhir(status=each), [72.0], []) for each in (
        "preliminary", "amended", "corrected")),
    *((f"status {each}", fhir(status=each), [], ["result_not_valid"]) for each in (
        "entered-in-error", "cancelled", "registered", "unknown")),
    ("no status", fhir(status=None), [], ["field_missing"]),
    ("an instant", fhir(effectiveDateTime=None, effectiveInstant="2026-11-25T08:00:00Z"), [72], []),
    ("a timing of one event", fhir(effectiveDateTime=None,
     effectiveTiming={"event": ["2026-11-25T08:00:00Z"]}), [72.0], []),
    ("a timing of two events", fhir(effectiveDateTime=None,
     effectiveTiming={"event": ["2026-11-25T08:00:00Z", "2026-11-25T09:00:00Z"]}), [],
     ["not_supported"]),
    ("a timing that repeats", fhir(effectiveDateTime=None,
     effectiveTiming={"event": ["2026-11-25T08:00:00Z"], "repeat": {"count": 2}}), [],
     ["not_supported"]),
    ("a timing without zone", fhir(effectiveDateTime=None,
     effectiveTiming={"event": ["2026-11-25T08:00:00"]}), [], ["time_without_zone"]),
    ("an annotation alone is one", fhir(valueQuantity=quantity(72, "{beats}/min")), [72.0], []),
    ("an annotation behind a unit", fhir("59408-5", valueQuantity=quantity(97, "%{O2}")), [97.0],
     []),
    ("no effective time", fhir(effectiveDateTime=None), [], ["time_missing"]),
    ("issued is no time of it", fhir(effectiveDateTime=None, issued="2026-11-25T08:00:00Z"), [],
     ["time_missing"]),
    *((f"comparator {each}", fhir(valueQuantity=quantity(72, "/min", comparator=each)), [],
       ["value_bound_only"]) for each in ("<", "<=", ">=", ">")),
    ("absent", fhir(valueQuantity=None, dataAbsentReason={"coding": [{"code": "error"}]}), [],
     ["value_absent"]),
    ("no value", fhir(valueQuantity=None), [], ["field_missing"]),
    ("fahrenheit", fhir("8310-5", valueQuantity=quantity(98.6, "[degF]")), [37.0], []),
    ("kilopascal", fhir("8480-6", valueQuantity=quantity(16, "kPa")), [120.01], []),
    ("millimoles", fhir("2339-0", valueQuantity=quantity(5.4, "mmol/L")), [97.286], []),
    ("another quantity", fhir(valueQuantity=quantity(72, "kg")), [], ["unit_unknown"]),
    ("a unit for people", fhir(valueQuantity={"value": 72, "unit": "beats/minute"}), [],
     ["unit_unknown"]),
    ("sampled", fhir(**sampled("60 61 62")), [60, 61, 62], []),
    ("sampled with gaps", fhir(**sampled("60 E 62 U L")), [60, 62],
     ["value_absent", "value_bound_only"]),
    ("sampled, factor and origin", fhir(**sampled("1 2", factor=10, origin=quantity(50, "/min"))),
     [60, 70], []),
    ("two dimensions", fhir(**sampled("60 61", dimensions=2)), [], ["not_supported"]),
    ("a modifier", fhir(modifierExtension=[{"url": "x"}]), [], ["field_not_understood"]),
    ("no observation", {"resourceType": "Patient"}, [], ["schema_unknown"]),
    ("bundle", {"resourceType": "Bundle", "entry": [{"resource": fhir()},
     {"resource": fhir(status="cancelled")}, {"resource": {"resourceType": "Patient"}}]}, [72.0],
     ["result_not_valid"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "values", "reasons"), [each[1:] for each in FHIR], ids=[each[0] for each in FHIR]
)
def test_fhir_is_read_as_r4_says(resource: Any, values: list[float], reasons: list[str]) -> None:
    found, refused = values_and_reasons(resource, "fhir")
    assert (found, sorted(set(refused))) == (values, sorted(reasons))


AT = "2026-11-25T08:00:00Z"


def point(**body: Any) -> dict[str, Any]:
    measure = {"heart_rate": {"value": 64, "unit": "beats/min"}}
    return {k: v for k, v in (measure | body).items() if v is not None}


def over(**interval: Any) -> dict[str, Any]:
    return point(effective_time_frame={"time_interval": interval})


MINUTES = {"value": 5, "unit": "min"}
OMH: list[tuple[str, Any, dict[str, Any] | str]] = [
    ("an instant", point(effective_time_frame={"date_time": AT}),
     {"measured_at": f"{AT[:-1]}.000000000Z"}),
    ("start and end", over(start_date_time=AT, end_date_time="2026-11-25T08:05:00Z"),
     {"start": f"{AT[:-1]}.000000000Z", "end": "2026-11-25T08:05:00.000000000Z"}),
    ("start and duration", over(start_date_time=AT, duration=MINUTES),
     {"end": "2026-11-25T08:05:00.000000000Z"}),
    ("end and duration", over(end_date_time="2026-11-25T08:05:00Z", duration=MINUTES),
     {"start": f"{AT[:-1]}.000000000Z"}),
    ("a part of a day", over(date="2026-11-25", part_of_day="morning"),
     {"precision": "part_of_day", "part_of_day": "morning"}),
    ("an average", point(effective_time_frame={"time_interval": {
        "start_date_time": AT, "duration": MINUTES}}, descriptive_statistic="average"),
     {"statistic": "average"}),
    ("no time", point(), "time_missing"),
    ("no zone", point(effective_time_frame={"date_time": "2026-11-25T08:00:00"}),
     "time_without_zone"),
    ("a duration alone", over(duration=MINUTES), "time_unreadable"),
    ("another unit", point(heart_rate={"value": 64, "unit": "bpm"},
     effective_time_frame={"date_time": AT}), "unit_unknown"),
    ("a value that is a text", point(heart_rate={"value": "64", "unit": "beats/min"},
     effective_time_frame={"date_time": AT}), "value_not_a_number"),
    ("no such statistic", point(effective_time_frame={"date_time": AT},
     descriptive_statistic="mean"), "field_value"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"), [each[1:] for each in OMH], ids=[each[0] for each in OMH]
)
def test_data_points_are_read_as_their_schemas_say(body: Any, expected: Any) -> None:
    (line,) = judge(json.dumps(body).encode(), "ieee1752")
    if isinstance(expected, str):
        assert line.get("reason") == expected
    else:
        assert line["value"] == 64.0
        assert expected.items() <= line.items()


def test_a_historical_value_keeps_its_time_and_says_nothing_of_the_present() -> None:
    past = double("heart_rate", 64, timestamp=1_795_600_000_000, is_historical=True)
    level = double("battery", 0.2, is_historical=True)
    found = sparkplug.decode(payload(past, level), "DATA", NO_TABLE).decoded
    assert [(s.value, s.stamp) for s in found.samples] == [(64.0, 1_795_600_000 * 10**9)]
    assert found.battery is None


@pytest.mark.parametrize("seq", [0, 1, 255])
def test_every_sequence_number_of_sparkplug_is_read(seq: int) -> None:
    understood = sparkplug.decode(payload(double("heart_rate", 64), seq=seq), "DATA", NO_TABLE)
    assert understood.seq == seq
    assert len(understood.decoded.samples) == 1
