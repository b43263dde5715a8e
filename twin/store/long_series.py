"""A chart over days or months: of stored windows, and of rows where no window is up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import numpy as np

from ingest.instant import DAY
from twin.estimate import Series
from twin.store.aggregates import (
    AGGREGATE,
    LENGTHS,
    QUARTER,
    Estimates,
    Windows,
    aggregated,
    as_series,
    combined,
)
from twin.store.series_rows import bands_of, mean_of, read_rows, series_keys
from twin.store.sqlite_file import Stored
from twin.store.thinning import Observed, bucket_length
from twin.store.windows import has_windows, load, rows_from

#: A shorter chart is made of rows, which takes some 10 ms for a day.
_LONG = 2 * DAY


def long_series(
    connection: apsw.Connection, patient: str, signal: str, start: int, end: int, points: int
) -> Series | None:
    """Buckets of [start, end) made of windows; None where they are to be made of rows.

    Of windows where the chart is long, or reaches to where rows were forgotten; a bucket is then a
    whole number of windows, and the first one begins on a window. To be called in a transaction.
    """
    length = _window(connection, start, end, points)
    if length is None or end <= start:
        return None
    keys = series_keys(connection, Stored.ESTIMATE, patient, signal)
    if not keys:
        return None
    devices = dict(connection.execute("SELECT id, name FROM device"))
    first, last = -(-start // QUARTER), end // QUARTER
    parts: list[Windows] = [np.zeros(0, AGGREGATE)]
    spans = [(start, min(first * QUARTER, end)), (max(last, first) * QUARTER, end)]
    if first < last:
        windows, stale = load(connection, length, keys[0].id, first, last)
        parts.append(windows)
        spans += _runs(stale)
    for begin, until in spans:
        if begin < until:
            rows, seen, _ = read_rows(connection, patient, signal, begin, until, None)
            of = Estimates(rows["time"], mean_of(rows, signal), bands_of(rows, signal))
            parts.append(aggregated(of, _numbered(seen, devices), length))
    windows = np.concatenate(parts)
    windows = windows[np.argsort(windows["start"], kind="stable")]
    anchor = start // length * length
    bucket = -(-bucket_length(anchor, end, points) // length) * length
    return as_series(combined(windows, bucket, anchor), start, devices)


def _window(connection: apsw.Connection, start: int, end: int, points: int) -> int | None:
    if not has_windows(connection):
        return None
    bucket = bucket_length(start, end, points)
    fitting = [length for length in LENGTHS if 2 * length <= bucket]
    if end - start >= _LONG and fitting:
        return fitting[-1]
    if start >= rows_from(connection):
        return None
    return fitting[-1] if fitting else LENGTHS[0]


def _runs(quarters: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(begin, end) in ns of each run of neighbouring quarters."""
    ordered = sorted(quarters)
    breaks = [0, *(i for i in range(1, len(ordered)) if ordered[i] != ordered[i - 1] + 1)]
    for at, following in zip(breaks, [*breaks[1:], len(ordered)], strict=True):
        if ordered:
            yield ordered[at] * QUARTER, (ordered[following - 1] + 1) * QUARTER


def _numbered(seen: Observed, devices: dict[int, str]) -> Observed:
    """With numbers of devices as the file has them."""
    number = {name: each for each, name in devices.items()}
    of = np.array([number.get(name, 0) for name in seen.devices], np.uint32)
    device = of[seen.device] if len(seen.device) else np.zeros(0, np.uint32)
    return Observed(seen.time, seen.value, device, ())
