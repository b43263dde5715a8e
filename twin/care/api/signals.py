"""/api/v1/patients/{id}/signals/{code}: the history of one signal, with its gaps left open."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

import numpy as np
from fastapi import APIRouter, Query, Response
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS, Signal
from ingest.instant import FURTHEST, HOUR, MILLISECOND, SECOND, format_instant, parse_bounded
from twin.care.api.bodies import (
    EstimateColumns,
    Numbers,
    ObservationColumns,
    SignalBody,
    SignalForecastBody,
    answer,
    answers,
)
from twin.care.parts import PartsOf
from twin.care.problem import Problem
from twin.estimate import Series

router = APIRouter(prefix="/api/v1")
MOST_POINTS = 10_000
WHEN = "ISO-8601 with zone, or epoch milliseconds"
#: What a store gives as the cursor of the next page; anything else never came from one.
_CURSOR = re.compile(r"-?[0-8]?\d{1,18}", re.ASCII)


@router.get("/patients/{patient}/signals/{code}", responses=answers(SignalBody))
def signal_history(
    patient: str,
    code: str,
    parts: PartsOf,
    start: str | None = Query(None, alias="from", description=f"{WHEN}; default: to − 1 h"),
    end: str | None = Query(None, alias="to", description=f"{WHEN}; default: now"),
    points: int | None = Query(None, description="at most so many buckets; without: raw, in pages"),
    after: str | None = Query(None, description="as `next` of the page before gave it"),
) -> Response:
    """Estimates with their bands, and observations, of [from, to), oldest first.

    With `points` a bucket for each, or raw where a point would be no longer than a second.
    """
    signal = SIGNALS.get(code)
    if signal is None or patient not in parts.feed.labels:
        raise Problem(404, "no such signal" if signal is None else "no such patient")
    to = parts.feed.now() if end is None else instant_of("to", end)
    since, _ = span_of(start, end, (to - HOUR, to))
    if after is not None and _CURSOR.fullmatch(after) is None:
        expected = "`next` of the page before"
        raise Problem(422, "not a cursor", name="after", got=after[:32], expected=expected)
    if points is not None and not 1 <= points <= MOST_POINTS:
        expected = f"1 to {MOST_POINTS}"
        raise Problem(422, "points", name="points", got=str(points), expected=expected)
    if points is not None and to - since <= points * SECOND:
        series = parts.history.series(patient, code, since, to, None, after)
        if series.cursor is not None:  # denser than a point a second: a page would be cut
            series = parts.history.series(patient, code, since, to, points)
    else:
        series = parts.history.series(patient, code, since, to, points, after)
    following = None
    if series.cursor is not None:
        path = f"/api/v1/patients/{quote(patient, safe='')}/signals/{code}"
        query = {"from": since // MILLISECOND, "to": to // MILLISECOND, "after": series.cursor}
        following = f"{path}?{urlencode(query)}"
    bucket_ns = 0 if series.resolution == "raw" or points is None else (to - since) // points
    return answer(signal_body(signal, series, bucket_ns, following))


@router.get("/patients/{patient}/signals/{code}/forecast", responses=answers(SignalForecastBody))
def signal_forecast(patient: str, code: str, parts: PartsOf) -> Response:
    """What the signal will be in a minute, 15 and 30 minutes, and an hour, with its limits."""
    signal = SIGNALS.get(code)
    if signal is None or patient not in parts.feed.labels:
        raise Problem(404, "no such signal" if signal is None else "no such patient")
    forecasts = parts.feed.forecasts(patient).get(code, ())
    now = format_instant(parts.feed.now())
    return answer(SignalForecastBody(now, parts.feed.state, signal.unit, forecasts))


def instant_of(name: str, text: str) -> int:
    """int64 ns UTC of a time parameter. Raises Problem 422."""
    try:
        if text.lstrip("-").isdecimal():
            asked = int(text) * MILLISECOND
            if abs(asked) > FURTHEST:
                raise ValueError
            return asked
        return parse_bounded(text.replace(" ", "+"))  # an unescaped + of the zone
    except (ValueError, OverflowError) as error:
        raise Problem(422, "not a time", name=name, got=text, expected=WHEN) from error


def span_of(start: str | None, end: str | None, otherwise: tuple[int, int]) -> tuple[int, int]:
    """[from, to), int64 ns UTC, each as asked or as otherwise. Raises Problem 422."""
    since = otherwise[0] if start is None else instant_of("from", start)
    to = otherwise[1] if end is None else instant_of("to", end)
    if since >= to:
        raise Problem(422, "an empty interval", name="from", got=str(start), expected="before to")
    return since, to


def gap_ns(signal: Signal) -> int:
    """max(60 s, 5 × the signal's expected interval): beyond it silence is a gap."""
    return int(max(60.0, 5 * signal.expected_interval_s) * SECOND)


def apart_ns(signal: Signal, series: Series, bucket_ns: int) -> int:
    """Estimates of a series further apart than this have a gap between them.

    5 × the usual distance (the median; of too few estimates the signal's expected interval), at
    least 60 s. Where every bucket usually holds something, 2.5 buckets, since a bucket may stay
    empty by the way stamps fall. bucket_ns: 0 where raw.
    """
    distances = np.diff(series.time)
    if len(distances) < 3:
        return gap_ns(signal)
    usual = int(np.median(distances))
    times = 5 * usual if 2 * usual > 3 * bucket_ns else 5 * bucket_ns // 2
    return max(60 * SECOND, times)


def signal_body(
    signal: Signal, series: Series, bucket_ns: int, following: str | None
) -> SignalBody:
    """The answer for a series; a row of nulls opens each gap. bucket_ns: 0 where raw."""
    apart = apart_ns(signal, series, bucket_ns)
    gaps = np.flatnonzero(np.diff(series.time) > apart) + 1
    time = np.insert(series.time, gaps, series.time[gaps - 1] + max(MILLISECOND, bucket_ns // 2))

    def column(numbers: NDArray[np.float64]) -> Numbers:
        opened: Numbers = np.insert(numbers, gaps, np.nan).tolist()
        return opened

    bucketed = series.resolution == "bucket"
    return SignalBody(
        signal.unit,
        series.resolution,
        apart / SECOND,
        EstimateColumns(
            (time // MILLISECOND).tolist(),
            column(series.mean),
            column(series.lo50),
            column(series.hi50),
            column(series.lo95),
            column(series.hi95),
            column(series.minimum) if bucketed else None,
            column(series.maximum) if bucketed else None,
        ),
        ObservationColumns(
            (series.observed_at // MILLISECOND).tolist(),
            series.observed.tolist(),
            list(series.device),
        ),
        following,
        [(first // MILLISECOND, last // MILLISECOND) for first, last in series.refiltered],
    )
