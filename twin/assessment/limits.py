"""Alarm limits: which there are, at which level they are set, and which hold for a patient.

A limit is the border of what is allowed: below `low`, or above `high`, is beyond it, strictly (so
"≤ 40" of a table of whole numbers is low = 41). Levels: the ward's default, a profile's, the
patient's own; the nearest to the patient that says something about a signal and priority holds
whole. The starting figures are proposals that need a clinician (docs/alarms.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import ROWS, SIGNALS, to_canonical
from ingest.instant import DAY
from ingest.observation import Command
from twin.judgement import LimitSet, Priority

#: Places of the priorities in the kernel's arrays.
PRIORITIES = (Priority.MEDIUM, Priority.HIGH)
REVIEW_AFTER = DAY
LONGEST_DELAY_S = 3600.0
NOBODY = math.nan


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """Limits of one signal at one priority; NaN = none. delay_s before it is raised.

    hysteresis: so far back inside before it clears (and the excursion up to which the whole delay
    is waited for), in the signal's unit.
    """

    low: float
    high: float
    delay_s: float
    hysteresis: float
    author: str = ""
    reason: str = ""
    review_at: int = 0
    at: int = 0


#: (signal, priority) → its rule.
Rules = dict[tuple[str, str], Rule]

_M, _H = Priority.MEDIUM.value, Priority.HIGH.value
#: Starting limits (docs/alarms.md). Glucose in mg/dL: 54, 70 and 250 are 3.0, 3.9, 13.9 mmol/L.
DEFAULTS: Mapping[tuple[str, str], Rule] = {
    ("heart_rate", _H): Rule(35, 150, 10, 5),
    ("heart_rate", _M): Rule(41, 130, 30, 5),
    ("respiratory_rate", _H): Rule(6, 34, 30, 2),
    ("respiratory_rate", _M): Rule(9, 24, 60, 2),
    ("spo2", _H): Rule(85, NOBODY, 15, 2),
    ("spo2", _M): Rule(90, NOBODY, 30, 2),
    ("systolic_bp", _H): Rule(76, NOBODY, 0, 5),
    ("systolic_bp", _M): Rule(91, 219, 0, 5),
    ("body_temperature", _M): Rule(35.1, 39.0, 600, 0.3),
    ("glucose", _H): Rule(54, NOBODY, 300, 5),
    ("glucose", _M): Rule(70, 250, 900, 5),
}
#: SpO2 of a patient on scale 2 (88–92 % prescribed), where the ward's defaults hold.
SCALE_2: Mapping[tuple[str, str], Rule] = {
    ("spo2", _H): Rule(80, NOBODY, 15, 2),
    ("spo2", _M): Rule(86, NOBODY, 30, 2),
}
SCALE_2_ON_OXYGEN: Mapping[tuple[str, str], Rule] = {
    **SCALE_2,
    ("spo2", _M): Rule(86, 96, 30, 2),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A command `limits`, read: what is set where. rule None: what was set there goes."""

    patient: str
    profile: str
    signal: str
    priority: str
    rule: Rule | None


class Levels(msgspec.Struct):
    """What was set in one partition, by level; what nobody set is the default."""

    ward: Rules = {}
    profiles: dict[str, Rules] = {}
    patients: dict[str, Rules] = {}
    profile_of: dict[str, str] = {}

    def apply(self, change: Change) -> None:
        """Set, or with no rule unset, what the change says."""
        if not change.signal:
            self.profile_of[change.patient] = change.profile
            if not change.profile:
                del self.profile_of[change.patient]
            return
        rules = self._rules(change.patient, change.profile)
        if change.rule is None:
            rules.pop((change.signal, change.priority), None)
        else:
            rules[change.signal, change.priority] = change.rule

    def _rules(self, patient: str, profile: str) -> Rules:
        if patient:
            return self.patients.setdefault(patient, {})
        return self.profiles.setdefault(profile, {}) if profile else self.ward

    def own(self, patient: str) -> Iterator[Mapping[tuple[str, str], Rule]]:
        """What was set for the patient, nearest first."""
        yield self.patients.get(patient, {})
        yield self.profiles.get(self.profile_of.get(patient, ""), {})
        yield self.ward

    def differ(self, patient: str) -> bool:
        """Whether other limits than the ward's were set for the patient."""
        return patient in self.patients or patient in self.profile_of

    def in_force(self, patient: str, scale: int = 1, oxygen: bool = False) -> Rules:
        """(signal, priority) → the rule that holds for the patient."""
        found = dict(DEFAULTS)
        if scale == 2:
            found |= SCALE_2_ON_OXYGEN if oxygen else SCALE_2
        for rules in reversed(list(self.own(patient))):
            found |= rules
        return found


