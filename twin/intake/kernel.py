"""The compiled part of the intake: what is noted of each observation, one after another.

A row of `marks` and of `clock` is one device on one patient; rows are named by (array, index), as
in `twin.estimation.kalman`. Nothing here decides whether an observation is used: that is the
rate's (`rate.py`) and the bank's.
"""

from __future__ import annotations

import numpy as np

from twin.estimation.compiled import compiled

# Columns of `marks`, int64. HEARD: journal time (elapsed, ns) of its last word; RECEIVED: wall time
# of it; NEWEST: its newest device stamp; INTERVAL: ns between messages as seen (by stamps).
# MESSAGE_AT, MESSAGE_NUMBER: receipt and number of the message the last observation came in.
# HIGHEST: highest number of the present count (−1: none), BOOT: its mark; PREVIOUS_HIGHEST: of the
# count before. ACCEPTED … REFUSED: observations by verdict, in the order of `Verdict`; OVER_RATE,
# NO_MODEL, NOT_A_NUMBER: those of REFUSED, by reason. REDELIVERED, MISSING, RESTARTS: messages.
# SILENCE: a `Silence`, SINCE: when it began (ns UTC). DECLARED, DELAY, LIVE: what its model says
# (ns between messages, ns, 0/1; 0: nothing). METER: its row of the rate's arrays. CHANGED: flags of
# `Changed` not yet reported. REPORTED: journal time of the last report. SHIFTED: its stamps are
# corrected. CLOCK_FAULT: since its last observation a message was refused for its stamps. ENDED:
# when it is taken from the patient (ns UTC, 0: not known). REFUSED_AT: journal time of the newest
# message of which nothing could be used (0: none). New columns go to the end: `saved.py`.
(
    PATIENT, DEVICE, NEXT, PARTITION, HEARD, RECEIVED, NEWEST, INTERVAL, MESSAGE_AT, MESSAGE_NUMBER,
    HIGHEST, BOOT, PREVIOUS_HIGHEST, ACCEPTED, BELATED, DUPLICATE, CONFLICT, REFUSED,
    OVER_RATE, REDELIVERED, MISSING, RESTARTS, SILENCE, SINCE, CONTACT, ONLINE, DECLARED, DELAY,
    LIVE, METER, CHANGED, REPORTED, SHIFTED, CLOCK_FAULT, ENDED, NO_MODEL, NOT_A_NUMBER,
    REFUSED_AT,
    MARK_COLUMNS,
) = range(39)  # fmt: skip

# Columns of `clock`, float64. Leads are seconds by which a stamp is ahead of its receipt. MINUTE_*:
# of the observations since the minute began; SEEN, SUM, SQUARES: of all, forgotten by and by, as
# distances from REFERENCE; LEAST, MOST: extremes of the last minutes, *_BEFORE of those before.
# W … LL: sums of the line through each minute's least delayed lead; BEGAN: its origin, s UTC.
(
    MINUTE_SEEN, MINUTE_SUM, MINUTE_SQUARES, MINUTE_LEAST, MINUTE_MOST, REFERENCE, SEEN, SUM,
    SQUARES, LEAST, LEAST_BEFORE, MOST, MOST_BEFORE, MINUTES, W, T, L, TT, TL, LL, BEGAN, OFFSET,
    OFFSET_STD, DRIFT, DRIFT_STD, CORRECTION, TOLD_OFFSET, BATTERY_LEFT,
    CLOCK_COLUMNS,
) = range(29)  # fmt: skip

#: What `hear` notes of a message's number beyond "one higher".
GAP, RESTART, EARLIER = 1, 2, 3
#: A jump by more than this is no gap but a new count (an id, a time): 11 days of one each second.
LONGEST_GAP = 1_000_000
#: And so is a jump by more than the device can have sent since its last message: by so many and,
#: for each interval that passed, by this many more. An interval is what was seen between messages,
#: or is declared, and never longer than this (ns): one that is not known yet may be far too long,
#: and what was lost must be counted.
AT_ONCE, FASTER, LONGEST_INTERVAL = 256, 100.0, 10_000_000_000

