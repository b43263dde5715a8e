"""How each signal is shown: decimals, unit, when an arrow leans and when a value needs its "≈".

The server decides these once; pages and browsers only print them. Proposals of design that wait for
a clinician's signature: the slopes and the widths beyond which a value is called uncertain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from twin.estimate import Z90


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
#: code → Vital, in the catalogue's order, for every signal of the catalogue.
VITALS: Mapping[str, Vital] = MappingProxyType({code: _ALL[code] for code in SIGNALS})

_ALWAYS = ("heart_rate", "respiratory_rate", "spo2")
_LEAN = np.array([v.lean for v in VITALS.values()])
_STEEP = np.array([v.steep for v in VITALS.values()])
_UNCERTAIN = np.array([v.uncertain for v in VITALS.values()])
_RELATIVE = np.array([v.relative for v in VITALS.values()])
_DECIMALS = np.array([v.decimals for v in VITALS.values()])
#: code → its place in VITALS, which is what the functions below take.
ORDER: Mapping[str, int] = MappingProxyType({code: i for i, code in enumerate(VITALS)})


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
        steps = (size >= _LEAN[order]).astype(np.int64) + (size >= _STEEP[order])
        return np.where(sure, np.sign(np.nan_to_num(trend)) * steps, 0).astype(np.int64)


def uncertain(
    order: NDArray[np.int64], mean: NDArray[np.float64], half95: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which values (n,) are too uncertain to be shown without "≈"."""
    width = np.where(_RELATIVE[order], np.abs(mean), 1.0) * _UNCERTAIN[order]
    return np.asarray(half95 > width, np.bool_)


def rounded(order: NDArray[np.int64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers (n,) to two decimals more than are shown: what a frame carries and a page shows."""
    scale = 10.0 ** (_DECIMALS[order] + 2)
    return np.round(numbers * scale) / scale


def rounded_one(code: str, number: float) -> float:
    """`rounded` of one number."""
    return float(rounded(np.array([ORDER[code]]), np.array([number]))[0])