def read_change(command: Command) -> Change | str:
    """The change that a `limits` command asks for, or why it is refused.

    Body: signal, priority ("high", "medium"), low and high (null or absent = none), unit (the
    canonical one if absent), delay_s, hysteresis, reason (needed where there is a patient),
    review_at (ns; a day later if absent), profile (a profile's limits, or with a patient and no
    signal: which profile he has), remove (true: back to the level before).
    """
    body = command.body
    patient, profile = command.patient or "", body.get("profile", "")
    if not isinstance(profile, str):
        return f"expected profile: a name, got {profile!r}"
    if patient and profile and "signal" in body:
        return "expected profile with signal only where there is no patient"
    if patient and "signal" not in body and "profile" in body:
        return Change(patient, profile, "", "", None)
    signal, priority = body.get("signal"), body.get("priority")
    if not isinstance(signal, str) or signal not in SIGNALS:
        return f"expected signal: one of {', '.join(SIGNALS)}, got {signal!r}"
    if priority not in (_H, _M):
        return f"expected priority: high or medium, got {priority!r}"
    if body.get("remove") is True:
        return Change(patient, profile, signal, str(priority), None)
    rule = _rule(command, signal, str(priority))
    return rule if isinstance(rule, str) else Change(patient, profile, signal, str(priority), rule)


def _rule(command: Command, signal: str, priority: str) -> Rule | str:
    body = command.body
    default = DEFAULTS.get((signal, priority)) or Rule(NOBODY, NOBODY, 60, _resolution(signal) * 2)
    unit, reason = body.get("unit"), body.get("reason", "")
    if unit is not None and to_canonical(SIGNALS[signal], 1.0, str(unit)) is None:
        known = ", ".join([SIGNALS[signal].unit, *SIGNALS[signal].accepted])
        return f"expected unit: one of {known}, got {unit!r}"
    if not isinstance(reason, str) or (command.patient and not reason.strip()):
        return "expected reason: why this patient's limits differ"
    numbers = [_limit(signal, body.get(side), unit) for side in ("low", "high")]
    for side, one in zip(("low", "high"), numbers, strict=True):
        if isinstance(one, str):
            return f"expected {side}: {one}"
    low, high = (float(one) for one in numbers)
    if low >= high:
        return f"expected low < high, got {low:g} and {high:g}"
    delay = body.get("delay_s", default.delay_s)
    if not _number(delay) or not 0 <= delay <= LONGEST_DELAY_S:
        return f"expected delay_s: 0 to {LONGEST_DELAY_S:g} s, got {delay!r}"
    hysteresis = body.get("hysteresis", default.hysteresis)
    if not _number(hysteresis) or not 0 <= hysteresis <= _width(signal) / 4:
        return f"expected hysteresis: 0 to {_width(signal) / 4:g}, got {hysteresis!r}"
    review = body.get("review_at", command.issued_at + REVIEW_AFTER)
    if not isinstance(review, int) or review <= command.issued_at:
        return "expected review_at: a time after now, in ns"
    return Rule(
        low, high, float(delay), float(hysteresis), command.actor, reason, review, command.issued_at
    )


