"""Records of the journal: round trip, damage, columns."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.observation import (
    KIND_COMMAND,
    KIND_ESTIMATES,
    Command,
    DeviceId,
    DeviceState,
    DeviceStates,
    Observation,
    ObservationBatch,
    PatientId,
    Record,
    RecordDamaged,
    SignalCode,
    Tick,
    all_whole,
    batch_of,
    decode_record,
    encode_record,
    seal,
)

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
stamps = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False)
observations = st.lists(
    st.builds(
        Observation,
        names.map(PatientId),
        names.map(DeviceId),
        st.sampled_from(["heart_rate", "spo2"]).map(SignalCode),
        finite,
        stamps,
        stamps,
        stamps,
        st.one_of(st.just(nan), finite),
        st.one_of(st.just(nan), st.floats(0, 1)),
        st.integers(-1, 2**63 - 1),
        stamps,
    ),
    max_size=8,
)
records = st.one_of(
    observations.map(batch_of),
    st.builds(Tick, stamps, st.booleans(), st.booleans()),
    st.builds(
        Command,
        names,
        names,
        names,
        stamps,
        st.dictionaries(names, st.one_of(names, st.integers(0, 99), st.none()), max_size=3),
        st.one_of(st.none(), names),
    ),
    st.lists(
        st.builds(
            DeviceState,
            names,
            names,
            stamps,
            stamps,
            st.one_of(st.none(), st.floats(0, 1)),
            st.one_of(st.none(), st.booleans()),
            st.one_of(st.none(), st.booleans()),
        ),
        max_size=4,
    ).map(lambda states: DeviceStates(tuple(states))),
)


@given(record=records)
@settings(max_examples=100, deadline=None)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@given(record=records, where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_anywhere_is_damage_or_the_key_id(
    record: Record, where: float, bit: int
) -> None:
    sealed = bytearray(encode_record(record))
    at = int(where * len(sealed))
    sealed[at] ^= 1 << bit
    if 4 <= at < 8:  # the key id names a key, it is no part of the content
        assert decode_record(bytes(sealed)) == record
        return
    try:
        decoded = decode_record(bytes(sealed))
    except RecordDamaged:
        return
    pytest.fail(f"byte {at} flipped was read as {decoded!r}")


@given(record=records, cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=100, deadline=None)
def test_a_cut_record_is_damage(record: Record, cut: float) -> None:
    sealed = encode_record(record)
    with pytest.raises(RecordDamaged):
        decode_record(sealed[: int(cut * len(sealed))])


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"", "shorter than its envelope"),
        (b"XX" + encode_record(Tick(1, True))[2:], "no journal record"),
        (b"TW\x02" + encode_record(Tick(1, True))[3:], "format version 2, expected 1"),
        (encode_record(Tick(1, True)) + b"\0", "checksum does not match"),
        (seal(KIND_ESTIMATES, b""), "kind 4 is not one of the observations journal"),
        (seal(KIND_COMMAND, b"\xc0"), "layout: "),
    ],
)
def test_damage_says_what_is_wrong(record: bytes, why: str) -> None:
    with pytest.raises(RecordDamaged) as damaged:
        decode_record(record)
    assert damaged.value.why.startswith(why)


def observed(patient: str, value: float, device: str = "d") -> Observation:
    return Observation(
        PatientId(patient), DeviceId(device), SignalCode("heart_rate"), value, 5, 6, 7
    )


def test_a_batch_is_sorted_by_patient_and_keeps_the_order_of_receipt_within_one() -> None:
    batch = batch_of([observed("b", 1), observed("a", 2), observed("b", 3, "e"), observed("a", 4)])
    assert batch.patients == ("a", "b")
    table = batch.table()
    assert table["value"].tolist() == [2, 4, 1, 3]
    assert [batch.patients[n] for n in table["patient"]] == ["a", "a", "b", "b"]
    assert [batch.devices[n] for n in table["device"]] == ["d", "d", "d", "e"]
    assert np.frombuffer(batch.offsets, "<i4").tolist() == [0, 2, 4]
    assert table["measured_at"].tolist() == [5] * 4
    assert table["received_at"].tolist() == [6] * 4
    assert table["device_stamp"].tolist() == [7] * 4
    assert np.isnan(table["noise_std"]).all()
    assert np.isnan(table["quality"]).all()
    assert table["device_sequence"].tolist() == [-1] * 4


def test_cut_rows_are_damage() -> None:
    batch = batch_of([observed("a", 1)])
    cut = ObservationBatch(
        batch.patients, batch.devices, batch.signals, batch.offsets, batch.rows[:-1]
    )
    with pytest.raises(RecordDamaged, match="rows are cut"):
        cut.table()
    assert all_whole([])
    assert all_whole([batch])
    assert not all_whole([batch, cut])
