"""The signal catalogue: what can be measured, in which unit, within which plausible range.

Codes and units are a contract (docs/wire-format.md). LOINC where one exists; the ranges are what a
living person's sensor can show (ingest refuses the rest), not what is normal.

A model file may declare further signals (`ingest.declared`). They are added when a process starts,
and never taken away: `SIGNALS`, `ROWS` and `CODES` are live views, and whatever is as long as the
catalogue takes its length when it is made. Rows are of one process: what is kept names codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ingest.units import conversion

#: mg/dL of glucose in one mmol/L (molar mass 180.16 g/mol). A molar factor, not a UCUM conversion.
GLUCOSE_MG_PER_DL = 18.016


@dataclass(frozen=True, slots=True)
class Signal:
    """One measurable quantity.

    lower, upper, resolution and noise_std are in `unit`; expected_interval_s is how often a usual
    device reports it (for spot values: how long one value is valid), in seconds. `accepted` maps
    other UCUM units to (factor, offset): canonical = value * factor + offset. names: what pages
    call a declared one, by language.
    """

    code: str
    unit: str
    loinc: str | None
    lower: float
    upper: float
    resolution: float
    noise_std: float
    expected_interval_s: float
    spot: bool = False
    accepted: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class SignalConflict(ValueError):
    """A code that is in use was declared with another unit or resolution, which never change."""

    def __init__(self, known: Signal, other: Signal) -> None:
        self.known, self.other = known, other
        expected, got = self.meanings
        super().__init__(f"signal {known.code}: got {got}, expected {expected}")

    @property
    def meanings(self) -> tuple[str, str]:
        """(What it always was, what it was now declared to be), in words."""
        always, now = (
            f"unit {each.unit}, resolution {each.resolution:g}" for each in (self.known, self.other)
        )
        return f"{always}, or another code", now


_FAHRENHEIT = {"[degF]": (5 / 9, -32 * 5 / 9), "K": (1.0, -273.15)}
_PER_MINUTE = {"{beats}/min": (1.0, 0.0), "{breaths}/min": (1.0, 0.0), "1/min": (1.0, 0.0)}
_MMHG = {"kPa": (7.50061683, 0.0)}
_GRAVITY = {"[g]": (1.0, 0.0), "m/s2": (1 / 9.80665, 0.0)}

_ALL = (
    Signal("heart_rate", "/min", "8867-4", 15, 320, 1.0, 1.5, 5, accepted=_PER_MINUTE),
    Signal("respiratory_rate", "/min", "9279-1", 0, 90, 1.0, 1.0, 5, accepted=_PER_MINUTE),
    Signal("spo2", "%", "59408-5", 30, 100, 1.0, 1.0, 5, accepted={"1": (100.0, 0.0)}),
    Signal("body_temperature", "Cel", "8310-5", 25, 45, 0.1, 0.1, 14_400, True, _FAHRENHEIT),
    Signal("skin_temperature", "Cel", "39106-0", 5, 45, 0.1, 0.2, 60, accepted=_FAHRENHEIT),
    Signal("systolic_bp", "mm[Hg]", "8480-6", 30, 320, 1.0, 6.0, 14_400, True, _MMHG),
    Signal("diastolic_bp", "mm[Hg]", "8462-4", 10, 220, 1.0, 5.0, 14_400, True, _MMHG),
    Signal("mean_bp", "mm[Hg]", "8478-0", 15, 260, 1.0, 5.0, 14_400, True, _MMHG),
    Signal(
        "glucose",
        "mg/dL",
        "99504-3",
        10,
        1000,
        1.0,
        6.0,
        900,
        accepted={"mmol/L": (GLUCOSE_MG_PER_DL, 0.0)},
    ),
    Signal("step_count", "{steps}", "55423-8", 0, 10_000, 1.0, 1.0, 60, accepted={"1": (1.0, 0.0)}),
    # UCUM's g is the gram; here it is the acceleration, which UCUM calls [g].
    Signal("activity", "g", None, 0, 16, 0.01, 0.02, 60, accepted=_GRAVITY),
    Signal("hrv_rmssd", "ms", None, 0, 1000, 1.0, 5.0, 300, accepted={"s": (1000.0, 0.0)}),
)

_signals = {signal.code: signal for signal in _ALL}
_rows = {code: row for row, code in enumerate(_signals)}
_codes = list(_signals)
#: Codes of the signals that are not declared by any file.
BUILT_IN = frozenset(_signals)
#: code → Signal, in the order in which pages show them.
SIGNALS: Mapping[str, Signal] = MappingProxyType(_signals)
#: code → its place in SIGNALS, the row of whatever has a row for each signal.
ROWS: Mapping[str, int] = MappingProxyType(_rows)
#: The code at each place.
CODES: Sequence[str] = _codes
#: Those of whatever was kept before the signals that it has were named.
BEFORE_NAMES = tuple(_signals)


def rows_of(codes: Sequence[str]) -> list[int]:
    """Rows of these codes. Raises ValueError: one is of no signal of this process."""
    for code in codes:
        if code not in _rows:
            raise ValueError(f"it has the signal {code}, which no model file declares now")
    return [_rows[code] for code in codes]


def declare(signals: Iterable[Signal]) -> None:
    """Add signals to the catalogue of this process; known ones take the newer range and names.

    Called when a process starts, before anything is made that is as long as the catalogue. Raises
    SignalConflict before it changes anything: records name codes, and are read by unit and
    resolution.
    """
    signals = tuple(signals)
    for signal in signals:
        known = _signals.get(signal.code)
        if known is None:
            continue
        if (known.unit, known.resolution) != (signal.unit, signal.resolution):
            raise SignalConflict(known, signal)
    for signal in signals:
        if signal.code not in _signals:
            _rows[signal.code] = len(_codes)
            _codes.append(signal.code)
        _signals[signal.code] = signal


def to_canonical(signal: Signal, value: float, unit: str | None) -> float | None:
    """`value` in the signal's canonical unit, or None if `unit` is not one it is measured in.

    What the catalogue does not list is converted as UCUM says (`ingest.units`), glucose also from
    and to amounts of substance.
    """
    if unit is None or unit == signal.unit:
        return value
    factors = signal.accepted.get(unit) or _by_ucum(signal, unit)
    return None if factors is None else value * factors[0] + factors[1]


def _by_ucum(signal: Signal, unit: str) -> tuple[float, float] | None:
    for known, (factor, offset) in {signal.unit: (1.0, 0.0), **signal.accepted}.items():
        found = conversion(unit, known)
        if found is not None:
            return found[0] * factor, found[1] * factor + offset
    return None
