"""In-memory parts for the page: estimates by hand, a history, people and a quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ingest.instant import SECOND
from twin.bands import bands
from twin.estimate import (
    ESTIMATE_ROW,
    NO_DEVICE,
    Bound,
    EstimateBatch,
    HistoryUnavailable,
    Kind,
    Refused,
    Series,
    Status,
    Verdict,
)

#: 2026-11-25T08:00:00Z
T0 = 1_795_593_600 * SECOND


@dataclass(frozen=True, slots=True)
class Said:
    """One row of an estimate batch, in the words of a test. at: s after T0."""

    patient: str = "p1"
    signal: str = "heart_rate"
    device: str = "watch-1"
    at: float = 0.0
    as_of: float | None = None
    mean: float = 72.0
    std: float = 1.0
    value: float | None = None
    trend: float = 0.0
    trend_std: float = 0.1
    kind: Kind = Kind.VERDICT
    verdict: Verdict = Verdict.ACCEPTED
    status: Status = Status.FRESH
    reason: str = ""


def batch_of(*said: Said, t0: int = T0) -> EstimateBatch:
    """The rows as one batch, sorted by patient."""
    ordered = sorted(said, key=lambda s: s.patient)
    tables = {
        "patient": list(dict.fromkeys(s.patient for s in ordered)),
        "device": list(dict.fromkeys(s.device for s in ordered if s.device)),
        "signal": list(dict.fromkeys(s.signal for s in ordered)),
        "reason": list(dict.fromkeys(["", *(s.reason for s in ordered)])),
    }
    rows = np.zeros(len(ordered), ESTIMATE_ROW)
    for row, s in zip(rows, ordered, strict=True):
        for name, table in tables.items():
            word = getattr(s, name)
            row[name] = NO_DEVICE if name == "device" and not word else table.index(word)
        row["kind"], row["verdict"], row["status"] = s.kind, s.verdict, s.status
        about_observation = s.kind == Kind.VERDICT
        row["verdict"] = s.verdict if about_observation else Verdict.NONE
        row["value"] = s.mean if s.value is None else s.value
        row["measured_at"] = row["device_stamp"] = t0 + round(s.at * SECOND)
        row["received_at"] = row["measured_at"] + SECOND // 10
        row["as_of"] = t0 + round((s.at if s.as_of is None else s.as_of) * SECOND)
        row["mean"], row["std"], row["trend"], row["trend_std"] = (
            s.mean,
            s.std,
            s.trend,
            s.trend_std,
        )
        row["scale50"] = row["scale90"] = row["scale95"] = 1.0
    return EstimateBatch(
        "test",
        tuple(tables["patient"]),
        tuple(tables["device"]),
        tuple(tables["signal"]),
        tuple(tables["reason"]),
        rows,
    )


@dataclass(slots=True)
class MemoryHistory:
    """Series by patient and signal: (time ns, mean, std, raw value, device) rows, oldest first."""

    rows: dict[tuple[str, str], list[tuple[int, float, float, float, str]]] = field(
        default_factory=dict
    )
    counts: dict[str, int] = field(default_factory=dict)
    away: bool = False

    def series(
        self,
        patient: str,
        signal: str,
        start: int,
        end: int,
        points: int | None = None,
        after: str | None = None,
        limit: int = 20_000,
    ) -> Series:
        if self.away:
            raise HistoryUnavailable
        known = list(self.rows.get((patient, signal), ()))
        inside = [r for r in known if start <= r[0] < end and (after is None or r[0] > int(after))]
        page, cursor = inside, None
        if points is None and len(inside) > limit:
            page = inside[:limit]
            cursor = str(page[-1][0])
        time = np.array([r[0] for r in page], np.int64)
        mean, std, raw = (np.array([r[i] for r in page], np.float64) for i in (1, 2, 3))
        device = [r[4] for r in page]
        if points is None:
            return self._series("raw", time, mean, std, mean, mean, time, raw, device, cursor)
        bucket = (time - start) * points // (end - start)
        edges = np.flatnonzero(np.diff(bucket, prepend=-1))
        if not len(edges):
            return self._series("bucket", time, mean, std, mean, mean, time, raw, device, None)
        counts = np.diff(np.append(edges, len(time)))
        return self._series(
            "bucket",
            start + (bucket[edges] * 2 + 1) * (end - start) // (2 * points),
            np.add.reduceat(mean, edges) / counts,
            np.maximum.reduceat(std, edges),
            np.minimum.reduceat(mean, edges),
            np.maximum.reduceat(mean, edges),
            time[edges],
            raw[edges],
            [device[i] for i in edges],
            None,
        )

    def stored(self) -> Mapping[str, int]:
        if self.away:
            raise HistoryUnavailable
        return self.counts

    @staticmethod
    def _series(
        resolution: str,
        time: np.ndarray,
        mean: np.ndarray,
        std: np.ndarray,
        minimum: np.ndarray,
        maximum: np.ndarray,
        observed_at: np.ndarray,
        observed: np.ndarray,
        device: Sequence[str],
        cursor: str | None,
    ) -> Series:
        b = bands(mean, std)
        return Series(
            resolution, time, mean, b.lo50, b.hi50, b.lo95, b.hi95, minimum, maximum,
            observed_at, observed, device, cursor,
        )  # fmt: skip


@dataclass(slots=True)
class MemoryPeople:
    """Labels and bindings as a test sets them."""

    names: dict[str, str] = field(default_factory=dict)
    bound: list[Bound] = field(default_factory=list)

    def labels(self) -> Mapping[str, str]:
        return dict(self.names)

    def devices(self) -> Sequence[Bound]:
        return self.bound


@dataclass(slots=True)
class MemoryQuarantine:
    """Refused items as a test lists them, newest first."""

    refused: list[Refused] = field(default_factory=list)

    def summary(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for item in self.refused:
            counts[item.reason] = counts.get(item.reason, 0) + item.count
        return counts

    def by_device(self) -> Mapping[str, Mapping[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for item in self.refused:
            of = counts.setdefault(item.device, {})
            of[item.reason] = of.get(item.reason, 0) + item.count
        return counts

    def items(
        self, limit: int, reason: str | None = None, device: str | None = None
    ) -> Sequence[Refused]:
        return [
            item
            for item in self.refused
            if reason in (None, item.reason) and device in (None, item.device)
        ][:limit]
