"""IEEE 1752.1 and Open mHealth: what is read, and what is kept without being a sample."""

import json
from typing import Any

import pytest

from ingest.payload.decoded import Reason
from ingest.payload.ieee1752 import decode
from tests.support.data_points import (
    AT_NOON,
    IEEE,
    NOON,
    NOON_NS,
    OMH,
    header,
    heart_rate,
    interval,
    only,
    read,
)


@pytest.mark.parametrize(
    ("name", "version", "body", "expected"),
    [
        ("heart-rate", "2.0", heart_rate(), [("heart_rate", 72.0, "/min")]),
        ("heart-rate", "2.x", heart_rate(), [("heart_rate", 72.0, "/min")]),
        (
            "respiratory-rate",
            "2.0",
            {"respiratory_rate": {"value": 14, "unit": "breaths/min"}},
            [("respiratory_rate", 14.0, "/min")],
        ),
        (
            "oxygen-saturation",
            "2.0",
            {"oxygen_saturation": {"value": 97, "unit": "%"}, "system": "peripheral capillary"},
            [("spo2", 97.0, "%")],
        ),
        (
            "body-temperature",
            "4.0",
            {"body_temperature": {"value": 98.6, "unit": "F"}, "measurement_location": "oral"},
            [("body_temperature", 98.6, "[degF]")],
        ),
        (
            "body-temperature",
            "4.0",
            {
                "body_temperature": {"value": 33.1, "unit": "C"},
                "measurement_location": "wrist",
                "effective_time_frame": AT_NOON,
            },
            [("skin_temperature", 33.1, "Cel")],
        ),
        (
            "blood-pressure",
            "4.0",
            {
                "systolic_blood_pressure": {"value": 120, "unit": "mmHg"},
                "diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},
                "body_posture": "sitting",
            },
            [("systolic_bp", 120.0, "mm[Hg]"), ("diastolic_bp", 80.0, "mm[Hg]")],
        ),
        (
            "blood-glucose",
            "4.0",
            {"blood_glucose": {"value": 5.4, "unit": "mmol/L"}},
            [("glucose", 5.4, "mmol/L")],
        ),
    ],
)
def test_a_data_point_at_an_instant_is_a_sample(
    name: str, version: str, body: dict[str, Any], expected: list[tuple[str, float, str]]
) -> None:
    for head in (IEEE, OMH):
        decoded = read(name, version, {"effective_time_frame": AT_NOON, **body}, of=head)
        assert not decoded.rejections
        assert [(s.signal, s.value, s.unit) for s in decoded.samples] == expected
        assert {s.stamp for s in decoded.samples} == {NOON_NS}


def test_paths_name_the_place_in_the_payload() -> None:
    (sample,) = read("heart-rate", "2.0", heart_rate()).samples
    assert (sample.path, sample.unit_path, sample.time_path) == (
        "body.heart_rate.value",
        "body.heart_rate.unit",
        "body.effective_time_frame.date_time",
    )


@pytest.mark.parametrize(
    ("frame", "start", "end"),
    [
        (
            interval(start_date_time=NOON, end_date_time="2026-11-25T13:00:00+00:00"),
            "2026-11-25T12:00:00.000000000Z",
            "2026-11-25T13:00:00.000000000Z",
        ),
        (
            interval(start_date_time=NOON, duration={"value": 2, "unit": "min"}),
            "2026-11-25T12:00:00.000000000Z",
            "2026-11-25T12:02:00.000000000Z",
        ),
        (
            interval(end_date_time=NOON, duration={"value": 1, "unit": "d"}),
            "2026-11-24T12:00:00.000000000Z",
            "2026-11-25T12:00:00.000000000Z",
        ),
    ],
)
def test_a_statistic_over_an_interval_is_kept_and_is_no_sample(
    frame: Any, start: str, end: str
) -> None:
    decoded = read(
        "heart-rate",
        "2.0",
        heart_rate(effective_time_frame=frame, descriptive_statistic="average"),
    )
    assert not decoded.samples
    assert not decoded.rejections
    (kept,) = decoded.kept
    assert (kept.statistic, kept.start, kept.end) == ("average", start, end)
    assert kept.measured_at == end


