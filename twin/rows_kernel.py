"""Rows of the estimates journal, compiled: a live step has a few rows in each of many partitions,
and a call of numpy for each of their fields and partitions costs more than all of them.

`observed` writes what observations gave, `keys` says in which order rows go, `cut` numbers them in
the tables of their partitions' batches, `name_devices` does so with devices.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ingest.compiled import kernels
from twin.estimate import NO_DEVICE, Kind, Verdict
from twin.estimation import kalman
from twin.estimation.kalman import (
    E_MEAN,
    E_NIS,
    E_TREND,
    E_TREND_VAR,
    E_VAR,
    E_WEIGHT,
)

compiled, inlined = kernels(Path(file) for file in (__file__, str(kalman.__file__)))

_VERDICT, _REVISION, _STATUS = int(Kind.VERDICT), int(Kind.REVISION), int(Kind.STATUS)
_ACCEPTED = int(Verdict.ACCEPTED)
_NO_DEVICE = int(NO_DEVICE)


@inlined
def _empty(rows, n, kind):  # type: ignore[no-untyped-def]
    """A row with no value anywhere."""
    row = rows[n]
    row["kind"] = kind
    row["verdict"] = row["reason"] = row["status"] = 0
    row["patient"] = row["signal"] = row["flags"] = 0
    row["device"] = _NO_DEVICE
    row["value"] = row["noise_std"] = row["quality"] = np.nan
    row["measured_at"] = row["received_at"] = row["device_stamp"] = row["as_of"] = 0
    row["mean"] = row["std"] = row["trend"] = row["trend_std"] = np.nan
    row["nis"] = row["weight"] = np.nan
    row["scale50"] = row["scale90"] = row["scale95"] = 1.0


@inlined
def _fill(rows, n, estimates, e):  # type: ignore[no-untyped-def]
    row = rows[n]
    row["mean"], row["std"] = estimates[e, E_MEAN], math.sqrt(estimates[e, E_VAR])
    row["trend"] = estimates[e, E_TREND]
    row["trend_std"] = math.sqrt(estimates[e, E_TREND_VAR])
    row["nis"], row["weight"] = estimates[e, E_NIS], estimates[e, E_WEIGHT]


@compiled
def observed(  # type: ignore[no-untyped-def]
    chosen, patient, device, signal, value, noise_std, quality, measured_at, received_at,
    device_stamp, slot, verdict, as_of, estimates, told, revised_by, revised_at, revised,
    revised_told, status, rows, events,
):  # fmt: skip
    """Write the rows of n observations into rows (≥ 2 n + m,) ESTIMATE_ROW and the observation that
    each is of into events; returns how many.

    A verdict row for each, then the m revisions, then a row for each change of its key's status by
    an accepted one. chosen (n,): their numbers in the step. slot … estimates (n,), revised_… (m,)
    as in `Updated`; told (n,), revised_told (m,): their status. status: of the slots, moved on.
    """
    n, written = chosen.shape[0], chosen.shape[0]
    for i in range(n):
        _empty(rows, i, _VERDICT)
        row = rows[i]
        row["value"], row["noise_std"], row["quality"] = value[i], noise_std[i], quality[i]
        row["measured_at"], row["received_at"] = measured_at[i], received_at[i]
        row["device_stamp"], row["as_of"] = device_stamp[i], as_of[i]
        row["patient"], row["device"], row["signal"] = patient[i], device[i], signal[i]
        row["verdict"], row["status"] = verdict[i], told[i]
        _fill(rows, i, estimates, i)
        events[i] = chosen[i]
    for m in range(revised_by.shape[0]):
        by = revised_by[m]
        _empty(rows, written, _REVISION)
        row = rows[written]
        row["patient"], row["signal"] = patient[by], signal[by]
        row["received_at"], row["measured_at"] = received_at[by], measured_at[by]
        row["as_of"], row["status"] = revised_at[m], revised_told[m]
        _fill(rows, written, revised, m)
        events[written] = chosen[by]
        written += 1
    for i in range(n):
        now = told[i]
        if verdict[i] == _ACCEPTED and status[slot[i]] != now:
            status[slot[i]] = now
            _empty(rows, written, _STATUS)
            row = rows[written]
            row["patient"], row["signal"], row["status"] = patient[i], signal[i], now
            row["as_of"] = as_of[i]
            row["received_at"], row["measured_at"] = received_at[i], measured_at[i]
            events[written] = chosen[i]
            written += 1
    return written


@compiled
def keys(rows, events, partition, patients, key):  # type: ignore[no-untyped-def]
    """Write into key (n,) the place of each row: by partition, patient, event; whether that is the
    order in which they are. partition: of each of so many patients."""
    most = 1
    for n in range(rows.shape[0]):
        most = max(most, events[n] + 1)
    in_order = True
    for n in range(rows.shape[0]):
        who = np.int64(rows[n]["patient"])
        key[n] = (np.int64(partition[who]) * patients + who) * most + events[n]
        if n > 0 and key[n] < key[n - 1]:
            in_order = False
    return in_order


@compiled
def cut(rows, partition, devices, batches, names, of_device):  # type: ignore[no-untyped-def]
    """Number patients within their partition: the rows' column, which said the bank's numbers.

    rows (n,): in the order of `keys`. Returns (batches, patients of all of them, rows with a
    device). Written: batches (≥, 3) partition, end of its rows, end of its names; names the bank's
    numbers of the patients; of_device the place of the batch · devices + device of each row that
    has one, in order.
    """
    made, named, devised, before, here = 0, 0, 0, np.int64(-1), np.int64(-1)
    begin = 0
    for n in range(rows.shape[0]):
        row = rows[n]
        who = np.int64(row["patient"])
        if who != before:
            before = who
            if made == 0 or partition[who] != here:
                here = np.int64(partition[who])
                batches[made, 0] = here
                made, begin = made + 1, named
            names[named] = who
            named += 1
        batches[made - 1, 1], batches[made - 1, 2] = n + 1, named
        row["patient"] = named - 1 - begin
        if row["device"] != _NO_DEVICE:
            of_device[devised] = (made - 1) * devices + np.int64(row["device"])
            devised += 1
    return made, named, devised


@compiled
def name_devices(rows, batches, made, of_device, devised, devices, ends):  # type: ignore[no-untyped-def]
    """Number devices within their batch, in order of number: the rows' column.

    of_device: as `cut` wrote it, but sorted; of it the distinct ones are left in front. Returns
    how many these are, and writes into ends (made,) how many are of the batches up to each.
    """
    distinct = 0
    for n in range(devised):
        if distinct == 0 or of_device[n] != of_device[distinct - 1]:
            of_device[distinct] = of_device[n]
            distinct += 1
    begin, row = 0, 0
    for b in range(made):
        end = begin
        while end < distinct and of_device[end] < (b + 1) * devices:
            end += 1
        ends[b] = end
        while row < batches[b, 1]:
            if rows[row]["device"] != _NO_DEVICE:
                wanted = b * devices + np.int64(rows[row]["device"])
                low, high = begin, end
                while high - low > 1:
                    middle = (low + high) // 2
                    if of_device[middle] <= wanted:
                        low = middle
                    else:
                        high = middle
                rows[row]["device"] = low - begin
            row += 1
        begin = end
    for n in range(distinct):
        of_device[n] %= devices
    return distinct
