"""SenML in JSON and CBOR: what a pack holds, and what is said of what it cannot be used for."""

import json
from typing import Any

import cbor2
import pytest

from ingest.payload.decoded import Decoded, Reason, Rejection
from ingest.payload.senml import LABELS, decode_cbor, decode_json

T = 1_795_000_000
NS = 1_000_000_000
_LABEL = {name: label for label, name in LABELS.items()}


def as_json(*records: Any) -> bytes:
    return json.dumps(list(records)).encode()


def as_cbor(*records: Any) -> bytes:
    packed: bytes = cbor2.dumps([{_LABEL.get(k, k): v for k, v in r.items()} for r in records])
    return packed


def read(*records: Any) -> Decoded:
    """The pack in both encodings, which must say the same."""
    decoded = decode_json(as_json(*records))
    assert decode_cbor(as_cbor(*records)) == decoded
    return decoded


def only(decoded: Decoded) -> Rejection:
    assert len(decoded.rejections) == 1, decoded.rejections
    return decoded.rejections[0]


def values(decoded: Decoded) -> list[tuple[str, float, str | None, float]]:
    return [(s.signal, s.value, s.unit, s.stamp / NS) for s in decoded.samples]


def test_base_fields_hold_until_the_next_ones() -> None:
    decoded = read(
        {"bn": "urn:dev:ow:10e2073a01080063:", "bt": T, "bu": "beat/min", "bver": 5},
        {"n": "heart_rate", "v": 72},
        {"n": "heart_rate", "v": 73, "t": 1.5},
        {"n": "spo2", "v": 0.97, "u": "/", "t": -5},
        {"bt": T + 60, "bv": 100, "n": "heart_rate", "v": -20},
        {"n": "heart_rate"},
    )
    assert values(decoded) == [
        ("heart_rate", 72.0, "/min", T),
        ("heart_rate", 73.0, "/min", T + 1.5),
        ("spo2", 0.97, "1", T - 5),
        ("heart_rate", 80.0, "/min", T + 60),
        ("heart_rate", 100.0, "/min", T + 60),
    ]
    assert not decoded.rejections
    assert [s.path for s in decoded.samples] == [f"[{i}].v" for i in range(1, 6)]


def test_a_name_alone_and_a_unit_unsaid_will_do() -> None:
    decoded = read({"n": "heart_rate", "v": 72, "t": T})
    assert values(decoded) == [("heart_rate", 72.0, None, T)]


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("watch-7/heart_rate", "watch-7"),
        ("watch-7:heart_rate", "watch-7"),
        ("gw-1/watch-7/heart_rate", "gw-1/watch-7"),
        ("urn:dev:mac:0024befffe804ff1:heart_rate", "urn:dev:mac:0024befffe804ff1"),
        ("urn:dev:ow:1:pulse:heart_rate", "urn:dev:ow:1"),
        ("2001:db8::2/heart_rate", "2001:db8::2"),
        ("heart_rate", None),
    ],
)
def test_the_part_before_the_signal_names_a_device(name: str, device: str | None) -> None:
    (sample,) = read({"n": name, "v": 72, "t": T}).samples
    assert sample.at is not None
    assert sample.at.device == device


def test_battery_and_contact_are_state_of_the_device() -> None:
    decoded = read(
        {"bn": "watch-7:", "n": "battery", "v": 83, "u": "%EL"}, {"n": "contact", "vb": False}
    )
    assert (decoded.battery, decoded.contact) == (0.83, False)
    assert not decoded.samples
    assert not decoded.rejections


