"""The compiled part of a score's alarm, and of when a score is told.

Like `twin.assessment.kernel`, of which this is the second half: once a second for each patient of
a ward, whether anything of it changed or not, so each costs nanoseconds.
"""

from __future__ import annotations

from ingest.instant import MINUTE, SECOND
from twin.assessment.kernel import HELD, HIGH, MEDIUM, NOT_LIVE, PENDING, PENDING_FROM, QUIET
from twin.estimation.compiled import compiled

#: A score is told again about so often (journal time, ns) although nothing changed, each patient's
#: at a second of its own: a ward that began at once would come all at once.
TELL_EVERY = MINUTE


@compiled
def to_tell(patients, partition, elapsed, held, shown, told_at, turn, chosen):  # type: ignore[no-untyped-def]
    """Which of these patients' scores are to be told; returns how many, writes them into chosen.

    A score that changed since it was shown, or is known and has its turn. elapsed (partitions,):
    journal time, ns; partition, held and shown (…, HELD), told_at, turn: by patient. Written:
    shown and told_at of the chosen.
    """
    count = 0
    for n in range(patients.shape[0]):
        p = patients[n]
        now = elapsed[partition[p]]
        changed, known = False, False
        for v in range(HELD):
            changed = changed or held[p, v] != shown[p, v]
            known = known or held[p, v] >= 0
        since = now - max(told_at[p], 0)
        turned = (now // SECOND + turn[p]) % (TELL_EVERY // SECOND) == 0
        due = (turned and since >= TELL_EVERY // 2) or since >= 3 * TELL_EVERY // 2
        if changed or (due and known):
            for v in range(HELD):
                shown[p, v] = held[p, v]
            told_at[p] = now
            chosen[count] = p
            count += 1
    return count


@compiled
def calls_none(level, p, s):  # type: ignore[no-untyped-def]
    """Whether no side of a vital is in alarm; level (patients, signals, sides)."""
    return level[p, s, 0] < MEDIUM and level[p, s, 1] < MEDIUM


@compiled
def score_condition(  # type: ignore[no-untyped-def]
    patients,
    seconds,
    held,
    beside,
    worth,
    vital_row,
    due_medium,
    due_high,
    clear_for,
    level,
    total,
    changes,
):
    """Alarm condition of the score; returns how many changes (place, level before, level now).

    What was received long after it was measured calls nobody. A single 3 counts only where no alarm
    of that vital (beside (patients, signals, sides)) is there already: one cause, one alarm. 5 min
    of ≥ 7 (high), of ≥ 5 or a single 3 (medium); clears a point below for 10 min. total (patients,)
    gets the sum of the known points.
    """
    changed = 0
    for n in range(patients.shape[0]):
        p = patients[n]
        d = seconds[p]
        known, three = 0, False
        for v in range(HELD):
            if v < 5 and worth[p, vital_row[v]] == NOT_LIVE:
                continue
            if held[p, v] > 0:
                known += held[p, v]
            if held[p, v] == 3:
                three = three or v >= 5 or calls_none(beside, p, vital_row[v])
        total[p] = known
        due_high[p] = due_high[p] + d if known >= 7 else 0.0
        due_medium[p] = due_medium[p] + d if known >= 5 or three else 0.0
        was = level[p]
        now = was
        reached = HIGH if due_high[p] >= 300.0 else MEDIUM if due_medium[p] >= 300.0 else QUIET
        if was >= MEDIUM:
            now = max(was, reached)
            clear_for[p] = clear_for[p] + d if known <= 3 and not three else 0.0
            if clear_for[p] >= 600.0:
                now = QUIET
        elif reached > QUIET:
            now = reached
        else:
            now = PENDING if max(due_high[p], due_medium[p]) >= 300.0 * PENDING_FROM else QUIET
        if now != was:
            level[p] = now
            clear_for[p] = 0.0
            changes[changed, 0], changes[changed, 1], changes[changed, 2] = n, was, now
            changed += 1
    return changed
