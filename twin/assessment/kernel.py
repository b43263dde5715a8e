"""The compiled part of the assessment: what is done for every vital of every patient each second.

`chart` takes measurements in, `judge` moves alarm conditions on, `score` the sub-scores, `chances`
the score as a probability. Each touches one (patient, signal) at a time and allocates nothing. As
in the bank's kernel there is one implementation of each function and no vectorised numpy beside it:
replay is bit for bit. Rows are named by (array, index): see `twin.estimation.compiled`.
"""

from __future__ import annotations

import math

from twin.estimation.compiled import compiled
from twin.estimation.kalman import normal_below, unspoken

NEVER, LATEST = -(2**63), 2**63 - 1
SECOND = 1_000_000_000
#: What the newest measurement of a key is worth.
NOTHING, GOOD, BAD, NOT_LIVE = 0, 1, 2, 3
#: A quality below this cannot raise an alarm, nor count for a score.
QUALITY_FLOOR = 0.5
#: An observation received so long (ns) after its stamp raises no alarm.
LIVE = 60 * SECOND
#: Charted value: mean over this time (s), longer where measurements are rarer.
SMOOTH, SMOOTH_MOST, SMOOTH_INTERVALS = 30.0, 180.0, 3.0
#: A measurement of less weight than this is charted with that weight, however long nothing came.
OUTLIER = 0.1
#: P(true value beyond the limit) ≥ 0.8: so many standard deviations beyond.
BEYOND_Z = 0.8416212335729143
#: The delay shrinks as the excursion grows beyond the margin, to a quarter at least.
FASTEST = 4.0
#: The outer limit waits for a sharper one that is on its way: so many of its own delays at most.
WAITS = 3.0
#: Back inside the hysteresis for so long (s) clears.
CLEAR_AFTER = 10.0
#: A fifth of the delay makes a condition pending.
PENDING_FROM = 0.2
#: Bad data for so long (s) makes an alarm unverified.
UNVERIFIED_AFTER = 10.0
QUIET, PENDING, MEDIUM, HIGH = 0, 1, 2, 3
LOW_SIDE, HIGH_SIDE = 0, 1
#: A sub-score rises after so long (s), falls after so long; where a device reports more rarely, but
#: at least this often (s), after so many of its intervals.
RISE_AFTER, FALL_AFTER = 15.0, 120.0
RARE, RISE_INTERVALS, FALL_INTERVALS = 180.0, 1.2, 6.0
#: Below the edge by so much of the reporting unit before it may fall.
EDGE = 0.35
SPOT_VALID = 4 * 3600 * SECOND
VITAL_VALID = 300 * SECOND
#: Columns of an entry table: what people say.
E_CONSCIOUSNESS, E_OXYGEN, E_SCALE, E_SBP, E_TEMPERATURE, ENTRIES = range(6)
#: Columns of the sub-scores as they are held: the five vitals, then these two.
H_CONSCIOUSNESS, H_OXYGEN, HELD = 5, 6, 7


@compiled
def nearest(medium, sharp, side):  # type: ignore[no-untyped-def]
    """The limit of the two priorities that is passed first; NaN: there is none."""
    if medium != medium or sharp != sharp:
        return sharp if medium != medium else medium
    return max(medium, sharp) if side == LOW_SIDE else min(medium, sharp)


