"""The fold of estimates into the newest of each key."""

import random
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.instant import SECOND
from ingest.observation import RecordDamaged, seal, unseal
from tests.support.ward import T0, Said, batch_of
from twin.care.latest import Latest
from twin.care.ledger import accounts_of, ledger_of
from twin.care.vitals import ORDER
from twin.estimate import EstimateBatch, Kind, Status, Verdict


def folded(*batches: EstimateBatch) -> Latest:
    latest = Latest()
    for batch in batches:
        latest.fold(batch)
    return latest


def only(latest: Latest) -> np.void:
    (row,) = latest.rows
    return row


def test_the_newest_accepted_estimate_stands_with_its_raw_value_and_device() -> None:
    row = only(folded(batch_of(Said(at=0, mean=70), Said(at=5, mean=74, value=75))))
    assert (row["mean"], row["value"], row["as_of"]) == (74, 75, T0 + 5 * SECOND)
    assert row["signal"] == ORDER["heart_rate"]


def test_an_estimate_older_than_the_one_shown_never_replaces_it() -> None:
    latest = folded(batch_of(Said(at=10, mean=80)), batch_of(Said(at=4, mean=60)))
    assert only(latest)["mean"] == 80


def test_a_late_observation_moves_the_mean_but_not_the_last_raw_value() -> None:
    late = Said(at=7, as_of=10, mean=79, value=50)
    row = only(folded(batch_of(Said(at=10, mean=80, value=81)), batch_of(late)))
    assert (row["mean"], row["value"], row["value_at"]) == (79, 81, T0 + 10 * SECOND)


def test_a_revision_of_the_shown_stamp_replaces_it_and_of_an_older_one_does_not() -> None:
    latest = folded(batch_of(Said(at=10, mean=80)))
    latest.fold(batch_of(Said(at=9, mean=10, kind=Kind.REVISION, status=Status.STALE)))
    assert only(latest)["mean"] == 80
    latest.fold(batch_of(Said(at=10, mean=78, kind=Kind.REVISION, status=Status.STALE)))
    assert (only(latest)["mean"], only(latest)["status"]) == (78, Status.FRESH)


@pytest.mark.parametrize(
    "verdict", [Verdict.BELATED, Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.REFUSED]
)
def test_what_was_not_accepted_changes_no_estimate(verdict: Verdict) -> None:
    latest = folded(batch_of(Said(at=0, mean=70)), batch_of(Said(at=9, mean=99, verdict=verdict)))
    assert only(latest)["mean"] == 70
    assert len(folded(batch_of(Said(verdict=verdict))).rows) == 0


def test_a_status_row_changes_the_status_alone() -> None:
    latest = folded(batch_of(Said(at=0, mean=70)))
    latest.fold(batch_of(Said(at=60, mean=0, device="", kind=Kind.STATUS, status=Status.STALE)))
    row = only(latest)
    assert (row["status"], row["mean"], row["as_of"]) == (Status.STALE, 70, T0)


def test_coasting_shows_a_prediction_while_the_estimate_keeps_its_stamp() -> None:
    latest = folded(batch_of(Said(at=0, mean=70)))
    coast = Said(at=20, mean=72, std=4, device="", kind=Kind.COASTING, status=Status.LATE)
    latest.fold(batch_of(coast))
    row = only(latest)
    assert row["coasting"]
    assert (row["mean"], row["coast_mean"], row["coast_std"], row["as_of"]) == (70, 72, 4, T0)
    latest.fold(batch_of(Said(at=21, mean=73)))
    assert not only(latest)["coasting"]
    assert only(latest)["status"] == Status.FRESH


def test_within_one_batch_the_order_of_rows_decides() -> None:
    coast = Said(at=20, mean=72, device="", kind=Kind.COASTING, status=Status.LATE)
    latest = folded(batch_of(Said(at=0), coast, Said(at=21, mean=73)))
    assert not only(latest)["coasting"]
    assert only(latest)["status"] == Status.FRESH
    latest = folded(batch_of(Said(at=0), Said(at=1), coast))
    assert only(latest)["coasting"]
    assert only(latest)["status"] == Status.LATE


def test_a_signal_that_the_catalogue_has_not_is_left_out_with_its_neighbours_kept() -> None:
    latest = folded(batch_of(Said(signal="moonlight"), Said(signal="spo2", mean=97)))
    assert only(latest)["mean"] == 97


