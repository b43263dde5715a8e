"""What verdict rows add to the account of each device on each patient, compiled.

rows: a batch's (dtype ESTIMATE_ROW, read only). Rows of one device and patient mostly stand
together: each such run is looked up once, by who calls.
"""

from __future__ import annotations

from pathlib import Path

from numpy import int64

from ingest.compiled import kernels
from twin.estimate import Kind, Verdict

compiled, inlined = kernels((Path(__file__),))

_VERDICT = int(Kind.VERDICT)
_ACCEPTED, _BELATED, _DUPLICATE, _CONFLICT, _REFUSED = (
    int(each)
    for each in (
        Verdict.ACCEPTED, Verdict.BELATED, Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.REFUSED,
    )
)  # fmt: skip


@compiled
def runs(rows, patients, pairs):  # type: ignore[no-untyped-def]
    """Write into pairs (n,) device · patients + patient of each run of verdict rows; how many."""
    found, last = 0, int64(-1)
    for i in range(rows.shape[0]):
        row = rows[i]
        if row.kind == _VERDICT:
            pair = int64(row.device) * patients + int64(row.patient)
            if pair != last:
                pairs[found] = last = pair
                found += 1
    return found


@compiled
def find(pairs, devices, patients, first, following, device, places):  # type: ignore[no-untyped-def]
    """Write into places (n,) the place of each of pairs, −1: there is none; how many have none.

    devices, patients: numbers of the tables' names; first: place of each patient's chain, following
    and device: of each place the next one in its chain, and whose it is. −1: none.
    """
    missing, size = 0, max(1, patients.shape[0])
    for i in range(pairs.shape[0]):
        d, p, place = pairs[i] // size, pairs[i] % size, int64(-1)
        if d < devices.shape[0] and p < patients.shape[0]:
            place = first[patients[p]]
            while place >= 0 and device[place] != devices[d]:
                place = following[place]
        places[i] = place
        if place < 0:
            missing += 1
    return missing


@compiled
def count(rows, patients, places, told, refused):  # type: ignore[no-untyped-def]
    """Count the verdict rows in told (DEVICE_ROW) at the place of each run, in their order; how
    many were refused, and into refused (n, 2) the row of each of these and its place."""
    found, run, last = 0, -1, int64(-1)
    for i in range(rows.shape[0]):
        row = rows[i]
        if row.kind != _VERDICT:
            continue
        pair = int64(row.device) * patients + int64(row.patient)
        if pair != last:
            last = pair
            run += 1
        account = told[places[run]]
        account.last_received = max(account.last_received, row.received_at)
        if row.verdict == _ACCEPTED:
            account.accepted += 1
        elif row.verdict == _BELATED:
            account.belated += 1
        elif row.verdict == _DUPLICATE:
            account.duplicate += 1
        elif row.verdict == _CONFLICT:
            account.conflict += 1
        elif row.verdict == _REFUSED:
            account.refused += 1
            refused[found, 0], refused[found, 1] = i, places[run]
            found += 1
    return found