@pytest.mark.parametrize(
    ("record", "reason", "path"),
    [
        ({"n": "voltage", "v": 1}, Reason.SIGNAL_UNKNOWN, "[1].n"),
        ({"n": "heart_rate", "vs": "72"}, Reason.VALUE_NOT_A_NUMBER, "[1].vs"),
        ({"n": "heart_rate", "vb": True}, Reason.VALUE_NOT_A_NUMBER, "[1].vb"),
        ({"n": "heart_rate", "v": "72"}, Reason.VALUE_NOT_A_NUMBER, "[1].v"),
        ({"n": "heart_rate", "v": True}, Reason.VALUE_NOT_A_NUMBER, "[1].v"),
        ({"n": "heart_rate", "v": None}, Reason.VALUE_NOT_A_NUMBER, "[1].v"),
        ({"n": "heart_rate"}, Reason.FIELD_MISSING, "[1].v"),
        ({"n": "heart_rate", "v": 72, "vs": "72"}, Reason.FIELD_TYPE, "[1]"),
        ({"n": "heart_rate", "s": 5}, Reason.NOT_SUPPORTED, "[1].s"),
        ({"n": "heart_rate", "v": 72, "u": 5}, Reason.FIELD_TYPE, "[1].u"),
        ({"n": "heart_rate", "v": 72, "t": "now"}, Reason.TIME_UNREADABLE, "[1].t"),
        ({"n": "heart_rate", "v": 72, "t": 1e18}, Reason.TIME_UNREADABLE, "[1].t"),
        ({"n": "heart_rate", "v": 72, "t": -T}, Reason.TIME_RELATIVE, "[1].t"),
        ({"n": 7, "v": 72}, Reason.FIELD_TYPE, "[1].n"),
        ({"n": "heart rate", "v": 72}, Reason.NAME_INVALID, "[1].n"),
        ({"v": 72}, Reason.SIGNAL_UNKNOWN, "[1].bn"),
        ({"n": "battery", "v": 120, "u": "%EL"}, Reason.VALUE_OUT_OF_RANGE, "[1].v"),
        ({"n": "battery", "v": 1, "u": "V"}, Reason.UNIT_UNKNOWN, "[1].u"),
        ({"n": "contact", "v": 1}, Reason.FIELD_TYPE, "[1].v"),
    ],
)
def test_a_bad_record_is_refused_alone(record: Any, reason: Reason, path: str) -> None:
    good = {"n": "heart_rate", "v": 70, "t": 1}
    decoded = read({"bn": "w:", "bt": T, "n": "spo2", "v": 97}, record, good)
    assert [s.signal for s in decoded.samples] == ["spo2", "heart_rate"]
    refusal = only(decoded)
    assert (refusal.reason, refusal.path) == (reason, path)
    assert refusal.expected


@pytest.mark.parametrize("time", [10**400, -(10**400)])
def test_a_time_beyond_every_float_beside_a_base_time_with_a_fraction(time: int) -> None:
    decoded = decode_json(
        as_json(
            {"bn": "urn:dev:ow:1:", "bt": T + 0.5, "bu": "beat/min", "n": "heart_rate", "v": 72},
            {"n": "heart_rate", "v": 73, "t": time},
            {"n": "heart_rate", "v": 74, "t": 2},
        )
    )
    assert [value for _, value, _, _ in values(decoded)] == [72, 74]
    assert (only(decoded).reason, only(decoded).path) == (Reason.TIME_UNREADABLE, "[1].t")


def test_a_value_beside_a_sum_is_taken_and_the_sum_refused() -> None:
    decoded = read({"n": "heart_rate", "v": 72, "s": 900, "t": T})
    assert len(decoded.samples) == 1
    assert (only(decoded).reason, only(decoded).path) == (Reason.NOT_SUPPORTED, "[0].s")


