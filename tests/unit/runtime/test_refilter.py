"""The job that folds belated observations in: stores hold what the data in order would give."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.observation import Observation
from tests.support.belated import LiveLine, as_kept, galaxy, heart_rate, held, in_order
from tests.support.twins import T0, model_of
from twin.anchor import Anchors
from twin.estimate import EstimateBatch, Written
from twin.runtime.refilter import FOLLOWING_S, LONGEST_S, QUIET_S, RefilterJob
from twin.store.embedded import EmbeddedStore
from twin.store.sqlite_file import Stored, open_store
from twin.store.strayed import LAST, SURE, ask

SECOND = 1_000_000_000
MODEL = model_of(
    mean=80.0, spread=18.0, level_time=900.0, deviation_time=20.0, deviation_noise=0.25,
    noise=0.8, ring=8, expected_interval=30.0,
)  # fmt: skip


def watched(
    seed: int, n: int = 500, devices: Sequence[str] = ("watch", "band"), every: int = 30
) -> list[Observation]:
    """Some hours, in order, received half a second after they were measured."""
    rng, said = random.Random(seed), []
    for i in range(n):
        stamp = T0 + i * every * SECOND
        for device in devices:
            if device == devices[0] or rng.random() < 0.4:
                value = round(72 + rng.gauss(0, 3) + 30 * (i % 97 > 80), 1)
                quality = rng.choice([float("nan"), 0.9])
                said.append(
                    heart_rate("p", device, value, stamp, stamp + SECOND // 2, 1.3, quality)
                )
    return said


def arriving(said: Sequence[Observation], late: set[int], behind: int) -> list[Observation]:
    """With those of these numbers `behind` places later."""
    order = sorted(range(len(said)), key=lambda i: (i + behind * (i in late), i))
    return [said[i] for i in order]


def job_of(store: EmbeddedStore, slice_rows: int = 20_000) -> RefilterJob:
    return RefilterJob("embedded", store, store, MODEL, slice_rows=slice_rows)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "store.db")


def test_after_rest_the_store_holds_what_the_data_in_order_give(store: EmbeddedStore) -> None:
    said = watched(1)
    line = LiveLine([store], MODEL)
    line.arrive(arriving(said, set(range(300, 340)), 150))
    expected = as_kept(in_order(said, MODEL))
    assert held(store) != expected
    (run,) = job_of(store).run_all()
    assert held(store) == expected
    assert run.anchor is not None
    assert run.anchor < run.since == said[300].measured_at
    assert run.rows < len(expected)
    assert not run.forgotten


@given(
    seed=st.integers(0, 999),
    blocks=st.lists(st.tuples(st.integers(0, 600), st.integers(1, 60)), min_size=1, max_size=3),
    behind=st.integers(10, 300),
    rests=st.integers(1, 4),
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_blocks_come_late_and_whenever_the_job_runs(
    seed: int,
    blocks: list[tuple[int, int]],
    behind: int,
    rests: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    said = watched(seed, 400)
    late = {i for first, n in blocks for i in range(first, first + n)}
    arrived = arriving(said, late, behind)
    with EmbeddedStore(tmp_path_factory.mktemp("s") / "store.db") as store:
        line, job = LiveLine([store], MODEL), job_of(store, 70)
        cut = -(-len(arrived) // rests)
        for start in range(0, len(arrived), cut):
            line.arrive(arrived[start : start + cut], 17)
            job.run_all()
        assert held(store) == as_kept(in_order(said, MODEL))


def test_two_devices_one_of_them_wholly_behind(store: EmbeddedStore) -> None:
    said = watched(2)
    late = {i for i, o in enumerate(said) if o.device == "band"}
    line, job = LiveLine([store], MODEL), job_of(store)
    arrived = arriving(said, late, 60)
    for start in range(0, len(arrived), 100):
        line.arrive(arrived[start : start + 100])
        job.run_all()
    assert held(store) == as_kept(in_order(said, MODEL))


@pytest.mark.parametrize("person", ["P02", "P03"])
def test_galaxyppg_the_watch_behind_the_band(store: EmbeddedStore, person: str) -> None:
    arrived = galaxy(person)
    line, job = LiveLine([store]), RefilterJob("embedded", store, store, LiveLine([]).model)
    half = len(arrived) // 2
    line.arrive(arrived[:half])
    job.run_all()
    line.arrive(arrived[half:])
    job.run_all()
    belated = sum(int((each.rows["verdict"] == 2).sum()) for each in store.observations())
    watch = sum(o.device == "watch" for o in arrived)
    assert belated > 0.85 * watch
    assert held(store) == as_kept(in_order(arrived))


class Killed(BaseException):
    pass


@dataclass(slots=True)
class Dying:
    """A sink that dies at its n-th write, after or before it took it."""

    store: EmbeddedStore
    at: int
    takes: bool
    batches: int = field(default=0)

    def write_all(
        self, batches: Sequence[EstimateBatch | Anchors], position: int | None
    ) -> Written:
        self.batches += 1
        if self.batches == self.at and not self.takes:
            raise Killed
        written = self.store.write_all(batches, position)
        if self.batches == self.at:
            raise Killed
        return written


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize("at", [1, 3])
def test_killed_in_the_middle_it_goes_on_after_the_next_start(
    tmp_path: Path, at: int, takes: bool
) -> None:
    said = watched(4)
    with EmbeddedStore(tmp_path / "store.db") as store:
        LiveLine([store], MODEL).arrive(arriving(said, set(range(100, 140)), 300))
        dying = RefilterJob("embedded", store, Dying(store, at, takes), MODEL, slice_rows=60)
        with pytest.raises(Killed):
            dying.run_all()
    with EmbeddedStore(tmp_path / "store.db") as again:
        job = job_of(again, 60)
        (run,) = job.run_all()
        assert held(again) == as_kept(in_order(said, MODEL))
        assert run.anchor is not None
        assert at == 1 or run.anchor > said[100].measured_at  # not from the beginning of it
        assert job.run_all() == []


def test_a_key_whose_live_line_is_the_records_again_has_strayed_no_more(
    store: EmbeddedStore,
) -> None:
    """One belated reading; the filter forgets what it did not hear, in the end to the last bit."""
    quick = model_of(
        mean=80.0, spread=18.0, level_time=60.0, deviation_time=20.0, deviation_noise=0.25,
        noise=0.8, ring=8, expected_interval=30.0,
    )  # fmt: skip
    said = watched(5, 1_500, ("watch",))
    line = LiveLine([store], quick)
    job = RefilterJob("embedded", store, store, quick)
    line.arrive(arriving(said, {200}, 20))
    runs = job.run_all()
    assert [run.on_line for run in runs] == [True]
    assert held(store) == as_kept(in_order(said, quick))
    more = watched(5, 1_600, ("watch",))[1_500:]
    line.arrive(more)
    assert job.run_all() == []
    assert held(store) == as_kept(in_order([*said, *more], quick))


def anchors_in(store: EmbeddedStore) -> dict[int, int]:
    """How many of each kind."""
    with closing(open_store(store.reading.path, readonly=True)) as connection:
        return dict(connection.execute("SELECT kind, count(*) FROM anchor GROUP BY kind"))


def test_anchors_of_a_strayed_key_are_the_records_and_one_where_the_last_run_ended(
    store: EmbeddedStore,
) -> None:
    said = watched(3)
    arrived = arriving(said, set(range(300, 340)), 150)
    line, job = LiveLine([store], MODEL), job_of(store)
    for start in range(0, len(arrived), 200):
        line.arrive(arrived[start : start + 200])
        job.run_all()
    hours = (said[-1].measured_at - said[0].measured_at) // (3600 * SECOND)
    kept = anchors_in(store)
    assert kept.pop(LAST) == 1
    assert sum(kept.values()) == kept[SURE]
    assert hours - 1 <= kept[SURE] <= hours + 1


def test_a_message_that_comes_again_late_is_no_news(store: EmbeddedStore) -> None:
    said = watched(6)
    LiveLine([store], MODEL).arrive([*said, *said[100:150]])
    assert job_of(store).run_all() == []


def test_without_an_anchor_it_begins_where_the_record_does(store: EmbeddedStore) -> None:
    said = watched(7, 80)  # forty minutes
    LiveLine([store], MODEL).arrive(arriving(said, {20}, 30))
    (run,) = job_of(store).run_all()
    assert run.anchor is None
    assert not run.forgotten
    assert held(store) == as_kept(in_order(said, MODEL))


def test_a_run_asked_for_by_hand_beside_the_writer(store: EmbeddedStore, tmp_path: Path) -> None:
    said = watched(8)
    LiveLine([store], MODEL).arrive(said)
    before = held(store)
    connection = open_store(tmp_path / "store.db", readonly=False)
    assert ask(connection, "nobody", None, 0) == 0
    assert ask(connection, "p", "heart_rate", said[300].measured_at) == 1
    connection.close()
    (run,) = job_of(store).run_all()
    assert run.since == said[300].measured_at
    assert held(store) == before == as_kept(in_order(said, MODEL))


def test_history_says_what_was_filtered_again(store: EmbeddedStore) -> None:
    said = watched(9)
    LiveLine([store], MODEL).arrive(arriving(said, set(range(300, 340)), 150))
    start, end = said[0].measured_at, said[-1].measured_at + 1
    assert store.series("p", "heart_rate", start, end).refiltered == ()
    job_of(store).run_all()
    for points in (None, 50):
        series = store.series("p", "heart_rate", start, end, points)
        assert series.refiltered == ((said[300].measured_at, said[-1].measured_at),)


def test_a_record_of_another_store_keeps_observations_alone(tmp_path: Path) -> None:
    said = watched(10)
    with (
        EmbeddedStore(tmp_path / "record.db", keeps=(Stored.OBSERVATION,)) as record,
        EmbeddedStore(tmp_path / "store.db") as elsewhere,
    ):
        LiveLine([elsewhere, record], MODEL).arrive(arriving(said, set(range(300, 340)), 150))
        assert list(record.estimates()) == []
        spans: list[tuple[str, str, int, int]] = []
        job = RefilterJob("influx", record, elsewhere, MODEL, lambda *span: spans.append(span))
        job.run_all()
        assert held(elsewhere) == as_kept(in_order(said, MODEL))
        last = said[-1].measured_at
        assert spans == [("p", "heart_rate", said[300].measured_at, last)]


def test_it_is_due_when_a_key_rests(store: EmbeddedStore) -> None:
    now = [0.0]
    LiveLine([store], MODEL).arrive(arriving(watched(11), {200}, 30))
    job = job_of(store)
    job.clock = lambda: now[0]
    assert job.due() == []
    now[0] = QUIET_S - 1
    assert job.due() == []
    now[0] = QUIET_S
    assert len(job.due()) == 1
    assert job.turn()
    assert (job.counts.runs, job.counts.failures, job.counts.strayed) == (1, 0, 1)
    now[0] += LONGEST_S
    assert job.due() == []


@pytest.mark.parametrize(("belated", "longest"), [(True, LONGEST_S), (False, FOLLOWING_S)])
def test_it_is_due_when_a_key_that_never_rests_has_waited_long_enough(
    store: EmbeddedStore, belated: bool, longest: float
) -> None:
    said, now = watched(11), [0.0]
    line, job = LiveLine([store], MODEL), job_of(store)
    job.clock = lambda: now[0]
    line.arrive(arriving(said[:250], {200}, 30))
    job.run_all()
    waited = [0.0]
    for o in said[250:]:
        line.arrive([o])
        if belated:
            old = said[round(now[0])]
            stamp = old.measured_at + SECOND
            line.arrive([heart_rate("p", str(old.device), 70.0, stamp, stamp)])
        if job.due():
            waited.append(now[0])
            break
        now[0] += QUIET_S / 2
    assert longest <= waited[-1] <= longest + QUIET_S


def test_a_sink_that_fails_is_tried_again(store: EmbeddedStore) -> None:
    said = watched(12)
    LiveLine([store], MODEL).arrive(arriving(said, {200}, 30))

    class Away:
        def write_all(
            self, batches: Sequence[EstimateBatch | Anchors], position: int | None
        ) -> Written:
            raise OSError("away")

    now = [0.0]
    job = RefilterJob("influx", store, Away(), MODEL, clock=lambda: now[0])
    assert job.turn()
    now[0] = QUIET_S
    assert not job.turn()
    assert job.counts.failures == 1
    assert "away" in job.counts.trouble
    job.sink = store
    now[0] = 3 * QUIET_S
    job.turn()
    now[0] = 5 * QUIET_S
    assert job.turn()
    assert held(store) == as_kept(in_order(said, MODEL))
