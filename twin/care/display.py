"""What a key shows: its number, band, arrow and "≈", made once here for frames, pages and API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.bands import Z50, Z95
from twin.care.vitals import arrows, rounded, uncertain
from twin.estimate import Status

#: Status by its number, as the API and the frames' `hello` name them.
STATUS_WORDS = tuple(status.name.lower() for status in Status)


@dataclass(frozen=True, slots=True)
class Shown:
    """Columns (n,) of n keys. mean ± half50, half95 in the signal's unit: the estimate, or while
    coasting its prediction; arrow −2…2; approximate: to be shown with "≈"; as_of int64 ns UTC.
    """

    mean: NDArray[np.float64]
    half50: NDArray[np.float64]
    half95: NDArray[np.float64]
    arrow: NDArray[np.int64]
    approximate: NDArray[np.bool_]
    status: NDArray[np.int64]
    as_of: NDArray[np.int64]


def shown(rows: NDArray[Any]) -> Shown:
    """What rows of dtype LATEST_ROW show. A stale or absent value shows no arrow."""
    coasting = rows["coasting"]
    mean, std, scale50, scale95 = (
        np.where(coasting, rows[f"coast_{name}"], rows[name]).astype(np.float64)
        for name in ("mean", "std", "scale50", "scale95")
    )
    order = rows["signal"].astype(np.int64)
    half95 = Z95 * std * scale95
    status = rows["status"].astype(np.int64)
    current = (status == Status.FRESH) | (status == Status.LATE)
    return Shown(
        rounded(order, mean),
        rounded(order, Z50 * std * scale50),
        rounded(order, half95),
        np.where(current, arrows(order, rows["trend"], rows["trend_std"]), 0),
        coasting | (status == Status.DIVERGED) | uncertain(order, mean, half95),
        status,
        rows["as_of"],
    )
