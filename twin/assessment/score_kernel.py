"""The compiled part of a score's alarm, and of when a score is told.

Like `twin.assessment.kernel`, of which this is the second half: once a second for each patient of
a ward, whether anything of it changed or not, so each costs nanoseconds.
"""

from __future__ import annotations

import math

from ingest.instant import HOUR, MINUTE
from twin.assessment.kernel import (
    E_CONSCIOUSNESS,
    E_OXYGEN,
    HELD,
    HIGH,
    MEDIUM,
    NEVER,
    NOT_LIVE,
    PENDING,
    PENDING_FROM,
    QUIET,
    chart_row,
)
from twin.estimation.compiled import compiled

#: A score is told again about so often (journal time, ns) although nothing changed, each patient's
#: at a second of its own: a ward that began at once would come all at once.
TELL_EVERY = MINUTE


@compiled
def to_tell(  # type: ignore[no-untyped-def]
    count, looked, due, partition, known, elapsed, second, turn, held, shown, told_at, chosen,
):  # fmt: skip
    """Which of the first `count` patients' scores are to be told; returns how many, writes them
    into chosen in order.

    A score that changed since it was shown (of those looked at, in order), or is known and has its
    turn. due, elapsed (journal time, ns) and second (of its minute) by partition; the others by
    patient: turn, the second of a minute; held and shown (…, HELD). Written: shown and told_at.
    """
    told, place = 0, 0
    for p in range(count):
        changed = False
        if place < looked.shape[0] and looked[place] == p:
            place += 1
            for v in range(HELD):
                changed = changed or held[p, v] != shown[p, v]
        part = partition[p]
        now = elapsed[part]
        since = now - max(told_at[p], 0)
        if not changed:
            # First what nearly all of a ward have in common: that it is not their turn.
            at = second[part] + turn[p]
            if at != 0 and at != 60 and since < 3 * TELL_EVERY // 2:
                continue
            if since < TELL_EVERY // 2 or not known[p] or not due[part]:
                continue
            have = False
            for v in range(HELD):
                have = have or held[p, v] >= 0
            if not have:
                continue
        for v in range(HELD):
            shown[p, v] = held[p, v]
        told_at[p] = now
        chosen[told] = p
        told += 1
    return told


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
    rests_until,
    changes,
):
    """Alarm condition of the score; returns how many changes (place, level before, level now).

    What was received long after it was measured calls nobody. A single 3 counts only where no alarm
    of that vital (beside (patients, signals, sides)) is there already, and a 5 or 6 only where any
    of its points is of something that does not alarm already: one cause, one alarm. 5 min of ≥ 7
    (high), of ≥ 5 or a single 3 (medium); clears a point below for 10 min. total (patients,) gets
    the sum of the known points; of whom anything moves on by time alone, rests_until (patients,)
    says that the next tick has to look.
    """
    changed = 0
    for n in range(patients.shape[0]):
        p = patients[n]
        d = seconds[p]
        known, three, new = 0, False, False
        for v in range(HELD):
            if v < 5 and worth[p, vital_row[v]] == NOT_LIVE:
                continue
            if held[p, v] > 0:
                known += held[p, v]
                alone = v >= 5 or calls_none(beside, p, vital_row[v])
                new = new or alone
                three = three or (alone and held[p, v] == 3)
        total[p] = known
        due_high[p] = due_high[p] + d if known >= 7 else 0.0
        due_medium[p] = due_medium[p] + d if (known >= 5 and new) or three else 0.0
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
        if known >= 5 or three or now != QUIET:
            rests_until[p] = NEVER
        if now != was:
            level[p] = now
            clear_for[p] = 0.0
            changes[changed, 0], changes[changed, 1], changes[changed, 2] = n, was, now
            changed += 1
    return changed


@compiled
def lay_out(  # type: ignore[no-untyped-def]
    patients, at, have, mean, std, vital_row, per_unit, entry_of, noise, entered, entered_at,
    charted_at, context, middle, wide, known, charts, fixed, fixed3,
):  # fmt: skip
    """Write what `kernel.chances` asks of n patients, of what is known of them at `at` (ns).

    have (n, 5): which vitals there is an estimate of; mean, std (k,): these, in the vital's unit. A
    person's reading newer than the device's is what is known, with a spread that grows: noise (5,),
    entry_of (5…): the column of the entries of each vital, −1: none. Written, in reporting units:
    middle, wide, known (n, 5), and charts (n, 5), fixed, fixed3 (n,).
    """
    i = 0
    for n in range(patients.shape[0]):
        p = patients[n]
        for v in range(5):
            m, s, here = 0.0, 1.0, have[n, v]
            if here:
                m, s = mean[i], std[i]
                i += 1
            kind = entry_of[v]
            if kind >= 0:
                since = entered_at[p, kind]
                if since != NEVER and since >= charted_at[p, vital_row[v]]:
                    m, here = entered[p, kind], True
                    s = noise[v] * math.sqrt(1.0 + max(at - since, 0) / HOUR)
            middle[n, v] = m * per_unit[v]
            wide[n, v] = max(s * per_unit[v], 1e-6)
            known[n, v] = here
            charts[n, v] = chart_row(v, context[p] // 2, context[p] % 2 == 1)
        fixed3[n] = entered[p, E_CONSCIOUSNESS] > 0.0
        fixed[n] = 3 if fixed3[n] else 0
        fixed[n] += 2 if entered[p, E_OXYGEN] > 0.0 else 0
