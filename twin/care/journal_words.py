"""A patient's journal and devices in words, for the column beside the charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.instant import MILLISECOND
from twin.care.api.entries import EventBody, events_of
from twin.care.ledger import SPEAKS, main_reason
from twin.care.parts import Parts
from twin.care.vitals import VITALS
from twin.care.words import Words, catalogue

#: Lines shown; the interface gives all that is kept.
MOST = 60
#: Refused samples shown.
MOST_NOT_USED = 40


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
    """A device of the patient: whether it is heard, its battery as words; reason: why it speaks in
    vain, "" where it does not."""

    device: str
    silence: str
    battery: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotUsed:
    """A sample that was refused. at: epoch ms; code: of its signal; said: what and why."""

    at: int
    when: str
    code: str
    said: str


def not_used_of(parts: Parts, patient: str, now: int, words: Words) -> Sequence[NotUsed]:
    """The newest refused samples of the patient's devices, newest first; their reasons are those of
    the quarantine, which keeps them."""
    found = []
    for bound in parts.people.devices():
        if bound.patient != patient:
            continue
        for item in parts.quarantine.items(MOST_NOT_USED, device=bound.device):
            code = item.path.removeprefix("values.")
            if code in VITALS:
                why = words.refusal(item.reason)
                said = f"{words(f'short.{code}')} {item.got} · {why} · {item.device}"
                at = item.received_at
                found.append(NotUsed(at // MILLISECOND, words.moment(at, now), code, said))
    return sorted(found, key=lambda one: -one.at)[:MOST_NOT_USED]


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
    theirs = [one for one in parts.feed.facts() if one.patient == patient]
    vain = any(one.silence in SPEAKS for one in theirs)
    refused = parts.quarantine.by_device() if vain else {}
    found = [
        Worn(
            one.device,
            one.silence,
            "" if one.battery is None else f"{words.number(one.battery * 100, 0)}{space}%",
            main_reason(one.silence, refused.get(one.device, {})) or "",
        )
        for one in theirs
    ]
    return sorted(found, key=lambda one: one.device)


def _said(one: EventBody, words: Words) -> str:
    if one.kind == "sensor":
        return words(f"journal.{one.what}", device=one.text)
    if one.kind == "alarm":
        return f"{_about(one.text, words)}{_colon(words)} {words(f'event.{one.what}')}"
    if one.kind == "note":
        return f"{_about(one.what, words)}{_colon(words)} {one.text}"
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
