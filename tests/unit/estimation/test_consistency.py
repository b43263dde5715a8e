"""Whether innovations are as large as expected; a key whose are not says its measurements."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from tests.support.twins import (
    NOISE,
    PLAIN,
    STEADY,
    T0,
    Sample,
    fed,
    model_of,
    noisy,
    state_of,
)
from tests.unit.estimation.test_order import final, shuffled
from tests.unit.estimation.test_refilter import after, raw_of
from tests.unit.estimation.test_snapshot import decoded, resealed
from twin import snapshot
from twin.estimate import Status
from twin.estimation import consistency
from twin.estimation.bank import Bank
from twin.estimation.consistency import (
    IN50,
    IN90,
    IN95,
    INSIDE_AGAIN,
    OUTSIDE,
    PRODUCT,
    SQUARE,
    TALLY,
    UNIT,
    USUAL,
    factor_of,
    spread_of,
)
from twin.estimation.events import Updated
from twin.estimation.kalman import E_DIVERGED, E_MEAN, E_TREND, E_VAR
from twin.estimation.refilter import KeyFilter
from twin.estimation.robust import MEMORY, SPREAD
from twin.estimation.status import told_of
from twin.estimation.tracker import FORECASTS, TH, WIDTHS
from twin.step import new_state

MODEL = model_of(**STEADY)


def diverged(said: Updated) -> np.ndarray:
    return said.estimates[:, E_DIVERGED] == 1.0


@pytest.mark.parametrize("factor", [0.1, 1.0, 2.5, 5.0, 30.0])
def test_the_mean_of_g_is_that_of_a_scaled_chi_squared(factor: float) -> None:
    z = np.linspace(0.0, 12.0, 400_001)
    nis = factor * z**2
    density = np.sqrt(2.0 / np.pi) * np.exp(-0.5 * z**2)
    expected = np.trapezoid(nis / (1.0 + nis) * density, z)
    assert spread_of(factor) == pytest.approx(expected, abs=1e-8)
    assert factor_of(spread_of(factor)) == pytest.approx(factor, rel=1e-6)


def test_the_bounds_are_those_factors() -> None:
    bounds = {1.0: USUAL, 16.0: OUTSIDE, 6.0: INSIDE_AGAIN}
    for factor, bound in bounds.items():
        assert bound == pytest.approx(spread_of(factor), abs=1e-9)


def test_a_person_as_the_model_has_it_is_consistent() -> None:
    bank = Bank(MODEL)
    samples, _ = noisy(6000, 1)
    said = fed(bank, samples)
    (slot,) = bank.known()
    tally = bank.slots.of["shares"][slot] / UNIT
    assert not diverged(said).any()
    assert factor_of(float(bank.slots.of["memory"][slot, SPREAD])) == pytest.approx(1.0, abs=0.35)
    assert tally[SQUARE] == pytest.approx(USUAL, abs=0.07)
    assert abs(tally[PRODUCT] / tally[SQUARE]) < 0.3
    assert tally[[IN50, IN90, IN95]] == pytest.approx([0.5, 0.9, 0.95], abs=0.13)
    assert bank.slots.of["share_device"][slot].tolist() == [0, -1]


def test_five_times_the_noise_of_its_class_diverges_says_the_measurement_and_recovers() -> None:
    bank = Bank(MODEL)
    calm, _ = noisy(300, 1)
    wild, truth = noisy(900, 5, seed=2, start=300)
    again, _ = noisy(1500, 1, seed=3, start=1200)
    assert not diverged(fed(bank, calm)).any()

    said = fed(bank, wild)

    away = diverged(said)
    begun = int(np.argmax(away))
    assert 120 <= begun < 420  # two minutes outside, and what the mean takes to get there
    assert away[begun:].all()
    values = np.array([s.value for s in wild], np.float32)
    np.testing.assert_array_equal(said.estimates[away, E_MEAN], values[away])
    assert not said.estimates[away, E_TREND].any()
    inside = np.abs(np.array(truth) - values) <= 1.645 * np.sqrt(said.estimates[:, E_VAR])
    assert inside[away].mean() == pytest.approx(0.9, abs=0.08)

    said = fed(bank, again)

    assert diverged(said)[0]
    assert not diverged(said)[600:].any()


def test_a_device_that_says_a_25th_of_its_noise_diverges() -> None:
    samples, _ = noisy(900, 5)
    honest, wrong = Bank(MODEL), Bank(MODEL)
    said = [
        fed(bank, [Sample(s.at, s.value, noise_std=std) for s in samples])
        for bank, std in ((honest, 5 * NOISE), (wrong, NOISE / 5))
    ]
    assert not diverged(said[0]).any()
    assert diverged(said[1])[-1]


def test_a_true_step_and_a_burst_of_twenty_seconds_do_not() -> None:
    samples, _ = noisy(900, 1)
    moved = [Sample(s.at, s.value + (40.0 if s.at > 300 else 0.0)) for s in samples]
    burst = [
        Sample(s.at, s.value + 30.0 * ((-1) ** n if 400 < s.at <= 420 else 0))
        for n, s in enumerate(samples)
    ]
    for disturbed in (moved, burst):
        assert not diverged(fed(Bank(MODEL), disturbed)).any()


def test_a_linear_filter_never_diverges() -> None:
    samples, _ = noisy(900, 10)
    bank = Bank(model_of(**STEADY | PLAIN))
    assert not diverged(fed(bank, samples)).any()


def test_one_of_two_devices_that_goes_wild_does_not_take_the_estimate_with_it() -> None:
    samples, truth = noisy(900, 1)
    rng = random.Random(4)
    both: list[Sample] = []
    for s in samples:
        wild = Sample(s.at, float(np.clip(s.value + rng.choice((-1, 1)) * 45.0, 30, 200)), 1)
        both += [s, wild] if s.at > 100 else [s, Sample(s.at, s.value, 1)]
    bank = Bank(model_of(**STEADY | {"ring": 32}))
    said = fed(bank, both)
    (slot,) = bank.known()
    square = bank.slots.of["shares"][slot][[SQUARE, TALLY + SQUARE]] / UNIT
    assert not diverged(said).any()
    assert square[0] < OUTSIDE < square[1]
    assert abs(said.estimates[-1, E_MEAN] - truth[-1]) < 3.0


def wild_days() -> list[Sample]:
    """Consistent, diverged and consistent again."""
    wild, _ = noisy(500, 5, seed=2)
    calm, _ = noisy(700, 1, seed=3, start=500)
    return wild + calm


@pytest.mark.parametrize("seed", range(3))
def test_it_is_a_function_of_the_set_whatever_came_when_and_however_it_was_cut(seed: int) -> None:
    rng, ordered = random.Random(seed), wild_days()
    straight, mixed = Bank(MODEL), Bank(MODEL)
    expected = fed(straight, ordered)
    said = fed(mixed, shuffled(ordered, rng, again=0.2), cuts=rng.sample(range(1, 1200), 20))
    assert diverged(expected).any()
    assert not diverged(expected)[-1]
    np.testing.assert_array_equal(state_of(mixed), state_of(straight))
    one, other = final(said), final(expected)
    assert one.keys() == other.keys()
    for stamp, estimate in other.items():
        np.testing.assert_array_equal(one[stamp], estimate)
    for name in ("memory", "base_memory"):
        np.testing.assert_array_equal(
            mixed.slots.of[name][mixed.known()], straight.slots.of[name][straight.known()]
        )


def test_a_key_filtered_again_from_a_base_diverges_where_it_did() -> None:
    raw = raw_of(wild_days())
    whole = KeyFilter(MODEL, "p", "heart_rate")
    expected = whole.take(raw).estimates.rows
    first = KeyFilter(MODEL, "p", "heart_rate")
    first.take(raw_of(wild_days()[:300]))
    base = first.base()
    assert base is not None
    rest = KeyFilter(MODEL, "p", "heart_rate", base).take(after(raw, base.at)).estimates.rows
    assert (rest["status"] == Status.DIVERGED).any()
    for name in ("as_of", "mean", "std", "status"):
        np.testing.assert_array_equal(rest[name], expected[-len(rest) :][name])


def test_what_is_said_of_its_age_comes_before() -> None:
    by_age = np.array([Status.FRESH, Status.LATE, Status.STALE, Status.NONE], np.uint8)
    told = told_of(by_age, np.ones(4)).tolist()
    assert told == [Status.DIVERGED, Status.DIVERGED, Status.STALE, Status.NONE]
    assert told_of(by_age, np.zeros(4)).tolist() == by_age.tolist()


def test_nothing_is_forecast_of_a_diverged_key_but_that_people_are_like_people() -> None:
    bank = Bank(MODEL)
    fed(bank, wild_days()[:500])
    ahead = bank.forecast(bank.known(), 60.0)
    mean, std = bank.ahead(bank.known(), np.array([60.0]))
    assert STEADY["spread"] <= ahead.std[0] == std[0]
    assert ahead.mean.tolist() == mean.tolist()


def test_a_snapshot_of_before_there_was_consistency_is_read() -> None:
    state = new_state(1, MODEL)
    state.devices.number("watch")
    fed(state.bank, wild_days()[:100])
    fields = decoded(snapshot.capture(state, 0).encode())
    arrays = fields["arrays"]
    assert isinstance(arrays, dict)
    for name in ("shares", "share_device"):
        del arrays[name]
    (n, _), th = arrays["waiting"][1], [0.0, 0.25, -0.5, 0.05, 0.0, 1.5]
    waiting = np.concatenate([np.ones(WIDTHS), th]).astype("<f4")
    arrays["waiting"] = ["<f4", [n, FORECASTS], np.tile(waiting, n).tobytes()]
    arrays["target"] = ["<i8", [n, 6], np.full((n, 6), T0, "<i8").tobytes()]
    for name in ("memory", "base_memory"):
        kind, (n, width), content = arrays[name]
        assert width == MEMORY
        rows = np.frombuffer(content, kind).reshape(n, width)[:, :SPREAD]
        arrays[name] = [kind, [n, SPREAD], rows.tobytes()]

    other = new_state(1, MODEL)
    snapshot.restore(other, "p000-0", resealed(fields | {"layout": 4}))

    (slot,) = other.bank.known()
    np.testing.assert_array_equal(state_of(other.bank), state_of(state.bank))
    assert other.bank.slots.of["memory"][slot, SPREAD] == 0.0
    assert TH * other.bank.slots.of["waiting"][slot, WIDTHS:] == pytest.approx(th)
    assert not other.bank.slots.of["waiting"][slot, :WIDTHS].any()
    assert other.bank.slots.of["share_device"][slot].tolist() == [-1, -1]
    said = fed(other.bank, wild_days()[100:500])
    assert diverged(said).any()


def test_an_anchor_of_before_there_was_consistency_is_gone_on_from() -> None:
    raw = raw_of(wild_days())
    first = KeyFilter(MODEL, "p", "heart_rate")
    first.take(raw_of(wild_days()[:60]))
    base = first.base()
    assert base is not None
    _, devices, state, memory, entries = msgspec.msgpack.decode(base.body)
    body = msgspec.msgpack.encode((1, devices, state, memory[: 4 * SPREAD], entries))
    old = KeyFilter(MODEL, "p", "heart_rate", msgspec.structs.replace(base, body=body))
    assert old.begins_at == base.at
    rows = old.take(after(raw, base.at)).estimates.rows
    assert (rows["status"] == Status.DIVERGED).any()


def alternating(devices: Sequence[int]) -> Bank:
    bank = Bank(MODEL)
    fed(bank, [Sample(60.0 * n, 75.0, device) for n, device in enumerate(devices)])
    return bank


def test_a_third_device_takes_the_place_of_the_second() -> None:
    bank = alternating([0, 0, 1, 1, 2])
    (slot,) = bank.known()
    assert bank.slots.of["share_device"][slot].tolist() == [0, 2]
    assert bank.slots.of["shares"][slot, TALLY + SQUARE] == int(USUAL * consistency.UNIT)
