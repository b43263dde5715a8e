"""Scores of whole recordings: synthetic people whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from ingest.recording import Recording
from twin.estimation.checks import checks
from twin.estimation.credibility import Credibility, credibility
from twin.estimation.horizon_scores import HorizonScores
from twin.estimation.models import base_model
from twin.estimation.pairing import Readings

MODEL = base_model()
CODE = "heart_rate"


def ward(people: int = 6, length: int = 300, seed: int = 7) -> tuple[Recording, np.ndarray]:
    """Heart rates at 1 Hz of people who wander as the model says, and their true values."""
    rng, model = np.random.default_rng(seed), MODEL.signals[CODE]
    keep = np.exp(-1 / model.deviation_time)
    step = np.sqrt(model.deviation_noise * model.deviation_time / 2 * (1 - keep**2))
    truth = np.empty((people, length))
    deviation = rng.normal(0, np.sqrt(model.deviation_noise * model.deviation_time / 2), people)
    for t in range(length):
        truth[:, t] = 75 + deviation
        deviation = keep * deviation + rng.normal(0, step, people)
    noise = np.sqrt(model.noise**2 + SIGNALS[CODE].resolution ** 2 / 12)
    value = truth + rng.normal(0, noise, truth.shape)
    at = np.tile(np.arange(length) * SECOND, people).astype(np.int64)
    names = [f"p{n}" for n in range(people) for _ in range(length)]
    n = people * length
    none = np.full(n, np.nan)
    recording = Recording(
        names, ["watch"] * n, [CODE] * n, value.ravel(), at, at, none, none, np.arange(n), 0, {}
    )
    return recording, truth


def only(found: Credibility, name: str = "60s") -> HorizonScores:
    (signal,) = found.signals
    return next(horizon for horizon in signal.horizons if horizon.name == name)


@pytest.fixture(scope="module")
def found() -> Credibility:
    return credibility(ward()[0], None, MODEL, [60.0, 3600.0])


def test_people_as_the_model_says_are_forecast_better_than_by_persistence(
    found: Credibility,
) -> None:
    horizon = only(found)
    by_name = {each.name: each for each in horizon.comparisons}

    assert horizon.metrics["readings"] == 6 * 240
    assert horizon.metrics["skill"] > 0.15
    assert by_name["persistence"].rmse == pytest.approx(
        by_name["persistence"].twin_rmse / (1 - horizon.metrics["skill"])
    )
    assert list(by_name) == ["persistence", "plain Kalman", "filterpy random walk"]


def test_persistence_is_the_value_of_a_minute_before(found: Credibility) -> None:
    recording, _ = ward()
    value = recording.value.reshape(6, -1)
    persistence = only(found).comparisons[0]

    expected = value[:, :-60] - value[:, 60:]
    assert persistence.rmse == pytest.approx(np.sqrt(np.mean(expected**2)))
    assert persistence.mae == pytest.approx(np.mean(np.abs(expected)))
    assert persistence.crps == pytest.approx(persistence.mae)


def test_two_models_are_compared_reading_by_reading_with_an_interval() -> None:
    signals = dict(MODEL.signals)
    signals[CODE] = replace(signals[CODE], mean=200.0, spread=1.0, level_time=30.0)
    worse = replace(MODEL, signals=signals)
    recording, _ = ward(length=150)

    same, other = (
        only(credibility(recording, None, MODEL, [60.0], compare=model)).comparisons
        for model in (MODEL, worse)
    )
    itself = next(each for each in same if each.name == "other model")
    badly = next(each for each in other if each.name == "other model")

    assert itself.skill == 0
    assert itself.interval == (0, 0)
    assert badly.interval is not None
    assert 0 < badly.interval[0] < badly.skill < badly.interval[1] <= 1
    assert badly.readings == itself.readings


def test_horizon_that_no_reading_reaches_is_empty_not_zero(found: Credibility) -> None:
    horizon = only(found, "1h")

    assert horizon.metrics["readings"] == 0
    assert np.isnan(horizon.metrics["rmse"])
    assert horizon.excerpt is None
    assert horizon.persons == []


def test_own_readings_do_not_judge_now(found: Credibility) -> None:
    assert [horizon.name for horizon in found.signals[0].horizons] == ["60s", "1h"]


def test_reference_judges_now_and_not_the_reading_itself() -> None:
    recording, truth = ward()
    at = np.arange(truth.shape[1]) * SECOND
    reference = {(f"p{n}", CODE): Readings(at, truth[n]) for n in range(len(truth))}
    horizon = only(credibility(recording, reference, MODEL, [60.0]), "now")

    raw = recording.value - truth.ravel()
    persistence = horizon.comparisons[0]
    assert persistence.rmse == pytest.approx(np.sqrt(np.mean(raw**2)))
    assert horizon.metrics["rmse"] < persistence.rmse


def test_people_without_a_reference_are_not_judged() -> None:
    recording, truth = ward()
    reference = {("p3", CODE): Readings(np.arange(truth.shape[1]) * SECOND, truth[3])}
    horizon = only(credibility(recording, reference, MODEL, [60.0]), "now")

    assert [each.person for each in horizon.persons] == [3]


def test_innovations_of_the_right_model_are_white() -> None:
    one = replace(MODEL.signals[CODE], robust=1e9, gate=1e12)
    model = replace(MODEL, signals={CODE: one})
    (signal,) = credibility(ward(length=600)[0], None, model, [60.0]).signals

    assert signal.nis == pytest.approx(1, abs=0.08)
    assert signal.nis_median == pytest.approx(0.455, abs=0.06)
    assert signal.lag1 == pytest.approx(0, abs=0.06)
    (watch,) = signal.devices
    assert (watch.device, watch.diverged) == ("watch", 0.0)
    assert watch.innovations == 6 * 599
    assert watch.factor == pytest.approx(1, abs=0.12)
    assert watch.lag1 == pytest.approx(signal.lag1, abs=1e-9)
    assert watch.coverage == pytest.approx((0.5, 0.9, 0.95), abs=0.03)


def test_better_device_is_what_fusion_is_measured_by() -> None:
    recording, truth = ward(people=2)
    rng = np.random.default_rng(5)
    worse = replace(
        recording,
        device=["band"] * len(recording),
        value=truth.ravel() + rng.normal(0, 6, truth.size),
    )
    both = replace(
        recording,
        patient=recording.patient + worse.patient,
        device=recording.device + worse.device,
        signal=recording.signal + worse.signal,
        **{
            name: np.concatenate([getattr(recording, name), getattr(worse, name)])
            for name in (*("value", "measured_at", "received_at", "noise_std", "quality", "line"),)
        },
    )
    at = np.arange(truth.shape[1]) * SECOND
    reference = {(f"p{n}", CODE): Readings(at, truth[n]) for n in range(2)}
    found = credibility(both, reference, MODEL, [60.0])
    horizon, (band, watch) = only(found, "now"), found.signals[0].devices
    by_name = {each.name: each for each in horizon.comparisons}

    assert by_name["raw watch"].mae < by_name["raw band"].mae
    assert (band.device, watch.device) == ("band", "watch")
    assert watch.factor < 3 < band.factor
    assert watch.coverage[1] > band.coverage[1]
    assert horizon.metrics["mae_to_best_device"] == pytest.approx(
        by_name["raw watch"].twin_mae / by_name["raw watch"].mae
    )


def test_other_model_is_judged_on_the_same_readings() -> None:
    loud = replace(MODEL.signals[CODE], noise=20.0)
    other = replace(MODEL, version="loud", signals={**MODEL.signals, CODE: loud})
    found = credibility(ward()[0], None, MODEL, [60.0], compare=other)

    compared = only(found).comparisons[1]
    assert compared.name == "other model"
    assert compared.readings == 6 * 240
    assert compared.rmse != compared.twin_rmse


def test_what_was_not_accepted_is_counted() -> None:
    recording, _ = ward(people=1)
    recording = replace(recording, value=np.where(recording.line == 9, 900.0, recording.value))
    found = credibility(recording, None, MODEL, [60.0])
    assert found.counts["value_out_of_range"] == 1


def test_checks_pass_on_ordinary_data(found: Credibility) -> None:
    order, twice = checks(ward()[0], found.replayed.taken, MODEL)

    assert (order.passed, order.belated) == (True, 0)
    assert order.disturbed > 1000
    assert twice.passed is True
    assert twice.disturbed == 1800 // 5


def test_order_check_is_undecided_where_data_come_later_than_the_ring_holds() -> None:
    # A burst between long silences: the usual interval says nothing about it.
    recording, _ = ward(people=1, length=200)
    at = np.cumsum(np.where(np.arange(200) % 100 < 40, SECOND // 20, 10 * SECOND))
    recording = replace(recording, measured_at=at, received_at=at)
    order, _ = checks(recording, np.arange(200), MODEL)
    assert order.passed is None
    assert "undecided" in order.said
