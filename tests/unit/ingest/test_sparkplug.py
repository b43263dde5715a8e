"""Sparkplug B: names, aliases, types, times, properties, and what is refused."""

from __future__ import annotations

import math

import pytest

from ingest.payload.decoded import Reason
from ingest.payload.sparkplug import decode
from ingest.payload.sparkplug_wire import (
    BOOLEAN,
    BYTES,
    DATASET,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    TEMPLATE,
    UINT8,
    UINT64,
    Payload,
    rebirth_request,
)
from tests.support.sparkplug import NOW_MS, by_alias, declared, double, payload

NOW = NOW_MS * 1_000_000
BIRTH = payload(
    double("vitals/heart_rate", 72.5, alias=1, unit="/min"),
    double("vitals/glucose", 5.4, alias=2, unit="mmol/L", timestamp=NOW_MS - 5),
    seq=0,
)


def refusals(message: bytes, kind: str = "DATA") -> list[tuple[Reason, str]]:
    return [(r.reason, r.path) for r in decode(message, kind).decoded.rejections]


def values(message: bytes, kind: str = "DATA") -> dict[str, float]:
    return {s.signal: s.value for s in decode(message, kind).decoded.samples}


# --- names, aliases, units ----------------------------------------------------------------------


def test_a_birth_gives_its_values_and_declares_its_metrics() -> None:
    understood = decode(BIRTH, "BIRTH")

    assert [(s.signal, s.value, s.unit, s.stamp) for s in understood.decoded.samples] == [
        ("heart_rate", 72.5, "/min", NOW),
        ("glucose", 5.4, "mmol/L", NOW - 5_000_000),
    ]
    assert [(m.name, m.alias, m.datatype, m.unit) for m in understood.declared] == [
        ("vitals/heart_rate", 1, DOUBLE, "/min"),
        ("vitals/glucose", 2, DOUBLE, "mmol/L"),
    ]
    assert understood.seq == 0


def test_data_takes_name_type_and_unit_from_its_birth() -> None:
    message = payload(by_alias(2, 6.1), by_alias(1, 73.0))

    (glucose, rate) = decode(message, "DATA", declared(BIRTH)).decoded.samples

    assert (glucose.signal, glucose.unit) == ("glucose", "mmol/L")
    assert (rate.signal, rate.path) == ("heart_rate", "metrics[1].value")


def test_data_by_name_has_the_unit_of_its_birth() -> None:
    message = payload(double("vitals/glucose", 6.1))

    assert decode(message, "DATA", declared(BIRTH)).decoded.samples[0].unit == "mmol/L"
    assert decode(message, "DATA").decoded.samples[0].unit is None


def test_an_alias_that_no_birth_named_takes_no_neighbour_with_it() -> None:
    message = payload(by_alias(9, 1.0), by_alias(1, 73.0))

    decoded = decode(message, "DATA", declared(BIRTH)).decoded

    assert [s.value for s in decoded.samples] == [73.0]
    (rejection,) = decoded.rejections
    assert (rejection.reason, rejection.path, rejection.got) == (
        Reason.ALIAS_UNKNOWN,
        "metrics[0].alias",
        "9",
    )


def test_an_alias_of_two_metrics_means_neither() -> None:
    birth = payload(double("heart_rate", 72, alias=1), double("spo2", 97, alias=1))

    assert refusals(birth, "BIRTH") == [(Reason.FIELD_DUPLICATE, "metrics[1].alias")]
    data = decode(payload(by_alias(1, 80)), "DATA", declared(birth)).decoded
    assert [r.reason for r in data.rejections] == [Reason.ALIAS_UNKNOWN]


def test_a_metric_without_name_in_a_birth_is_refused() -> None:
    assert refusals(payload(by_alias(1, 72)), "BIRTH") == [
        (Reason.FIELD_MISSING, "metrics[0].name")
    ]
    assert refusals(payload({"double_value": 72.0})) == [(Reason.FIELD_MISSING, "metrics[0].name")]


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datatype", "field", "raw", "value"),
    [
        (INT8, "int_value", 0xFB, -5),
        (INT8, "int_value", 0xFFFF_FFFB, -5),
        (INT8, "long_value", 2**64 - 5, -5),
        (INT8, "int_value", 100, 100),
        (INT16, "int_value", 0xFED4, -300),
        (INT32, "int_value", 2**32 - 70_000, -70_000),
        (INT64, "long_value", 2**64 - 5_000_000_000, -5_000_000_000),
        (UINT8, "int_value", 200, 200),
        (UINT64, "long_value", 2**64 - 1, 2.0**64),
        (FLOAT, "float_value", 1.5, 1.5),
        (DOUBLE, "double_value", math.pi, math.pi),
        (0, "double_value", 36.6, 36.6),
    ],
)
def test_numbers_are_read_by_their_type(
    datatype: int, field: str, raw: float, value: float
) -> None:
    message = payload({"name": "spo2", "datatype": datatype, field: raw})
    assert values(message) == {"spo2": value}


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"datatype": INT8, "int_value": 300}, Reason.FIELD_TYPE, "value"),
        ({"datatype": UINT8, "int_value": 256}, Reason.FIELD_TYPE, "value"),
        ({"int_value": 72}, Reason.FIELD_MISSING, "datatype"),
        ({"datatype": DOUBLE}, Reason.FIELD_MISSING, "value"),
        ({"datatype": DOUBLE, "int_value": 72}, Reason.VALUE_NOT_A_NUMBER, "value"),
        ({"double_value": math.nan}, Reason.VALUE_NOT_A_NUMBER, "value"),
        ({"datatype": STRING, "string_value": "72"}, Reason.VALUE_NOT_A_NUMBER, "value"),
        ({"datatype": BOOLEAN, "boolean_value": True}, Reason.VALUE_NOT_A_NUMBER, "value"),
        ({"datatype": BYTES, "bytes_value": b"72"}, Reason.NOT_SUPPORTED, "value"),
        ({"datatype": TEMPLATE, "template_value": b""}, Reason.NOT_SUPPORTED, "value"),
        ({"datatype": DATASET, "dataset_value": b""}, Reason.NOT_SUPPORTED, "value"),
    ],
)
def test_a_signal_that_is_no_number_of_its_type_is_refused(
    fields: dict[str, object], reason: Reason, path: str
) -> None:
    message = payload({"name": "heart_rate"} | fields, double("spo2", 97))

    assert refusals(message) == [(reason, f"metrics[0].{path}")]
    assert values(message) == {"spo2": 97}


