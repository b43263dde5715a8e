"""What people enter about a patient: consciousness, oxygen, the SpO2 scale, cuff and thermometer.

An entry is dated and holds for a while; the newest of its kind counts. It arrives as a command
`entry` in the journal, so that it acts at its place in the order and is replayed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from ingest.catalogue import SIGNALS, Signal, to_canonical
from ingest.instant import FURTHEST, HOUR, MINUTE, format_instant
from ingest.observation import Command
from twin.assessment.kernel import (
    E_CONSCIOUSNESS,
    E_OXYGEN,
    E_SBP,
    E_SCALE,
    E_TEMPERATURE,
)
from twin.assessment.news2 import CONSCIOUSNESS
from twin.judgement import Entered

#: Kind of entry → its column in the entry table.
KINDS: Mapping[str, int] = {
    "consciousness": E_CONSCIOUSNESS,
    "oxygen": E_OXYGEN,
    "spo2_scale": E_SCALE,
    "systolic_bp": E_SBP,
    "temperature": E_TEMPERATURE,
}
NAMES = {column: kind for kind, column in KINDS.items()}
#: A set of observations that a person validated: it becomes a NEWS2 of that person.
VALIDATED = "validated"
#: Words for the patient's journal; they change nothing else.
NOTE = "note"
LONGEST_NOTE = 1_000
#: For how long (ns) an entry holds that does not say so itself. A scale is a prescription.
VALIDITY: Mapping[str, int] = {
    "consciousness": 12 * HOUR,
    "oxygen": 12 * HOUR,
    "spo2_scale": 10 * 365 * 24 * HOUR,
    "systolic_bp": 4 * HOUR,
    "temperature": 4 * HOUR,
}
LONGEST_VALID_S = 7 * 86_400.0
#: A person's clock may be so far ahead of the journal's (ns).
AHEAD = 5 * MINUTE
_OXYGEN = {"air": 0.0, "oxygen": 1.0}
_MEASURED: Mapping[str, Signal] = {
    "systolic_bp": SIGNALS["systolic_bp"],
    "temperature": SIGNALS["body_temperature"],
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, read. column of the entry table, its number there, when, until when (ns UTC)."""

    column: int
    value: float
    at: int
    until: int


def read_entry(command: Command) -> Entry | str:
    """The entry of a command `entry`, or why it is refused.

    Body: kind, value ("A" … "U"; "air", "oxygen"; 1, 2; a number), unit (of a number; the canonical
    one if absent), at (ns UTC; when the command was given if absent), valid_s.
    """
    body = command.body
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return f"expected kind: one of {', '.join([*KINDS, VALIDATED, NOTE])}, got {kind!r}"
    value = _value(kind, body.get("value"), body.get("unit"))
    if isinstance(value, str):
        return f"expected value: {value}"
    at = body.get("at", command.issued_at)
    if not isinstance(at, int) or isinstance(at, bool) or not 0 < at <= command.issued_at + AHEAD:
        got = format_instant(at) if _within(at) else repr(at)
        return f"expected at: a time since 1970 that is not in the future, got {got}"
    valid_s = body.get("valid_s")
    if valid_s is None:
        return Entry(KINDS[kind], value, at, at + VALIDITY[kind])
    if not _number(valid_s) or not 0 < valid_s <= LONGEST_VALID_S:
        return f"expected valid_s: seconds, at most {LONGEST_VALID_S:g}, got {valid_s!r}"
    return Entry(KINDS[kind], value, at, at + round(valid_s * 1e9))


def entered(command: Command, entry: Entry | None = None) -> Entered:
    """What readers are told of a command `entry`: of a measured value the number as it was read."""
    kind, value = str(command.body.get("kind")), command.body.get("value")
    words = "" if value is None else str(value).strip()
    if entry is not None and kind in _MEASURED:
        words = f"{entry.value:g}"
    at = command.issued_at if entry is None else entry.at
    return Entered(command.patient or "", command.id, kind, words, at, command.actor)


def read_note(command: Command) -> Entered | str:
    """The note of a command `entry` of kind `note`, or why it is refused."""
    words = command.body.get("value")
    if not command.actor.strip():
        return "expected actor: who writes it"
    if not isinstance(words, str) or not words.strip():
        return "expected value: the words of the note"
    if len(words) > LONGEST_NOTE:
        return f"expected value: at most {LONGEST_NOTE} characters, got {len(words)}"
    if not all(each.isprintable() or each == "\n" for each in words):
        return "expected value: words, without control characters"
    return entered(command)


def _value(kind: str, value: object, unit: object) -> float | str:
    """The value as a number, or what was expected."""
    if kind == "consciousness":
        known = isinstance(value, str) and len(value) == 1 and value in CONSCIOUSNESS
        return (
            float(CONSCIOUSNESS.index(str(value))) if known else f"A, C, V, P or U, got {value!r}"
        )
    if kind == "oxygen":
        known = isinstance(value, str) and value in _OXYGEN
        return _OXYGEN[str(value)] if known else f"air or oxygen, got {value!r}"
    if kind == "spo2_scale":
        return float(str(value)) if str(value) in ("1", "2") else f"1 or 2, got {value!r}"
    signal = _MEASURED[kind]
    if not _number(value):
        return f"a number, got {value!r}"
    canonical = to_canonical(signal, float(value), None if unit is None else str(unit))  # type: ignore[arg-type]
    if canonical is None:
        return f"a unit of {kind} ({', '.join([signal.unit, *signal.accepted])}), got {unit!r}"
    if not signal.lower <= canonical <= signal.upper:
        return f"{signal.lower:g} to {signal.upper:g} {signal.unit}, got {value!r}"
    return canonical


def _within(at: object) -> TypeGuard[int]:
    """Whether it is ns that a calendar has."""
    return isinstance(at, int) and not isinstance(at, bool) and abs(at) <= FURTHEST


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
