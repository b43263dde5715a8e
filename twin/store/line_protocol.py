"""Estimate batches as InfluxDB line protocol, in bulk.

observation,patient=,signal=,device= value=,quality= <measured_at>
conflict,patient=,signal=,device= value=,quality=,measured_at= <received_at>
estimate,patient=,signal=,model= mean=,std=,lo95=,hi95=,trend= <as_of>
status,patient=,signal= status= <tick>
refiltered,patient=,signal= until= <first>: the estimates from <first> to `until` (ms, rounded up)
were written anew, because observations came belated.
forecast,patient=,signal=,model=,horizon= mean=,std=,lo50=,hi50=,lo90=,hi90=,lo95=,hi95= <as_of>
alarm, score, change: `judged_lines.py`.
touched since= <now>: the earliest stamp, in ms, of rows that came so late that the windows of their
time may be made already; the database's tasks make them anew from there.

Every point carries all fields of its measurement, because InfluxDB merges field sets; what is not
known is −1 where a true value cannot be negative (quality, noise_std, nis, weight, trend_std), and
an unknown trend is 0. All numbers are floats in the shortest form that reads back the same; stamps
in fields are milliseconds. With the full set of fields observations and conflicts also have
noise_std and received_at, estimates lo50, hi50, lo90, hi90, trend_std, nis, weight, known_at,
status; forecasts known_at. https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE
from twin.bands import Z50, Z90, Z95, band, reach_of
from twin.bytewise import taken
from twin.estimate import EstimateBatch, Kind
from twin.store.line_text import Lines, Points, lines_of, written
from twin.store.merged import Indexes, Merged, kept, merged, with_points
from twin.store.rows import by_series
from twin.text.series_kernel import series_of

UNKNOWN = -1.0
_MILLISECOND = 1_000_000
#: Windows younger than this are made by the next run of the tasks anyway, ns.
LATE = 30 * MINUTE
#: Tags of each measurement.
_TAGS = {
    "observation": ("patient", "signal", "device"),
    "conflict": ("patient", "signal", "device"),
    "estimate": ("patient", "signal", "model"),
    "forecast": ("patient", "signal", "model", "horizon"),
    "status": ("patient", "signal"),
}


_QUANTILES = {50: Z50, 90: Z90, 95: Z95}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows (n,) that become lines; series: (n,) which of some series each is of, from 0; first: a
    place in `rows` of each series."""

    rows: Indexes
    series: Indexes
    first: Indexes


def lines(batches: Sequence[EstimateBatch], full: bool = False, now: int | None = None) -> Lines:
    """The lines of all rows that are stored. now: ns UTC, to tell rows that came late; else none
    is marked."""
    whole = with_points(merged(batches))
    made = _Made()
    parts = kept(whole.rows)
    _observations(made, whole, parts.observations, full)
    _conflicts(made, whole, parts.conflicts, full)
    _estimates(made, whole, parts.estimates, full)
    _statuses(made, whole, parts.statuses)
    _forecasts(made, whole, parts.forecasts, full)
    if now is not None:
        _touched(made, whole, np.concatenate([parts.observations, parts.estimates]), now)
    return written(made.points, made.rejected, len(whole.rows))


def refiltered(patient: str, signal: str, first: int, until: int) -> Lines:
    """The line that says what was filtered again: [first, until], ns."""
    prefix = prefix_of("refiltered", ("patient", patient), ("signal", signal))
    made = [] if prefix is None else [f"{prefix} until={-(-until // _MILLISECOND)}.0 {first}"]
    return lines_of(made, [0] * len(made), (), len(made))


class _Made:
    def __init__(self) -> None:
        self.points: list[Points] = []
        self.rejected: list[tuple[int, str]] = []

    def finite(self, whole: Merged, chosen: Indexes, *names: str) -> Indexes:
        """The chosen rows whose columns `names` are numbers; the others are rejected."""
        good = np.logical_and.reduce([np.isfinite(whole.rows[name][chosen]) for name in names])
        if good.all():
            return chosen
        self.rejected += [(row, "not a finite number") for row in chosen[~good].tolist()]
        return chosen[good]

    def add(
        self,
        chosen: Chosen,
        prefixes: Sequence[bytes | None],
        fields: Mapping[str, NDArray[np.float64]],
        time: NDArray[np.int64],
    ) -> None:
        """A line of each chosen row; prefix None: a tag of that series cannot be written."""
        rows, series = chosen.rows, chosen.series
        if None in prefixes:
            good = np.array([prefix is not None for prefix in prefixes])[series]
            self.rejected += [(row, "an id that cannot be a tag") for row in rows[~good].tolist()]
            rows, series, time = rows[good], series[good], time[good]
            fields = {name: column[good] for name, column in fields.items()}
        if len(rows):
            starts = [prefix or b"" for prefix in prefixes]
            self.points.append(Points(rows, starts, series, fields, time))


