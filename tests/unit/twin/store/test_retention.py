"""Windows are made where rows were written, however old; rows are kept as long as is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import count
from pathlib import Path

import apsw
import numpy as np
import pytest

from ingest.instant import DAY, HOUR, MINUTE
from tests.support.estimates import SECOND, T0, Row, batch, observed, revised
from twin.estimate import Series
from twin.store.aggregates import QUARTER
from twin.store.embedded import EmbeddedStore
from twin.store.retention import Kept, Report, Retention, reports

START = T0 // QUARTER * QUARTER
LIMITS = {"heart_rate": (50.0, 100.0)}


def run_of(days: float, patient: str = "p1") -> list[Row]:
    """A reading in ten seconds that rises and falls through 40–109."""
    n = int(days * DAY / (10 * SECOND))
    return [
        observed(START + i * 10 * SECOND, 40 + abs(i % 138 - 69), patient=patient) for i in range(n)
    ]


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "store.db")


def chart(store: EmbeddedStore, days: float, points: int) -> Series:
    return store.series("p1", "heart_rate", START, START + int(days * DAY), points)


def windows(store: EmbeddedStore, length: int) -> int:
    def count(db: apsw.Connection, _s: object, _m: object) -> int:
        asked = "SELECT count(*) FROM aggregate WHERE length = ?"
        return int(db.execute(asked, (length,)).get)

    return store.upkeep(count)


def assert_alike(found: Series, expected: Series) -> None:
    for name in ("time", "minimum", "maximum"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in ("mean", "lo50", "hi50", "lo95", "hi95"):  # stored in steps of 1/128 /min
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=0, atol=1 / 128, err_msg=name
        )


def test_a_chart_of_windows_is_the_chart_of_rows(store: EmbeddedStore) -> None:
    store.write(batch(*run_of(3)))
    of_rows = chart(store, 3, 72)

    report = Retention(store, Kept(), LIMITS).run(START + 4 * DAY)

    assert report.windows == 3 * 96
    assert windows(store, MINUTE) == windows(store, QUARTER) == 3 * 96
    assert_alike(chart(store, 3, 72), of_rows)


def test_a_quarter_that_is_touched_again_is_made_again_however_old(store: EmbeddedStore) -> None:
    store.write(batch(*run_of(3)))
    job = Retention(store, Kept(), LIMITS)
    job.run(START + 4 * DAY)
    assert job.run(START + 4 * DAY).windows == 0

    store.write(batch(revised(START + HOUR, 180)))

    assert chart(store, 3, 72).maximum.max() == 180  # also before the job: that quarter is read
    assert job.run(START + 4 * DAY).windows == 1
    assert chart(store, 3, 72).maximum[1] == 180


def test_a_quarter_that_still_fills_waits(store: EmbeddedStore) -> None:
    store.write(batch(*run_of(0.1)))

    report = Retention(store, Kept()).run(START + QUARTER + 3 * MINUTE)

    assert report.windows == 1


@pytest.mark.parametrize("at_once", [2, 7])
def test_quarters_made_together_are_as_made_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Of a ward whose series differ in signal, devices, gaps and revisions, sealed or still hot."""
    told = []
    for number in (1, at_once):
        monkeypatch.setattr("twin.store.retention._QUARTERS_AT_ONCE", number)
        with EmbeddedStore(tmp_path / f"{number}.db") as store:
            for part in _mixed_ward():
                store.write(batch(*part))
            Retention(store, Kept(), LIMITS).run(START + DAY)
            asked = "SELECT * FROM aggregate ORDER BY length, series, quarter"
            told.append(store.upkeep(lambda db, _s, _m, q=asked: db.execute(q).fetchall()))  # type: ignore[misc]

    assert told[0] == told[1]
    assert len(told[0]) > 40
    # Longer, each would take a page of the table's file for itself.
    assert max(len(blob) for *_, blob in told[0]) < 1_002


