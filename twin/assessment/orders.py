"""Commands that change what is known: entries, limits, the switch of alarms; and people's acts."""

from __future__ import annotations

import numpy as np

from ingest.catalogue import CODES, SIGNALS
from ingest.observation import Command
from twin.assessment.entries import NOTE, VALIDATED, entered, read_entry, read_note
from twin.assessment.judging import scores_of
from twin.assessment.kernel import E_OXYGEN, E_SCALE, QUIET
from twin.assessment.knowledge import MODES, NO_ALARMS, WELLNESS, Knowledge
from twin.assessment.limits import conflict, limit_set, read_change
from twin.assessment.rules import (
    NEWS2_RULE,
    SIDES,
)
from twin.judgement import Entered, Judgements, Score, Switched
from twin.part import Moment, Said


def rest(known: Knowledge, number: int, rule: str) -> None:
    """A person closed it: if its condition still holds, the whole delay begins anew."""
    m = known.memory.of
    known.stir(number)
    if rule == NEWS2_RULE:
        m["score_level"][number] = 0
        m["due_medium"][number] = m["due_high"][number] = 0.0
        return
    signal, _, side = rule.partition("/")
    if signal in SIGNALS and side in SIDES:
        key = (number, CODES.index(signal), SIDES.index(side))
        m["level"][key] = QUIET
        m["progress"][key] = 0.0
        m["unverified"][key] = False


def enter(known: Knowledge, command: Command, number: int, partition: int) -> tuple[str, Said]:
    """A person's entry, or a whole set validated; (why it is refused, what is said)."""
    if command.body.get("kind") == VALIDATED:
        return _validate(known, command, number, partition)
    if command.body.get("kind") == NOTE:
        note = read_note(command)
        return (note, ()) if isinstance(note, str) else ("", _written(partition, note))
    entry = read_entry(command)
    if isinstance(entry, str):
        return entry, ()
    m = known.memory.of
    if entry.at < m["entered_at"][number, entry.column]:
        return "there is a newer one of its kind", ()
    m["entered"][number, entry.column] = entry.value
    m["entered_at"][number, entry.column] = entry.at
    m["entered_until"][number, entry.column] = entry.until
    known.actors[number, entry.column] = command.actor
    known.stir(number)
    if entry.column in (E_SCALE, E_OXYGEN):
        known.resolve(number)
    return "", _written(partition, entered(command, entry))


def _written(partition: int, entry: Entered) -> Said:
    """What stands in the patient's journal."""
    return [(partition, Judgements(entries=(entry,)))]


def _validate(known: Knowledge, command: Command, number: int, partition: int) -> tuple[str, Said]:
    """The set as it stands becomes an observation of the person who says so."""
    if not command.actor.strip():
        return "expected actor: who validates", ()
    (row,) = scores_of(known, np.array([number]), command.issued_at)
    if not row.complete:
        missing = [c.parameter for c in row.components if c.points < 0]
        return f"not complete: {', '.join(missing)} missing", ()
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    validated = Score(**fields | {"validated_by": command.actor})
    said = Judgements(scores=(validated,), entries=(entered(command),))
    return "", [(partition, said)]


def set_limits(known: Knowledge, command: Command, moment: Moment) -> tuple[str, Said]:
    """Limits at one level; (why they are refused, what is said)."""
    change = read_change(command)
    if isinstance(change, str):
        return change, ()
    due = np.flatnonzero(moment.partitions).tolist()
    if any(known.partitions[p].mode == WELLNESS for p in due):
        return NO_ALARMS, ()
    if change.rule is not None:
        rule = change.rule
        for p in due:
            rules = known.partitions[p].levels.in_force(change.patient)
            rules[change.signal, change.priority] = rule
            if why := conflict(rules, change.signal):
                return why, ()
    for p in due:
        known.partitions[p].levels.apply(change)
    known.resolve_all(due)
    said = limit_set(change, command)
    return "", [(p, Judgements(limits=(said,))) for p in due]


def switch(known: Knowledge, command: Command, moment: Moment) -> tuple[str, Said]:
    """Alarms on or off, and the mode; (why it is refused, what is said)."""
    alarms, mode = command.body.get("alarms"), command.body.get("mode", "research")
    if not isinstance(alarms, bool):
        return f"expected alarms: true or false, got {alarms!r}", ()
    if mode not in MODES:
        return f"expected mode: one of {', '.join(MODES)}, got {mode!r}", ()
    if alarms and mode == WELLNESS:
        return f"expected alarms: false; {NO_ALARMS}", ()
    due = np.flatnonzero(moment.partitions).tolist()
    for p in due:
        known.partitions[p].alarms_on, known.partitions[p].mode = alarms, str(mode)
    known.resolve_all(due)
    said = Switched(alarms, str(mode), command.actor, command.issued_at)
    return "", [(p, Judgements(switched=(said,))) for p in due]