#: Samples that may come at once, and ns besides; the declared interval may be a tenth too long.
BURST, BURST_NS, TOLERANCE = 5, 1_000_000_000, 10

# `Silence` and the flags of `Changed` (a test compares them).
(
    NONE, NEVER_SEEN, LATE, BODY_OFF, BATTERY, RADIO, GATEWAY, BROKER, INGEST, CLOCK, UNUSABLE,
) = range(11)  # fmt: skip
SILENCE_CHANGED, NUMBERS_CHANGED, ACCOUNT_CHANGED = 1, 2, 16
#: What need not be told at once.
COUNTS_CHANGED = NUMBERS_CHANGED | ACCOUNT_CHANGED

#: Silence: nothing for longer than this many expected intervals, and this long (ns) at least.
INTERVALS, LEAST_LATE = 3, 60_000_000_000
#: The same of a device that the broker lost.
INTERVALS_OFFLINE, LEAST_OFFLINE = 2, 10_000_000_000
#: A battery at or below this share, when last heard, explains silence.
EMPTY = 0.05
#: A device is reported at least so often, changed or not (ns of journal time): a reader that begins
#: anywhere in the journal knows all of them by then.
REPORTED_EVERY = 3_600_000_000_000


@compiled
def find(patient, device, first, marks, found):  # type: ignore[no-untyped-def]
    """Write into found (n,) the row of each (patient, device), −1: none; returns how many of those.

    first (devices,): the first row of each device, marks[row, NEXT] the one after.
    """
    missing = 0
    for i in range(patient.shape[0]):
        k = first[device[i]]
        while k >= 0 and marks[k, PATIENT] != patient[i]:
            k = marks[k, NEXT]
        found[i] = k
        if k < 0:
            missing += 1
    return missing


@compiled
def hear(row, stamp, received, number, boot, elapsed, marks, clock, look, notes):  # type: ignore[no-untyped-def]
    """Take note of n observations in journal order; returns how many notes were written.

    row, stamp, received (ns), number (−1: none), boot (n,); elapsed (partitions,) journal time;
    look (rows,) as `watch` has it: the next tick looks at who was heard.
    notes (≥ n, 5) int64: what, row, first and last number, boot mark — of each message whose
    number is not one higher than the highest (`identity.py` acts on them, in order).
    """
    written = 0
    for i in range(row.shape[0]):
        k = row[i]
        lead = (stamp[i] - received[i]) * 1e-9
        if clock[k, MINUTE_SEEN] == 0.0 and clock[k, SEEN] == 0.0:
            clock[k, REFERENCE] = lead
        from_reference = lead - clock[k, REFERENCE]
        clock[k, MINUTE_SEEN] += 1.0
        clock[k, MINUTE_SUM] += from_reference
        clock[k, MINUTE_SQUARES] += from_reference * from_reference
        clock[k, MINUTE_LEAST] = min(clock[k, MINUTE_LEAST], lead)
        clock[k, MINUTE_MOST] = max(clock[k, MINUTE_MOST], lead)
        if received[i] != marks[k, MESSAGE_AT] or number[i] != marks[k, MESSAGE_NUMBER]:
            marks[k, MESSAGE_AT] = received[i]
            marks[k, MESSAGE_NUMBER] = number[i]
            newest = marks[k, NEWEST]
            if stamp[i] > newest and newest > -(2**62):
                step = stamp[i] - newest - marks[k, INTERVAL]
                most = marks[k, INTERVAL] // 4 + 1
                marks[k, INTERVAL] += min(max(step, -most), most)
            if number[i] >= 0:
                written = count(k, stamp[i], received[i], number[i], boot[i], marks, notes, written)
        marks[k, NEWEST] = max(marks[k, NEWEST], stamp[i])
        marks[k, RECEIVED] = max(marks[k, RECEIVED], received[i])
        marks[k, HEARD] = elapsed[marks[k, PARTITION]]
        look[k] = -(2**63)
        marks[k, CLOCK_FAULT] = 0
    return written


