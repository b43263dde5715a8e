"""The simulated bodies."""

from functools import cache

import msgspec
import numpy as np

from ingest.catalogue import SIGNALS
from ingest.fleet.physiology import Physiology, Vitals
from ingest.fleet.settings import Episode, FleetSettings


def lived(settings: FleetSettings, seconds: int) -> dict[str, np.ndarray]:
    """{quantity: (seconds, patients)}."""
    bodies = Physiology(settings)
    steps = [bodies.step() for _ in range(seconds)]
    return {name: np.array([getattr(v, name) for v in steps]) for name in Vitals.__slots__}


def scripted(kind: str, at_s: float = 60, duration_s: float = 600) -> FleetSettings:
    episode = msgspec.convert(
        {"kind": kind, "patient": 1, "at_s": at_s, "duration_s": duration_s}, Episode
    )
    return FleetSettings(patients=1, seed=3, start_hour=2.0, episodes=(episode,))


@cache
def undisturbed() -> dict[str, np.ndarray]:
    """The same person for 5 000 s, to whom nothing happens."""
    return lived(FleetSettings(patients=1, seed=3, start_hour=2.0, episodes=()), 5_000)


def test_same_seed_gives_the_same_lives_and_another_seed_others() -> None:
    first, again = lived(FleetSettings(patients=3), 200), lived(FleetSettings(patients=3), 200)
    other = lived(FleetSettings(patients=3, seed=2), 200)
    for name, values in first.items():
        assert np.array_equal(values, again[name]), name
    assert not np.array_equal(first["heart_rate"], other["heart_rate"])


def test_a_patient_is_the_same_person_in_a_small_and_in_a_large_fleet() -> None:
    small = lived(FleetSettings(patients=2, episodes=()), 200)
    large = lived(FleetSettings(patients=9, episodes=()), 200)
    assert np.array_equal(small["heart_rate"], large["heart_rate"][:, :2])


def test_bodies_stay_within_what_sensors_can_show() -> None:
    for name, values in lived(FleetSettings(patients=6), 3_000).items():
        if name in SIGNALS:
            assert values.min() >= SIGNALS[name].lower, name
            assert values.max() <= SIGNALS[name].upper, name


def test_heart_follows_effort_in_about_45_s_and_calms_in_about_90_s() -> None:
    exercise = lived(scripted("exercise", at_s=60, duration_s=600), 1_200)["heart_rate"][:, 0]
    rise = exercise - undisturbed()["heart_rate"][:1_200, 0]
    top = rise[500:650].mean()
    assert top > 20
    assert 0.55 < rise[60 + 45] / top < 0.70  # 1 − 1/e = 0.63
    assert 0.30 < rise[661 + 90] / rise[660] < 0.45  # 1/e = 0.37


def test_deterioration_raises_pulse_breath_and_heat_and_lowers_oxygen_and_pressure() -> None:
    sick = lived(scripted("deterioration", duration_s=1_800), 5_000)
    well = undisturbed()
    change = {name: (sick[name] - well[name])[-300:].mean() for name in sick}
    assert change["heart_rate"] > 20
    assert change["respiratory_rate"] > 7
    assert change["body_temperature"] > 1.2
    assert change["spo2"] < -5
    assert change["systolic_bp"] < -25


def test_fever_warms_slowly_and_stays() -> None:
    fever = lived(scripted("fever", duration_s=900), 5_000)["body_temperature"]
    heat = (fever - undisturbed()["body_temperature"])[:, 0]
    assert heat[300] < 0.2
    assert heat[-1] > 1.6


def test_desaturation_dips_and_recovers() -> None:
    dip = lived(scripted("desaturation", at_s=100, duration_s=60), 400)["spo2"]
    depth = (undisturbed()["spo2"][:400] - dip)[:, 0]
    assert depth[:100].max() == 0
    assert 7 < depth[100:165].max() < 9.5
    assert depth[-1] < 0.5
