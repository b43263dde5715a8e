"""The native decoder: what a well-formed message holds, and what is said of any other."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.instant import parse_instant
from ingest.payload.decoded import Decoded, Reason, Rejection, Sample
from ingest.payload.native import decode
from ingest.payload.native_explained import decode_explained

NOON = "2026-11-25T12:00:00Z"
NOON_NS = parse_instant(NOON)
NOON_MS = NOON_NS // 1_000_000


def decoded(**fields: Any) -> Decoded:
    return decode(json.dumps(fields).encode())


def only(message: Decoded) -> Rejection:
    assert len(message.rejections) == 1, message.rejections
    return message.rejections[0]


def values(message: Decoded) -> list[tuple[str, float, int]]:
    return [(s.signal, s.value, s.stamp) for s in message.samples]


# --- well-formed ------------------------------------------------------------------------------


def test_one_sample_at_an_iso_time() -> None:
    message = decoded(time=NOON, values={"heart_rate": 72})
    assert values(message) == [("heart_rate", 72.0, NOON_NS)]
    assert message.samples[0].path == "values.heart_rate"
    assert (message.rejections, message.surplus, message.sequence, message.boot) == ((), 0, -1, 0)
    assert message.samples[0].unit is None
    assert math.isnan(message.samples[0].quality)


@pytest.mark.parametrize(
    ("time", "stamp"),
    [
        (NOON_MS, NOON_NS),
        ("2026-11-25T13:00:00+01:00", NOON_NS),
        ("2026-11-25T12:00:00.123456789Z", NOON_NS + 123_456_789),
        ("2026-11-25T12:00:00.5Z", NOON_NS + 500_000_000),
        ("2026-11-25 12:00:00Z", NOON_NS),
        ("20261125T120000Z", NOON_NS),
        ("1969-12-31T23:59:59.999999Z", -1_000),
        (-1, -1_000_000),
    ],
)
def test_times_are_read_to_the_nanosecond(time: object, stamp: int) -> None:
    assert decoded(time=time, values={"spo2": 97}).samples[0].stamp == stamp


def test_several_signals_with_units_and_quality() -> None:
    message = decoded(
        time=NOON,
        values={"glucose": 5.5, "spo2": 97.5, "heart_rate": None},
        units={"glucose": "mmol/L"},
        quality={"spo2": 0.8},
    )
    assert [(s.signal, s.value, s.unit) for s in message.samples] == [
        ("glucose", 5.5, "mmol/L"),
        ("spo2", 97.5, None),
    ]
    assert message.samples[1].quality == 0.8


def test_a_columnar_batch_keeps_places_and_leaves_out_nulls() -> None:
    message = decoded(
        times=[NOON_MS, NOON_MS + 1000, NOON_MS + 2000],
        values={"heart_rate": [72, None, 74], "spo2": [97, 98, 99]},
        quality={"heart_rate": [0.5, 1, None]},
    )
    assert [(s.signal, s.index, s.value) for s in message.samples] == [
        ("heart_rate", 0, 72.0),
        ("heart_rate", 2, 74.0),
        ("spo2", 0, 97.0),
        ("spo2", 1, 98.0),
        ("spo2", 2, 99.0),
    ]
    assert message.samples[0].quality == 0.5
    assert math.isnan(message.samples[1].quality)
    assert message.samples[1].path == "values.heart_rate[2]"


def test_what_a_device_says_of_itself() -> None:
    message = decoded(
        time=NOON, values={"spo2": 97}, sequence=7, boot="a", battery=0.5, contact=False
    )
    assert (message.sequence, message.battery, message.contact) == (7, 0.5, False)
    assert message.boot != 0
    assert message.boot == decoded(time=NOON, values={}, boot="a").boot
    assert message.boot != decoded(time=NOON, values={}, boot="b").boot
    assert (
        decoded(time=NOON, values={}, boot=3).boot == decoded(time=NOON, values={}, boot=3.0).boot
    )


def test_unlisted_keys_are_counted_and_refuse_nothing() -> None:
    message = decoded(time=NOON, values={"spo2": 97}, gps=[1, {"a": 2}], units={"glucose": "mg/dL"})
    assert len(message.samples) == 1
    assert message.surplus == 2
    assert not message.rejections


def test_the_device_that_a_payload_names_is_told() -> None:
    assert decoded(time=NOON, values={"spo2": 97}, device="watch-8").device == "watch-8"
    assert decoded(time=NOON, values={"spo2": 97}, device="watch-8").surplus == 1


# --- not well-formed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "expected", "got"),
    [
        (b"", "one JSON object", "nothing"),
        (b"\xff\xfe", "UTF-8", "byte 0xff at 0"),
        (b'{"time":', "one JSON object", "Expecting value at character 8"),
        (b"[1]", "one JSON object", "a list of 1"),
        (b"72", "one JSON object", "72"),
        (b"[" * 200_000, "one JSON object", "nested too deeply"),
        (b'{"a":' * 100_000, "one JSON object", "nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_undecodable(payload: bytes, expected: str, got: str) -> None:
    rejection = only(decode(payload))
    assert (rejection.reason, rejection.expected, rejection.got) == (
        Reason.UNDECODABLE,
        expected,
        got,
    )


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        ("2026-11-25T12:00:00", Reason.TIME_WITHOUT_ZONE),
        ("yesterday", Reason.TIME_UNREADABLE),
        ("2026-11-25", Reason.TIME_UNREADABLE),
        ("2026-13-25T12:00:00Z", Reason.TIME_UNREADABLE),
        ("0001-01-01T00:00:00Z", Reason.TIME_UNREADABLE),
        ("0001-01-01T00:00:00+14:00", Reason.TIME_UNREADABLE),
        ("9999-12-31T23:59:59Z", Reason.TIME_UNREADABLE),
        ("2026-11-25T12:00:00+99:99", Reason.TIME_UNREADABLE),
        (1.7e12, Reason.TIME_UNREADABLE),
        (10**30, Reason.TIME_UNREADABLE),
        (2**63, Reason.TIME_UNREADABLE),
        (True, Reason.TIME_UNREADABLE),
        ([NOON], Reason.TIME_UNREADABLE),
        (None, Reason.TIME_MISSING),
    ],
)
def test_a_time_that_is_no_instant_refuses_the_message_by_its_reason(
    time: object, reason: Reason
) -> None:
    message = decoded(time=time, values={"heart_rate": 72, "spo2": 97})
    rejection = only(message)
    assert (rejection.reason, rejection.path, rejection.samples) == (reason, "time", 2)
    assert rejection.expected
    assert not message.samples


def test_missing_and_contradicting_fields_are_named() -> None:
    assert only(decoded(values={"spo2": 97})).reason is Reason.TIME_MISSING
    assert only(decoded(time=NOON)).reason is Reason.FIELD_MISSING
    assert only(decoded(time=NOON, values=[97])).reason is Reason.FIELD_TYPE
    both = only(decoded(time=NOON, times=[NOON], values={"spo2": 97}))
    assert (both.reason, both.expected) == (Reason.FIELD_TYPE, "time or times, not both")


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (True, "true"),
        ("72", '"72"'),
        ({}, "an object"),
        ("x" * 1000, '"' + "x" * 62 + "…"),
    ],
)
def test_a_value_that_is_no_number_does_not_take_its_neighbour_with_it(
    value: object, got: str
) -> None:
    message = decoded(time=NOON, values={"heart_rate": value, "spo2": 97})
    assert values(message) == [("spo2", 97.0, NOON_NS)]
    rejection = only(message)
    assert rejection.path == "values.heart_rate"
    assert rejection.got == got
    assert rejection.signal == "heart_rate"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 9000])
def test_a_number_that_is_not_finite_is_refused_alone(number: str) -> None:
    payload = f'{{"time":"{NOON}","values":{{"heart_rate":{number},"spo2":97}}}}'.encode()
    message = decode(payload)
    assert values(message) == [("spo2", 97.0, NOON_NS)]
    assert only(message).reason is Reason.VALUE_NOT_A_NUMBER


def test_a_bad_sample_in_a_batch_is_refused_alone() -> None:
    message = decoded(
        times=[NOON_MS, "nonsense", NOON_MS + 2000],
        values={
            "heart_rate": [72, 73, "74"],
            "spo2": [97, 98, 99],
            "activity": [1],
            "glucose": 100,
        },
    )
    assert values(message) == [
        ("heart_rate", 72.0, NOON_NS),
        ("spo2", 97.0, NOON_NS),
        ("spo2", 99.0, NOON_NS + 2_000_000_000),
    ]
    assert {(r.reason, r.path, r.samples) for r in message.rejections} == {
        (Reason.VALUE_NOT_A_NUMBER, "values.heart_rate[2]", 1),
        (Reason.TIME_UNREADABLE, "times[1]", 2),
        (Reason.LENGTH_MISMATCH, "values.activity", 1),
        (Reason.FIELD_TYPE, "values.glucose", 1),
    }


def test_a_list_of_values_needs_times() -> None:
    rejection = only(decoded(time=NOON, values={"heart_rate": [72, 73]}))
    assert (rejection.reason, rejection.samples) == (Reason.FIELD_TYPE, 2)


def test_a_key_said_twice_refuses_what_hangs_on_it() -> None:
    twice = f'{{"time":"{NOON}","values":{{"heart_rate":72,"heart_rate":180,"spo2":97}}}}'
    message = decode(twice.encode())
    assert values(message) == [("spo2", 97.0, NOON_NS)]
    assert (only(message).reason, only(message).path) == (
        Reason.FIELD_DUPLICATE,
        "values.heart_rate",
    )
    times = f'{{"time":"{NOON}","time":1,"values":{{"heart_rate":72}}}}'
    assert only(decode(times.encode())).reason is Reason.FIELD_DUPLICATE


def test_quality_outside_zero_to_one_refuses_its_sample() -> None:
    message = decoded(time=NOON, values={"heart_rate": 72, "spo2": 97}, quality={"spo2": 1.5})
    assert [s.signal for s in message.samples] == ["heart_rate"]
    assert (only(message).reason, only(message).path) == (
        Reason.QUALITY_OUT_OF_RANGE,
        "quality.spo2",
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sequence", -1),
        ("sequence", 1.5),
        ("sequence", True),
        ("sequence", 2**64),
        ("boot", []),
        ("battery", 83),
        ("battery", "full"),
        ("contact", "yes"),
    ],
)
def test_a_bad_field_about_the_device_costs_no_sample(key: str, value: object) -> None:
    message = decoded(time=NOON, values={"spo2": 97}, **{key: value})
    assert len(message.samples) == 1
    assert (only(message).reason, only(message).path) == (Reason.FIELD_TYPE, key)


# --- any input --------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=4,
)
_signals = st.sampled_from(["heart_rate", "spo2", "glucose", "x", ""])
_times = st.integers(-(2**70), 2**70) | st.sampled_from([NOON, "x", "2026-11-25T12:00:00"]) | _json
_messages = st.fixed_dictionaries(
    {},
    optional={
        "time": _times,
        "times": st.lists(_times, max_size=4) | _json,
        "values": st.dictionaries(_signals, st.lists(st.floats(), max_size=4) | _json) | _json,
        "units": st.dictionaries(_signals, _json) | _json,
        "quality": st.dictionaries(_signals, _json) | _json,
        "sequence": _json,
        "boot": _json,
        "battery": _json,
        "contact": _json,
        "device": _json,
        "other": _json,
    },
)


def _sound(message: Decoded) -> None:
    for sample in message.samples:
        assert math.isfinite(sample.value)
        assert -(2**63) < sample.stamp < 2**63
        assert math.isnan(sample.quality) or 0 <= sample.quality <= 1
    for rejection in message.rejections:
        assert rejection.reason in Reason
        assert rejection.expected
        assert len(rejection.got) <= 64
        assert len(rejection.path) <= 64
        (rejection.got + rejection.path).encode()


@given(st.binary(max_size=200))
@example(
    b'{"values":{"\\ud800":1,"a":"\\ud800"},"time":1,"boot":"\\ud800","units":{"a":"\\udfff"}}'
)
def test_no_bytes_raise(payload: bytes) -> None:
    _sound(decode(payload))


@given(_messages)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_raises_and_both_ways_of_reading_agree(fields: dict[str, object]) -> None:
    payload = json.dumps(fields).encode()
    message, explained = decode(payload), decode_explained(payload)
    _sound(message)
    _sound(explained)
    assert repr(_plain(message)) == repr(_plain(explained))


@given(
    st.lists(st.integers(-(2**40), 2**40), max_size=5),
    st.dictionaries(_signals, st.none() | st.floats(-1e6, 1e6), max_size=4),
    st.booleans(),
)
def test_a_well_formed_message_is_never_refused(
    times: list[int], one: dict[str, float | None], batch: bool
) -> None:
    many = {signal: [value] * len(times) for signal, value in one.items()}
    fields = {"times": times, "values": many} if batch else {"time": NOON, "values": one}
    message = decode(json.dumps(fields).encode())
    given_values = sum(value is not None for value in one.values())
    assert not message.rejections
    assert len(message.samples) == given_values * (len(times) if batch else 1)


def _plain(message: Decoded) -> tuple[object, ...]:
    state = (message.sequence, message.boot, message.battery, message.contact, message.device)
    return (list(message.samples), list(message.rejections), message.surplus, *state)


def test_a_quarter_megabyte_of_anything_is_decided_at_once() -> None:
    many = {"time": NOON, "values": {f"s{i}": "x" for i in range(15_000)}}
    twice = '{"time":1,"values":{' + ",".join('"a":1' for _ in range(40_000)) + "}}"
    assert len(decode(json.dumps(many).encode()).rejections) == 15_000
    assert only(decode(twice.encode())).reason is Reason.FIELD_DUPLICATE


def test_samples_are_compact_values() -> None:
    assert Sample("spo2", 97.0, None, 1) != Sample("spo2", 97.0, "%", 1)