@pytest.mark.parametrize(
    ("records", "reason", "path"),
    [
        ([{"n": "spo2", "v": 97, "x_": 1}], Reason.FIELD_NOT_UNDERSTOOD, "[0].x_"),
        ([{"bver": 11, "n": "spo2", "v": 97}], Reason.VERSION_UNSUPPORTED, "[0].bver"),
        ([{"bver": 5}, {"bver": 6}], Reason.VERSION_UNSUPPORTED, "[1].bver"),
        ([{"bver": "10"}], Reason.FIELD_TYPE, "[0].bver"),
        ([{"bn": 7}], Reason.FIELD_TYPE, "[0].bn"),
        ([{"bt": "now"}], Reason.FIELD_TYPE, "[0].bt"),
        ([{"bu": 1}], Reason.FIELD_TYPE, "[0].bu"),
        ([{"bv": None}], Reason.FIELD_TYPE, "[0].bv"),
    ],
)
def test_what_makes_all_doubtful_refuses_the_pack(
    records: list[Any], reason: Reason, path: str
) -> None:
    decoded = read({"n": "heart_rate", "v": 70, "t": T}, *records)
    refusal = only(decoded)
    assert not decoded.samples
    place = int(path[1]) + 1
    assert (refusal.reason, refusal.path) == (reason, f"[{place}]{path[3:]}")


def test_a_record_that_is_no_object_is_refused_alone() -> None:
    decoded = decode_json(b'[7, {"n":"spo2","v":97,"t":%d}]' % T)
    assert len(decoded.samples) == 1
    assert (only(decoded).reason, only(decoded).path) == (Reason.FIELD_TYPE, "[0]")


def test_a_key_twice_refuses_its_record_and_a_base_key_twice_the_pack() -> None:
    text = b'[{"n":"spo2","v":97,"v":98,"t":%d},{"n":"spo2","v":96,"t":%d}]' % (T, T)
    decoded = decode_json(text)
    assert [s.value for s in decoded.samples] == [96.0]
    assert (only(decoded).reason, only(decoded).path) == (Reason.FIELD_DUPLICATE, "[0].v")
    decoded = decode_json(b'[{"bt":%d,"bt":1},{"n":"spo2","v":96}]' % T)
    assert not decoded.samples
    assert only(decoded).reason is Reason.FIELD_DUPLICATE


def test_surplus_fields_are_counted_and_refuse_nothing() -> None:
    decoded = read({"n": "spo2", "v": 97, "t": T, "ut": 5, "l": "[]", "colour": "red"})
    assert len(decoded.samples) == 1
    assert decoded.surplus == 3


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"{", b"{}", b"7", b'"x"', b"[" * 100_000, b"[1e", b'[{"n":}]'],
)
def test_what_is_no_pack_is_undecodable(payload: bytes) -> None:
    assert only(decode_json(payload)).reason is Reason.UNDECODABLE


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"\xa0",
        b"\x81" * 100_000,
        bytes.fromhex("9bffffffffffffffff"),
        bytes.fromhex("8000"),  # something behind the pack
        bytes.fromhex("81a200010002"),  # a key twice
        bytes.fromhex("81d8236161"),  # a regular expression
        bytes.fromhex("81d81c81d81d00"),  # a list that holds itself
        bytes.fromhex("81c2581e" + "ff" * 30),  # a big number
    ],
)
def test_what_is_no_cbor_pack_is_undecodable(payload: bytes) -> None:
    assert only(decode_cbor(payload)).reason is Reason.UNDECODABLE


def test_decimal_fractions_are_numbers_in_cbor() -> None:
    pack = cbor2.dumps([{0: "spo2", 2: cbor2.CBORTag(4, [-1, 975]), 6: T}])
    assert values(decode_cbor(pack)) == [("spo2", 97.5, None, T)]
    broken = cbor2.dumps([{0: "spo2", 2: cbor2.CBORTag(4, [-1]), 6: T}])
    assert only(decode_cbor(broken)).reason is Reason.VALUE_NOT_A_NUMBER


@pytest.mark.parametrize("digits", ["9" * 400, "1e999", "NaN", "-Infinity", "9" * 5000])
def test_what_is_no_finite_number_is_no_value(digits: str) -> None:
    refusal = only(decode_json(b'[{"n":"spo2","v":%s,"t":%d}]' % (digits.encode(), T)))
    assert refusal.reason is Reason.VALUE_NOT_A_NUMBER