def _limit(signal: str, value: object, unit: object) -> float | str:
    if value is None:
        return NOBODY
    known = SIGNALS[signal]
    if not _number(value):
        return f"a number or nothing, got {value!r}"
    canonical = to_canonical(known, float(value), None if unit is None else str(unit))  # type: ignore[arg-type]
    if canonical is None or not known.lower <= canonical <= known.upper:
        return f"{known.lower:g} to {known.upper:g} {known.unit}, got {value!r}"
    return canonical


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _comparable(rule: Rule) -> tuple[Any, ...]:
    """The rule without NaN, which equals nothing."""
    values = (getattr(rule, name) for name in rule.__struct_fields__)
    return tuple("" if value != value else str(value) for value in values)


def _resolution(signal: str) -> float:
    return SIGNALS[signal].resolution


def _width(signal: str) -> float:
    return SIGNALS[signal].upper - SIGNALS[signal].lower


def conflict(rules: Rules, signal: str) -> str:
    """Why the rules of a signal cannot hold together, "" if they can."""
    both = [rules[signal, p] for p in (_M, _H) if (signal, p) in rules]
    lows = [rule.low for rule in both if rule.low == rule.low]
    highs = [rule.high for rule in both if rule.high == rule.high]
    if lows and highs and max(lows) >= min(highs):
        return f"expected low < high, got {max(lows):g} and {min(highs):g} of two priorities"
    return ""


def limit_set(change: Change, command: Command) -> LimitSet:
    """The change as it is said to readers."""
    rule = change.rule or Rule(NOBODY, NOBODY, 0.0, 0.0)
    return LimitSet(
        change.patient, change.profile, change.signal, change.priority, change.rule is None,
        rule.low, rule.high, rule.delay_s, rule.hysteresis, command.actor, rule.reason,
        rule.review_at, command.issued_at,
    )  # fmt: skip


@dataclass(slots=True)
class LimitTables:
    """The sets of limits that are in use, for the kernel: one row of the arrays for each set.

    low, high, delay (sets, signals, 2: medium, high); hysteresis (sets, signals). Row 0 has no
    limit at all.
    """

    low: NDArray[np.float64] = field(init=False)
    high: NDArray[np.float64] = field(init=False)
    delay: NDArray[np.float64] = field(init=False)
    hysteresis: NDArray[np.float64] = field(init=False)
    _rows: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _rules: list[Rules] = field(default_factory=list)

    def __post_init__(self) -> None:
        signals = len(ROWS)
        self.low = np.full((4, signals, 2), np.nan)
        self.high = np.full((4, signals, 2), np.nan)
        self.delay = np.zeros((4, signals, 2))
        self.hysteresis = np.zeros((4, signals))
        self._rules.append({})

    def row_of(self, rules: Rules) -> int:
        """The row of these rules; a set that is new gets the next one."""
        key = tuple(sorted((k, _comparable(rule)) for k, rule in rules.items()))
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self._rules)
            self._rules.append(rules)
            if row >= len(self.low):
                self._grow()
            self._fill(row, rules)
        return row

    def rule(self, row: int, signal: str, priority: str) -> Rule | None:
        """The rule of a set."""
        return self._rules[row].get((signal, priority))

    def _grow(self) -> None:
        for name in ("low", "high", "delay", "hysteresis"):
            old = getattr(self, name)
            grown = np.full((2 * len(old), *old.shape[1:]), np.nan if name != "delay" else 0.0)
            grown[: len(old)] = old
            setattr(self, name, grown)

    def _fill(self, row: int, rules: Rules) -> None:
        for (code, priority), rule in rules.items():
            s, k = ROWS[code], PRIORITIES.index(Priority(priority))
            self.low[row, s, k], self.high[row, s, k] = rule.low, rule.high
            self.delay[row, s, k], self.hysteresis[row, s] = rule.delay_s, rule.hysteresis
