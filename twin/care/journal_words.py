"""A patient's journal and devices in words, for the column beside the charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.instant import MILLISECOND
from twin.care.api.entries import EventBody, events_of
from twin.care.parts import Parts
from twin.care.vitals import VITALS
from twin.care.words import Words, catalogue

#: Lines shown; the interface gives all that is kept.
MOST = 60


@dataclass(frozen=True, slots=True)
class Line:
    """at: epoch ms; when: as people read it; kind: note, entry, alarm or sensor."""

    at: int
    when: str
    kind: str
    said: str
    by: str


@dataclass(frozen=True, slots=True)
class Worn:
    """A device of the patient: whether it is heard, its battery as words."""

    device: str
    silence: str
    battery: str


def lines_of(parts: Parts, patient: str, now: int, words: Words) -> Sequence[Line]:
    """The newest lines of the journal, newest first; now: int64 ns UTC."""
    return [
        Line(
            one.at,
            words.moment(one.at * MILLISECOND, now),
            "note" if one.what == "note" else one.kind,
            _said(one, words),
            one.actor,
        )
        for one in events_of(parts, patient)[:MOST]
    ]


def worn_by(parts: Parts, patient: str, words: Words) -> Sequence[Worn]:
    """The patient's devices that the twin last reported of, by name."""
    space = "\u202f" if words.language == "fr" else ""
    found = [
        Worn(
            one.device,
            one.silence,
            "" if one.battery is None else f"{words.number(one.battery * 100, 0)}{space}%",
        )
        for one in parts.feed.facts()
        if one.patient == patient
    ]
    return sorted(found, key=lambda one: one.device)


def _said(one: EventBody, words: Words) -> str:
    if one.kind == "sensor":
        return words(f"journal.{one.what}", device=one.text)
    if one.kind == "alarm":
        return f"{_about(one.text, words)}{_colon(words)} {words(f'event.{one.what}')}"
    if one.what == "note":
        return one.text
    if one.what == "validated":
        return words("journal.validated")
    key = f"scored.{one.text}"
    value = words(key) if key in catalogue(words.language) else one.text
    return f"{words(f'journal.{one.what}')}{_colon(words)} {value}"


def _about(rule: str, words: Words) -> str:
    """Whom a rule is about: `spo2/low`, `device/late`, `news2`."""
    first, _, cause = rule.partition("/")
    if first in VITALS:
        return words(f"signal.{first}")
    if first == "news2":
        return words("news2.name")
    key = f"cause.{cause or first}"
    return words(key) if key in catalogue(words.language) else rule


def _colon(words: Words) -> str:
    return "\u202f:" if words.language == "fr" else ":"
