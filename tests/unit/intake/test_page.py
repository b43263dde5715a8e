"""A page of batches read at once is what reading one batch after another gives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.catalogue import CODES
from ingest.observation import (
    KIND_BATCH,
    ObservationBatch,
    RecordDamaged,
    Tick,
    batch_of,
    decode_record,
    encode_record,
    seal,
)
from tests.support.twins import observation
from twin.estimation.bank import Bank
from twin.estimation.models import base_model
from twin.estimation.names import Names
from twin.intake.arrivals import arrivals
from twin.intake.page import PagedBatch, PageReader, rows_in

PATIENTS = [*(f"p{n}" for n in range(40)), "élodie", "n" * 40, "n" * 300, ""]
DEVICES = [*(f"w{n}" for n in range(50)), "gateway/ünit"]


class Reading:
    """A state that knows some names, read by pages."""

    def __init__(self, patients: Sequence[str] = PATIENTS, devices: Sequence[str] = DEVICES):
        self.bank, self.devices = Bank(base_model(), 4), Names()
        self.bank.numbers_of(patients)
        self.devices.numbers_of(devices)
        self.pages = PageReader(self.bank.patients, self.devices)

    def page(self, records: Sequence[bytes]) -> list[PagedBatch | None]:
        return self.pages.read(records)

    def same(self, records: Sequence[bytes]) -> bool:
        """Whether all were read at once; what is arrived is in any case what it was."""
        batches = [decode_record(record) for record in records]
        read = self.page(records)
        mixed: Any = [b if p is None else p for p, b in zip(read, batches, strict=True)]
        expected = arrivals(batches, self.bank, self.devices)  # type: ignore[arg-type]
        found = arrivals(mixed, self.bank, self.devices)
        for name in (each.name for each in fields(expected)):
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
            assert getattr(found, name).dtype == getattr(expected, name).dtype
        return None not in read


def made(rng: random.Random, patients: Sequence[str] = PATIENTS) -> bytes:
    sent = [
        observation(rng.randrange(900), rng.gauss(70, 9), rng.choice(patients), device, signal)
        for _ in range(rng.choice([1, 3, 40]))
        for device, signal in [(rng.choice(DEVICES), rng.choice(list(CODES)))]
    ]
    return encode_record(batch_of(sent))


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_a_page_is_what_its_batches_are(rng: random.Random, n: int) -> None:
    assert Reading().same([made(rng) for _ in range(n)])


def test_who_is_new_is_read_one_at_a_time_and_known_to_the_next_page() -> None:
    rng, twin = random.Random(1), Reading(["p1"], [])
    records = [made(rng) for _ in range(30)]
    assert not twin.same(records)
    assert twin.same(records)
    later = [made(rng, [f"{name}-later" for name in PATIENTS]) for _ in range(50)]
    assert not twin.same([*records, *later])
    assert twin.same([*later, *records])


def test_what_is_no_plain_batch_is_left() -> None:
    batch = batch_of([observation(1, 70, "p1", "w1"), observation(2, 71, "p2", "w1")])
    good, body = encode_record(batch), msgspec.msgpack.encode(batch)
    fields = msgspec.structs.asdict(batch)

    def other(**changed: object) -> bytes:
        return seal(KIND_BATCH, msgspec.msgpack.encode([*(fields | changed).values()]))

    left = [
        encode_record(Tick(1, True)),
        good[:5],
        b"",
        good[:-1] + bytes([good[-1] ^ 1]),
        seal(KIND_BATCH, body + b"\0"),
        seal(KIND_BATCH, body[:-1]),
        seal(KIND_BATCH, b""),
        seal(KIND_BATCH, b"\0" + body[1:]),
        other(rows=batch.rows[:-1]),
        other(patients=("p1",)),
        other(devices=()),
        other(signals=("no-such-signal",)),
        other(patients=["p1", 2]),
        other(offsets="text"),
        other(more=1),
        seal(KIND_BATCH, b"\x95\xdd\xff\xff\xff\xff" + body[2:]),
        seal(KIND_BATCH, b"\x95\x92\xdb\xff\xff\xff\xff" + body[3:]),
    ]
    read = Reading().page([*left, good])
    assert read[: len(left)] == [None] * len(left)
    assert read[-1] is not None
    assert read[-1].whole() == batch
    assert [len(one) for one in read if one is not None] == [2]


@given(st.binary(max_size=60), st.integers(0, 400))
def test_whatever_is_read_is_a_batch(noise: bytes, place: int) -> None:
    body = bytearray(msgspec.msgpack.encode(batch_of([observation(1, 70, "p1", "w1")])))
    body[place : place + len(noise)] = noise
    record = seal(KIND_BATCH, bytes(body))
    (read,) = Reading().page([record])
    if read is not None:
        decoded = decode_record(record)
        assert isinstance(decoded, ObservationBatch)
        assert len(decoded.table()) == len(read)


def test_a_page_of_which_some_is_not_taken_is_read_one_at_a_time() -> None:
    rng, twin = random.Random(2), Reading()
    read = [one for one in twin.page([made(rng) for _ in range(5)]) if one is not None]
    assert len(read) == 5
    assert rows_in(read) is not None
    assert rows_in(read[1:3]) is not None
    gap = [read[0], *read[2:]]
    assert rows_in(gap) is None
    expected = arrivals([one.whole() for one in gap], twin.bank, twin.devices)
    assert arrivals(gap, twin.bank, twin.devices).value.tobytes() == expected.value.tobytes()
    assert rows_in([]) is None


def test_rows_of_a_page_may_be_written_to_as_those_of_batches_may() -> None:
    (read,) = Reading().page([made(random.Random(3))])
    assert read is not None
    found = rows_in([read])
    assert found is not None
    assert found.rows.flags.writeable
    assert found.patient.flags.c_contiguous


def test_a_record_that_is_no_batch_is_never_one() -> None:
    (read,) = Reading().page([made(random.Random(4))])
    assert read is not None
    with pytest.raises(RecordDamaged):
        replace(read, record=encode_record(Tick(1, True))).whole()


def test_no_record_gives_nothing() -> None:
    assert Reading().page([]) == []
    assert np.array_equal(Reading().page([b"x"]), [None])