def _mixed_ward() -> list[list[Row]]:
    rng = np.random.default_rng(5)
    rows = []
    for patient in ("p1", "p2", "p3"):
        for signal, level, every in (
            ("heart_rate", 98, 7),
            ("spo2", 97, 30),
            ("glucose", 110, 300),
        ):
            for device in ("watch", "band")[: 1 + (signal == "heart_rate")]:
                skipped = rng.random() * 0.5
                rows += [
                    observed(
                        START + i * every * SECOND, level + round(float(rng.normal()), 1),
                        patient, signal, device,
                    )
                    for i in range(6_000 // every)
                    if rng.random() > skipped
                ]  # fmt: skip
    order = sorted(rows, key=lambda row: row.columns["as_of"])
    parts = [order[i : i + 200] for i in range(0, len(order), 200)]
    again = [row for row in order if row.signal == "heart_rate"][100:300:3]
    late = [revised(row.columns["as_of"], 103.0, row.patient) for row in again]
    return [*parts, late, run_of(0.2, "p4")]


def test_rows_go_and_their_windows_stay(store: EmbeddedStore, tmp_path: Path) -> None:
    store.write(batch(*run_of(3), *run_of(3, "p2")))
    before = chart(store, 3, 72)
    stored = store.stored()
    now = START + 3 * DAY

    report = Retention(store, Kept(raw=DAY, derived=DAY), LIMITS).run(now)

    assert report.observations > 20_000
    assert report.estimates > 20_000
    left = store.series("p1", "heart_rate", START, now)
    assert START + DAY < left.time[0] <= now - DAY  # a block goes as a whole
    assert_alike(chart(store, 3, 72), before)
    assert store.stored() == stored  # what was ever stored, for the ledger
    assert reports(apsw.Connection(str(tmp_path / "store.db")))[0] == report


def after(turns: int) -> Callable[[], bool]:
    """Says that it is time to stop once it was asked so many times."""
    asked = count(1)
    return lambda: next(asked) >= turns


def test_a_job_that_is_broken_off_leaves_the_rest_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.store.retention._QUARTERS_AT_ONCE", 50)
    now, kept, done = START + 3 * DAY, Kept(raw=DAY, derived=DAY, minutes=DAY), []
    for name, turns in (("broken", (1, 3, 9, 12)), ("whole", ())):
        with EmbeddedStore(tmp_path / f"{name}.db") as store:
            store.write(batch(*run_of(3)))
            job = Retention(store, kept, LIMITS)
            made = [job.run(now, after(n)) for n in turns]
            assert [each.windows for each in made[:2]] in ([], [50, 150])
            made.append(job.run(now))
            left = chart(store, 3, 72)
            sums = [sum(getattr(each, f.name) for each in made) for f in fields(Report)[1:]]
            done.append((sums, left, windows(store, MINUTE)))
    assert done[0][0] == done[1][0]
    assert done[0][2] == done[1][2]
    assert_alike(done[0][1], done[1][1])


def test_a_row_older_than_what_is_kept_spoils_no_window(store: EmbeddedStore) -> None:
    store.write(batch(*run_of(3)))
    job = Retention(store, Kept(raw=DAY, derived=DAY), LIMITS)
    job.run(START + 3 * DAY)
    before = chart(store, 3, 72)

    store.write(batch(observed(START + HOUR + 1, 99)))
    job.run(START + 3 * DAY)

    assert_alike(chart(store, 3, 72), before)


def test_windows_go_by_their_own_time(store: EmbeddedStore) -> None:
    store.write(batch(*run_of(3)))

    report = Retention(store, Kept(minutes=DAY, quarters=2 * DAY)).run(START + 3 * DAY)

    assert (report.minutes, report.quarters) == (2 * 96, 96)
    assert windows(store, MINUTE) == 95  # the last quarter has just ended


def test_everything_goes_on_after_rows_were_forgotten(store: EmbeddedStore) -> None:
    job = Retention(store, Kept(raw=DAY, derived=DAY))
    for day in range(4):
        rows = [
            observed(START + day * DAY + i * 20 * SECOND, 60 + i % 9, patient=f"p{i % 3}")
            for i in range(4320)
        ]
        store.write(batch(*rows))
        job.run(START + (day + 1) * DAY)
    found = store.series("p1", "heart_rate", START + 3 * DAY, START + 4 * DAY)
    assert len(found.time) == 1440
    assert sum(store.stored().values()) == 4 * 4320


def test_what_a_release_without_windows_wrote_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with EmbeddedStore(path) as store:
        store.write_all([batch(*run_of(1))], 5)
        Retention(store, Kept()).run(START + 2 * DAY)
    db = apsw.Connection(str(path))
    db.execute("UPDATE meta SET value = 9 WHERE key = 'position'")  # it moves this one alone
    db.close()

    with EmbeddedStore(path) as store:
        assert Retention(store, Kept()).run(START + 2 * DAY).windows == 96
        assert Retention(store, Kept()).run(START + 2 * DAY).windows == 0
