"""IEEE 1752.1 and Open mHealth: what is refused, why and where."""

import json
from typing import Any

import pytest

from ingest.payload.decoded import Reason
from ingest.payload.ieee1752 import decode
from tests.support.data_points import AT_NOON, NOON, OMH, header, heart_rate, interval, only, read


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"heart_rate": None}, Reason.FIELD_MISSING, "heart_rate"),
        ({"heart_rate": 72}, Reason.FIELD_TYPE, "heart_rate"),
        ({"heart_rate": {"value": 72}}, Reason.FIELD_MISSING, "heart_rate.unit"),
        ({"heart_rate": {"unit": "beats/min"}}, Reason.FIELD_MISSING, "heart_rate.value"),
        (
            {"heart_rate": {"value": True, "unit": "beats/min"}},
            Reason.VALUE_NOT_A_NUMBER,
            "heart_rate.value",
        ),
        (
            {"heart_rate": {"value": 72, "unit": "/min"}},
            Reason.UNIT_UNKNOWN,
            "heart_rate.unit",
        ),
        ({"descriptive_statistic": "mean"}, Reason.FIELD_VALUE, "descriptive_statistic"),
        (
            {"temporal_relationship_to_sleep": "bfore sleeping"},
            Reason.FIELD_VALUE,
            "temporal_relationship_to_sleep",
        ),
        ({"effective_time_frame": None}, Reason.TIME_MISSING, "effective_time_frame"),
        ({"effective_time_frame": NOON}, Reason.TIME_UNREADABLE, "effective_time_frame"),
        ({"effective_time_frame": {}}, Reason.TIME_UNREADABLE, "effective_time_frame"),
        (
            {"effective_time_frame": {"start_date_time": NOON}},
            Reason.TIME_UNREADABLE,
            "effective_time_frame",
        ),
        (
            {"effective_time_frame": AT_NOON | interval(start_date_time=NOON)},
            Reason.TIME_UNREADABLE,
            "effective_time_frame",
        ),
        (
            {"effective_time_frame": {"date_time": NOON[:-1]}},
            Reason.TIME_WITHOUT_ZONE,
            "effective_time_frame.date_time",
        ),
        (
            {"effective_time_frame": {"date_time": "2026-11-25"}},
            Reason.TIME_UNREADABLE,
            "effective_time_frame.date_time",
        ),
        (
            {
                "effective_time_frame": interval(
                    start_date_time=NOON,
                    end_date_time=NOON,
                    duration={"value": 1, "unit": "min"},
                )
            },
            Reason.TIME_UNREADABLE,
            "effective_time_frame.time_interval",
        ),
        (
            {
                "effective_time_frame": interval(
                    start_date_time=NOON, duration={"value": 1, "unit": "minutes"}
                )
            },
            Reason.UNIT_UNKNOWN,
            "effective_time_frame.time_interval.duration.unit",
        ),
        (
            {
                "effective_time_frame": interval(
                    start_date_time=NOON, duration={"value": 1e200, "unit": "yr"}
                )
            },
            Reason.TIME_UNREADABLE,
            "effective_time_frame.time_interval",
        ),
        (
            {"effective_time_frame": interval(date="2026-11-25", part_of_day="noon")},
            Reason.FIELD_VALUE,
            "effective_time_frame.time_interval.part_of_day",
        ),
        (
            {"effective_time_frame": interval(date="2026-02-30", part_of_day="night")},
            Reason.TIME_UNREADABLE,
            "effective_time_frame.time_interval.date",
        ),
    ],
)
def test_what_the_schema_forbids_says_why_and_where(fields: Any, reason: Reason, path: str) -> None:
    decoded = read("heart-rate", "2.0", heart_rate(**fields))
    assert not decoded.samples
    assert not decoded.kept
    refusal = only(decoded)
    assert (refusal.reason, refusal.path) == (reason, f"body.{path}")
    assert refusal.expected


@pytest.mark.parametrize(
    ("change", "reason", "path"),
    [
        ({"uuid": "7"}, Reason.FIELD_TYPE, "uuid"),
        ({"uuid": None}, Reason.FIELD_TYPE, "uuid"),
        ({"source_creation_date_time": "201-02-05"}, Reason.TIME_UNREADABLE, None),
        ({"modality": "recorded"}, Reason.FIELD_VALUE, "modality"),
        ({"external_datasheets": [{}]}, Reason.FIELD_MISSING, None),
        ({"external_datasheets": 7}, Reason.FIELD_TYPE, "external_datasheets"),
        ({"schema_id": 7}, Reason.FIELD_TYPE, "schema_id"),
        (
            {"schema_id": {"namespace": "omh", "name": "heart-rate"}},
            Reason.FIELD_MISSING,
            "schema_id.version",
        ),
        (
            {"schema_id": {"namespace": "x", "name": "heart-rate", "version": "2.0"}},
            Reason.SCHEMA_UNKNOWN,
            "schema_id.namespace",
        ),
        (
            {"schema_id": {"namespace": "omh", "name": "body-weight", "version": "2.0"}},
            Reason.SIGNAL_UNKNOWN,
            "schema_id.name",
        ),
        (
            {"schema_id": {"namespace": "omh", "name": "heart-rate", "version": "9.0"}},
            Reason.VERSION_UNSUPPORTED,
            "schema_id.version",
        ),
    ],
)
def test_a_header_that_cannot_be_used(change: Any, reason: Reason, path: str | None) -> None:
    refusal = only(read("heart-rate", "2.0", heart_rate(), **change))
    assert refusal.reason is reason
    assert path is None or refusal.path == f"header.{path}"


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ({}, "header.uuid"),
        ({"id": 7}, "header.id"),
        ({"id": "1"}, "header.creation_date_time"),
        ({**OMH, "user_id": 7}, "header.user_id"),
        (
            {**OMH, "acquisition_provenance": {}},
            "header.acquisition_provenance.source_name",
        ),
        (
            {**OMH, "acquisition_provenance": {"source_name": "x", "modality": "y"}},
            "header.acquisition_provenance.modality",
        ),
    ],
)
def test_a_header_of_open_mhealth_that_cannot_be_used(head: Any, path: str) -> None:
    assert only(read("heart-rate", "2.0", heart_rate(), of=head)).path == path


@pytest.mark.parametrize(
    "payload", [b"", b"7", b"\xff", b'"x"', b'{"a":' * 100_000, b'{"header":{},"body":{}']
)
def test_what_is_no_data_point_is_undecodable(payload: bytes) -> None:
    assert only(decode(payload)).reason is Reason.UNDECODABLE


def test_a_key_twice_refuses_its_point() -> None:
    good = json.dumps({"header": header("heart-rate", "2.0"), "body": heart_rate()})
    bad = good.replace('"value": 72', '"value": 72, "value": 73')
    decoded = decode(f"[{bad},{good}]".encode())
    assert len(decoded.samples) == 1
    assert only(decoded).path == "[0].body.heart_rate.value"