@compiled
def chart(  # type: ignore[no-untyped-def]
    patient, signal, stamp, received, value, quality, verdict, weight, interval, diverged, tables,
    low, high, charted, charted_at, seen_at, seen_interval, worth, beyond, restless, rests_until,
):  # fmt: skip
    """Take n observations in, in journal order.

    patient, signal (n,) rows of the tables; low, high (limit sets, signals, 2) medium and high
    limits; tables (patients,) each one's set; diverged (n,) 1: the estimate is the measurement,
    which is worth no more than one of bad quality. All others (patients, signals), beyond
    (…, 2 sides); restless and rests_until (patients,) say that the next tick has to look (see
    `judge`, `score`).
    """
    for i in range(patient.shape[0]):
        if verdict[i] != 1:
            continue
        p, s = patient[i], signal[i]
        if stamp[i] < seen_at[p, s]:
            continue
        restless[p, s] = True
        rests_until[p] = NEVER
        gap = stamp[i] - seen_at[p, s]
        seen_at[p, s] = stamp[i]
        seen_interval[p, s] = interval[i]
        if quality[i] < QUALITY_FLOOR or diverged[i] == 1.0:
            worth[p, s] = BAD
            beyond[p, s, LOW_SIDE] = 0
            beyond[p, s, HIGH_SIDE] = 0
            continue
        if charted_at[p, s] == NEVER:
            charted[p, s] = value[i]
            charted_at[p, s] = stamp[i]
        elif stamp[i] > charted_at[p, s]:
            passed = (stamp[i] - charted_at[p, s]) * 1e-9
            over = min(max(SMOOTH, SMOOTH_INTERVALS * interval[i]), SMOOTH_MOST)
            share = weight[i] if weight[i] < OUTLIER else -math.expm1(-passed / over)
            charted[p, s] += share * (value[i] - charted[p, s])
            charted_at[p, s] = stamp[i]
        if received[i] - stamp[i] > LIVE:
            worth[p, s] = NOT_LIVE
            continue
        worth[p, s] = GOOD
        if gap == 0:
            continue
        t = tables[p]
        bound = nearest(low[t, s, 0], low[t, s, 1], LOW_SIDE)
        beyond[p, s, LOW_SIDE] = beyond[p, s, LOW_SIDE] + 1 if value[i] < bound else 0
        bound = nearest(high[t, s, 0], high[t, s, 1], HIGH_SIDE)
        beyond[p, s, HIGH_SIDE] = beyond[p, s, HIGH_SIDE] + 1 if value[i] > bound else 0


@compiled
def judge(  # type: ignore[no-untyped-def]
    patient, signal, mean, std, at, seconds, expected, spot, tables, low, high, delay, hysteresis,
    seen_at, seen_interval, worth, bad_for, beyond, progress, clear_for, level, unverified,
    restless, changes, marks,
):  # fmt: skip
    """Move the conditions of n keys on to a tick; returns (changes, marks) written.

    mean, std (n,): the estimates at the tick `at` (ns); seconds (patients,): journal time that
    passed. changes rows: (key, side, level before, level now); marks: (key, side, unverified now).
    restless (patients, signals): whether the key must be judged at the next tick although nothing
    comes. Where it need not, judging it again, at a later time, would change nothing at all.
    """
    changed, marked = 0, 0
    for i in range(patient.shape[0]):
        p, s = patient[i], signal[i]
        t, d = tables[p], seconds[p]
        age = at - seen_at[p, s]
        usual = max(expected[s], int(seen_interval[p, s] * SECOND))
        fresh = seen_at[p, s] != NEVER and age <= (
            SPOT_VALID if spot[s] else max(60 * SECOND, 5 * usual)
        )
        recent = fresh and (spot[s] or age <= max(10 * SECOND, 2 * usual))
        bad_for[p, s] = bad_for[p, s] + d if worth[p, s] == BAD and fresh else 0.0
        trusted = recent and worth[p, s] == GOOD
        rests = worth[p, s] != BAD and bad_for[p, s] == 0.0
        for side in range(2):
            was = level[p, s, side]
            now = was
            medium = low[t, s, 0] if side == LOW_SIDE else high[t, s, 0]
            sharp = low[t, s, 1] if side == LOW_SIDE else high[t, s, 1]
            outer = nearest(medium, sharp, side)
            if outer != outer:
                now = QUIET
            else:
                sign = 1.0 if side == LOW_SIDE else -1.0
                reached, most, sharper = QUIET, 0.0, False
                for k in range(1, -1, -1):
                    limit = sharp if k == 1 else medium
                    if limit != limit:
                        progress[p, s, side, k] = 0.0
                        continue
                    done = advanced(
                        progress[p, s, side, k], sign * (limit - mean[i]), std[i],
                        trusted and beyond[p, s, side] > 0, trusted, d, delay[t, s, k],
                        hysteresis[t, s],
                    )  # fmt: skip
                    progress[p, s, side, k] = done
                    most = max(most, done)
                    # While the sharper limit's delay runs, the outer one waits for it: one call.
                    needed = WAITS if sharper and k == 0 else 1.0
                    if done >= needed and beyond[p, s, side] >= 2:
                        reached = max(reached, MEDIUM + k)
                    sharper = k == 1 and done > 0.0 and sign * (limit - mean[i]) > 0.0
                if was >= MEDIUM:
                    now = max(was, reached)
                    if trusted:
                        inside = sign * (mean[i] - outer) >= hysteresis[t, s]
                        clear_for[p, s, side] = clear_for[p, s, side] + d if inside else 0.0
                        if clear_for[p, s, side] >= CLEAR_AFTER:
                            now = QUIET
                elif reached > QUIET:
                    now = reached
                elif most >= PENDING_FROM:
                    now = PENDING
                elif most == 0.0:
                    now = QUIET
            if now != was:
                level[p, s, side] = now
                clear_for[p, s, side] = 0.0
                if now == QUIET:
                    progress[p, s, side, 0] = 0.0
                    progress[p, s, side, 1] = 0.0
                changes[changed, 0], changes[changed, 1] = i, side
                changes[changed, 2], changes[changed, 3] = was, now
                changed += 1
            lost = not fresh or bad_for[p, s] >= UNVERIFIED_AFTER
            doubt = now >= MEDIUM and (lost or (unverified[p, s, side] and not trusted))
            if doubt != unverified[p, s, side]:
                unverified[p, s, side] = doubt
                marks[marked, 0], marks[marked, 1], marks[marked, 2] = i, side, doubt
                marked += 1
            still = progress[p, s, side, 0] == 0.0 and progress[p, s, side, 1] == 0.0
            still = outer != outer or (still and beyond[p, s, side] == 0)
            rests = rests and still and now == QUIET and not unverified[p, s, side]
        restless[p, s] = not rests
    return changed, marked


