"""Units that the catalogue does not list are converted as UCUM says."""

import subprocess
import sys

import pytest

from ingest.catalogue import SIGNALS, to_canonical
from ingest.units import conversion


@pytest.mark.parametrize(
    ("code", "unit", "value", "canonical"),
    [
        ("heart_rate", "{Beats}/min", 72, 72),
        ("heart_rate", "/s", 1.2, 72),
        ("heart_rate", "Hz", 1.2, 72),
        ("systolic_bp", "mbar", 160, 120.0099),
        ("systolic_bp", "[psi]", 2, 103.4299),
        ("body_temperature", "[degR]", 558.27, 37),
        ("glucose", "g/L", 0.9, 90),
        ("glucose", "mmol/l", 5, 90.08),
        ("glucose", "umol/dL", 500, 90.08),
        ("spo2", "10*-2", 97, 97),
        ("activity", "[g]", 1.5, 1.5),
        ("activity", "m/s2", 9.80665, 1),
        ("hrv_rmssd", "us", 42_000, 42),
        ("step_count", "{footfalls}", 12, 12),
    ],
)
def test_a_unit_of_the_same_quantity_is_converted(
    code: str, unit: str, value: float, canonical: float
) -> None:
    assert to_canonical(SIGNALS[code], value, unit) == pytest.approx(canonical, rel=1e-6)


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("heart_rate", "Cel"),
        ("heart_rate", "bpm"),
        ("spo2", "%RH"),
        ("spo2", ""),
        ("step_count", "%"),
        ("activity", "mg"),
        ("glucose", "mg"),
        ("systolic_bp", "MM[HG]"),
        ("body_temperature", "C"),
        ("body_temperature", "Cel" * 40),
        ("systolic_bp", "{" * 64),
    ],
)
def test_another_quantity_another_case_or_no_unit_is_not(code: str, unit: str) -> None:
    assert to_canonical(SIGNALS[code], 1.0, unit) is None


def test_what_the_catalogue_lists_is_what_ucum_says() -> None:
    for signal in SIGNALS.values():
        for unit, (factor, offset) in signal.accepted.items():
            target = "[g]" if signal.unit == "g" else signal.unit
            found = conversion(unit, target)
            if unit == "mmol/L":  # an amount of substance: by the molar mass, not by UCUM
                assert found is None
            else:
                assert found == pytest.approx((factor, offset), rel=1e-6), (signal.code, unit)


def test_listed_units_do_not_load_the_library() -> None:
    script = (
        "import sys; from ingest.catalogue import SIGNALS, to_canonical\n"
        "assert all(to_canonical(s, 1.0, u) is not None for s in SIGNALS.values()"
        " for u in (s.unit, *s.accepted))\n"
        "assert to_canonical(SIGNALS['spo2'], 1.0, 'bananas') is None\n"
        "assert 'pint' not in sys.modules and 'ucumvert' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
