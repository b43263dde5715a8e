"""The newest forecast of every patient and signal: a fold of the estimates journal, and its bodies.

The chance of a limit is worked out here, with the limits that are in force when somebody asks. It
is said, drawn and listed; it never sounds and calls nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ingest.catalogue import SIGNALS, Signal
from ingest.instant import SECOND, format_instant
from twin.bands import bands
from twin.bytewise import readable
from twin.care.board import Board
from twin.care.latest_kernel import says
from twin.care.limits import limits_in_force
from twin.estimate import EstimateBatch, Status
from twin.forecast import chance_below
from twin.forecast_row import HORIZONS, WIDE_ROW
from twin.judgement import Priority

#: Of two limits on one side the nearer one is forecast, whichever priority it is of.
_PRIORITIES = (Priority.MEDIUM.value, Priority.HIGH.value)


class ForecastBody(msgspec.Struct, frozen=True):
    """What a signal's true value will be at `time`, horizon_s after as_of, in its unit.

    Bands are calibrated for the person and end where the signal does. limit_low, limit_high: the
    limits in force that would be crossed first (null: none, or alarms are off); p_below, p_above:
    probability of a value beyond each.
    """

    horizon_s: int
    as_of: str
    time: str
    mean: float
    std: float
    lo50: float
    hi50: float
    lo90: float
    hi90: float
    lo95: float
    hi95: float
    limit_low: float | None
    limit_high: float | None
    p_below: float | None
    p_above: float | None


class ForecastsState(msgspec.Struct, frozen=True, array_like=True):
    """As it is saved; rows are WIDE_ROWs in the order of `keys`."""

    layout: str = ""
    keys: list[tuple[str, str]] = []
    rows: bytes = b""


class Forecasts:
    """Not safe for several threads; its owner locks."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, np.void]] = {}
        self._changed: set[str] = set()

    def fold(self, batch: EstimateBatch) -> None:
        """Take in one batch. A forecast from an older stamp never replaces a newer one; of a key
        that has diverged there is none."""
        if says(readable(batch.rows), int(Status.DIVERGED)):
            self._forget(batch)
        for row in batch.forecasts:
            code = batch.signals[row["signal"]]
            if code not in SIGNALS:
                continue
            patient = batch.patients[row["patient"]]
            mine = self._rows.setdefault(patient, {})
            if code not in mine or mine[code]["as_of"] <= row["as_of"]:
                mine[code] = row.copy()  # else it would hold all rows that came with it
                self._changed.add(patient)

    def _forget(self, batch: EstimateBatch) -> None:
        for row in batch.rows[batch.rows["status"] == Status.DIVERGED]:
            patient, code = batch.patients[row["patient"]], batch.signals[row["signal"]]
            if self._rows.get(patient, {}).pop(code, None) is not None:
                self._changed.add(patient)

    def of(self, patient: str) -> Mapping[str, np.void]:
        """code → newest forecast (WIDE_ROW) of one patient."""
        return dict(self._rows.get(patient, {}))

    def take_changed(self) -> set[str]:
        """Patients with a new forecast since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def state(self) -> ForecastsState:
        keys = [(patient, code) for patient, mine in self._rows.items() for code in mine]
        rows = np.array([self._rows[patient][code] for patient, code in keys], WIDE_ROW)
        return ForecastsState(str(WIDE_ROW.descr), keys, rows.tobytes())

    @classmethod
    def of_state(cls, state: ForecastsState) -> Forecasts:
        """What was saved; of another layout nothing: forecasts come again within a minute."""
        made = cls()
        if state.layout == str(WIDE_ROW.descr):
            rows = np.frombuffer(state.rows, WIDE_ROW)
            for (patient, code), row in zip(state.keys, rows, strict=True):
                made._rows.setdefault(patient, {})[code] = row
        return made


Bodies = Mapping[str, Sequence[ForecastBody]]


def bodies_of(forecasts: Mapping[str, np.void], board: Board, patient: str) -> Bodies:
    """code → forecasts by horizon, in the catalogue's order, with the limits now in force."""
    on = board.switched is not None and board.switched.alarms
    rules = limits_in_force(board, patient)[0] if on and forecasts else {}
    made = {}
    for code, signal in SIGNALS.items():
        if code in forecasts:
            own = [rules[code, p] for p in _PRIORITIES if (code, p) in rules]
            low = max((rule.low for rule in own if rule.low == rule.low), default=np.nan)
            high = min((rule.high for rule in own if rule.high == rule.high), default=np.nan)
            made[code] = _bodies(forecasts[code], signal, low, high)
    return made


def _bodies(row: np.void, signal: Signal, low: float, high: float) -> Sequence[ForecastBody]:
    mean, std = row["mean"], row["std"]
    scales = np.stack([row["scale50"], row["scale90"], row["scale95"]], axis=1).astype(np.float64)
    band = bands(mean, std, *scales.T)
    below = chance_below(low, mean, std, scales)
    above = 1.0 - chance_below(high, mean, std, scales)
    inside = [
        np.clip(numbers, signal.lower, signal.upper)
        for numbers in (mean, band.lo50, band.hi50, band.lo90, band.hi90, band.lo95, band.hi95)
    ]
    as_of = int(row["as_of"])
    return [
        ForecastBody(
            seconds,
            format_instant(as_of),
            format_instant(as_of + seconds * SECOND),
            float(inside[0][i]),
            float(std[i]),
            *(float(numbers[i]) for numbers in inside[1:]),
            *(_said(number) for number in (low, high, below[i], above[i])),
        )
        for i, seconds in enumerate(HORIZONS)
        if mean[i] == mean[i]
    ]


def _said(number: Any) -> float | None:
    return float(number) if number == number else None