@compiled
def advanced(done, excess, std, counts, trusted, seconds, delay, margin):  # type: ignore[no-untyped-def]
    """How many delays have passed (0–3) after so many seconds more.

    excess: how far the estimate is beyond the limit. Inverse time: the delay is that of an
    excursion up to the margin, and shorter in proportion beyond it. Inside the limit, or without
    data to trust, it runs back; in doubt it stands.
    """
    step = seconds / delay if delay > 0.0 else (1.0 if seconds > 0.0 else 0.0)
    if counts and excess > 0.0 and excess >= BEYOND_Z * std:
        faster = min(max(1.0, excess / margin), FASTEST) if margin > 0.0 else 1.0
        return min(done + step * faster, WAITS)
    if excess <= 0.0 or not trusted:
        return max(done - step, 0.0)
    return done


@compiled
def points(uppers, bands, row, reported):  # type: ignore[no-untyped-def]
    """Points of a reported value on a chart (row)."""
    for j in range(uppers.shape[1]):
        if reported <= uppers[row, j]:
            return bands[row, j]
    return bands[row, uppers.shape[1] - 1]


@compiled
def chart_row(v, scale, oxygen):  # type: ignore[no-untyped-def]
    """Row of the chart of a vital (place in the five): SpO2 has three."""
    if v == 0:
        return 0
    if v == 1:
        if scale != 2:
            return 1
        return 3 if oxygen else 2
    return v + 2


@compiled
def valid(entered, entered_at, until, p, kind, at):  # type: ignore[no-untyped-def]
    """Whether a person's entry counts at `at`."""
    return entered_at[p, kind] != NEVER and at <= until[p, kind]