def test_a_statistic_at_an_instant_and_a_value_over_an_interval_are_no_samples() -> None:
    decoded = read("heart-rate", "2.0", heart_rate(descriptive_statistic="maximum"))
    assert [k.statistic for k in decoded.kept] == ["maximum"]
    frame = interval(start_date_time=NOON, duration={"value": 2, "unit": "min"})
    decoded = read("heart-rate", "2.0", heart_rate(effective_time_frame=frame))
    assert [k.statistic for k in decoded.kept] == [None]


def test_an_interval_of_no_length_is_an_instant() -> None:
    frame = interval(start_date_time=NOON, end_date_time=NOON)
    assert len(read("heart-rate", "2.0", heart_rate(effective_time_frame=frame)).samples) == 1


def test_a_part_of_a_day_is_kept_where_the_schema_has_it() -> None:
    frame = interval(date="2026-11-25", part_of_day="evening")
    (kept,) = read("heart-rate", "2.0", heart_rate(effective_time_frame=frame)).kept
    assert (kept.measured_at, kept.precision, kept.part_of_day) == (
        "2026-11-25",
        "part_of_day",
        "evening",
    )
    temperature = {
        "body_temperature": {"value": 37, "unit": "C"},
        "effective_time_frame": frame,
    }
    assert read("body-temperature", "3.0", temperature).kept
    assert only(read("body-temperature", "4.0", temperature)).reason is Reason.TIME_UNREADABLE


def test_steps_are_counted_over_an_interval() -> None:
    frame = interval(start_date_time=NOON, duration={"value": 1, "unit": "h"})
    steps = {"value": 900, "unit": "steps"}
    point = {"step_count": steps, "effective_time_frame": frame}
    assert [k.value for k in read("step-count", "3.0", point).kept] == [900.0]
    point["effective_time_frame"] = AT_NOON
    assert only(read("step-count", "3.0", point)).reason is Reason.FIELD_MISSING
    activity = {
        "activity_name": "walking",
        "base_movement_quantity": steps,
        "effective_time_frame": frame,
    }
    text = {"header": header("physical-activity", "1.0"), "body": activity}
    text["header"]["schema_id"]["namespace"] = "ieee"
    assert [k.signal for k in decode(json.dumps(text).encode()).kept] == ["step_count"]
    del activity["base_movement_quantity"]
    assert only(decode(json.dumps(text).encode())).reason is Reason.SIGNAL_UNKNOWN


def test_series_and_lists_lose_only_what_is_bad() -> None:
    bodies = [heart_rate(), heart_rate(heart_rate={"value": "x", "unit": "beats/min"}), 7]
    point = {"header": header("heart-rate", "2.0"), "body": bodies}
    decoded = decode(json.dumps([point, 5, point]).encode())
    assert [s.path for s in decoded.samples] == [
        "[0].body[0].heart_rate.value",
        "[2].body[0].heart_rate.value",
    ]
    assert [(r.reason, r.path) for r in decoded.rejections[:3]] == [
        (Reason.FIELD_TYPE, "[1]"),
        (Reason.FIELD_TYPE, "[0].body[2]"),
        (Reason.VALUE_NOT_A_NUMBER, "[0].body[1].heart_rate.value"),
    ]


def test_a_body_alone_is_read_by_the_newest_schema_that_allows_it() -> None:
    decoded = decode(json.dumps(heart_rate(user_notes="old")).encode())
    assert [s.path for s in decoded.samples] == ["heart_rate.value"]
    pressure = {
        "systolic_blood_pressure": {"value": 120, "unit": "mmHg"},
        "diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},
        "position_during_measurement": "sitting",
        "effective_time_frame": interval(date="2026-11-25", part_of_day="night"),
    }
    assert len(decode(json.dumps(pressure).encode()).kept) == 2
    assert only(decode(b"{}")).path == "header"
    wrong = heart_rate(heart_rate={"value": 72, "unit": "bpm"})
    assert only(decode(json.dumps(wrong).encode())).reason is Reason.UNIT_UNKNOWN
