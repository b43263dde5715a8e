"""The change index: unusual for this person, said with what it rests on, and calling nobody."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.instant import HOUR, MINUTE
from ingest.observation import Tick
from twin.assessment.change_index import LAYOUT, ChangeIndex, _distance
from twin.assessment.chi_squared import cdf, quantile_ratio
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Updated
from twin.estimation.kalman import E_WEIGHT, ESTIMATE
from twin.estimation.models import base_model
from twin.judgement import Judgements
from twin.part import Moment, Seen
from twin.personal import Change

T0 = 1_790_000_000 * 10**9
USUAL = {
    "heart_rate": (65.0, 4.0),
    "respiratory_rate": (15.0, 1.0),
    "skin_temperature": (33.0, 0.3),
}
Shift = dict[str, float]


@dataclass
class Life:
    """A person measured every ten minutes; hours are given to the part one after another."""

    names: tuple[str, ...] = ("p1",)
    part: ChangeIndex = field(init=False)
    rows: list[Change] = field(default_factory=list)
    hour: int = 0
    cut: int = 10_000

    def __post_init__(self) -> None:
        self.part = ChangeIndex(Bank(base_model(), 1))
        self.numbers = [self.part.bank.number_of(name) for name in self.names]
        self.rng = np.random.default_rng(7)
        self.mood = np.zeros(3)

    def live(self, hours: int, shift: Shift | None = None, only: tuple[str, ...] = ()) -> None:
        codes = only or tuple(USUAL)
        for _ in range(hours):
            self.mood = 0.9 * self.mood + np.sqrt(1 - 0.81) * self.rng.normal(0, 1, 3)
            for minute in range(0, 60, 10):
                at = T0 + self.hour * HOUR + minute * MINUTE
                noise = self.rng.normal(0, 0.5, 3)
                values = {
                    code: mean + sd * (0.7 * self.mood[n] + noise[n] + (shift or {}).get(code, 0.0))
                    for n, (code, (mean, sd)) in enumerate(USUAL.items())
                }
                self.measure(at, {code: values[code] for code in codes})
            self.hour += 1
            self.tick(T0 + self.hour * HOUR)

    def measure(self, at: int, values: dict[str, float]) -> None:
        table = [(n, SIGNAL_ROW[c], v) for n in self.numbers for c, v in values.items()]
        for begin in range(0, len(table), self.cut):
            self.part.observe(seen(at, table[begin : begin + self.cut]))

    def tick(self, at: int) -> None:
        moment = Moment(np.ones(1, bool), np.array([at - T0]))
        for _, said in self.part.tick(Tick(at, True), moment, ()):
            assert isinstance(said, Judgements)
            self.rows += said.changes


def seen(at: int, table: list[tuple[int, int, float]]) -> Seen:
    n = len(table)
    patient, signal, value = (np.array(column) for column in zip(*table, strict=True))
    estimates = np.ones((n, ESTIMATE))
    estimates[:, E_WEIGHT] = 1.0
    none: NDArray[Any] = np.zeros(0, np.int64)
    updated = Updated(
        np.ones(n, np.uint8), np.full(n, at), estimates, none, none, np.zeros((0, ESTIMATE))
    )
    stamps = np.full(n, at)
    return Seen(
        patient, signal, np.zeros(n, np.int64), np.zeros(n, np.int64), value, np.full(n, math.nan),
        stamps, stamps, updated,
    )  # fmt: skip


def test_nothing_is_said_before_enough_is_known_and_then_with_its_uncertainty() -> None:
    life = Life()
    life.live(24 * 12)
    known = [row.known for row in life.rows]
    first = known.index(True)
    assert 24 * 4.9 <= first <= 24 * 5.5
    assert all(known[first:])
    early, late = life.rows[first], life.rows[-1]
    assert all(math.isnan(row.index) for row in life.rows[:first])
    assert early.samples < late.samples
    assert early.low <= early.index <= early.high
    assert {part.signal for part in late.departures} == set(USUAL)
    assert late.departures[0].usual == pytest.approx(USUAL[late.departures[0].signal][0], rel=0.05)


def test_a_usual_month_is_seldom_unusual_and_an_illness_is_with_its_signals_first() -> None:
    life = Life()
    life.live(24 * 28)
    month = [row for row in life.rows if row.known]
    assert sum(row.unusual for row in month) / len(month) < 0.05
    life.live(36, {"heart_rate": 2.0, "respiratory_rate": 1.5})
    row = life.rows[-1]
    assert row.unusual
    assert row.index > 0.99
    assert [part.signal for part in row.departures[:2]] == ["heart_rate", "respiratory_rate"]
    assert row.departures[0].departure > 0.5
    assert sum(part.contribution for part in row.departures) == pytest.approx(row.statistic)


def test_what_is_usual_does_not_follow_an_illness_of_days() -> None:
    life = Life()
    life.live(24 * 21)
    before = {part.signal: part.usual for part in life.rows[-1].departures}["heart_rate"]
    life.live(24 * 5, {"heart_rate": 2.5})
    after = {part.signal: part.usual for part in life.rows[-1].departures}["heart_rate"]
    assert life.rows[-1].unusual
    assert after - before < 0.25 * 2.5 * USUAL["heart_rate"][1]


def test_it_is_the_same_wherever_batches_are_cut_and_over_a_snapshot() -> None:
    whole, pieces = Life(("p1", "p2")), Life(("p1", "p2"), cut=1)
    for life in (whole, pieces):
        life.live(24 * 7)
    assert whole.rows == pieces.rows
    other = Life(("p2", "p1"))
    other.part.restore(0, whole.part.capture(0))
    other.rng, other.mood, other.hour = whole.rng, whole.mood, whole.hour
    state = whole.rng.bit_generator.state
    whole.rows.clear()
    whole.live(30)
    other.rng.bit_generator.state = state
    other.mood = whole.mood * 0 + pieces.mood
    other.live(30)
    assert [row.samples for row in other.rows] == [row.samples for row in whole.rows]
    assert other.rows == whole.rows


def test_a_clock_set_back_counts_as_another_hour_and_comes_once_for_each_patient() -> None:
    life = Life(("p1", "p2", "p3"))
    life.measure(T0, {"heart_rate": 65.0})
    life.tick(T0)
    for at in range(0, 60, 7):
        life.tick(T0 + at * MINUTE)
    life.tick(T0 + HOUR)
    assert sorted(row.patient for row in life.rows) == ["p1", "p2", "p3"]
    life.rows.clear()
    life.tick(T0)
    assert sorted(row.patient for row in life.rows) == ["p1", "p2", "p3"]
    life.tick(T0)
    assert len(life.rows) == 3


def test_another_layout_is_refused_and_a_forgotten_partition_knows_nobody() -> None:
    life = Life()
    life.live(5)
    with pytest.raises(ValueError, match=r"truncated|layout|Expected"):
        life.part.restore(0, b"\x81")
    life.part.forget(0)
    life.tick(T0 + 99 * HOUR)
    assert life.rows[-1].at < T0 + 99 * HOUR
    assert LAYOUT == 1


def test_a_signal_that_is_new_waits_until_it_is_known() -> None:
    life = Life()
    life.live(24 * 8, only=("heart_rate",))
    life.live(24)
    assert life.rows[-1].known
    assert [part.signal for part in life.rows[-1].departures] == ["heart_rate"]


def test_data_of_bad_quality_or_without_weight_change_nothing() -> None:
    life = Life()
    life.live(24 * 4)
    before = life.part.capture(0)
    table = [(life.numbers[0], SIGNAL_ROW["heart_rate"], 180.0)]
    poor = seen(T0 + life.hour * HOUR, table)
    poor.quality[:] = 0.2
    life.part.observe(poor)
    outlier = seen(T0 + life.hour * HOUR, table)
    outlier.updated.estimates[:, E_WEIGHT] = 0.01
    life.part.observe(outlier)
    assert life.part.capture(0) == before


def test_the_statistic_is_that_of_a_dense_solution() -> None:
    r, c = np.array([1.0, -0.5]), np.array([[0.5, 0.2], [0.2, 0.4]])
    samples = np.array([15.0, 10.0])
    own = np.array([15 / 20, 10 / 15])
    dense = np.array(
        [
            [own[0] * 0.5 + 0.25 * (1 - own[0]), own[1] ** 2 * 0.2],
            [own[1] ** 2 * 0.2, own[1] * 0.4 + 0.25 * (1 - own[1])],
        ]
    )
    statistic, shares = _distance(r, c, samples)
    assert statistic == pytest.approx(r @ np.linalg.solve(dense, r))
    assert shares.sum() == pytest.approx(statistic)


@pytest.mark.parametrize(
    ("x", "freedom", "below"),
    [(3.841, 1, 0.95), (5.991, 2, 0.95), (7.815, 3, 0.95), (11.070, 5, 0.95), (21.026, 12, 0.95),
     (6.635, 1, 0.99), (26.217, 12, 0.99), (0.0, 4, 0.0), (1e4, 3, 1.0)],
)  # fmt: skip
def test_chi_squared_is_that_of_the_tables(x: float, freedom: int, below: float) -> None:
    assert cdf(x, freedom) == pytest.approx(below, abs=2e-4)


def test_quantiles_by_wilson_and_hilferty_are_near_those_of_the_tables() -> None:
    assert quantile_ratio(10, 1.6449) * 10 == pytest.approx(18.307, rel=0.01)
    assert quantile_ratio(10, -1.6449) * 10 == pytest.approx(3.940, rel=0.02)
