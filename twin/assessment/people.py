"""What people may do with alarms: take, pause, resume, close, note. The journal's order decides.

Each act is a command; its refusal says why. Acts on an alarm name it by its id in `alarm`; a pause
may name the signal instead, so that it also holds for what is raised later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.instant import MINUTE
from ingest.observation import Command
from twin.assessment.alarm import HeldPause, Now, Standing
from twin.assessment.standing import OpenAlarms
from twin.judgement import Alarm, Pause

ACTS = ("acknowledge", "pause", "resume", "close", "seen", "note")
#: What a person may close an alarm with.
OUTCOMES = ("acted", "watched", "false", "other")
LONGEST_PAUSE = 60 * MINUTE
LONGEST_TEXT = 1_000
PHYSICIAN = "physician"


@dataclass(frozen=True, slots=True)
class Act:
    """A command about alarms of one patient (number) in a partition, and the moment it acts at."""

    command: Command
    number: int
    partition: int
    now: Now

    @property
    def text(self) -> str:
        """The words given as reason."""
        text = self.command.body.get("reason", "")
        return text.strip() if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True)
class Acted:
    """Rows of the alarms that it changed, and pauses that began or ended; or why it is refused."""

    refused: str = ""
    rows: Sequence[Alarm] = ()
    pauses: Sequence[Pause] = ()


def act_on(alarms: OpenAlarms, act: Act) -> Acted:
    """Do what the command asks. A refused one changes nothing."""
    if not act.command.actor.strip():
        return Acted("expected actor: who does it")
    if len(act.text) > LONGEST_TEXT:
        return Acted(f"expected reason: at most {LONGEST_TEXT} characters")
    body = act.command.body
    if act.command.kind in ("pause", "resume") and "alarm" not in body:
        signal = body.get("signal")
        if not isinstance(signal, str) or not signal:
            return Acted("expected alarm: its id, or signal")
        return _pause_signal(alarms, act, signal)
    found = _found(alarms, act)
    if isinstance(found, str):
        return Acted(found)
    return _on_alarm(alarms, act, found)


def _found(alarms: OpenAlarms, act: Act) -> Standing | str:
    named = act.command.body.get("alarm")
    if not isinstance(named, str) or not named:
        return f"expected alarm: its id, got {named!r}"
    place = alarms.by_id.get(named)
    if place is not None and place.number == act.number:
        return place.standing
    outcome = alarms.closed.get(act.partition, {}).get(named)
    if outcome is not None:
        return f"the alarm is closed already ({outcome})"
    return f"unknown alarm {named!r} of this patient"


def _on_alarm(alarms: OpenAlarms, act: Act, standing: Standing) -> Acted:
    kind, actor, now = act.command.kind, act.command.actor, act.now
    if kind in ("pause", "resume"):
        return _pause_signal(alarms, act, standing.row.signal)
    if kind == "acknowledge":
        done = standing.acknowledge(now, actor)
    elif kind == "seen":
        done = standing.see(now, actor)
    elif kind == "note":
        if not act.text:
            return Acted("expected reason: the words of the note")
        done = standing.note(now, actor, act.text)
    else:
        outcome = act.command.body.get("outcome")
        if outcome not in OUTCOMES:
            return Acted(f"expected outcome: one of {', '.join(OUTCOMES)}, got {outcome!r}")
        done = standing.close(now, actor, str(outcome), act.text)
    if isinstance(done, str):
        return Acted(done)
    alarms.settle(act.number, standing, act.partition)
    if kind == "acknowledge":
        done = [*done, *_take_joined(alarms, act, standing.row.id)]
    return Acted(rows=done)


def _take_joined(alarms: OpenAlarms, act: Act, head: str) -> list[Alarm]:
    """Who takes an alarm takes those that joined it: one event, one call, one person."""
    joined = [p.standing for p in alarms.places() if p.standing.row.joined == head]
    rows: list[Alarm] = []
    for standing in sorted(joined, key=lambda each: each.row.rule):
        done = standing.acknowledge(act.now, act.command.actor)
        rows += [] if isinstance(done, str) else done
        alarms.settle(act.number, standing, act.partition)
    return rows


def _pause_signal(alarms: OpenAlarms, act: Act, signal: str) -> Acted:
    patient, actor, now = act.command.patient or "", act.command.actor, act.now
    if act.command.kind == "resume":
        if alarms.end_pause(act.number, signal) is None:
            return Acted("no pause is in force")
        rows = [r for s in _of_signal(alarms, act.number, signal) for r in s.resume(now, actor)]
        return Acted(rows=rows, pauses=[Pause(patient, signal, 0, act.text, actor, now.at)])
    length = _length(act.command)
    if isinstance(length, str):
        return Acted(length)
    if not act.text:
        return Acted("expected reason: a pause has a reason")
    until = act.command.issued_at + length
    firm = act.command.body.get("role") == PHYSICIAN
    held = HeldPause(signal, now.elapsed + length, until, act.text, actor, firm)
    alarms.set_pause(act.number, held)
    rows = []
    for standing in _of_signal(alarms, act.number, signal):
        done = standing.pause(now, actor, act.text, until, held.ends)
        rows += [] if isinstance(done, str) else done
    return Acted(rows=rows, pauses=[Pause(patient, signal, until, act.text, actor, now.at)])


def _of_signal(alarms: OpenAlarms, number: int, signal: str) -> list[Standing]:
    mine = [p.standing for p in alarms.places() if p.number == number]
    return sorted((s for s in mine if s.row.signal == signal), key=lambda s: s.row.rule)


def _length(command: Command) -> int | str:
    """How long (ns) a pause is to last: `minutes`, or `until` (ns UTC); or what was expected."""
    minutes, until = command.body.get("minutes"), command.body.get("until")
    if isinstance(minutes, (int, float)) and not isinstance(minutes, bool):
        length = round(minutes * MINUTE)
    elif isinstance(until, int) and not isinstance(until, bool):
        length = until - command.issued_at
    else:
        return "expected minutes or until: a pause has an end"
    if not 0 < length <= LONGEST_PAUSE:
        return f"expected a pause of at most {LONGEST_PAUSE // MINUTE} min that ends after now"
    return length