@compiled
def score(  # type: ignore[no-untyped-def]
    patients, at, seconds, vital_row, per_unit, uppers, bands, charted, charted_at, seen_interval,
    entered, entered_at, until, held, rising, falling, context, source, scored, rests_until,
):  # fmt: skip
    """Move the sub-scores of these patients on to a tick.

    rests_until (patients,): the last tick (ns) at which scoring a patient again, if nothing comes,
    changes nothing; NEVER: the next one may.
    held (patients, HELD): points, −1 = missing; rising, falling (patients, 5): for how long (s) the
    charted value says more, less than what is held; scored, source (patients, 5): the value that
    was scored, in reporting units, and whether it is a person's (1).
    """
    for n in range(patients.shape[0]):
        p = patients[n]
        d = seconds[p]
        rests = LATEST
        for kind in range(ENTRIES):
            if valid(entered, entered_at, until, p, kind, at):
                rests = min(rests, until[p, kind])
        scale, oxygen = 1, False
        if valid(entered, entered_at, until, p, E_SCALE, at):
            scale = int(entered[p, E_SCALE])
        held[p, H_OXYGEN] = -1
        if valid(entered, entered_at, until, p, E_OXYGEN, at):
            oxygen = entered[p, E_OXYGEN] > 0.0
            held[p, H_OXYGEN] = 2 if oxygen else 0
        held[p, H_CONSCIOUSNESS] = -1
        if valid(entered, entered_at, until, p, E_CONSCIOUSNESS, at):
            held[p, H_CONSCIOUSNESS] = 3 if entered[p, E_CONSCIOUSNESS] > 0.0 else 0
        other = scale * 2 + int(oxygen)
        if context[p] != other:
            context[p] = other
            held[p, 1] = -1  # another chart of SpO2: scored anew at once
        for v in range(5):
            s = vital_row[v]
            value, since, by_hand = charted[p, s], charted_at[p, s], False
            kind = E_SBP if v == 2 else E_TEMPERATURE
            longest = SPOT_VALID if v == 2 or v == 4 else VITAL_VALID
            longest = max(longest, min(int(3.0 * seen_interval[p, s] * SECOND), SPOT_VALID))
            here = since != NEVER and at - since <= longest
            if here:
                rests = min(rests, since + longest)
            told = (v == 2 or v == 4) and valid(entered, entered_at, until, p, kind, at)
            if told and (not here or entered_at[p, kind] >= since):
                value, here, by_hand = entered[p, kind], True, True
            if not here:
                held[p, v] = -1
                continue
            units = value * per_unit[v]
            row = chart_row(v, scale, oxygen)
            says = points(uppers, bands, row, math.floor(units + 0.5))
            least = max(
                says,
                points(uppers, bands, row, math.floor(units + 0.5 - EDGE)),
                points(uppers, bands, row, math.floor(units + 0.5 + EDGE)),
            )
            if held[p, v] < 0 or by_hand or source[p, v] == 1:
                held[p, v] = says
                rising[p, v] = falling[p, v] = 0.0
            rising[p, v] = rising[p, v] + d if says > held[p, v] else 0.0
            falling[p, v] = falling[p, v] + d if least < held[p, v] else 0.0
            usual = seen_interval[p, s] if seen_interval[p, s] <= RARE else 0.0
            rise = rising[p, v] >= max(RISE_AFTER, RISE_INTERVALS * usual)
            if rise or falling[p, v] >= max(FALL_AFTER, FALL_INTERVALS * usual):
                held[p, v] = says
                rising[p, v] = falling[p, v] = 0.0
            source[p, v] = 1 if by_hand else 0
            scored[p, v] = math.floor(units + 0.5)
            if says > held[p, v] or least < held[p, v]:
                rests = NEVER
        rests_until[p] = rests


@compiled
def chances(  # type: ignore[no-untyped-def]
    mean, std, have, rows, lowest, highest, ceiling, uppers, bands, fixed, fixed3, pmf, part, out
):  # fmt: skip
    """out (n, 4): expected score, P(≥ 5), P(≥ 7), P(any 3), for n patients.

    mean, std (n, 5) of the vitals in reporting units as they are said, ceiling (5,) where the
    distribution of each is cut off (`unspoken`), have (n, 5) whether anything is known, rows (n, 5)
    charts; fixed (n,) points of oxygen and consciousness, fixed3 (n,) whether one of these
    is 3. A Gaussian truncated to what can be read gives each vital's points; their distributions
    are convolved. pmf (21,) and part (4,) are scratch.
    """
    for n in range(mean.shape[0]):
        for k in range(pmf.shape[0]):
            pmf[k] = 0.0
        pmf[fixed[n]] = 1.0
        none3 = 0.0 if fixed3[n] else 1.0
        for v in range(5):
            if not have[n, v]:
                continue
            for k in range(4):
                part[k] = 0.0
            middle, wide = unspoken(mean[n, v], std[n, v], ceiling[v])
            bottom = normal_below(lowest[v] - 0.5, middle, wide)
            whole = normal_below(highest[v] + 0.5, middle, wide) - bottom
            before = bottom
            row = rows[n, v]
            for j in range(uppers.shape[1]):
                edge = min(uppers[row, j], highest[v])
                upto = normal_below(edge + 0.5, middle, wide)
                if whole > 1e-12:
                    part[bands[row, j]] += (upto - before) / whole
                before = upto
            if whole <= 1e-12:  # all of it outside what can be read: the nearest that can
                nearest = min(max(math.floor(mean[n, v] + 0.5), lowest[v]), highest[v])
                part[points(uppers, bands, row, nearest)] = 1.0
            none3 *= 1.0 - part[3]
            for k in range(pmf.shape[0] - 1, -1, -1):
                total = 0.0
                for j in range(min(k, 3) + 1):
                    total += pmf[k - j] * part[j]
                pmf[k] = total
        expected, p5, p7 = 0.0, 0.0, 0.0
        for k in range(pmf.shape[0]):
            expected += k * pmf[k]
            if k >= 5:
                p5 += pmf[k]
            if k >= 7:
                p7 += pmf[k]
        out[n, 0], out[n, 1] = expected, min(p5, 1.0)
        out[n, 2], out[n, 3] = min(p7, 1.0), 1.0 - none3
