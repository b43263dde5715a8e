"""The embedded store: what is written is read back, whatever the order and however often."""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.estimates import (
    SECOND,
    T0,
    aged,
    batch,
    coasting,
    forecast,
    observed,
    revised,
)
from twin.bands import Z50
from twin.estimate import Status, Verdict
from twin.store import sealing
from twin.store.embedded import EmbeddedStore
from twin.store.sqlite_file import StoreDamaged, StoreInUse

END = T0 + 10_000_000 * SECOND


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def sealed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave the recent ones when they are more than 100."""
    monkeypatch.setattr("twin.store.hot.RECENT_ROWS", 100)


def long_run(n: int, start: int = 0, signal: str = "heart_rate") -> list:
    return [observed(T0 + i * SECOND, 60 + i % 40, signal=signal) for i in range(start, start + n)]


def test_an_accepted_observation_is_a_raw_point_and_an_estimate(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(observed(T0, 72.0, mean=71.504, std=0.801)))
        series = store.series("p1", "heart_rate", T0, END)
    assert series.resolution == "raw"
    assert series.time.tolist() == series.observed_at.tolist() == [T0]
    assert series.mean.tolist() == [71.5]
    assert series.lo50.tolist() == [71.5 - Z50 * 0.8]
    assert (series.observed.tolist(), series.device) == ([72.0], ["watch-1"])
    assert series.cursor is None


def test_a_history_says_nothing_where_the_signal_cannot_be(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(observed(T0, 100.0, signal="spo2", mean=100.25, std=1.0)))
        for points in (None, 10):
            series = store.series("p1", "spo2", T0, END, points)
            assert series.mean.tolist() == series.hi95.tolist() == [100.0]
            assert series.lo50.tolist() == [100.25 - Z50]


def test_only_accepted_rows_and_revisions_are_estimates(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(
            batch(
                observed(T0, 70),
                observed(T0 + 1, 71, verdict=Verdict.BELATED),
                observed(T0 + 2, 72, verdict=Verdict.DUPLICATE),
                observed(T0 + 3, 73, verdict=Verdict.REFUSED),
                coasting(T0 + 4),
                revised(T0 + 5, 75),
            )
        )
        series = store.series("p1", "heart_rate", T0, END)
    assert series.time.tolist() == [T0, T0 + 5]
    assert series.observed_at.tolist() == [T0, T0 + 1]


def test_forecasts_of_a_moment_are_one_row_and_change_no_series(path: Path) -> None:
    said = [forecast(T0, seconds, 70 + i) for i, seconds in enumerate((60, 900, 1800, 3600))]
    with EmbeddedStore(path) as store:
        store.write(batch(observed(T0, 70), *said))
        store.write(batch(*said, *[forecast(T0 + 60 * SECOND, 1800, 80.004)]))
        (found,) = store.reading.forecasts("p1")
        series = store.series("p1", "heart_rate", T0, END)
        counted = store.stored()
    assert found.rows["time"].tolist() == [T0, T0 + 60 * SECOND]
    assert [found.rows[f"mean_{h}"][0] for h in (60, 900, 1800, 3600)] == [70, 71, 72, 73]
    assert found.rows["scale90_900"][0] == 1.5
    assert found.rows["known_at"][0] == (T0 + 3 * SECOND) // 10**6 * 10**6
    assert found.rows["mean_1800"][1] == 80.0  # rounded as estimates are
    assert np.isnan(found.rows["mean_60"][1])
    assert found.models[int(found.rows["model"][0])] == "m1"
    assert (series.time.tolist(), counted) == ([T0], {"watch-1": 1})


def test_many_forecasts_are_sealed_and_read_back(path: Path, sealed_soon: None) -> None:
    with EmbeddedStore(path) as store:
        for first in range(0, 3000, 500):
            store.write(
                batch(
                    *(
                        forecast(T0 + n * 60 * SECOND, seconds, 60 + n % 30)
                        for n in range(first, first + 500)
                        for seconds in (60, 900, 1800, 3600)
                    )
                )
            )
        rows = np.concatenate([part.rows for part in store.reading.forecasts()])
    assert len(rows) == 3000
    assert (rows["mean_3600"] == 60 + np.arange(3000) % 30).all()


def test_a_conflict_is_kept_apart_and_overwrites_nothing(path: Path) -> None:
    conflict = Verdict.CONFLICT
    with EmbeddedStore(path) as store:
        store.write(batch(observed(T0, 70)))
        store.write(batch(observed(T0, 99, verdict=conflict, received_at=T0 + 7)))
        store.write(batch(observed(T0, 98, verdict=conflict, received_at=T0 + 9)))
        assert store.series("p1", "heart_rate", T0, END).observed.tolist() == [70]
        kept = [row for part in store.reading.conflicts("p1") for row in part.rows]
        assert store.stored() == {"watch-1": 1}
    assert [(row["value"], row["measured_at"]) for row in kept] == [(99, T0), (98, T0)]


def test_status_changes_are_a_record_of_their_own(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(aged(T0, Status.LATE), aged(T0 + SECOND, Status.STALE)))
        (found,) = store.reading.statuses("p1")
    assert found.rows["status"].tolist() == [Status.LATE, Status.STALE]
    assert found.rows["time"].tolist() == [T0, T0 + SECOND]


def test_the_last_version_of_an_estimate_wins(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(observed(T0, 70), revised(T0, 71)))
        assert store.series("p1", "heart_rate", T0, END).mean.tolist() == [71]
        store.write(batch(revised(T0, 72)))
        assert store.series("p1", "heart_rate", T0, END).mean.tolist() == [72]


@pytest.mark.usefixtures("sealed_soon")
def test_a_revision_of_a_sealed_estimate_wins_before_and_after_it_is_sealed_itself(
    path: Path,
) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(*long_run(1200)))
        store.write(batch(revised(T0 + 5 * SECOND, 99)))
        assert store.series("p1", "heart_rate", T0, END).mean[5] == 99
        store.write(batch(*long_run(1200, 1200)))
        series = store.series("p1", "heart_rate", T0, END)
    assert series.mean[5] == 99
    assert series.time.tolist() == [T0 + i * SECOND for i in range(2400)]
    connection = apsw.Connection(str(path))
    sealed = connection.execute("SELECT sum(n) FROM extent").get
    assert sealed >= 2 * (2400 - sealing.STAY_HOT)
    connection.close()


@pytest.mark.usefixtures("sealed_soon")
def test_writing_the_same_batch_again_changes_nothing(path: Path) -> None:
    work = batch(*long_run(1300), revised(T0 + SECOND, 50), aged(T0, Status.LATE))
    with EmbeddedStore(path) as store:
        store.write(work)
        before = store.series("p1", "heart_rate", T0, END)
        counted = store.stored()
        store.write(work)
        after = store.series("p1", "heart_rate", T0, END)
        assert store.stored() == counted == {"watch-1": 1300}
    assert after.mean.tobytes() == before.mean.tobytes()
    assert after.observed_at.tobytes() == before.observed_at.tobytes()


@pytest.mark.usefixtures("sealed_soon")
def test_a_belated_rewrite_of_a_sealed_observation_is_counted_once(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(*long_run(1300)))
        late = Verdict.BELATED
        store.write(
            batch(
                observed(T0 + 3 * SECOND, 63, verdict=late),
                observed(T0 + 3 * SECOND + 1, 64, verdict=late),
            )
        )
        assert store.stored() == {"watch-1": 1301}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_order_with_small_blocks_reads_as_the_last_version_of_each(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ("SEAL_MINIMUM", "STAY_HOT", "BLOCK_ROWS")
    writes = data.draw(
        st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(60, 69)), max_size=12))
    )
    path = tmp_path_factory.mktemp("order") / "store.db"
    with pytest.MonkeyPatch.context() as patch, EmbeddedStore(path) as store:
        for name, value in zip(names, (3, 1, 5), strict=True):
            patch.setattr(sealing, name, value)
        patch.setattr("twin.store.hot.SEAL_AT", 4)
        patch.setattr("twin.store.hot.SEAL_MINIMUM", sealing.SEAL_MINIMUM)
        patch.setattr("twin.store.hot.GROUP_ROWS", data.draw(st.integers(1, 40)))
        patch.setattr("twin.store.slices._FEW", data.draw(st.integers(1, 200)))
        patch.setattr("twin.store.hot.RECENT_ROWS", data.draw(st.integers(0, 20)))
        expected: dict[int, float] = {}
        for rows in writes:
            store.write(batch(*(observed(T0 + at * SECOND, value) for at, value in rows)))
            expected |= {T0 + at * SECOND: float(value) for at, value in rows}
            assert store.stored() == ({"watch-1": len(expected)} if expected else {})
        for start, end in ((T0, END), (T0 + 10 * SECOND, T0 + 40 * SECOND)):
            series = store.series("p1", "heart_rate", start, end)
            within = {at: value for at, value in sorted(expected.items()) if start <= at < end}
            assert dict(zip(series.time.tolist(), series.mean.tolist(), strict=True)) == within
            seen = zip(series.observed_at.tolist(), series.observed.tolist(), strict=True)
            assert dict(seen) == within


@pytest.mark.usefixtures("sealed_soon")
def test_pages_follow_one_another_without_a_gap(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(*long_run(2500), revised(T0 + 7 * SECOND, 1)))
        store.write(batch(observed(T0 + SECOND // 2, 5, device="gateway/strap")))
        times: list[int] = []
        devices: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor:
            page = store.series("p1", "heart_rate", T0, END, after=cursor, limit=700)
            times += page.time.tolist()
            devices += page.device
            cursor, pages = page.cursor, pages + 1
            assert len(page.time) <= 700
    assert times == sorted([T0 + i * SECOND for i in range(2500)] + [T0 + SECOND // 2])
    assert (len(devices), devices.count("gateway/strap"), pages) == (2501, 1, 4)


def test_a_cursor_of_somebody_else_is_refused(path: Path) -> None:
    with EmbeddedStore(path) as store, pytest.raises(ValueError, match="nonsense"):
        store.series("p1", "heart_rate", T0, END, after="nonsense")


def test_what_is_not_there_is_empty(path: Path) -> None:
    with EmbeddedStore(path) as store:
        assert len(store.series("nobody", "heart_rate", T0, END).time) == 0
        assert len(store.series("nobody", "heart_rate", T0, END, points=10).time) == 0
        assert store.stored() == {}


def test_a_calibrated_band_is_not_the_plain_one(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(observed(T0, 70, scale95=1.25), observed(T0 + SECOND, 70)))
        series = store.series("p1", "heart_rate", T0, END)
    assert series.hi95.tolist() == [70 + 1.959963984540054 * 1.25, 70 + 1.959963984540054]


@pytest.mark.usefixtures("sealed_soon")
def test_position_and_rows_survive_closing(path: Path) -> None:
    with EmbeddedStore(path) as store:
        assert store.position == 0
        store.write_all([batch(*long_run(1200))], 41)
        store.write_all([], 42)
    with EmbeddedStore(path) as store:
        assert store.position == 42
        store.write_all([batch(observed(T0, 61), observed(T0 + 1, 61))], 43)
        assert store.stored() == {"watch-1": 1201}
        assert len(store.series("p1", "heart_rate", T0, END).time) == 1201


def test_a_reader_of_its_own_sees_what_is_committed(path: Path) -> None:
    with EmbeddedStore(path) as store, EmbeddedStore(path, readonly=True) as reader:
        store.write(batch(observed(T0, 70)))
        assert reader.series("p1", "heart_rate", T0, END).mean.tolist() == [70]
        with pytest.raises(ValueError, match="reading only"):
            reader.write(batch(observed(T0, 71)))


def test_a_second_writer_is_refused(path: Path) -> None:
    with EmbeddedStore(path), pytest.raises(StoreInUse, match=r"store\.db"):
        EmbeddedStore(path)


def test_a_missing_store_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"store\.db"):
        EmbeddedStore(path, readonly=True)
    assert not path.exists()


def test_a_file_that_is_no_store_is_named(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreDamaged, match=r"store\.db"):
        EmbeddedStore(path)


@pytest.mark.usefixtures("sealed_soon")
def test_a_flipped_byte_in_a_block_is_named_and_never_shown(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(*long_run(1200)))
    connection = apsw.Connection(str(path))
    block, blob = connection.execute("SELECT id, first FROM block LIMIT 1").fetchone()
    broken = bytearray(blob)
    broken[len(blob) // 2] ^= 4
    connection.execute("UPDATE block SET first = ? WHERE id = ?", (bytes(broken), block))
    connection.close()
    with EmbeddedStore(path, readonly=True) as store, pytest.raises(StoreDamaged, match="checksum"):
        store.series("p1", "heart_rate", T0, END)


def test_a_flipped_byte_in_rows_that_are_in_no_block_yet_is_named_and_never_shown(
    path: Path,
) -> None:
    with EmbeddedStore(path) as store:
        store.write(batch(*long_run(3)))
    connection = apsw.Connection(str(path))
    place, blob = connection.execute("SELECT place, rows FROM hot LIMIT 1").fetchone()
    broken = bytearray(blob)
    broken[len(blob) // 2] ^= 4
    connection.execute("UPDATE hot SET rows = ? WHERE place = ?", (bytes(broken), place))
    connection.close()
    with EmbeddedStore(path, readonly=True) as store, pytest.raises(StoreDamaged, match="checksum"):
        store.series("p1", "heart_rate", T0, END)
    with pytest.raises(StoreDamaged, match="checksum"):
        EmbeddedStore(path)


def test_a_failed_transaction_leaves_the_store_as_it_was(path: Path) -> None:
    with EmbeddedStore(path) as store:
        store.write_all([batch(observed(T0, 70))], 1)
        connection = apsw.Connection(str(path))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "CREATE TRIGGER stop BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT,'no'); END"
        )
        connection.execute("COMMIT")
        with pytest.raises(apsw.ConstraintError):
            store.write_all([batch(observed(T0 + 1, 71, patient="p2", device="new"))], 2)
        assert (store.position, store.stored()) == (1, {"watch-1": 1})
        connection.execute("DROP TRIGGER stop")
        connection.close()
        store.write_all([batch(observed(T0 + 1, 71, patient="p2", device="new"))], 2)
        assert store.stored() == {"watch-1": 1, "new": 1}
        assert store.series("p2", "heart_rate", T0, END).mean.tolist() == [71]


@pytest.mark.usefixtures("sealed_soon")
def test_exports_hold_every_column_exactly(path: Path) -> None:
    noise = random.Random(1)
    rows = [
        observed(
            T0 + i * SECOND + noise.randrange(10**9),
            noise.gauss(36.6, 0.1),
            signal="body_temperature",
            quality=0.9,
            noise_std=0.1,
            received_at=T0 + i * SECOND + noise.randrange(10**10),
            device_stamp=T0 + i * SECOND - 3,
        )
        for i in range(1200)
    ]
    work = batch(*rows)
    with EmbeddedStore(path) as store:
        store.write(work)
        (found,) = store.observations("p1")
        (estimates,) = store.estimates("p1")
    for name in ("value", "received_at", "device_stamp", "quality", "noise_std", "verdict"):
        assert found.rows[name].tobytes() == work.rows[name].tobytes(), name
    assert np.array_equal(found.rows["time"], work.rows["measured_at"])
    assert (found.patient, found.signal, found.device) == ("p1", "body_temperature", "watch-1")
    assert {estimates.models[model] for model in estimates.rows["model"].tolist()} == {"m1"}
    assert np.abs(estimates.rows["mean"] - work.rows["mean"]).max() <= 0.0005 + 1e-12
