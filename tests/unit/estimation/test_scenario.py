"""What if: effects with their uncertainty on a copy of the state, which stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.instant import SECOND
from tests.support.twins import T0, Sample, fed
from twin.estimation.bank import Bank
from twin.estimation.models import base_model
from twin.estimation.scenario import (
    Activity,
    Curve,
    Drug,
    Scenario,
    ScenarioError,
    curves,
    lagged,
    read_scenario,
    taken_up,
)

DEVICES = ("watch", "strap")


def watched(devices: int = 1) -> Bank:
    """Two minutes of a steady heart rate at 1 Hz."""
    bank = Bank(base_model())
    fed(
        bank,
        [Sample(float(s), 70.0 + (s + d) % 3 - 1, d) for s in range(120) for d in range(devices)],
    )
    return bank


def curve(bank: Bank, **asked: object) -> Curve:
    (found,) = curves(bank, "p", DEVICES, Scenario(**asked))  # type: ignore[arg-type]
    return found


def test_without_effects_it_is_the_forecast() -> None:
    bank = watched()
    found = curve(bank)
    slots = bank.known()
    assert found.at[0] == T0 + 119 * SECOND
    for place, seconds in ((1, 60.0), (30, 1800.0), (60, 3600.0)):
        ahead = bank.forecast(slots, seconds)
        assert found.at[place] == ahead.at[0]
        assert found.mean[place] == ahead.mean[0]
        assert found.halves[1, place] == pytest.approx(
            1.6448536 * ahead.std[0] * ahead.scales[0, 1]
        )


def test_a_drug_shifts_the_mean_and_widens_the_band_by_its_own_uncertainty() -> None:
    bank = watched()
    drug = Drug("heart_rate", -12.0, 4.0, 300.0, 7200.0, 600.0)
    plain, found = curve(bank), curve(bank, drug=[drug])
    share = taken_up(drug, np.arange(0, 3601, 60.0))
    np.testing.assert_allclose(found.mean - plain.mean, -12.0 * share, atol=1e-9)
    np.testing.assert_allclose(found.std**2 - plain.std**2, (4.0 * share) ** 2, atol=1e-9)
    assert (share[:11] == 0).all()
    assert share.max() == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(found.halves, axis=0) > 0).all()


def test_an_activity_rises_and_falls_and_leaves_nothing() -> None:
    walk = Activity(600.0, 3.0, 8.0, 2.0, 60.0)
    felt = lagged(walk, np.array([0.0, 60.0, 105.0, 600.0, 690.0, 3600.0]))
    expected = [0, 0, 3 * (1 - np.exp(-1)), 3.0, 3 * np.exp(-1), 0]
    np.testing.assert_allclose(felt, expected, atol=1e-4)
    plain, found = curve(watched()), curve(watched(), activity=[walk])
    assert found.mean[9] - plain.mean[9] == pytest.approx(24.0, abs=0.01)
    assert found.std[9] ** 2 - plain.std[9] ** 2 == pytest.approx(36.0, abs=0.1)


def test_a_twin_that_loses_its_only_device_knows_less_and_less() -> None:
    kept, lost = curve(watched()), curve(watched(), lost=["watch"])
    assert kept.known_std[-1] == pytest.approx(kept.known_std[0], rel=0.3)
    assert (np.diff(lost.known_std) > 0).all()
    assert lost.known_std[-1] > 3 * kept.known_std[-1]
    np.testing.assert_allclose(lost.known_std, lost.std, rtol=1e-6)


def test_of_two_devices_the_other_goes_on() -> None:
    both, one, none = (curve(watched(2), lost=lost) for lost in ([], ["strap"], ["watch", "strap"]))
    assert both.known_std[-1] < one.known_std[-1] < 0.5 * none.known_std[-1]


def test_nothing_of_the_twin_is_changed() -> None:
    bank = watched(2)
    before = {name: array.copy() for name, array in bank.slots.of.items()}
    curve(bank, lost=["watch"], drug=[Drug("heart_rate", 5.0, 1.0, 60.0, 600.0)])
    for name, array in bank.slots.of.items():
        np.testing.assert_array_equal(array, before[name], name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('step_s = "soon"', r"Expected `float`, got `str` - at `\$.step_s`"),
        ("horizon_s = 0", r"Expected `float` > 0.0 - at `\$.horizon_s`"),
        ("horizon_s = nan", "horizon_s"),
        ("pill = 1", "unknown field `pill`"),
        ("step_s = 1.0\nhorizon_s = 86400", "step_s: expected at most 2000 steps"),
        ("step_s = 600\nhorizon_s = 60", "step_s: expected at most horizon_s"),
        ("[[drug]]\nsignal='spo2'", r"missing required field `amount` - at `\$.drug\[0\]`"),
        (
            "[[drug]]\nsignal='spo2'\namount=1\nstd=-1\nonset_s=1\ndecay_s=2",
            r"`float` >= 0.0 - at `\$.drug\[0\].std`",
        ),
        (
            "[[drug]]\nsignal='spo2'\namount=1\nstd=1\nonset_s=9\ndecay_s=2",
            r"drug\[0\].onset_s: expected less than decay_s",
        ),
        (
            "[[drug]]\nsignal='mood'\namount=1\nstd=1\nonset_s=1\ndecay_s=2",
            r"drug\[0\].signal: got 'mood', expected one of heart_rate",
        ),
        (
            "[[activity]]\nbegins_s=60\nends_s=60\nlevel=1\ngain=1\ngain_std=0",
            r"activity\[0\].ends_s: expected after begins_s",
        ),
        ("[[[", "what.toml"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_place_and_expected(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        read_scenario(text.encode(), "what.toml", toml=True)


def test_whom_or_what_the_twin_does_not_know_is_refused() -> None:
    bank = watched()
    with pytest.raises(ScenarioError, match="patient: got 'q'"):
        curves(bank, "q", DEVICES, Scenario())
    with pytest.raises(ScenarioError, match=r"lost\[0\]: got 'ring', expected one of watch"):
        curves(bank, "p", DEVICES, Scenario(lost=["ring"]))
    with pytest.raises(ScenarioError, match=r"drug\[0\].signal: got 'spo2', expected one of heart"):
        curves(bank, "p", DEVICES, Scenario(drug=[Drug("spo2", 1.0, 1.0, 1.0, 2.0)]))


def test_json_says_the_same_as_toml() -> None:
    toml = read_scenario(b"name='a'\nlost=['watch']", "a.toml", toml=True)
    assert read_scenario(b'{"name": "a", "lost": ["watch"]}', "a.json", toml=False) == toml
