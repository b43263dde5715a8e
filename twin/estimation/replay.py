"""Offline replay: a recording through the same bank, deterministic, one row for each observation.

No revisions, ticks or fine clock: each accepted or belated observation gives a row written after it
was taken in, in processing order; with forecasts, rows of the same state moved on follow it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import CODES, SIGNALS, declare
from ingest.instant import DAY, MINUTE
from ingest.recording import Recording, read_recording, recording_of
from twin.bands import Bands, bands, reach_of
from twin.estimate import Status, Verdict
from twin.estimation.ahead import FOLLOWED, USUAL_OF, UsualOf
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.device_errors import as_declared
from twin.estimation.events import Events, Updated
from twin.estimation.kalman import (
    E_DIVERGED,
    E_INTERVAL,
    E_MEAN,
    E_NIS,
    E_TREND,
    E_TREND_VAR,
    E_VAR,
    E_WEIGHT,
    STATE,
)
from twin.estimation.models import SPREAD2, ModelFile, base_model
from twin.estimation.names import Names
from twin.estimation.status import status_of, told_of

if TYPE_CHECKING:
    import pyarrow as pa

Order = Literal["measured", "received"]
COLUMNS = (
    "patient", "signal", "as_of", "horizon_s", "mean", "std", "lo95", "hi95", "lo90", "hi90",
    "lo50", "hi50", "trend", "trend_std", "nis", "weight", "status",
)  # fmt: skip
CHUNK = 50_000
_STATUS = {status.value: status.name.lower() for status in Status}


@dataclass(frozen=True, slots=True)
class Replayed:
    """Rows of a replay as an Arrow table with the columns `COLUMNS`, and what gave no row.

    state (slots, STATE) and keys (slots,) (patient, signal) are the bank at the end. taken (n,) are
    the recording's rows that gave rows, in the table's order (which has 1 + horizons rows of each).
    """

    table: pa.Table
    counts: Mapping[str, int]
    keys: Sequence[tuple[str, str]]
    state: NDArray[np.float64]
    taken: NDArray[np.int64]


def replay(
    recording: Any,
    *,
    model: ModelFile | None = None,
    order: Order = "measured",
    forecast: Sequence[float] = (),
    columns: Mapping[str, str] | None = None,
    time_column: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Replay a Recording, a pandas or Arrow table, or a CSV or Parquet file.

    forecast: horizons in seconds, each once; 0 is the estimate itself. Devices are as the model
    declares them (`device_errors.py`). columns and time_column as for `read_recording`. progress
    is told (observations done, of how many). Raises RecordingError, ValueError.
    """
    import pyarrow as pa

    if any(not 0 <= seconds < math.inf for seconds in forecast):
        raise ValueError(f"forecast: got {list(forecast)}, expected seconds ahead")
    forecast = [seconds for seconds in dict.fromkeys(forecast) if seconds]
    model = model or base_model()
    declare(model.declared)
    if isinstance(recording, (str, Path)):
        recording = read_recording(recording, columns, time_column)
    elif not isinstance(recording, Recording):
        recording = recording_of(recording, columns, time_column)
    recording = as_declared(recording, model)
    bank = Bank(model)
    counts: Counter[str] = Counter(recording.refused)
    chosen = _order(recording, order)
    refused = refusals(recording, chosen, bank)
    counts.update(refused.reasons)
    chosen = chosen[refused.usable]
    columns_of = _Columns(recording, bank)
    parts = []
    for start in range(0, len(chosen), CHUNK):
        parts.append(columns_of.rows(chosen[start : start + CHUNK], forecast, counts))
        if progress is not None:
            progress(min(start + CHUNK, len(chosen)), len(chosen))
    table = pa.concat_tables(parts) if parts else columns_of.rows(chosen, forecast, counts)
    slots = bank.known()
    a = bank.slots.of
    keys = [
        (bank.patients.text[p], CODES[s])
        for p, s in zip(a["patient"][slots], a["model"][slots], strict=True)
    ]
    taken = np.concatenate(columns_of.taken) if columns_of.taken else chosen
    return Replayed(table, dict(counts), keys, a["state"][slots], taken)


