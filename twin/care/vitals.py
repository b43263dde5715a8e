"""How each signal is shown: decimals, unit, when an arrow leans and when a value needs its "≈".

The server decides these once; pages and browsers only print them. Proposals of design that wait for
a clinician's signature: the slopes and the widths beyond which a value is called uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import ROWS, SIGNALS, Signal
from twin.bands import Z90


@dataclass(frozen=True, slots=True)
class Vital:
    """unit: as people write it. In the signal's unit: lean and steep, the slopes (per minute) from
    which the arrow is ↗ and ↑; uncertain, the 95 % half-width beyond which the value is "≈"
    (`relative`: as a share of the value). ward: it has a column in the ward, beside its chart.
    """

    unit: str
    decimals: int
    lean: float
    steep: float
    uncertain: float
    relative: bool = False
    ward: bool = True


_ALL = {
    "heart_rate": Vital("/min", 0, 0.5, 1.5, 8),
    "respiratory_rate": Vital("/min", 0, 0.15, 0.5, 4),
    "spo2": Vital("%", 0, 0.1, 0.3, 3),
    "body_temperature": Vital("°C", 1, 0.01, 0.03, 0.3),
    "skin_temperature": Vital("°C", 1, 0.02, 0.06, 0.6),
    "systolic_bp": Vital("mmHg", 0, 0.5, 1.5, 12),
    "diastolic_bp": Vital("mmHg", 0, 0.4, 1.2, 10, ward=False),
    "mean_bp": Vital("mmHg", 0, 0.4, 1.2, 10, ward=False),
    "glucose": Vital("mg/dL", 0, 1, 2, 0.15, relative=True),
    "step_count": Vital("", 0, 5, 20, 30, ward=False),
    "activity": Vital("g", 2, 0.01, 0.03, 0.2, ward=False),
    "hrv_rmssd": Vital("ms", 0, 0.5, 2, 15, ward=False),
}
_ALWAYS = ("heart_rate", "respiratory_rate", "spo2")


class _Vitals(Mapping[str, Vital]):
    def __getitem__(self, code: str) -> Vital:
        return _ALL.get(code) or _declared(SIGNALS[code])

    def __iter__(self) -> Iterator[str]:
        return iter(SIGNALS)

    def __len__(self) -> int:
        return len(SIGNALS)


#: code → Vital, in the catalogue's order, for every signal of the catalogue.
VITALS: Mapping[str, Vital] = _Vitals()
#: code → its place in VITALS, which is what the functions below take.
ORDER: Mapping[str, int] = ROWS


def _declared(signal: Signal) -> Vital:
    """How a declared signal is shown: its last digit; an arrow for ten of those in an hour; "≈"
    beyond a twentieth of its range, as for the signals above."""
    decimals = max(0, -math.floor(math.log10(signal.resolution) + 1e-9))
    unit = "" if signal.unit in ("1", "{steps}") else signal.unit
    lean = signal.resolution * 10 / 60
    return Vital(unit, decimals, lean, 3 * lean, (signal.upper - signal.lower) / 20)


@lru_cache(maxsize=8)
def _columns(signals: int) -> Mapping[str, NDArray[np.float64]]:
    """Each number of the first so many signals as an array, in their order."""
    columns = {
        name: np.array([getattr(vital, name) for vital in list(VITALS.values())[:signals]], float)
        for name in ("lean", "steep", "uncertain", "relative", "decimals")
    }
    digits = columns["decimals"] + 2
    return columns | {"digits": digits, "scale": 10.0**digits}


def _column(name: str) -> NDArray[np.float64]:
    return _columns(len(SIGNALS))[name]


def columns() -> NDArray[np.float64]:
    """(6, signals): lean, steep, uncertain, relative (0 or 1), the scale to which numbers are
    rounded and its digits, for compiled functions."""
    return _table(len(SIGNALS))


@lru_cache(maxsize=8)
def _table(signals: int) -> NDArray[np.float64]:
    of, names = _columns(signals), ("lean", "steep", "uncertain", "relative", "scale", "digits")
    return np.array([of[name] for name in names])


def ward_columns(signals: Iterable[Set[str]]) -> list[str]:
    """Codes of the ward's columns; signals: of each patient those that have an estimate.

    Those that stand in the ward and that anybody has (the first three always); the others too once
    somebody has none but such.
    """
    ward = {code for code, vital in VITALS.items() if vital.ward}
    present = set(_ALWAYS)
    for codes in signals:
        present |= codes & ward or codes
    return [code for code in VITALS if code in present]


def arrows(
    order: NDArray[np.int64], trend: NDArray[np.float64], trend_std: NDArray[np.float64]
) -> NDArray[np.int64]:
    """−2 ↓, −1 ↘, 0 →, 1 ↗, 2 ↑ for trends (n,) per minute; 0 where the slope may well be noise.

    A slope counts only beyond 1.645 of its own std (one side of 95 %). NaN counts as none.
    """
    size = np.abs(trend)
    with np.errstate(invalid="ignore"):
        sure = size > Z90 * trend_std
        steps = (size >= _column("lean")[order]).astype(np.int64) + (
            size >= _column("steep")[order]
        )
        return np.where(sure, np.sign(np.nan_to_num(trend)) * steps, 0).astype(np.int64)


def uncertain(
    order: NDArray[np.int64], mean: NDArray[np.float64], half95: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which values (n,) are too uncertain to be shown without "≈"."""
    width = (
        np.where(_column("relative")[order] > 0, np.abs(mean), 1.0) * _column("uncertain")[order]
    )
    return np.asarray(half95 > width, np.bool_)


def rounded(order: NDArray[np.int64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers (n,) to two decimals more than are shown: what a frame carries and a page shows."""
    scale = _column("scale")[order]
    return np.round(numbers * scale) / scale


def rounded_one(code: str, number: float) -> float:
    """`rounded` of one number."""
    return float(rounded(np.array([ORDER[code]]), np.array([number]))[0])
