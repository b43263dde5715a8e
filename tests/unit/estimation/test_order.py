"""The state is a function of the set of accepted observations, not of their arrival."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.twins import HEART_RATE, SWINGING, Sample, fed, model_of, state_of
from twin.estimate import Verdict
from twin.estimation.bank import REVISION_ROOM, Bank
from twin.estimation.events import Updated
from twin.estimation.kalman import E_INTERVAL, E_MEAN, E_NIS, E_TREND_VAR

MODELS = {
    "slow": model_of(**SWINGING | {"ring": 16}),
    "resting": model_of(**HEART_RATE | {"ring": 16, "expected_interval": 60.0}),
}
#: No sample arrives after more than this many that are newer: the ring holds 16.
DISPLACED = 9

# Values on a lattice, symmetric about the mean: ties between devices are common.
values = st.sampled_from([60.0, 78.0, 79.0, 80.0, 81.0, 82.0, 100.0, 140.0])
samples = st.lists(
    st.builds(Sample, st.integers(0, 70), values, st.integers(0, 2)),
    min_size=1,
    max_size=50,
    unique_by=lambda s: (s.at, s.device),
)


#: At 4 the two say the same, and the first of them is an outlier.
OUTLIER_AND_NOT = [
    (0, 60, 1), (1, 78, 1), (2, 78, 0), (3, 78, 0), (3, 78, 1), (4, 78, 0), (4, 78, 1), (5, 60, 0),
]  # fmt: skip


def alike(samples: Sequence[tuple[float, float, int]]) -> list[Sample]:
    """Stamp, value, device: two that say the same at one stamp are told apart by arrival alone."""
    return [Sample(*each) for each in samples]


def shuffled(ordered: Sequence[Sample], rng: random.Random, again: float = 0.0) -> list[Sample]:
    """The samples out of order within DISPLACED, a part of them twice."""
    keyed = [(i + rng.uniform(0, DISPLACED), s) for i, s in enumerate(ordered)]
    keyed += [(key + 1.0, s) for key, s in keyed if rng.random() < again]
    return [s for _, s in sorted(keyed, key=lambda pair: pair[0])]


def final(said: Updated) -> dict[int, NDArray[np.float64]]:
    """The last word on each as_of, applying the rows in the order of their events."""
    last: dict[int, NDArray[np.float64]] = {}
    for n in range(len(said.verdict)):
        for m in np.flatnonzero(said.revised_by == n):
            last[int(said.revised_at[m])] = said.revised[m, E_MEAN : E_TREND_VAR + 1]
        if said.verdict[n] == Verdict.ACCEPTED:
            last[int(said.as_of[n])] = said.estimates[n, E_MEAN : E_TREND_VAR + 1]
    return last


@pytest.mark.parametrize("model", MODELS)
@given(given_samples=samples, seed=st.integers(0, 10_000))
@example(alike([(0, 78, 0), (0, 78, 1), (1, 60, 0)]), 4)
@example(alike([(0, 60, 1), (0, 60, 2), (3, 78, 1), (4, 78, 1), (5, 60, 2), (8, 79, 1)]), 354)
@example(alike([(1, 60, 1), (1, 60, 2), (3, 78, 0), (5, 120, 1), (5, 78, 2), (6, 78, 1)]), 402)
@example(alike([(0, 60, 0), (0, 60, 1), (0, 60, 2), (1, 100, 1), (5, 60, 0)]), 7)
@example(alike([(0, 60, 0), (0, 78, 1), (1, 60, 0), (1, 60, 1), (2, 78, 0), (2, 78, 1)]), 3)
@example(alike(OUTLIER_AND_NOT), 5)
@settings(max_examples=60, deadline=None)
def test_any_order_of_arrival_inside_the_ring_gives_the_same_state_and_final_estimates(
    model: str, given_samples: list[Sample], seed: int
) -> None:
    rng = random.Random(seed)
    ordered = sorted(given_samples, key=lambda s: (s.at, s.device))
    straight, mixed = Bank(MODELS[model]), Bank(MODELS[model])
    expected = fed(straight, ordered)
    arrived = shuffled(ordered, rng, again=0.2)
    said = fed(mixed, arrived, cuts=rng.sample(range(1, 20), 4))
    assert (expected.verdict == Verdict.ACCEPTED).all()
    assert (said.verdict == Verdict.ACCEPTED).sum() == len(ordered)
    assert ((said.verdict == Verdict.ACCEPTED) | (said.verdict == Verdict.DUPLICATE)).all()
    np.testing.assert_array_equal(state_of(mixed), state_of(straight))
    one, other = final(said), final(expected)
    assert one.keys() == other.keys()
    for stamp, estimate in other.items():
        np.testing.assert_array_equal(one[stamp], estimate)


@pytest.mark.parametrize(("first", "second"), [(79.0, 81.0), (72.0, 72.0), (70.0, 95.0)])
def test_two_devices_at_one_stamp_count_the_same_whichever_came_first(
    first: float, second: float
) -> None:
    pair = [Sample(0, first, 0), Sample(0, second, 1)]
    one, other = Bank(MODELS["resting"]), Bank(MODELS["resting"])
    fed(one, pair)
    fed(other, pair[::-1])
    np.testing.assert_array_equal(state_of(one), state_of(other))


def test_after_the_first_of_two_devices_the_state_is_that_of_the_first() -> None:
    pair = [Sample(30, 90.0, 0), Sample(30, 70.0, 1)]
    before = [Sample(t, 75.0) for t in range(0, 30, 5)]
    growing, alone = Bank(MODELS["slow"]), Bank(MODELS["slow"])
    fed(growing, [*before, pair[0]])
    fed(alone, [*before, pair[0]])
    np.testing.assert_array_equal(state_of(growing), state_of(alone))
    said = fed(growing, [pair[1]])
    assert said.verdict.tolist() == [Verdict.ACCEPTED]
    assert len(said.revised) == 0
    assert state_of(growing)[0] != state_of(alone)[0]


@given(
    given_samples=samples, cuts=st.sets(st.integers(1, 60), max_size=12), seed=st.integers(0, 99)
)
@settings(max_examples=60, deadline=None)
def test_batch_boundaries_change_nothing(
    given_samples: list[Sample], cuts: set[int], seed: int
) -> None:
    arrived = shuffled(given_samples, random.Random(seed), again=0.2)
    whole, cut = Bank(MODELS["slow"]), Bank(MODELS["slow"])
    one = fed(whole, arrived)
    other = fed(cut, arrived, cuts={c for c in cuts if c < len(arrived)})
    for name in ("verdict", "as_of", "estimates", "revised_by", "revised_at", "revised"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(state_of(whole), state_of(cut))


def test_more_revisions_than_one_call_of_the_kernel_has_room_for_are_all_given() -> None:
    model = model_of(**HEART_RATE | {"ring": 64, "expected_interval": 60.0})
    newest = [Sample(100 + n, 75.0) for n in range(64)]
    late = [Sample(100 + n / 1000, 76.0) for n in range(1, 151)]  # each the ring's second oldest
    whole, one_by_one = Bank(model), Bank(model)
    said = fed(whole, newest + late)
    expected = fed(one_by_one, newest + late, cuts=range(1, 214))
    assert len(said.revised) == 150 * 63 > REVISION_ROOM
    np.testing.assert_array_equal(said.revised_by, expected.revised_by)
    np.testing.assert_array_equal(said.revised_at, expected.revised_at)
    np.testing.assert_array_equal(said.revised, expected.revised)


def test_a_duplicate_changes_nothing_and_a_conflict_is_kept_apart() -> None:
    bank = Bank(MODELS["slow"])
    fed(bank, [Sample(0, 75.0), Sample(5, 76.0), Sample(10, 77.0)])
    before = state_of(bank)
    said = fed(bank, [Sample(5, 76.0), Sample(10, 77.0), Sample(5, 99.0), Sample(10, 99.0)])
    assert said.verdict.tolist() == 2 * [Verdict.DUPLICATE] + 2 * [Verdict.CONFLICT]
    assert len(said.revised) == 0
    np.testing.assert_array_equal(state_of(bank), before)
    assert fed(bank, [Sample(5, 99.0, device=1)]).verdict.tolist() == [Verdict.ACCEPTED]


def test_older_than_the_ring_is_belated_and_leaves_the_state_untouched() -> None:
    bank = Bank(MODELS["slow"])
    fed(bank, [Sample(10 * n, 75.0 + n % 3) for n in range(30)])
    before = state_of(bank)
    ring_start = 10 * (30 - 16)
    said = fed(bank, [Sample(ring_start - 1, 60.0), Sample(ring_start, 60.0, device=1)])
    assert said.verdict.tolist() == [Verdict.BELATED, Verdict.BELATED]
    assert len(said.revised) == 0
    np.testing.assert_array_equal(state_of(bank), before)
    assert fed(bank, [Sample(ring_start + 1, 60.0)]).verdict.tolist() == [Verdict.ACCEPTED]


def test_older_than_the_horizon_is_belated_even_where_the_ring_has_room() -> None:
    bank = Bank(MODELS["slow"])
    horizon = 2 * 16 * 60
    fed(bank, [Sample(0, 75.0), Sample(horizon + 100, 75.0)])
    said = fed(bank, [Sample(99, 75.0), Sample(101, 75.0)])
    assert said.verdict.tolist() == [Verdict.BELATED, Verdict.ACCEPTED]


def test_a_belated_row_has_no_weight_and_the_state_as_its_estimate() -> None:
    bank = Bank(MODELS["slow"])
    fed(bank, [Sample(10 * n, 75.0) for n in range(30)])
    x = state_of(bank)
    said = fed(bank, [Sample(1, 60.0)])
    assert said.as_of.tolist() == [Sample(290, 0).stamp]
    assert said.estimates[0, E_MEAN] == x[0] + x[1]
    assert np.isnan(said.estimates[0, E_NIS])
    assert said.estimates[0, E_INTERVAL] == 10.0
