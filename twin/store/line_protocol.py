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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.instant import MINUTE
from twin.bytewise import taken
from twin.estimate import Bands, EstimateBatch, Kind, bands, reach_of
from twin.store.merged import Indexes, Merged, kept, merged

UNKNOWN = -1.0
_MILLISECOND = 1_000_000
#: Windows younger than this are made by the next run of the tasks anyway, ns.
LATE = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in the order of the batches' rows, without line ends; rows: the row of each line.

    Of several versions of a point only the last is among them. rejected: rows that no line can
    express, with the reason. total: rows of the batches.
    """

    lines: Sequence[str]
    rows: Sequence[int]
    rejected: Sequence[tuple[int, str]]
    total: int


def lines(batches: Sequence[EstimateBatch], full: bool = False, now: int | None = None) -> Lines:
    """The lines of all rows that are stored. now: ns UTC, to tell rows that came late; else none
    is marked."""
    whole = merged(batches)
    made = _Lines()
    parts = kept(whole.rows)
    _observations(made, whole, parts.observations, full)
    _conflicts(made, whole, parts.conflicts, full)
    _estimates(made, whole, parts.estimates, full)
    _statuses(made, whole, parts.statuses)
    _forecasts(made, whole, parts.forecasts, full)
    if now is not None:
        _touched(made, whole, np.concatenate([parts.observations, parts.estimates]), now)
    return Lines(made.lines, made.rows, made.rejected, len(whole.rows))


def refiltered(patient: str, signal: str, first: int, until: int) -> Lines:
    """The line that says what was filtered again: [first, until], ns."""
    prefix = prefix_of("refiltered", ("patient", patient), ("signal", signal))
    made = [] if prefix is None else [f"{prefix} until={-(-until // _MILLISECOND)}.0 {first}"]
    return Lines(made, [0] * len(made), (), len(made))


class _Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rows: list[int] = []
        self.rejected: list[tuple[int, str]] = []

    def finite(self, whole: Merged, chosen: Indexes, *names: str) -> Indexes:
        """The chosen rows whose columns `names` are numbers; the others are rejected."""
        good = np.logical_and.reduce([np.isfinite(whole.rows[name][chosen]) for name in names])
        self.rejected += [(row, "not a finite number") for row in chosen[~good].tolist()]
        return chosen[good]

    def add(self, chosen: Indexes, prefixes: Sequence[str | None], rest: Sequence[str]) -> None:
        """A line of each chosen row; prefix None: one of its tags cannot be written."""
        rows = chosen.tolist()
        if None in prefixes:
            bad = [row for row, prefix in zip(rows, prefixes, strict=True) if prefix is None]
            self.rejected += [(row, "an id that cannot be a tag") for row in bad]
            good = [place for place, prefix in enumerate(prefixes) if prefix is not None]
            rows, rest = [rows[n] for n in good], [rest[n] for n in good]
        self.rows += rows
        self.lines += map(add, filter(None, prefixes), rest)


def _observations(made: _Lines, whole: Merged, chosen: Indexes, full: bool) -> None:
    chosen, series = _last_versions(whole, made.finite(whole, chosen, "value"), "measured_at")
    rows = taken(whole.rows, chosen)
    fields = {"value": rows["value"], "quality": _quality(rows)} | _more_said(rows, full)
    prefixes = _prefixes(whole, "observation", rows, series)
    made.add(chosen, prefixes, _fields(fields, rows["measured_at"]))


def _conflicts(made: _Lines, whole: Merged, chosen: Indexes, full: bool) -> None:
    chosen, series = _last_versions(whole, made.finite(whole, chosen, "value"), "received_at")
    rows = taken(whole.rows, chosen)
    fields = {"value": rows["value"], "quality": _quality(rows)}
    fields |= {"measured_at": _milliseconds(rows["measured_at"])} | _more_said(rows, full)
    prefixes = _prefixes(whole, "conflict", rows, series)
    made.add(chosen, prefixes, _fields(fields, rows["received_at"]))


def _said(whole: Merged, rows: NDArray[Any]) -> tuple[NDArray[np.float64], Bands]:
    """Means and bands of n rows, cut to where each signal can be."""
    scales = [rows[name].astype(np.float64) for name in ("scale50", "scale90", "scale95")]
    reach = reach_of(whole.signals, rows["signal"])
    band = bands(rows["mean"], rows["std"], *scales, reach=reach)
    return np.clip(rows["mean"], *reach), band


def _estimates(made: _Lines, whole: Merged, chosen: Indexes, full: bool) -> None:
    chosen, series = _last_versions(whole, made.finite(whole, chosen, "mean", "std"), "as_of")
    rows = taken(whole.rows, chosen)
    mean, band = _said(whole, rows)
    fields = {
        "mean": mean,
        "std": rows["std"],
        "lo95": band.lo95,
        "hi95": band.hi95,
    }
    fields |= {"trend": _known(rows["trend"], 0.0)}
    if full:
        fields |= {"lo50": band.lo50, "hi50": band.hi50, "lo90": band.lo90, "hi90": band.hi90}
        fields |= {name: _known(rows[name]) for name in ("trend_std", "nis", "weight")}
        fields |= {"known_at": _milliseconds(rows["received_at"])}
        fields |= {"status": rows["status"].astype(np.float64)}
    prefixes = _prefixes(whole, "estimate", rows, series, whole.model[chosen])
    made.add(chosen, prefixes, _fields(fields, rows["as_of"]))


def _statuses(made: _Lines, whole: Merged, chosen: Indexes) -> None:
    chosen, series = _last_versions(whole, chosen, "received_at")
    rows = taken(whole.rows, chosen)
    fields = {"status": rows["status"].astype(np.float64)}
    prefixes = _prefixes(whole, "status", rows, series)
    made.add(chosen, prefixes, _fields(fields, rows["received_at"]))


def _forecasts(made: _Lines, whole: Merged, chosen: Indexes, full: bool) -> None:
    """All bands, as they are calibrated and do not follow from std alone; horizon in seconds."""
    chosen, series = _last_versions(whole, made.finite(whole, chosen, "mean", "std"), "as_of")
    rows = taken(whole.rows, chosen)
    mean, band = _said(whole, rows)
    fields = {
        "mean": mean,
        "std": rows["std"],
        "lo50": band.lo50,
        "hi50": band.hi50,
    }
    fields |= {"lo90": band.lo90, "hi90": band.hi90, "lo95": band.lo95, "hi95": band.hi95}
    if full:
        fields |= {"known_at": _milliseconds(rows["received_at"])}
    prefixes = _prefixes(whole, "forecast", rows, series, whole.model[chosen])
    made.add(chosen, prefixes, _fields(fields, rows["as_of"]))


def _touched(made: _Lines, whole: Merged, chosen: Indexes, now: int) -> None:
    if not len(chosen):
        return
    times = (whole.rows[name][chosen] for name in ("measured_at", "as_of"))
    stamps = np.concatenate([time[time > 0] for time in times])
    since = int(stamps.min()) if len(stamps) else now
    if now - since > LATE:
        made.add(chosen[:1], ["touched"], [f" since={since // _MILLISECOND}.0 {now}"])


def _fields(fields: Mapping[str, NDArray[np.float64]], time: NDArray[np.int64]) -> list[str]:
    """` name=number,… time` of each row."""
    form = " " + ",".join(f"{name}=%s" for name in fields) + " %s"
    columns = [_texts(column) for column in fields.values()]
    return list(map(form.__mod__, zip(*columns, _texts(time), strict=True)))


def _texts(numbers: NDArray[Any]) -> list[str]:
    """Shortest texts that read back the same; msgspec makes them five times as fast as repr."""
    return msgspec.json.encode(numbers.tolist())[1:-1].decode().split(",") if len(numbers) else []


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


def _last_versions(whole: Merged, chosen: Indexes, time: str) -> tuple[Indexes, NDArray[np.int64]]:
    """The chosen rows without those that a later one overwrites, and the series of each.

    A series is a number made of patient, signal and, for observations and conflicts, device.
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
    order = np.lexsort((stamps, series))
    by_series, by_time = series[order], stamps[order]
    last = (by_series[1:] != by_series[:-1]) | (by_time[1:] != by_time[:-1])
    if bool(last.all()):
        return chosen, series
    newest = np.sort(order[np.append(last, True)])
    return chosen[newest], series[newest]


