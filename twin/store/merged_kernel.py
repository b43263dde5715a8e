"""Which rows of an estimate batch are stored as what, compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.compiled import kernels
from twin.bytewise import readable
from twin.estimate import ESTIMATE_ROW, Kind, Verdict

compiled, _ = kernels([Path(__file__), Path(__file__).parents[1] / "estimate.py"])

_VERDICT, _REVISION = int(Kind.VERDICT), int(Kind.REVISION)
_STATUS, _FORECAST = int(Kind.STATUS), int(Kind.FORECAST)
_ACCEPTED, _BELATED = int(Verdict.ACCEPTED), int(Verdict.BELATED)
_CONFLICT = int(Verdict.CONFLICT)
#: Places of the kinds of stored rows in what `sort_out` writes.
OBSERVATIONS, CONFLICTS, ESTIMATES, STATUSES, FORECASTS, BELATED = range(6)


@compiled
def sort_out(rows, chosen, counts):  # type: ignore[no-untyped-def]
    """Write the indexes of rows (n,) of dtype ESTIMATE_ROW that are stored as something into
    chosen (5, n), how many these are into counts (6,) int64, zeros before; the last is how many of
    the observations are belated."""
    for i in range(rows.shape[0]):
        kind, verdict = rows[i].kind, rows[i].verdict
        if kind == _VERDICT:
            if verdict in (_ACCEPTED, _BELATED):
                chosen[OBSERVATIONS, counts[OBSERVATIONS]] = i
                counts[OBSERVATIONS] += 1
                counts[BELATED] += verdict == _BELATED
            elif verdict == _CONFLICT:
                chosen[CONFLICTS, counts[CONFLICTS]] = i
                counts[CONFLICTS] += 1
        if kind == _REVISION or (kind == _VERDICT and verdict == _ACCEPTED):
            chosen[ESTIMATES, counts[ESTIMATES]] = i
            counts[ESTIMATES] += 1
        elif kind == _STATUS:
            chosen[STATUSES, counts[STATUSES]] = i
            counts[STATUSES] += 1
        elif kind == _FORECAST:
            chosen[FORECASTS, counts[FORECASTS]] = i
            counts[FORECASTS] += 1


def warm_up() -> None:
    """Compile it, or load it from the cache."""
    rows = readable(np.zeros(1, ESTIMATE_ROW))
    sort_out(rows, np.zeros((5, 1), np.intp), np.zeros(6, np.int64))