def _observations(made: _Made, whole: Merged, chosen: Indexes, full: bool) -> None:
    newest = _last_versions(whole, made.finite(whole, chosen, "value"), "measured_at")
    rows = taken(whole.rows, newest.rows)
    fields = {"value": rows["value"], "quality": _quality(rows)} | _more_said(rows, full)
    made.add(newest, _prefixes(whole, "observation", newest), fields, rows["measured_at"])


def _conflicts(made: _Made, whole: Merged, chosen: Indexes, full: bool) -> None:
    newest = _last_versions(whole, made.finite(whole, chosen, "value"), "received_at")
    rows = taken(whole.rows, newest.rows)
    fields = {"value": rows["value"], "quality": _quality(rows)}
    fields |= {"measured_at": _milliseconds(rows["measured_at"])} | _more_said(rows, full)
    made.add(newest, _prefixes(whole, "conflict", newest), fields, rows["received_at"])


def _said(
    whole: Merged, rows: NDArray[Any], *bands: int
) -> Iterator[dict[str, NDArray[np.float64]]]:
    """Mean and std of n rows, then these bands in %, cut to where each signal can be."""
    reach = reach_of(whole.signals, rows["signal"])
    yield {"mean": np.clip(rows["mean"], *reach), "std": rows["std"]}
    for share in bands:
        ends = band(rows["mean"], rows["std"], _QUANTILES[share], rows[f"scale{share}"], reach)
        yield dict(zip((f"lo{share}", f"hi{share}"), ends, strict=True))


def _estimates(made: _Made, whole: Merged, chosen: Indexes, full: bool) -> None:
    newest = _last_versions(whole, made.finite(whole, chosen, "mean", "std"), "as_of")
    rows = taken(whole.rows, newest.rows)
    mean, widest, *others = _said(whole, rows, 95, *((50, 90) if full else ()))
    fields = mean | widest | {"trend": _known(rows["trend"], 0.0)}
    if full:
        for ends in others:
            fields |= ends
        fields |= {name: _known(rows[name]) for name in ("trend_std", "nis", "weight")}
        fields |= {"known_at": _milliseconds(rows["received_at"])}
        fields |= {"status": rows["status"].astype(np.float64)}
    made.add(newest, _prefixes(whole, "estimate", newest), fields, rows["as_of"])


def _statuses(made: _Made, whole: Merged, chosen: Indexes) -> None:
    newest = _last_versions(whole, chosen, "received_at")
    rows = taken(whole.rows, newest.rows)
    fields = {"status": rows["status"].astype(np.float64)}
    made.add(newest, _prefixes(whole, "status", newest), fields, rows["received_at"])


def _forecasts(made: _Made, whole: Merged, chosen: Indexes, full: bool) -> None:
    """All bands, as they are calibrated and do not follow from std alone; horizon in seconds."""
    newest = _last_versions(whole, made.finite(whole, chosen, "mean", "std"), "as_of")
    rows = taken(whole.rows, newest.rows)
    fields: dict[str, NDArray[np.float64]] = {}
    for part in _said(whole, rows, 50, 90, 95):
        fields |= part
    if full:
        fields |= {"known_at": _milliseconds(rows["received_at"])}
    made.add(newest, _prefixes(whole, "forecast", newest), fields, rows["as_of"])