@compiled
def longest_gap(k, stamp, received, marks):  # type: ignore[no-untyped-def]
    """So many numbers a message of row k may be above the highest and the gap be true loss.

    The time since its last message is by its own clock or by receipts, whichever says more: a clock
    may be set, and a backlog comes at any speed. A device that was away for long has lost much.
    """
    if marks[k, RECEIVED] == 0:
        return LONGEST_GAP
    passed = np.float64(received - marks[k, RECEIVED])
    if stamp > -(2**62) and marks[k, NEWEST] > -(2**62):
        passed = max(passed, np.float64(stamp - marks[k, NEWEST]))
    pace = min(max(marks[k, INTERVAL], 1), LONGEST_INTERVAL)
    if marks[k, DECLARED] > 0:
        pace = min(pace, marks[k, DECLARED])
    return min(np.float64(LONGEST_GAP), AT_ONCE + FASTER * max(passed, 0.0) / pace)


@compiled
def count(k, stamp, received, number, boot, marks, notes, written):  # type: ignore[no-untyped-def]
    """A message's number against the present count of row k; returns the notes written by now.

    Higher by one: nothing to note. Not above the highest, or of another boot, and newer than all:
    a new count, and so is one that is too far above. Not newer: an earlier message, of this count
    or one before.
    """
    highest = marks[k, HIGHEST]
    newer = stamp > marks[k, NEWEST]
    same = boot == marks[k, BOOT]
    if highest < 0:
        marks[k, HIGHEST], marks[k, BOOT] = number, boot
        return written
    if same and number == highest + 1:
        marks[k, HIGHEST] = number
        return written
    what = EARLIER
    if same and number > highest:
        straggler = boot == 0 and not newer and number <= marks[k, PREVIOUS_HIGHEST]
        if not straggler:
            gap = number - highest <= longest_gap(k, stamp, received, marks)
            what = GAP if gap else RESTART
    elif newer:
        what = RESTART
    notes[written, 0], notes[written, 1] = what, k
    notes[written, 2] = highest + 1 if what == GAP else number
    notes[written, 3] = number - 1 if what == GAP else number
    notes[written, 4] = boot
    if what == RESTART:
        marks[k, PREVIOUS_HIGHEST] = highest
        marks[k, BOOT] = boot
        marks[k, RESTARTS] += 1
    if what != EARLIER:
        marks[k, HIGHEST] = number
    return written + 1


@compiled
def settle(row, verdict, marks):  # type: ignore[no-untyped-def]
    """Count each observation's verdict (1 … 5) in its row."""
    for i in range(row.shape[0]):
        marks[row[i], ACCEPTED - 1 + verdict[i]] += 1
        marks[row[i], CHANGED] |= ACCOUNT_CHANGED


@compiled
def meter(row, signal, stamp, marks, interval, due, newest, over):  # type: ignore[no-untyped-def]
    """Write into over (n,) which samples are beyond their device's declared rate; returns how many.

    Generic cell rate algorithm (ITU-T I.371) on device stamps, for each signal of a device:
    interval (meters, signals) ns is the declared one (0: none), due when the next sample would fall
    due, newest the newest stamp. Only stamps that go on are judged: what comes again or late is the
    bank's to tell, and no order of arrival makes a device that keeps its rate exceed it.
    """
    beyond = 0
    for i in range(row.shape[0]):
        m, s, t = marks[row[i], METER], signal[i], stamp[i]
        over[i] = False
        if s >= 0 and interval[m, s] > 0 and t > newest[m, s]:
            if t < due[m, s] - (BURST * interval[m, s] + BURST_NS):
                over[i] = True
                beyond += 1
            else:
                due[m, s] = max(t, due[m, s]) + interval[m, s] - interval[m, s] // TOLERANCE
                newest[m, s] = t
    return beyond


