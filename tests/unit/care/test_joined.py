"""Batches joined before they are folded say the same as folded one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ingest.instant import SECOND
from ingest.journal.protocol import Entry
from tests.support.care import feed_of
from tests.support.estimates import Row, batch, coasting, forecast, observed, revised
from tests.support.twin_journals import PARTITIONS, placed, ward_records
from tests.support.twins import T0
from twin.care.joined import joined
from twin.care.latest import Latest
from twin.estimate import EstimateBatch, encode_output
from twin.step import new_state, step


def said(seed: int) -> list[EstimateBatch]:
    """What a ward says, step by step and partition by partition."""
    records, state = placed(ward_records(60, seed=seed, pause=(20, 35))), new_state(PARTITIONS)
    outputs = [step(state, records[n : n + 3])[1] for n in range(0, len(records), 3)]
    return [
        output
        for one in outputs
        for part in one.values()
        for output in part
        if isinstance(output, EstimateBatch)
    ]


def picture(latest: Latest, devices: list[str]) -> dict[tuple[str, int], bytes]:
    """Every key's row, with its device by name."""
    found = {}
    for row in latest.rows.copy():
        key = latest.patients[row["patient"]], int(row["signal"])
        device = devices[row["device"]]
        row["device"] = 0
        found[key] = row.tobytes() + device.encode()
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fold_of_joined_batches_is_the_fold_of_each(seed: int) -> None:
    batches, rng = said(seed), random.Random(seed)
    one, together = Latest(), Latest()
    for each in batches:
        one.fold(each)
    at = 0
    while at < len(batches):
        some = batches[at : at + rng.randrange(1, 12)]
        for each in joined(some):
            together.fold(each)
        at += len(some)
    assert len(one.rows) == 6 * 3
    assert one.patients == together.patients
    assert one.told.facts() == together.told.facts()
    assert picture(one, devices_of(one)) == picture(together, devices_of(together))
    for patient in one.patients:
        assert forecasts(one, patient) == forecasts(together, patient)
    assert any(forecasts(one, patient) for patient in one.patients)


def forecasts(latest: Latest, patient: str) -> dict[str, bytes]:
    """Its newest forecasts as bytes, without the place in a batch's table of patients."""
    found = {}
    for code, row in latest.forecasts.of(patient).items():
        own = row.copy()
        own["patient"] = 0
        found[code] = own.tobytes()
    return found


def devices_of(latest: Latest) -> list[str]:
    return latest.devices


def test_rows_stay_in_order_and_name_whom_they_named() -> None:
    first = batch(observed(1, 70.0, "p1"), observed(2, 71.0, "p2"))
    second = batch(observed(3, 72.0, "p2"), coasting(4, "p3"), revised(1, 70.5, "p1"))
    third = batch(forecast(5, 60, 80.0, "p2"))
    (all_of,) = joined([first, second, third])
    assert np.array_equal(
        all_of.rows["as_of"], np.concatenate([b.rows["as_of"] for b in (first, second, third)])
    )
    expected = [b.patients[n] for b in (first, second, third) for n in b.rows["patient"]]
    assert [all_of.patients[n] for n in all_of.rows["patient"]] == expected
    none = [n >= len(all_of.devices) for n in all_of.rows["device"].tolist()]
    expected_none = [
        n >= len(b.devices) for b in (first, second, third) for n in b.rows["device"].tolist()
    ]
    assert none == expected_none
    assert {all_of.devices[n] for n in all_of.rows["device"] if n < len(all_of.devices)} == set(
        first.devices + second.devices
    )


def test_batches_of_another_model_are_not_joined() -> None:
    one, other = batch(observed(1, 70.0)), batch(observed(2, 71.0), model="m2")
    assert [each.model for each in joined([one, one, other, one])] == ["m1", "m2", "m1"]
    assert list(joined([])) == []


def test_who_looks_at_the_feed_sees_what_was_read_before_it_was_folded() -> None:
    feed = feed_of()

    def read(position: int, *rows: Row) -> None:
        feed.take([Entry(0, position, encode_output(batch(*rows)))], position)

    read(1, observed(T0, 70.0, "p1"))
    read(2, observed(T0 + SECOND, 71.0, "p1"), observed(T0, 60.0, "p2"))
    assert sorted(feed.reading().rows["mean"].tolist()) == [60.0, 71.0]
    read(3, observed(T0 + 2 * SECOND, 72.0, "p1"), observed(T0, 50.0, "p3"))
    assert feed.position == 3
    assert feed.reading_of("p1").rows["mean"].tolist() == [72.0]
    feed.read_labels()
    assert sorted(feed.labels) == ["p1", "p2", "p3"]