def _prefixes(
    whole: Merged,
    measurement: str,
    rows: NDArray[Any],
    series: NDArray[np.int64],
    model: NDArray[np.uint16] | None = None,
) -> list[str | None]:
    """Measurement and tags of each row; made once for each series."""
    made: dict[int, str | None] = {}
    found, first = np.unique(series, return_index=True)
    for number, i in zip(found.tolist(), first.tolist(), strict=True):
        tags = [
            ("patient", whole.patients[rows["patient"][i]]),
            ("signal", whole.signals[rows["signal"][i]]),
        ]
        if model is not None:
            tags.append(("model", whole.models[int(model[i])]))
            if measurement == "forecast":
                tags.append(("horizon", str(int(rows["flags"][i]))))
        elif measurement != "status":
            tags.append(("device", whole.devices[rows["device"][i]]))
        made[number] = prefix_of(measurement, *tags)
    return list(map(made.__getitem__, series.tolist()))


# A second of a ward has one line of each series: made each time, this were half of a line's cost.
@lru_cache(maxsize=16_384)
def prefix_of(measurement: str, *tags: tuple[str, str]) -> str | None:
    """Measurement and tags; None: one of them cannot be written."""
    if not all(text and text.isprintable() and not text.endswith("\\") for _, text in tags):
        return None
    return ",".join([measurement, *(f"{name}={escaped(text)}" for name, text in tags)])


def escaped(text: str) -> str:
    """A tag value as line protocol writes it."""
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