def test_changed_rows_are_told_once() -> None:
    latest = folded(batch_of(Said(), Said(signal="spo2"), Said(patient="p2")))
    assert sorted(latest.take_changed()) == [0, 1, 2]
    assert len(latest.take_changed()) == 0
    latest.fold(batch_of(Said(patient="p2", at=1)))
    (place,) = latest.take_changed()
    assert latest.patients[latest.rows[place]["patient"]] == "p2"


def test_many_patients_keep_their_own_rows_as_the_tables_grow() -> None:
    patients = [f"p{i:04}" for i in range(700)]
    random.Random(1).shuffle(patients)
    latest = Latest()
    for first, last in pairwise(range(0, 701, 100)):
        latest.fold(batch_of(*(Said(p, mean=int(p[1:])) for p in patients[first:last])))
    for patient in patients:
        (place,) = latest.places_of(patient)
        assert latest.rows[place]["mean"] == int(patient[1:])
    assert len(latest.places_of("nobody")) == 0


def test_the_ledger_counts_each_verdict_once() -> None:
    verdicts = [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.BELATED]
    rows = [Said(at=i, verdict=verdict) for i, verdict in enumerate(verdicts)]
    refused = Said(at=9, verdict=Verdict.REFUSED, reason="restricted")
    latest = folded(batch_of(*rows, refused, Said(at=3, kind=Kind.REVISION)))
    (account,) = accounts_of(latest.told.facts()).values()
    assert (account.accepted, account.duplicate, account.belated) == (2, 1, 1)
    assert account.refused == {"restricted": 1}
    assert ledger_of(account, {}, None).journalled == 5
    assert (account.device, account.patient) == ("watch-1", "p1")
    assert account.last_received == T0 + 9 * SECOND + SECOND // 10


def test_a_dump_holds_everything_and_goes_on_where_it_was() -> None:
    first = batch_of(Said(mean=70), Said(patient="p2", signal="spo2", device="ring"))
    second = batch_of(Said(at=1, mean=71), Said(patient="p3"), Said(at=2, verdict=Verdict.CONFLICT))
    whole = folded(first, second)
    half = folded(first)
    half.position = 7
    again = Latest.load(half.dump())
    assert again.position == 7
    again.fold(second)
    again.position = 0
    assert again.dump() == whole.dump()


def test_a_dump_of_before_the_worker_s_account_was_the_only_one_still_opens() -> None:
    dumped = folded(batch_of(Said(), Said(patient="p2", device="ring"))).dump()
    kind, body = unseal(dumped)
    state = msgspec.msgpack.decode(body)
    patients, refused, counts, received = ["p1", "p2"], [{}, {}], bytes(2 * 6 * 8), bytes(2 * 8)
    state[5] = [*state[5], patients, refused, counts, received]
    latest = Latest.load(seal(kind, msgspec.msgpack.encode(state)))
    assert latest.devices == ["watch-1", "ring"]
    assert latest.dump() == dumped


def test_a_torn_or_foreign_dump_is_refused() -> None:
    dumped = folded(batch_of(Said())).dump()
    for bad in (b"", dumped[:-1], dumped[:40] + bytes([dumped[40] ^ 1]) + dumped[41:]):
        with pytest.raises(RecordDamaged):
            Latest.load(bad)


said = st.builds(
    Said,
    patient=st.sampled_from(["p1", "p2"]),
    signal=st.sampled_from(["heart_rate", "spo2"]),
    device=st.sampled_from(["watch-1", "ring-2"]),
    at=st.integers(0, 6).map(float),
    mean=st.integers(50, 90).map(float),
    kind=st.sampled_from(Kind),
    verdict=st.sampled_from([v for v in Verdict if v != Verdict.NONE]),
    status=st.sampled_from(Status),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(said, min_size=1, max_size=25), st.sets(st.integers(1, 24)))
def test_the_fold_does_not_depend_on_where_batches_were_cut(
    rows: list[Said], cuts: set[int]
) -> None:
    rows = sorted(rows, key=lambda s: s.patient)
    edges = [0, *sorted(c for c in cuts if c < len(rows)), len(rows)]
    cut = folded(*(batch_of(*rows[a:b]) for a, b in pairwise(edges)))
    by_one = folded(*(batch_of(row) for row in rows))
    whole = folded(batch_of(*rows))
    for other in (cut, by_one):
        assert other.told.facts() == whole.told.facts()
        assert other.patients == whole.patients
        for patient in whole.patients:
            mine, theirs = (
                other.rows[other.places_of(patient)],
                whole.rows[whole.places_of(patient)],
            )
            for name in ("as_of", "mean", "status", "coasting", "value", "value_at", "coast_mean"):
                assert mine[name].tolist() == theirs[name].tolist(), name