def _order(recording: Recording, order: Order) -> NDArray[np.int64]:
    keys: tuple[NDArray[np.int64], ...] = (np.arange(len(recording)), recording.received_at)
    if order == "measured":
        keys = (*keys, recording.measured_at)
    elif order != "received":
        raise ValueError(f"order: got {order!r}, expected measured or received")
    return np.lexsort(keys)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Which of the chosen rows (n,) the twin can use, and how many it cannot, by reason."""

    usable: NDArray[np.bool_]
    reasons: Mapping[str, int]


def refusals(recording: Recording, chosen: NDArray[np.int64], bank: Bank) -> Refusals:
    """What ingest or the bank would refuse: range, absurd stamp, no model."""
    known = list(SIGNALS.values())
    row = np.fromiter(map(SIGNAL_ROW.__getitem__, recording.signal), np.int64, len(recording))
    lower = np.array([signal.lower for signal in known])[row]
    upper = np.array([signal.upper for signal in known])[row]
    modelled = np.array([code in bank.model_file.signals for code in SIGNALS], bool)[row]
    ahead = recording.measured_at - recording.received_at
    tests = {
        "no_model": ~modelled,
        "value_out_of_range": ~((recording.value >= lower) & (recording.value <= upper)),
        "future": ahead > 5 * MINUTE,
        "ancient": ahead < -400 * DAY,
    }
    usable = np.ones(len(recording), bool)
    reasons = {}
    for reason, found in tests.items():
        reasons[reason] = int((found & usable).sum())
        usable &= ~found
    return Refusals(usable[chosen], {k: n for k, n in reasons.items() if n})


class _Columns:
    """The recording with the bank's numbers, and the rows made of what the bank said."""

    def __init__(self, recording: Recording, bank: Bank) -> None:
        devices = Names()
        self.recording, self.bank = recording, bank
        self.taken: list[NDArray[np.int64]] = []
        self.patient = np.array(bank.numbers_of(recording.patient), np.int64)
        self.device = np.array(devices.numbers_of(recording.device), np.int32)
        self.signal = np.array([SIGNAL_ROW[code] for code in recording.signal], np.int64)

    def rows(
        self, chosen: NDArray[np.int64], horizons: Sequence[float], counts: Counter[str]
    ) -> pa.Table:
        """Take the chosen observations in and return their rows."""
        recording, bank = self.recording, self.bank
        slot = bank.find(self.patient[chosen], self.signal[chosen])
        states = np.empty((len(chosen) if horizons else 0, FOLLOWED))
        events = Events(
            slot,
            recording.measured_at[chosen],
            recording.value[chosen],
            recording.noise_std[chosen],
            recording.quality[chosen],
            self.device[chosen],
        )
        updated = bank.update(events, states)
        for verdict in (Verdict.BELATED, Verdict.DUPLICATE, Verdict.CONFLICT):
            counts[verdict.name.lower()] += int((updated.verdict == verdict).sum())
        shown = np.flatnonzero(
            (updated.verdict == Verdict.ACCEPTED) | (updated.verdict == Verdict.BELATED)
        )
        counts["rows"] += len(shown)
        self.taken.append(chosen[shown])
        signal = self.signal[chosen].astype(np.int32)
        scales = np.ones((len(shown), 1 + len(horizons), 3))
        ahead = []
        usual = UsualOf.followed(states, updated.as_of[: len(states)])
        for place, seconds in enumerate(horizons, 1):
            scales[:, place] = bank.scales(states[shown, STATE:USUAL_OF], signal[shown], seconds)
            later, core = np.full(len(shown), float(seconds)), scales[:, place, 0].copy()
            mean, std = bank.project(states, shown, signal, later, core, usual)
            e, spread2 = updated.estimates[shown], bank.params[signal[shown], SPREAD2]
            # Of a diverged key nothing is claimed, but that people are like people.
            std = np.where(e[:, E_DIVERGED] == 1.0, np.sqrt(std**2 + spread2), std)
            ahead.append((seconds, mean, std))
        return self._table(chosen[shown], _shown(updated, shown), ahead, scales.reshape(-1, 3))

    def _bounded(
        self, chosen: NDArray[np.int64], each: int, mean: NDArray[np.float64], band: Bands
    ) -> tuple[NDArray[np.float64], Bands]:
        """No mean and no end of a band lies where the signal cannot be: saturation ends at 100."""
        lower, upper = reach_of(tuple(SIGNALS), np.repeat(self.signal[chosen], each))
        ends = {f.name: np.clip(getattr(band, f.name), lower, upper) for f in fields(Bands)}
        return np.clip(mean, lower, upper), Bands(**ends)

    def _table(
        self,
        chosen: NDArray[np.int64],
        updated: Updated,
        ahead: Sequence[tuple[float, NDArray[np.float64], NDArray[np.float64]]],
        scales: NDArray[np.float64],
    ) -> pa.Table:
        """Rows of the chosen observations: the estimate, then each horizon, observation by
        observation."""
        import pyarrow as pa

        e = updated.estimates
        expected = self.bank.expected_interval(self.signal[chosen], e[:, E_INTERVAL])
        aged = status_of(self.recording.received_at[chosen] - updated.as_of, expected)
        status = told_of(aged, e[:, E_DIVERGED])
        each = 1 + len(ahead)
        mean = np.stack([e[:, E_MEAN], *(m for _, m, _ in ahead)], axis=1).reshape(-1)
        std = np.stack([np.sqrt(e[:, E_VAR]), *(s for _, _, s in ahead)], axis=1).reshape(-1)
        mean, band = self._bounded(chosen, each, mean, bands(mean, std, *scales.T))
        now_only = np.arange(each) > 0
        blank = np.tile(now_only, len(chosen))
        belated = updated.verdict == Verdict.BELATED

        def repeated(values: NDArray[Any]) -> NDArray[Any]:
            return np.repeat(values, each)

        texts = pa.array([self.bank.patients.text[n] for n in self.patient[chosen]], pa.string())
        codes = pa.array([CODES[n] for n in self.signal[chosen]], pa.string())
        index = pa.array(repeated(np.arange(len(chosen))))
        words = pa.array([_STATUS[n] for n in status], pa.string())
        nis = np.where(belated, np.nan, e[:, E_NIS])
        columns = {
            "patient": texts.take(index),
            "signal": codes.take(index),
            "as_of": pa.array(repeated(updated.as_of), pa.timestamp("ns", tz="UTC")),
            "horizon_s": pa.array(np.tile([0.0, *(h for h, _, _ in ahead)], len(chosen))),
            "mean": pa.array(mean),
            "std": pa.array(std),
            "lo95": pa.array(band.lo95),
            "hi95": pa.array(band.hi95),
            "lo90": pa.array(band.lo90),
            "hi90": pa.array(band.hi90),
            "lo50": pa.array(band.lo50),
            "hi50": pa.array(band.hi50),
            "trend": _or_null(repeated(e[:, E_TREND]), blank),
            "trend_std": _or_null(repeated(np.sqrt(e[:, E_TREND_VAR])), blank),
            "nis": _or_null(repeated(nis), blank),
            "weight": _or_null(repeated(e[:, E_WEIGHT]), blank),
            "status": words.take(index),
        }
        return pa.table(columns)


def _shown(updated: Updated, shown: NDArray[np.int64]) -> Updated:
    return Updated(
        updated.verdict[shown],
        updated.as_of[shown],
        updated.estimates[shown],
        updated.revised_by,
        updated.revised_at,
        updated.revised,
    )


def _or_null(values: NDArray[np.float64], blank: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(values, mask=blank | np.isnan(values))
