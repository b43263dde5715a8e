"""Whatever comes in, what the bank says is defined: bad numbers, wild times, doubles, any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.catalogue import SIGNALS
from ingest.instant import DAY, SECOND
from tests.support.twins import T0, Sample, covariance_of, events_of, fed, state_of
from twin.bands import bands
from twin.estimate import Verdict
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events
from twin.estimation.kalman import E_MEAN, E_TREND_VAR, E_VAR
from twin.estimation.models import base_model

MODEL = base_model()
noises = st.sampled_from([nan, inf, -inf, -1.0, 0.0, 1e-300, 1e-3, 1.0, 1e6, 1e300])
qualities = st.sampled_from([nan, inf, -inf, -1.0, 0.0, 1e-9, 0.5, 1.0, 2.0])
#: Seconds from one sample to the next: nothing, a nanosecond, backwards, thirty days.
gaps = st.sampled_from([0.0, 1e-9, 1.0, -1.0, -40.0, 5.0, 300.0, 30.0 * DAY / SECOND])


@st.composite
def wild(draw: st.DrawFn) -> tuple[str, list[Sample]]:
    """Samples of one signal, often at the very edge of its range."""
    code = draw(st.sampled_from(list(MODEL.codes)))
    signal = SIGNALS[code]
    edges = st.sampled_from([signal.lower, signal.upper])
    values = st.one_of(edges, st.floats(signal.lower, signal.upper))
    at, samples = 0.0, []
    for _ in range(draw(st.integers(1, 40))):
        at = max(at + draw(gaps), 0.0)
        device = draw(st.integers(0, 2))
        samples.append(Sample(at, draw(values), device, draw(noises), draw(qualities)))
    return code, samples


@given(arrived=wild())
@settings(max_examples=150, deadline=None)
def test_covariances_stay_positive_and_bands_ordered_whatever_comes(
    arrived: tuple[str, list[Sample]],
) -> None:
    code, samples = arrived
    bank = Bank(MODEL)
    said = fed(bank, samples, code)
    state = state_of(bank)
    assert np.isfinite(state).all()
    uses_velocity = MODEL.signals[code].velocity_time > 0
    used = slice(None) if uses_velocity else slice(2)
    spread = np.sqrt(np.diag(covariance_of(state)[used, used]))
    correlation = covariance_of(state)[used, used] / np.outer(spread, spread)
    assert np.linalg.eigvalsh(correlation).min() > -1e-9
    assert (spread > 0).all()
    for estimates in (said.estimates, said.revised):
        assert np.isfinite(estimates[:, [E_MEAN, E_VAR, E_TREND_VAR]]).all()
        assert (estimates[:, E_VAR] > 0).all()
        assert (estimates[:, E_TREND_VAR] > 0).all()
    for seconds in (0.0, 60.0, 3600.0, 30.0 * DAY / SECOND):
        ahead = bank.forecast(bank.known(), seconds)
        band = bands(ahead.mean, ahead.std, *ahead.scales.T)
        edges = [band.lo95, band.lo90, band.lo50, ahead.mean, band.hi50, band.hi90, band.hi95]
        assert (np.diff(np.concatenate(edges)) > 0).all()


@given(arrived=wild(), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_neither_duplicates_nor_cuts_of_batches_change_anything(
    arrived: tuple[str, list[Sample]], seed: int
) -> None:
    code, samples = arrived
    first: dict[tuple[int, int], Sample] = {}
    for sample in samples:
        first.setdefault((sample.stamp, sample.device), sample)
    once = list(first.values())
    rng, whole, other = random.Random(seed), Bank(MODEL), Bank(MODEL)
    fed(whole, once, code)
    newest, twice = -inf, []
    for sample in once:
        twice.append(sample)
        newest = max(newest, sample.at)
        if rng.random() < 0.5 and sample.at == newest:
            twice.append(sample)
    said = fed(other, twice, code, cuts=rng.sample(range(1, len(twice) + 1), len(twice) // 3))
    assert (said.verdict == Verdict.DUPLICATE).sum() == len(twice) - len(once)
    np.testing.assert_array_equal(state_of(whole), state_of(other))


def test_ten_thousand_duplicates_change_nothing() -> None:
    bank = Bank(MODEL)
    samples = [Sample(n, 70.0 + n % 3) for n in range(60)]
    fed(bank, samples)
    before = state_of(bank)
    said = fed(bank, samples[-10:] * 1000)
    assert (said.verdict == Verdict.DUPLICATE).all()
    np.testing.assert_array_equal(state_of(bank), before)


def test_only_measurements_of_quality_zero_leave_the_person_unknown() -> None:
    bank = Bank(MODEL)
    said = fed(bank, [Sample(0, 180.0, quality=0.0), Sample(5, 20.0, quality=0.0)])
    assert said.verdict.tolist() == [Verdict.ACCEPTED] * 2
    assert state_of(bank)[:2].sum() == pytest.approx(MODEL.signals["heart_rate"].mean, abs=0.1)


def test_a_signal_that_the_model_file_leaves_out_has_no_slot() -> None:
    from tests.support.twins import HEART_RATE, model_of

    bank = Bank(model_of(**HEART_RATE))
    patient = np.array([bank.number_of("p")])
    assert bank.find(patient, np.array([SIGNAL_ROW["spo2"]])).tolist() == [-1]
    assert len(bank.known()) == 0


def shuffled(samples: Sequence[Sample], within: float, seed: int) -> list[Sample]:
    """Each received up to so many seconds late, a fifth of them twice."""
    rng = random.Random(seed)
    received = []
    for sample in samples:
        for again in range(2 if rng.random() < 0.2 else 1):
            late = rng.uniform(0, within)
            received.append((sample.at + late, again, sample))
    return [sample for _, _, sample in sorted(received, key=lambda each: each[:2])]


@pytest.mark.parametrize("code", ["heart_rate", "respiratory_rate", "spo2", "glucose"])
@pytest.mark.parametrize("every", [1.0, 5.0, 60.0, 300.0])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_ten_seconds_of_disorder_and_a_fifth_twice_give_the_same_state(
    code: str, every: float, seed: int
) -> None:
    """With a step and spikes on the way, so that all that is remembered has a say."""
    rng, start = random.Random(seed), MODEL.signals[code].mean
    value = [start + (-6 if n > 60 else 0) + rng.gauss(0, 0.5) for n in range(120)]
    value[20] = value[90] = start - 12.0
    samples = [Sample(n * every, v) for n, v in enumerate(value)]
    straight, late = Bank(MODEL), Bank(MODEL)
    fed(straight, samples, code)
    said = fed(late, shuffled(samples, 10.0, seed), code)
    assert not (said.verdict == Verdict.BELATED).any()
    np.testing.assert_allclose(state_of(late), state_of(straight), rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_two_devices_at_one_hertz_in_disorder_give_the_same_state(seed: int) -> None:
    rng = random.Random(seed)
    true = [75.0 + 20 * (n > 80) + 8 * np.sin(n / 15) for n in range(160)]
    samples = [
        Sample(float(n), v + rng.gauss(0, 0.8) + (30.0 if rng.random() < 0.1 else 0.0), device)
        for n, v in enumerate(true)
        for device in (0, 1)
    ]
    straight, late = Bank(MODEL), Bank(MODEL)
    fed(straight, samples)
    said = fed(late, shuffled(samples, 10.0, seed))
    assert not (said.verdict == Verdict.BELATED).any()
    np.testing.assert_allclose(state_of(late), state_of(straight), rtol=1e-9, atol=1e-9)


def test_values_that_are_no_numbers_are_refused_before_the_bank() -> None:
    """The bank's caller screens them (`rows.REASONS`); a stamp beyond the range of ns cannot be."""
    from twin.rows import REASONS

    assert "value_not_a_number" in REASONS
    bank = Bank(MODEL)
    events = events_of(bank, [Sample(0, 70.0), Sample(1, 71.0)])
    assert isinstance(events, Events)
    assert bank.update(events).verdict.tolist() == [Verdict.ACCEPTED] * 2
    assert int(bank.slots.of["state_t"][bank.known()][0]) == T0 + SECOND
