"""Hot rows on their way: groups that are sealed, groups that are dealt out, what is read then."""

from __future__ import annotations

from pathlib import Path

import apsw
import numpy as np
import pytest

from tests.support.estimates import SECOND, T0, batch, observed, revised
from twin.store import hot, sealing
from twin.store.embedded import EmbeddedStore
from twin.store.sqlite_file import BUCKETS, RECENT, Stored, homes, places, slice_at

END = T0 + 10_000_000 * SECOND
PATIENTS = [f"p{n}" for n in range(6)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "RECENT_ROWS", 30)
    monkeypatch.setattr(hot, "GROUP_ROWS", 60)
    monkeypatch.setattr(hot, "SEAL_AT", 40)
    monkeypatch.setattr(hot, "SEAL_MINIMUM", 10)
    monkeypatch.setattr(sealing, "SEAL_MINIMUM", 10)
    monkeypatch.setattr(sealing, "STAY_HOT", 2)


def wrote(path: Path, patients: list[str], rows: int) -> None:
    """A row of each patient in each transaction; every tenth time the one before is revised."""
    with EmbeddedStore(path) as store:
        for n in range(rows):
            made = [observed(T0 + n * SECOND, 50 + n % 70, patient=p) for p in patients]
            if n % 10 == 9:
                made += [revised(T0 + (n - 1) * SECOND, 130 + n % 90, patient=p) for p in patients]
            store.write_all([batch(*made)], n + 1)


def expected(rows: int) -> list[float]:
    mean = [50.0 + n % 70 for n in range(rows)]
    for n in range(9, rows, 10):
        mean[n - 1] = 130.0 + n % 90
    return mean


def homes_held(path: Path) -> set[tuple[Stored, int]]:
    connection = apsw.Connection(str(path))
    found = {slice_at(place)[:2] for (place,) in connection.execute("SELECT place FROM hot")}
    connection.close()
    return found


def sealed(path: Path) -> int:
    connection = apsw.Connection(str(path))
    found = int(connection.execute("SELECT coalesce(sum(n), 0) FROM extent").get)
    connection.close()
    return found


def assert_all_there(path: Path, patients: list[str], rows: int) -> None:
    with EmbeddedStore(path, readonly=True) as store:
        for patient in patients:
            series = store.series(patient, "heart_rate", T0, END)
            assert series.mean.tolist() == expected(rows)
            assert len(series.observed) == rows
        assert sum(store.stored().values()) == rows * len(patients)


def test_a_group_with_enough_rows_of_its_series_is_sealed_at_once(path: Path, small: None) -> None:
    wrote(path, PATIENTS, 200)
    assert_all_there(path, PATIENTS, 200)
    assert all(home >= RECENT for _, home in homes_held(path))
    assert sealed(path) > 2 * len(PATIENTS) * 150


def test_a_group_of_too_many_series_is_dealt_out_to_its_buckets(
    path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot, "GROUP_ROWS", 4)
    wrote(path, PATIENTS, 200)
    assert_all_there(path, PATIENTS, 200)
    assert any(home < BUCKETS for _, home in homes_held(path))
    assert sealed(path) > 0


def test_what_is_hot_is_known_after_closing(path: Path, small: None) -> None:
    wrote(path, PATIENTS, 35)
    with EmbeddedStore(path) as store:
        made = [observed(T0 + n * SECOND, 50 + n % 70) for n in range(35)]
        store.write_all([batch(*made)], 36)
        assert sum(store.stored().values()) == 35 * len(PATIENTS)  # p1's were there


def test_places_are_one_to_one() -> None:
    held = {
        places(stored, home)[0]: (stored, home, 0) for stored in Stored for home in range(hot.HOMES)
    }
    assert len(held) == len(Stored) * hot.HOMES
    assert {place: slice_at(place) for place in held} == held
    assert all(slice_at(places(*key[:2])[1])[:2] == key[:2] for key in held.values())


def test_older_homes_come_first_and_every_bucket_has_one_group() -> None:
    numbers = np.arange(3 * BUCKETS)
    for number in numbers.tolist():
        bucket, group, recent = homes(number)
        assert (bucket, recent) == (number % BUCKETS, RECENT)
        assert bucket in range(BUCKETS)[hot.buckets_of(group)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"
