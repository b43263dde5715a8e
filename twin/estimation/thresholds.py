"""Limits that were written down before the result was known, and whether a result keeps them.

A TOML file: tables signal.horizon with metric = limit, and a table `statement` with what the report
says in words.

    registered = "2026-11-25"
    [statement]
    question = "Is the forecast good enough to …?"
    [heart_rate.60s]
    skill = 0.16                 # at least, for what is better when higher
    rmse = 2.5                   # at most, for what is better when lower
    coverage90 = [0.87, 0.93]    # from, to
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ingest.catalogue import SIGNALS
from ingest.toml_text import toml_of
from twin.estimation.credibility import Credibility
from twin.estimation.pairing import horizon_name

#: Metrics by which way is better; those of BOTH need two limits.
LOWER = ("rmse", "mae", "crps", "mae_to_best_device")
HIGHER = (
    *("skill", "mae_skill", "crps_skill", "readings", "persons", "judged_persons"),
    *(f"{whose}coverage{level}" for whose in ("", "persons_") for level in (50, 90, 95)),
    *("persons_within_5", "judged_within_5"),
)
BOTH = ("bias", "nis", "lag1")


class ThresholdError(ValueError):
    """A thresholds file that cannot be used: where, what is there, what was expected."""

    def __init__(self, where: str, got: object, expected: str) -> None:
        super().__init__(f"{where}: got {got!r}, expected {expected}")
        self.where, self.got, self.expected = where, got, expected


@dataclass(frozen=True, slots=True)
class Statement:
    """The headings of ASME V&V 40 that no code can fill; "" where nobody said it."""

    question: str = ""
    context: str = ""
    influence: str = ""
    consequence: str = ""
    risk: str = ""
    applicability: str = ""
    failures: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """low ≤ metric ≤ high, of a signal so many seconds ahead; infinite where not limited."""

    signal: str
    seconds: float
    metric: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A thresholds file; registered is the date that it gives, or ""."""

    registered: str
    statement: Statement
    limits: Sequence[Limit]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit and what was found: None where this recording cannot say, which is not a pass."""

    limit: Limit
    found: float | None
    passed: bool


def parse_thresholds(
    content: str, where: str, seconds_of: Callable[[str], float | None]
) -> Thresholds:
    """A thresholds file's text. seconds_of: "15min" → 900, None for no time. ThresholdError."""
    try:
        read = toml_of(content)
    except tomllib.TOMLDecodeError as error:
        raise ThresholdError(where, str(error), "TOML") from error
    statement, registered = Statement(), ""
    limits: list[Limit] = []
    for name, value in read.items():
        if name == "registered":
            registered = str(value)
        elif name == "statement":
            statement = _statement(f"{where}: statement", value)
        elif name in SIGNALS:
            limits += _signal(f"{where}: {name}", name, value, seconds_of)
        else:
            expected = f"registered, statement, or one of {', '.join(SIGNALS)}"
            raise ThresholdError(where, name, expected)
    if not limits:  # nothing would be judged, and that would look like a pass
        raise ThresholdError(
            where, "no limit", "at least one, like skill = 0.1 in [heart_rate.60s]"
        )
    return Thresholds(registered, statement, limits)


def judged(thresholds: Thresholds, found: Credibility) -> list[Verdict]:
    """Every limit with what was found, in the file's order."""
    metrics = {
        (signal.signal, horizon.seconds): horizon.metrics
        for signal in found.signals
        for horizon in signal.horizons
    }
    verdicts = []
    for limit in thresholds.limits:
        value = metrics.get((limit.signal, limit.seconds), {}).get(limit.metric, math.nan)
        known = math.isfinite(value)
        passed = known and limit.low <= value <= limit.high
        verdicts.append(Verdict(limit, value if known else None, passed))
    return verdicts


def limit_in_words(limit: Limit) -> str:
    """ "heart_rate 60s skill ≥ 0.16"."""
    name = f"{limit.signal} {horizon_name(limit.seconds)} {limit.metric}"
    if math.isinf(limit.high):
        return f"{name} ≥ {limit.low:g}"
    return (
        f"{name} ≤ {limit.high:g}"
        if math.isinf(limit.low)
        else (f"{name} {limit.low:g} to {limit.high:g}")
    )


def _table(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ThresholdError(where, value, "a table")
    return value


def _statement(where: str, value: Any) -> Statement:
    known = [field.name for field in fields(Statement)]
    for key, text in _table(where, value).items():
        if key not in known:
            raise ThresholdError(where, key, f"one of {', '.join(known)}")
        if not isinstance(text, str):
            raise ThresholdError(f"{where}.{key}", text, "a text")
    return Statement(**value)


def _signal(
    where: str, signal: str, tables: Any, seconds_of: Callable[[str], float | None]
) -> list[Limit]:
    found = []
    for horizon, metrics in _table(where, tables).items():
        seconds = 0.0 if horizon == "now" else seconds_of(horizon)
        if seconds is None:
            raise ThresholdError(where, horizon, "now, or a time like 60s, 15min or 2h")
        for metric, value in _table(f"{where}.{horizon}", metrics).items():
            low, high = _bounds(f"{where}.{horizon}.{metric}", metric, value)
            found.append(Limit(signal, seconds, metric, low, high))
    return found


def _bounds(where: str, metric: str, value: Any) -> tuple[float, float]:
    if metric not in (*LOWER, *HIGHER, *BOTH):
        raise ThresholdError(where, metric, f"one of {', '.join((*HIGHER, *LOWER, *BOTH))}")
    pair = value if isinstance(value, list) else [value]
    numeric = all(
        isinstance(each, (int, float)) and not isinstance(each, bool) and math.isfinite(each)
        for each in pair
    )
    if numeric and len(pair) == 2 and pair[0] <= pair[1]:
        return float(pair[0]), float(pair[1])
    if not numeric or len(pair) != 1 or metric in BOTH:
        expected = "[from, to]" if metric in BOTH else "a number, or [from, to]"
        raise ThresholdError(where, value, expected)
    if metric in LOWER:
        return -math.inf, float(pair[0])
    return float(pair[0]), math.inf
