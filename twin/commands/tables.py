"""Rows of the embedded store as Arrow tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from twin.estimate import Status
from twin.store.reading import RecordedRows
from twin.store.sqlite_file import LAYOUTS, Stored

_INSTANT = pa.timestamp("ns", tz="UTC")
_STATUS = np.array([status.name.lower() for status in Status])


def observation_table(recorded: RecordedRows) -> pa.Table:
    """The columns that `twin replay` reads; empty where a device said nothing."""
    rows = recorded.rows
    signal = SIGNALS.get(recorded.signal)
    return pa.table(
        {
            "patient": _text(recorded.patient, len(rows)),
            "device": _text(recorded.device, len(rows)),
            "signal": _text(recorded.signal, len(rows)),
            "value": pa.array(rows["value"]),
            "measured_at": pa.array(rows["time"], _INSTANT),
            "received_at": pa.array(rows["received_at"], _INSTANT),
            "unit": _text(signal.unit if signal is not None else "", len(rows)),
            "noise_std": _number(rows["noise_std"]),
            "quality": _number(rows["quality"]),
        }
    )


def estimate_table(recorded: RecordedRows) -> pa.Table:
    """The columns that `twin replay` writes, but for the horizon."""
    rows, bands = recorded.rows, recorded.bands()
    return pa.table(
        {
            "patient": _text(recorded.patient, len(rows)),
            "signal": _text(recorded.signal, len(rows)),
            "as_of": pa.array(rows["time"], _INSTANT),
            "mean": _number(recorded.mean()),
            "std": _number(rows["std"]),
            "lo95": _number(bands.lo95),
            "hi95": _number(bands.hi95),
            "lo90": _number(bands.lo90),
            "hi90": _number(bands.hi90),
            "lo50": _number(bands.lo50),
            "hi50": _number(bands.hi50),
            "trend": _number(rows["trend"]),
            "trend_std": _number(rows["trend_std"]),
            "nis": _number(rows["nis"]),
            "weight": _number(rows["weight"]),
            "status": pa.array(_STATUS[rows["status"]], pa.string()),
        }
    )


def no_rows(table_of: Callable[[RecordedRows], pa.Table]) -> pa.Table:
    """The table without rows: its columns."""
    stored = Stored.OBSERVATION if table_of is observation_table else Stored.ESTIMATE
    return table_of(RecordedRows("", "", "", np.empty(0, LAYOUTS[stored].rows), {}))


def _text(text: str, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def _number(values: NDArray[Any]) -> pa.Array:
    """float64 of the shortest text that the stored number has; NaN becomes none."""
    wide = values.astype(np.float64)
    if values.dtype == np.float32:
        # 0.1 stored in four bytes is 0.1, not 0.10000000149011612.
        wide = values.astype(str).astype(np.float64)
    return pa.array(wide, mask=np.isnan(wide))
