"""What people declare of a device: its model's rates, delay and liveness, and who wears it until
when. The body of a command is a person's: what is wrong in it is a reason, not an exception.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from twin.estimation.bank import SIGNAL_ROW
from twin.intake.clock import Shifts, apply_shift
from twin.intake.kernel import DECLARED, DELAY, ENDED, LIVE
from twin.intake.rate import Meters
from twin.intake.table import DeviceTable


class _Declared(msgspec.Struct, frozen=True):
    """Seconds; expected_interval_s of all its signals, or by signal code."""

    expected_interval_s: float | Mapping[str, float] = {}
    delay_s: float = 0.0
    live: bool = False


class _Worn(msgspec.Struct, frozen=True):
    """ns UTC; None: not known."""

    to: int | None = None


def apply_device(
    table: DeviceTable, meters: Meters, shifts: Shifts, row: int, body: Mapping[str, object]
) -> str:
    """Take in what the model of the row's device declares; why it cannot be, or ""."""
    try:
        declared = msgspec.convert(body, _Declared)
    except msgspec.ValidationError as error:
        return str(error)
    interval = _intervals(declared.expected_interval_s)
    if interval is None or not 0 <= declared.delay_s <= 86_400:
        return "expected intervals above 0 s of signals of the catalogue, and a delay within a day"
    marks = table.marks[row]
    meters.declare(table, row, interval)
    marks[DECLARED] = interval[interval > 0].min(initial=2**62) % 2**62
    marks[LIVE] = declared.live
    delay = round(declared.delay_s * SECOND)
    if marks[DELAY] != delay:
        marks[DELAY] = delay
        apply_shift(table, shifts, row)
    return ""


def apply_binding(table: DeviceTable, row: int, body: Mapping[str, object]) -> str:
    """The row's device is on its patient until then; why that cannot be, or ""."""
    try:
        worn = msgspec.convert(body, _Worn)
    except msgspec.ValidationError as error:
        return str(error)
    table.marks[row, ENDED] = worn.to or 0
    return ""


def _intervals(said: float | Mapping[str, float]) -> NDArray[np.int64] | None:
    """(signals,) ns, 0 where nothing is declared; None: something that cannot be."""
    given = said if isinstance(said, Mapping) else dict.fromkeys(SIGNALS, said)
    if any(code not in SIGNAL_ROW or not 0 < s < 1e8 for code, s in given.items()):
        return None
    interval = np.zeros(len(SIGNALS), np.int64)
    for code, seconds in given.items():
        interval[SIGNAL_ROW[code]] = round(seconds * SECOND)
    return interval