def _touched(made: _Made, whole: Merged, chosen: Indexes, now: int) -> None:
    if not len(chosen):
        return
    times = [whole.rows[name][chosen] for name in ("measured_at", "as_of")]
    if min(time.min() for time in times) > now - LATE:
        return
    stamps = np.concatenate([time[time > 0] for time in times])
    since = int(stamps.min()) if len(stamps) else now
    if now - since > LATE:
        fields = {"since": np.array([since // _MILLISECOND], np.float64)}
        only = np.zeros(1, np.intp)
        made.points.append(Points(chosen[:1], [b"touched"], only, fields, np.array([now])))


def _quality(rows: NDArray[Any]) -> NDArray[np.float64]:
    # float32 in the batch: 0.9 came as 0.8999999761581421.
    return np.round(_known(rows["quality"]), 6)


def _more_said(rows: NDArray[Any], full: bool) -> dict[str, NDArray[np.float64]]:
    if not full:
        return {}
    received = _milliseconds(rows["received_at"])
    return {"noise_std": _known(rows["noise_std"]), "received_at": received}


def _milliseconds(stamps: NDArray[np.int64]) -> NDArray[np.float64]:
    return (stamps // _MILLISECOND).astype(np.float64)


def _known(values: NDArray[Any], otherwise: float = UNKNOWN) -> NDArray[np.float64]:
    exact = values.astype(np.float64)
    exact[~np.isfinite(exact)] = otherwise
    return exact


def _last_versions(whole: Merged, chosen: Indexes, time: str) -> Chosen:
    """The chosen rows without those that a later one overwrites.

    A series is made of patient, signal and device (observations, conflicts), or model and, for
    forecasts, horizon.
    """
    rows = whole.rows
    series = rows["patient"][chosen].astype(np.int64) * len(whole.signals) + rows["signal"][chosen]
    if time == "as_of":
        series = series * len(whole.models) + whole.model[chosen]
        ahead = np.where(rows["kind"] == Kind.FORECAST, rows["flags"], 0).astype(np.int64)
        series = series * (int(ahead.max(initial=0)) + 1) + ahead[chosen]
    elif len(chosen):
        # Statuses have no device; NO_DEVICE then stands for itself.
        device = np.minimum(rows["device"][chosen], len(whole.devices)).astype(np.int64)
        series = series * (len(whole.devices) + 1) + device
    stamps = rows[time][chosen]
    return _rising(chosen, series, stamps) or _newest(chosen, series, stamps)


def _rising(chosen: Indexes, series: NDArray[np.int64], stamps: NDArray[np.int64]) -> Chosen | None:
    """All of them, if the stamps of each series rise, so that none is written twice."""
    n = len(chosen)
    numbers, first, newest = np.empty((3, n), np.int64)
    slots = np.zeros(1 << n.bit_length() + 1, np.int64)
    count = series_of(series, stamps, slots, numbers, first, newest)
    return None if count < 0 else Chosen(chosen, numbers, first[:count])


def _newest(chosen: Indexes, series: NDArray[np.int64], stamps: NDArray[np.int64]) -> Chosen:
    """Of rows that are one point the last."""
    order = by_series(series, stamps)
    other = np.diff(series[order], prepend=-1) != 0
    numbers = np.empty(len(chosen), np.intp)
    numbers[order] = np.cumsum(other) - 1
    again = ~other[1:] & (np.diff(stamps[order]) == 0)
    if again.any():
        newest = np.sort(order[np.append(~again, True)])
        chosen, numbers = chosen[newest], numbers[newest]
    first = np.empty(int(np.count_nonzero(other)), np.intp)
    first[numbers] = np.arange(len(numbers))
    return Chosen(chosen, numbers, first)


def _prefixes(whole: Merged, measurement: str, chosen: Chosen) -> list[bytes | None]:
    """Measurement and tags of each series."""
    of = chosen.rows[chosen.first]
    rows = taken(whole.rows, of)
    tables = {
        "patient": (whole.patients, rows["patient"]),
        "signal": (whole.signals, rows["signal"]),
        "device": (whole.devices, rows["device"]),
        "model": (whole.models, whole.model[of]),
    }
    tags = []
    for name in _TAGS[measurement]:
        if name == "horizon":
            tags.append(list(map(str, rows["flags"].tolist())))
        else:
            names, numbers = tables[name]
            tags.append([names[number] for number in numbers.tolist()])
    return list(map(_prefix, repeat(measurement), *tags))


# A second of a ward has one line of each series: made each time, this were half of a line's cost.
@lru_cache(maxsize=16_384)
def _prefix(measurement: str, *tags: str) -> bytes | None:
    made = _tagged(measurement, list(zip(_TAGS[measurement], tags, strict=True)))
    return None if made is None else made.encode()


@lru_cache(maxsize=16_384)
def prefix_of(measurement: str, *tags: tuple[str, str]) -> str | None:
    """Measurement and tags; None: one of them cannot be written."""
    return _tagged(measurement, tags)


def _tagged(measurement: str, tags: Sequence[tuple[str, str]]) -> str | None:
    if not all(text and text.isprintable() and not text.endswith("\\") for _, text in tags):
        return None
    return ",".join([measurement, *(f"{name}={escaped(text)}" for name, text in tags)])


def escaped(text: str) -> str:
    """A tag value as line protocol writes it."""
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