def test_a_template_is_refused_whatever_its_name() -> None:
    message = payload({"name": "anything", "datatype": TEMPLATE, "template_value": b"\x0a\x00"})
    assert refusals(message) == [(Reason.NOT_SUPPORTED, "metrics[0].value")]


def test_null_is_no_value_and_a_transient_one_is_not_stored() -> None:
    decoded = decode(
        payload(
            {"name": "heart_rate", "datatype": DOUBLE, "is_null": True},
            double("spo2", 97, is_transient=True),
        ),
        "DATA",
    ).decoded

    assert (decoded.samples, decoded.rejections, decoded.surplus) == ([], [], 1)


def test_what_is_no_measurement_is_surplus_and_the_protocols_own_metrics_are_nothing() -> None:
    message = payload(
        {"name": "bdSeq", "datatype": UINT64, "long_value": 7},
        {"name": "Node Control/Rebirth", "datatype": BOOLEAN, "boolean_value": False},
        {"name": "device/model", "datatype": STRING, "string_value": "wrist-x"},
        seq=0,
    )
    understood = decode(message, "BIRTH")

    assert (understood.decoded.surplus, understood.decoded.rejections) == (1, [])
    assert understood.session == 7


# --- times, state, properties -------------------------------------------------------------------


def test_a_metrics_own_time_goes_before_that_of_the_payload() -> None:
    message = payload(double("spo2", 97, timestamp=NOW_MS - 60_000, is_historical=True))
    (sample,) = decode(message, "DATA").decoded.samples
    assert sample.stamp == NOW - 60_000 * 1_000_000


def test_a_time_that_is_missing_or_cannot_be_is_refused() -> None:
    assert refusals(payload(double("spo2", 97), timestamp=None)) == [
        (Reason.TIME_MISSING, "metrics[0].timestamp")
    ]
    assert refusals(payload(double("spo2", 97, timestamp=2**63))) == [
        (Reason.TIME_UNREADABLE, "metrics[0].timestamp")
    ]


def test_battery_and_contact_are_the_devices_state() -> None:
    battery = {"name": "device/battery", "datatype": UINT8, "int_value": 88}
    contact = {"name": "device/on_body", "datatype": BOOLEAN, "boolean_value": True}
    decoded = decode(payload(battery, contact), "DATA").decoded
    assert (decoded.battery, decoded.contact, decoded.samples) == (0.88, True, [])

    past = decode(payload(battery | {"is_historical": True}), "DATA").decoded
    assert past.battery is None

    wrong = payload(battery | {"int_value": 101}, contact | {"boolean_value": False})
    assert refusals(wrong) == [(Reason.FIELD_TYPE, "metrics[0].value")]


@pytest.mark.parametrize(("code", "quality"), [(192, 1.0), (64, 0.5), (0, 0.0), (500, 0.0)])
def test_quality_codes_are_numbers_from_0_to_1(code: int, quality: float) -> None:
    message = payload(double("spo2", 97, quality=code))
    assert decode(message, "DATA").decoded.samples[0].quality == quality


def test_a_quality_that_means_nothing_is_refused() -> None:
    message = payload(double("spo2", 97, quality=400))
    assert refusals(message) == [(Reason.QUALITY_OUT_OF_RANGE, "metrics[0].properties.Quality")]


# --- whole messages -----------------------------------------------------------------------------


@pytest.mark.parametrize("message", [b"\xff" * 8, b"hello", b'{"metrics":[]}'])
def test_other_bytes_are_undecodable(message: bytes) -> None:
    assert refusals(message) == [(Reason.UNDECODABLE, "")]


def test_nothing_at_all_is_refused_as_data_and_is_a_death() -> None:
    assert refusals(b"") == [(Reason.FIELD_MISSING, "metrics")]
    assert refusals(b"", "DEATH") == []


def test_a_sequence_number_over_255_costs_no_sample() -> None:
    message = payload(double("spo2", 97), seq=256)
    assert refusals(message) == [(Reason.FIELD_TYPE, "seq")]
    assert values(message) == {"spo2": 97}


def test_a_compressed_payload_is_refused_as_such() -> None:
    message = Payload(uuid=b"SPBV1.0_COMPRESSED", body=b"x", seq=1).SerializeToString()
    assert refusals(message) == [(Reason.NOT_SUPPORTED, "uuid")]


def test_a_name_that_is_no_text_is_refused_by_its_place() -> None:
    message = payload({"name": b"\xff", "double_value": 1.0}, double("spo2", 97))
    assert refusals(message) == [(Reason.UNDECODABLE, "metrics[0].name")]


def test_a_rebirth_request_sets_the_nodes_own_control() -> None:
    (metric,) = Payload.FromString(rebirth_request(NOW_MS)).metrics
    assert (metric.name, metric.datatype, metric.boolean_value) == (
        b"Node Control/Rebirth",
        BOOLEAN,
        True,
    )
