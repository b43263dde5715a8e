"""The fold of estimate rows into the newest of each key, compiled: one row after another.

rows: a batch's (dtype ESTIMATE_ROW, read only); patients, signals: numbers of the batch's names, −1
for a signal that the catalogue has not; slots (patients, signals): the place of each key in newest
(`latest.LATEST_ROW`), −1: none.
"""

from __future__ import annotations

from pathlib import Path

from ingest.compiled import kernels
from twin.estimate import Kind, Verdict

compiled, inlined = kernels((Path(__file__),))

_VERDICT, _REVISION = int(Kind.VERDICT), int(Kind.REVISION)
_STATUS, _COASTING = int(Kind.STATUS), int(Kind.COASTING)
_ACCEPTED = int(Verdict.ACCEPTED)
_NONE, _NEVER = -1, -(1 << 63)


@compiled
def fold(rows, begin, patients, signals, slots, newest, size, changed, valued):  # type: ignore[no-untyped-def]
    """Take in rows from `begin` on; the row that it stopped at, because newest is full, or their
    number, and how many keys there are then. −1: a row names nobody of its batch.

    changed: of each key; valued: of each key the row whose value it has, −1: none of these.
    """
    for i in range(begin, rows.shape[0]):
        row = rows[i]
        if row.patient >= patients.shape[0] or row.signal >= signals.shape[0]:
            return -1, size
        patient, signal = patients[row.patient], signals[row.signal]
        if signal < 0:
            continue
        accepted = row.kind == _VERDICT and row.verdict == _ACCEPTED
        slot = slots[patient, signal]
        if slot == _NONE:
            if not accepted:  # a row before its key's first estimate says nothing
                continue
            if size == newest.shape[0]:
                return i, size
            slot = slots[patient, signal] = size
            size += 1
            _born(newest[slot], patient, signal)
        _take(row, i, slot, accepted, newest[slot], changed, valued)
    return rows.shape[0], size


@compiled
def says(rows, status):  # type: ignore[no-untyped-def]
    """Whether any row has this status."""
    any_of_them = False
    for i in range(rows.shape[0]):
        any_of_them |= rows[i].status == status
    return any_of_them


@inlined
def _born(key, patient, signal):  # type: ignore[no-untyped-def]
    key.patient, key.signal = patient, signal
    key.as_of = key.value_at = _NEVER


@inlined
def _take(row, i, slot, accepted, key, changed, valued):  # type: ignore[no-untyped-def]
    """What one row says of its key: the newest as_of counts, of equal ones the last."""
    if (accepted or row.kind == _REVISION) and row.as_of >= key.as_of:
        key.as_of, key.mean, key.std = row.as_of, row.mean, row.std
        key.scale50, key.scale95 = row.scale50, row.scale95
        key.trend, key.trend_std = row.trend, row.trend_std
        changed[slot] = True
    if accepted and row.measured_at >= key.value_at:
        key.value, key.value_at, key.received_at = row.value, row.measured_at, row.received_at
        valued[slot] = i
    coasting = row.kind == _COASTING
    if accepted or coasting:
        key.coasting = coasting
    if coasting:
        key.coast_mean, key.coast_std = row.mean, row.std
        key.coast_scale50, key.coast_scale95 = row.scale50, row.scale95
    if accepted or coasting or row.kind == _STATUS:
        key.status = row.status
        changed[slot] = True


@inlined
def _valued(row, i, patients, signals, slots, valued):  # type: ignore[no-untyped-def]
    """The key whose value row i is, −1: none."""
    signal = signals[row.signal]
    slot = slots[patients[row.patient], signal] if signal >= 0 else _NONE
    return slot if slot >= 0 and valued[slot] == i else _NONE


@compiled
def used_devices(rows, patients, signals, slots, valued, used):  # type: ignore[no-untyped-def]
    """Note in used (devices,) whose values stand after `fold`."""
    for i in range(rows.shape[0]):
        row = rows[i]
        if _valued(row, i, patients, signals, slots, valued) >= 0 and row.device < used.shape[0]:
            used[row.device] = True


@compiled
def name_devices(rows, patients, signals, slots, valued, numbers, newest):  # type: ignore[no-untyped-def]
    """Write the device of each value that stands; numbers: of the batch's devices."""
    for i in range(rows.shape[0]):
        row = rows[i]
        slot = _valued(row, i, patients, signals, slots, valued)
        if slot >= 0:
            if row.device < numbers.shape[0]:
                newest[slot].device = numbers[row.device]
            valued[slot] = _NONE