@compiled
def cause_of(k, now, at, connected, gateway_off, marks, clock):  # type: ignore[no-untyped-def]
    """Why row k is silent, as a `Silence`; now: journal time (ns).

    Who knows most about it speaks first. Who was refused within half of the time that it may
    be silent still speaks; one that never sent anything else is known for that for ever.
    """
    if marks[k, ENDED] != 0 and at >= marks[k, ENDED]:
        return NONE
    if marks[k, CONTACT] == 0:
        return BODY_OFF
    expected = marks[k, DECLARED] if marks[k, DECLARED] > 0 else marks[k, INTERVAL]
    silent = now - marks[k, HEARD]
    patience = max(LEAST_LATE, INTERVALS * expected) + marks[k, DELAY]
    late = silent > patience
    offline = silent > max(LEAST_OFFLINE, INTERVALS_OFFLINE * expected)
    if gateway_off and (late or offline):
        return GATEWAY
    if late and not connected:
        return BROKER
    if offline and marks[k, ONLINE] == 0:
        return RADIO
    if not late:
        return NONE
    if marks[k, REFUSED_AT] > 0 and (
        marks[k, RECEIVED] == 0 or now - marks[k, REFUSED_AT] <= patience // 2
    ):
        return CLOCK if marks[k, CLOCK_FAULT] > 0 else UNUSABLE
    if marks[k, RECEIVED] == 0:
        return NEVER_SEEN
    return BATTERY if clock[k, BATTERY_LEFT] <= EMPTY else LATE


@compiled
def rests_until(k, before, cause, marks):  # type: ignore[no-untyped-def]
    """Journal time (ns) at which row k may fall silent; the least number of all where it is not at
    rest."""
    if before != NONE or cause != NONE or marks[k, CONTACT] == 0 or marks[k, ONLINE] == 0:
        return -(2**63)
    expected = marks[k, DECLARED] if marks[k, DECLARED] > 0 else marks[k, INTERVAL]
    return marks[k, HEARD] + max(LEAST_LATE, INTERVALS * expected) + marks[k, DELAY]


@compiled
def watch(  # type: ignore[no-untyped-def]
    due, elapsed, latest, respite, every, at, connected, off, marks, clock, look, chosen
):
    """On a tick: judge the silence of each row of the due partitions; write into chosen which are
    to be reported, and return how many.

    due (mask), elapsed, respite, every (partitions,): counts alone are reported at most so often,
    and after twice that for sure; latest elapsed of those due; at (ns UTC); off (0,) or (rows,):
    whether its gateway is offline; chosen (≥ rows,). look (rows,): the journal time before which a
    row need not be judged: one number of each instead of a row of marks, for all of a ward each
    second (`DeviceTable.change` and an observation take it back). The last receipt, which is as
    good as drawn, says when counts are reported: many devices that were reported at one tick are
    not at another.
    """
    written = 0
    for k in range(chosen.shape[0]):
        if look[k] > latest and off.shape[0] == 0:
            continue
        partition = marks[k, PARTITION]
        if partition < 0 or not due[partition]:
            continue
        now = elapsed[partition]
        gateway_off = off.shape[0] > 0 and off[k]
        before = marks[k, SILENCE]
        cause = cause_of(k, now, at, connected, gateway_off, marks, clock)
        rest = rests_until(k, before, cause, marks)
        if before == NONE and cause != BODY_OFF and now < respite[partition]:
            cause = NONE
        if cause != before:
            marks[k, SILENCE] = cause
            marks[k, CHANGED] |= SILENCE_CHANGED
            if before == NONE:
                marks[k, SINCE] = at
            elif cause == NONE:
                marks[k, SINCE] = 0
        ago = now - marks[k, REPORTED]
        if ago >= REPORTED_EVERY:
            marks[k, CHANGED] |= ACCOUNT_CHANGED
        wait = every[partition] + marks[k, RECEIVED] % every[partition]
        if marks[k, CHANGED] != 0 and (
            marks[k, CHANGED] & ~COUNTS_CHANGED != 0 or ago >= wait or marks[k, REPORTED] == 0
        ):
            marks[k, REPORTED] = now
            chosen[written] = k
            written += 1
            wait = REPORTED_EVERY
        elif marks[k, CHANGED] == 0:
            wait = REPORTED_EVERY
        look[k] = min(rest, marks[k, REPORTED] + wait)
    return written
