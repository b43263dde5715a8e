"""Rows of a patient's signal from the embedded store's file, for charts and exports."""

from __future__ import annotations

from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twin.bands import Bands, bands, reach_of
from twin.store.blocks import Rows
from twin.store.rows import rows_between
from twin.store.sqlite_file import SeriesKey, Stored
from twin.store.thinning import Observed


def mean_of(rows: Rows, signal: str) -> NDArray[np.float64]:
    """(n,) the means of estimate rows, where the signal can be."""
    return np.asarray(np.clip(rows["mean"], *reach_of((signal,), 0)), np.float64)


def bands_of(rows: Rows, signal: str) -> Bands:
    """Bands of estimate rows (n,): of the stored mean and std, and the scales where calibrated."""
    scales: tuple[NDArray[Any] | float, ...] = tuple(
        1.0 if bool((rows[name] == 1).all()) else rows[name].astype(np.float64)
        for name in ("scale50", "scale90", "scale95")
    )
    return bands(rows["mean"], rows["std"], *scales, reach=reach_of((signal,), 0))


def read_rows(
    connection: apsw.Connection,
    patient: str,
    signal: str,
    start: int,
    end: int,
    at_most: int | None,
) -> tuple[Rows, Observed, int]:
    """Estimates and observations of [start, until); until = end, or where at_most is reached."""
    found = series_keys(connection, None, patient, signal)
    kinds = (Stored.ESTIMATE, Stored.OBSERVATION)
    keys = [key for key in found if key.stored in kinds]
    read = {key: first_rows(connection, key, start, end, at_most) for key in keys}
    until = min([end, *(until for _, until in read.values())])
    cut = {key: rows[rows["time"] < until] for key, (rows, _) in read.items()}
    estimates = [cut[key] for key in keys if key.stored == Stored.ESTIMATE]
    observed = Observed.of(
        [
            (key.device, cut[key]["time"], cut[key]["value"])
            for key in keys
            if key.stored == Stored.OBSERVATION
        ]
    )
    return (estimates[0] if estimates else _no_estimates(connection)), observed, until


def first_rows(
    connection: apsw.Connection,
    key: SeriesKey,
    start: int,
    end: int,
    at_most: int | None,
    chart: bool = True,
) -> tuple[Rows, int]:
    """Rows of one series in [start, until); until = end, or where at_most is reached."""
    rows, until = rows_between(connection, key, start, end, chart, at_most)
    if at_most is not None and len(rows) > at_most:
        return rows[:at_most], int(rows["time"][at_most - 1]) + 1
    return rows, until


def _no_estimates(connection: apsw.Connection) -> Rows:
    nothing = SeriesKey(-1, Stored.ESTIMATE, "", "", "")
    return rows_between(connection, nothing, 0, 0)[0]


def series_keys(
    connection: apsw.Connection,
    stored: Stored | None,
    patient: str | None,
    signal: str | None = None,
) -> list[SeriesKey]:
    """Series of a kind, a patient, a signal; None: of all."""
    found = connection.execute(
        "SELECT id, stored, patient, signal, device FROM series"
        " WHERE (?1 IS NULL OR patient = ?1) AND (?2 IS NULL OR signal = ?2)"
        " AND (?3 IS NULL OR stored = ?3) ORDER BY patient, signal, device",
        (patient, signal, None if stored is None else int(stored)),
    )
    return [SeriesKey(i, Stored(kind), *names) for i, kind, *names in found]
