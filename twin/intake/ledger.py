"""Each device's account as the worker keeps it, and the reports that carry it to the readers.

Verdicts are counted where they are given, in the state that the snapshot holds, so an account is as
safe from a kill as the twin itself. It is the only account: pages, commands and metrics show the
newest report of each device and the verdicts given since (`twin.care.told`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.device_report import DEVICE_ROW, DeviceReports
from twin.estimation.names import Names
from twin.intake import kernel
from twin.intake.identity import Gaps
from twin.intake.kernel import ACCEPTED, DEVICE, PARTITION, PATIENT
from twin.intake.table import DeviceTable

_MARKS = {
    "silence": kernel.SILENCE,
    "changed": kernel.CHANGED,
    "contact": kernel.CONTACT,
    "online": kernel.ONLINE,
    "since": kernel.SINCE,
    "last_received": kernel.RECEIVED,
    "accepted": ACCEPTED,
    "belated": kernel.BELATED,
    "duplicate": kernel.DUPLICATE,
    "conflict": kernel.CONFLICT,
    "refused": kernel.REFUSED,
    "over_rate": kernel.OVER_RATE,
    "redelivered": kernel.REDELIVERED,
    "missing": kernel.MISSING,
    "restarts": kernel.RESTARTS,
}
#: Why the twin refuses (`twin.rows.REASONS`), and the column that counts it.
REFUSALS = {
    "no_model": kernel.NO_MODEL,
    "value_not_a_number": kernel.NOT_A_NUMBER,
    "over_rate": kernel.OVER_RATE,
}
_CLOCK = {
    "battery": kernel.BATTERY_LEFT,
    "offset": kernel.OFFSET,
    "offset_std": kernel.OFFSET_STD,
    "drift": kernel.DRIFT,
    "drift_std": kernel.DRIFT_STD,
    "correction": kernel.CORRECTION,
}


def reports(
    table: DeviceTable, gaps: Gaps, rows: NDArray[np.int64], patients: Names, at: int
) -> Iterator[tuple[int, DeviceReports]]:
    """(partition, reports) of these rows at a tick, by partition, patient and device name."""
    if not len(rows):
        return
    partition, who, what = table.marks[rows[:, None], [PARTITION, PATIENT, DEVICE]].T.tolist()
    names = map(patients.text.__getitem__, who), map(table.devices.text.__getitem__, what)
    keys = sorted(zip(partition, *names, range(len(rows)), strict=True))
    rows = rows[[key[3] for key in keys]]
    out, refused = _rows(table, gaps, rows, at), table.marks[rows, kernel.REFUSED] > 0
    cuts = [n for n in range(1, len(keys)) if keys[n][0] != keys[n - 1][0]]
    # What is said is made for all partitions at once: of a large fleet each says a few dozen.
    for begin, end in pairwise([0, *cuts, len(keys)]):
        mine = keys[begin:end]
        who_of = {patient: n for n, patient in enumerate(dict.fromkeys(key[1] for key in mine))}
        what_of = {device: n for n, device in enumerate(dict.fromkeys(key[2] for key in mine))}
        part = out[begin:end]
        part["patient"] = [who_of[key[1]] for key in mine]
        part["device"] = [what_of[key[2]] for key in mine]
        places = np.flatnonzero(refused[begin:end])
        why = {n: _refused(table, int(rows[begin + n])) for n in places.tolist()}
        yield mine[0][0], DeviceReports(tuple(who_of), tuple(what_of), part, why)


def _rows(table: DeviceTable, gaps: Gaps, rows: NDArray[np.int64], at: int) -> NDArray[Any]:
    """(n,) DEVICE_ROW of these rows, but for patient and device; they count as told."""
    marks, clock = table.marks[rows], table.clock[rows]
    out = np.zeros(len(rows), DEVICE_ROW)
    for name, column in _MARKS.items():
        out[name] = marks[:, column]
    for name, column in _CLOCK.items():
        out[name] = clock[:, column]
    out["at"] = at
    declared = marks[:, kernel.DECLARED]
    out["expected"] = np.where(declared > 0, declared, marks[:, kernel.INTERVAL])
    if gaps.of:
        out["open"] = [gaps.open(row) if row in gaps.of else 0 for row in rows.tolist()]
    unknown = clock[:, kernel.W] == 0
    for name in ("offset", "offset_std", "drift", "drift_std"):
        out[name][unknown] = np.nan
    table.clock[rows, kernel.TOLD_OFFSET] = clock[:, kernel.OFFSET]
    table.marks[rows, kernel.CHANGED] = 0
    return out


def _refused(table: DeviceTable, row: int) -> dict[str, int]:
    """Reason → how many observations of the row were refused for it."""
    counts = {reason: int(table.marks[row, column]) for reason, column in REFUSALS.items()}
    return {reason: n for reason, n in counts.items() if n}
