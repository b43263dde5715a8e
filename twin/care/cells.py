"""The words of one vital's cell, as a page shows it before (and without) its script.

static/app/format.js does the same in the browser; a browser test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.catalogue import SIGNALS
from twin.care.api.bodies import Coasting, LatestEstimate
from twin.care.vitals import VITALS, rounded_one
from twin.care.words import Words

ARROWS = {-2: "↓", -1: "↘", 0: "→", 1: "↗", 2: "↑"}
#: A continuous value shows its age from here on, in seconds: a column of "1 s" is noise.
SHOW_AGE_S = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """value with its "≈", arrow ("" where there is none) and its word, the line below."""

    code: str
    status: str
    value: str
    arrow: str
    trend: str
    sub: str


def unit_of(code: str, words: Words) -> str:
    """The unit as people write it."""
    return VITALS[code].unit or words(f"unit.{code}")


def cell_of(code: str, estimate: LatestEstimate | None, words: Words) -> Cell:
    """What a cell shows; without an estimate a dash."""
    if estimate is None:
        return Cell(code, "none", "—", "", "", "")
    status, age = estimate.status, words.age(estimate.age_s)
    mean, half95 = _rounded(code, estimate.coasting or estimate)
    if status in ("stale", "none"):
        value = "—" if status == "none" else words.number(mean, VITALS[code].decimals)
        return Cell(code, status, value, "", "", f"{words('status.' + status)} · {age}")
    mark = "≈\u202f" if estimate.approximate else ""
    sub = [band_of(code, mean - half95, mean + half95, words)]
    if estimate.age_s > SHOW_AGE_S or status == "late" or SIGNALS[code].spot:
        sub.append(age)
    if status == "diverged":
        sub.append(words("status.diverged"))
    return Cell(
        code,
        status,
        mark + words.number(mean, VITALS[code].decimals),
        ARROWS[estimate.arrow],
        words(f"trend.{estimate.arrow}"),
        " · ".join(sub),
    )


def band_of(code: str, low: float, high: float, words: Words) -> str:
    """low–high, cut to what the signal can be at all (no oxygen saturation above 100 %)."""
    signal, decimals = SIGNALS[code], VITALS[code].decimals
    cut = (max(signal.lower, low), min(signal.upper, high))
    return "–".join(words.number(edge, decimals) for edge in cut)


def _rounded(code: str, best: LatestEstimate | Coasting) -> tuple[float, float]:
    """(mean, half of the 95 % band) as the frames carry them, so that both write the same."""
    return rounded_one(code, best.mean), rounded_one(code, (best.hi95 - best.lo95) / 2)
