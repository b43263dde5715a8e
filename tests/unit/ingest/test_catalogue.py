"""The signal catalogue."""

from __future__ import annotations

import pytest

from ingest.catalogue import SIGNALS, to_canonical

CONTRACT = {
    "heart_rate": ("/min", "8867-4"),
    "respiratory_rate": ("/min", "9279-1"),
    "spo2": ("%", "59408-5"),
    "body_temperature": ("Cel", "8310-5"),
    "skin_temperature": ("Cel", "39106-0"),
    "systolic_bp": ("mm[Hg]", "8480-6"),
    "diastolic_bp": ("mm[Hg]", "8462-4"),
    "mean_bp": ("mm[Hg]", "8478-0"),
    "glucose": ("mg/dL", "99504-3"),
    "step_count": ("{steps}", "55423-8"),
    "activity": ("g", None),
    "hrv_rmssd": ("ms", None),
}


def test_codes_units_and_loinc_are_the_contract() -> None:
    assert {code: (s.unit, s.loinc) for code, s in SIGNALS.items()} == CONTRACT


@pytest.mark.parametrize("code", SIGNALS)
def test_every_signal_is_sound(code: str) -> None:
    signal = SIGNALS[code]
    assert signal.code == code
    assert signal.lower < signal.upper
    assert 0 < signal.resolution < signal.upper - signal.lower
    assert signal.noise_std > 0
    assert signal.expected_interval_s > 0
    assert signal.unit not in signal.accepted


@pytest.mark.parametrize(
    ("code", "value", "unit", "canonical"),
    [
        ("heart_rate", 72.0, None, 72.0),
        ("heart_rate", 72.0, "/min", 72.0),
        ("heart_rate", 72.0, "{beats}/min", 72.0),
        ("spo2", 0.97, "1", 97.0),
        ("body_temperature", 98.6, "[degF]", 37.0),
        ("skin_temperature", -40.0, "[degF]", -40.0),
        ("body_temperature", 310.15, "K", 37.0),
        ("systolic_bp", 16.0, "kPa", 120.01),
        ("glucose", 5.5, "mmol/L", 99.09),
        ("hrv_rmssd", 0.042, "s", 42.0),
    ],
)
def test_accepted_units_become_canonical(
    code: str, value: float, unit: str | None, canonical: float
) -> None:
    assert to_canonical(SIGNALS[code], value, unit) == pytest.approx(canonical, abs=5e-3)


@pytest.mark.parametrize(("code", "unit"), [("glucose", "mmol"), ("heart_rate", "Cel")])
def test_another_unit_is_none_of_the_signal(code: str, unit: str) -> None:
    assert to_canonical(SIGNALS[code], 1.0, unit) is None
