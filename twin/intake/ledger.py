"""Each device's account as the worker keeps it, and the reports that carry it to the readers.

Verdicts are counted where they are given, in the state that the snapshot holds, so an account is as
safe from a kill as the twin itself. It is the only account: pages, commands and metrics show the
newest report of each device and the verdicts given since (`twin.care.told`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

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
    named = table.marks[rows[:, None], [PARTITION, PATIENT, DEVICE]].tolist()
    keys = [(p, patients.text[who], table.devices.text[what]) for p, who, what in named]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    keys = [keys[n] for n in order]
    cuts = [n for n in range(1, len(keys)) if keys[n][0] != keys[n - 1][0]]
    for begin, end in pairwise([0, *cuts, len(keys)]):
        chosen = rows[order[begin:end]]
        yield keys[begin][0], _report(table, gaps, chosen, keys[begin:end], at)


def _report(
    table: DeviceTable,
    gaps: Gaps,
    rows: NDArray[np.int64],
    keys: Sequence[tuple[int, str, str]],
    at: int,
) -> DeviceReports:
    marks, clock = table.marks[rows], table.clock[rows]
    patients = {patient: n for n, patient in enumerate(dict.fromkeys(key[1] for key in keys))}
    devices = {device: n for n, device in enumerate(dict.fromkeys(key[2] for key in keys))}
    out = np.zeros(len(rows), DEVICE_ROW)
    out["patient"] = [patients[key[1]] for key in keys]
    out["device"] = [devices[key[2]] for key in keys]
    for name, column in _MARKS.items():
        out[name] = marks[:, column]
    for name, column in _CLOCK.items():
        out[name] = clock[:, column]
    out["at"] = at
    declared = marks[:, kernel.DECLARED]
    out["expected"] = np.where(declared > 0, declared, marks[:, kernel.INTERVAL])
    out["open"] = [gaps.open(row) for row in rows.tolist()]
    unknown = clock[:, kernel.W] == 0
    for name in ("offset", "offset_std", "drift", "drift_std"):
        out[name][unknown] = np.nan
    table.clock[rows, kernel.TOLD_OFFSET] = clock[:, kernel.OFFSET]
    table.marks[rows, kernel.CHANGED] = 0
    return DeviceReports(tuple(patients), tuple(devices), out, _refused(marks))


def _refused(marks: NDArray[np.int64]) -> dict[int, dict[str, int]]:
    """Number of the row → reason → how many were refused for it, of rows that have such."""
    return {
        row: {reason: n for reason, column in REFUSALS.items() if (n := int(marks[row, column]))}
        for row in np.flatnonzero(marks[:, kernel.REFUSED]).tolist()
    }
