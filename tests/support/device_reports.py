"""The worker's reports of devices, by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin.device_report import DEVICE_ROW, DeviceReports


def reported(
    at: int,
    device: str = "watch-1",
    patient: str = "p1",
    refused: Mapping[str, int] | None = None,
    **said: float,
) -> DeviceReports:
    """One device on one patient at `at` (ns UTC); said: columns of DEVICE_ROW, else not said."""
    row = np.zeros(1, DEVICE_ROW)
    row["at"], row["contact"], row["online"], row["battery"] = at, -1, -1, np.nan
    for name in ("offset", "offset_std", "drift", "drift_std"):
        row[name] = np.nan
    for name, value in said.items():
        row[name] = value
    reasons = dict(refused or {})
    row["refused"] = sum(reasons.values())
    return DeviceReports((patient,), (device,), row, {0: reasons} if reasons else {})
