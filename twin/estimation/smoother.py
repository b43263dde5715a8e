"""History as it looks afterwards: Rauch–Tung–Striebel smoothing of one signal of one patient.

The kernel filters the measurements in order, with its robust weights, steps and delays; filterpy
smooths its states backwards with the same F and Q. Where the kernel did more than weigh a
measurement, that counts as process noise of the step before it: a widened state (a body in motion)
by the excess of its covariance, a true step by a deviation that begins anew. So nothing later
smooths over a step, and the smoothed variance is nowhere above the filtered one. On demand only;
nothing live depends on it.

Rauch, Tung, Striebel: Maximum likelihood estimates of linear dynamic systems. AIAA J. 3, 1445
(1965).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.instant import SECOND
from ingest.recording import Recording
from twin.estimate import Verdict
from twin.estimation.ahead import FOLLOWED
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.events import Events
from twin.estimation.kalman import DISCRETE, PDD, PDV, PMD, PMM, PMV, PVV, D, M, V, discretise
from twin.estimation.models import DEVIATION_TIME, MEAN, VAR_D, VAR_V, VELOCITY_TIME, ModelFile
from twin.estimation.names import Names
from twin.estimation.replay import refusals

#: So many states at most in one go (filterpy takes some 30 µs for each).
MOST_STATES = 50_000
#: What a deviation that begins anew adds, in stationary variances: nothing is told across it.
_ANEW = 1e4
_COVARIANCE = [[PMM, PMD, PMV], [PMD, PDD, PDV], [PMV, PDV, PVV]]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Smoothed:
    """n stamps (ns UTC, each once); mean and std of the true value there, in the signal's unit:
    from all measurements, and as the filter had them at the time."""

    at: NDArray[np.int64]
    mean: Numbers
    std: Numbers
    filtered_mean: Numbers
    filtered_std: Numbers


def transition(params: Numbers, row: int, seconds: float) -> tuple[Numbers, Numbers]:
    """F and Q (3, 3) of a step of so many seconds, as the kernel takes them; state (m, d, v)."""
    out = np.zeros((len(params), DISCRETE))
    discretise(params, np.int64(row), float(seconds), out, np.int64(row))
    fm, qm, a, k, b, q00, q01, q11, _ = out[row]
    F = np.array([[fm, 0.0, 0.0], [0.0, a, k], [0.0, 0.0, b]])
    return F, np.array([[qm, 0.0, 0.0], [0.0, q00, q01], [0.0, q01, q11]])


def smooth(recording: Recording, start: int, end: int, model: ModelFile) -> Smoothed:
    """Smoothed history of [start, end), ns UTC; the recording is of one patient and signal.

    Measurements before `start` are filtered, some after `end` (three time constants) are used.
    Raises ValueError: several patients or signals, nothing to smooth, or too much of it.
    """
    keys = set(zip(recording.patient, recording.signal, strict=True))
    if len(keys) > 1:
        raise ValueError("expected the recording of one patient and signal")
    bank = Bank(model)
    read = _filtered(recording, bank, start, end)
    stamps, row = read.stamps, read.row
    inside = int(np.searchsorted(stamps, end))
    if not inside:
        raise ValueError("no measurement that the twin accepts in this interval")
    dimensions = 3 if bank.params[row, VELOCITY_TIME] > 0 else 2
    level = float(bank.params[row, MEAN])
    x, P = _gaussians(read.states, level, dimensions)
    x_s, P_s = _backwards(x, P, read, bank.params)
    return Smoothed(
        stamps[:inside],
        *(part[:inside] for part in _values(x_s, P_s, level)),
        *(part[:inside] for part in _values(x, P, level)),
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """stamps (n,) from the start on, each once; the kernel's states after them; lowest and highest
    measurement of each stamp; row of the signal."""

    stamps: NDArray[np.int64]
    states: Numbers
    lowest: Numbers
    highest: Numbers
    row: int


def _filtered(recording: Recording, bank: Bank, start: int, end: int) -> _Read:
    order = np.lexsort((np.arange(len(recording)), recording.received_at, recording.measured_at))
    order = order[refusals(recording, order, bank).usable]
    if not len(order):
        return _Read(np.zeros(0, np.int64), np.zeros((0, FOLLOWED)), np.zeros(0), np.zeros(0), 0)
    row = SIGNAL_ROW[recording.signal[order[0]]]
    times = bank.params[row, [DEVIATION_TIME, VELOCITY_TIME]]
    order = order[recording.measured_at[order] < end + int(3 * times.max() * SECOND)]
    devices = Names()
    n = len(order)
    patient = np.full(n, bank.number_of(recording.patient[0]), np.int64)
    states = np.empty((n, FOLLOWED))
    events = Events(
        bank.find(patient, np.full(n, row, np.int64)),
        recording.measured_at[order],
        recording.value[order],
        recording.noise_std[order],
        recording.quality[order],
        np.array([devices.number(recording.device[i]) for i in order], np.int32),
    )
    accepted = bank.update(events, states).verdict == Verdict.ACCEPTED
    stamps = events.stamp
    chosen = np.flatnonzero(accepted & (stamps >= start))
    first = np.flatnonzero(np.diff(stamps[chosen], prepend=stamps[chosen][:1] - 1))
    if len(first) > MOST_STATES:
        raise ValueError(f"{len(first)} measurements, expected at most {MOST_STATES}")
    if not len(first):
        return _Read(stamps[:0], states[:0], np.zeros(0), np.zeros(0), row)
    value = events.value[chosen]
    lowest, highest = np.minimum.reduceat(value, first), np.maximum.reduceat(value, first)
    last = chosen[np.append(first[1:], len(chosen)) - 1]
    return _Read(stamps[last], states[last], lowest, highest, row)


def _gaussians(states: Numbers, level: float, dimensions: int) -> tuple[Numbers, Numbers]:
    """Means (n, d), of the level as departure from the population's, and covariances (n, d, d)."""
    x = states[:, [M, D, V][:dimensions]].copy()
    x[:, 0] -= level
    columns = np.array(_COVARIANCE)[:dimensions, :dimensions]
    return x, states[:, columns]


def _backwards(x: Numbers, P: Numbers, read: _Read, params: Numbers) -> tuple[Numbers, Numbers]:
    from filterpy.kalman import KalmanFilter

    n, dimensions = x.shape
    F, Q = np.zeros((n, dimensions, dimensions)), np.zeros((n, dimensions, dimensions))
    for i, seconds in enumerate(np.diff(read.stamps) / SECOND, 1):
        step = transition(params, read.row, seconds)
        F[i], Q[i] = (part[:dimensions, :dimensions] for part in step)
    ahead = F[1:] @ P[:-1] @ F[1:].swapaxes(1, 2) + Q[1:]
    anew = _anew((F[1:] @ x[:-1, :, None])[:, :, 0], ahead, x[1:], P[1:], read, params)
    Q[1:] += _excess(P[1:] - ahead)
    for place, column in enumerate((VAR_D, VAR_V)[: dimensions - 1], 1):
        Q[1:, place, place] += anew * _ANEW * params[read.row, column]
    engine: Any = KalmanFilter(dim_x=dimensions, dim_z=1)
    x_s, P_s, _, _ = engine.rts_smoother(x, P, list(F), list(Q))
    return x_s, P_s


def _anew(
    x: Numbers, P: Numbers, x_after: Numbers, P_after: Numbers, read: _Read, params: Numbers
) -> NDArray[np.bool_]:
    """(n − 1,) where no weighing of the measurements explains how far the update moved the mean.

    A weighed update that takes h'Ph down by c moves the mean by c/h'Ph of the innovation.
    """
    h = np.array([1.0, 1.0, 0.0])[: x.shape[1]]
    var, left = (h @ each @ h for each in (P, P_after))
    gain = np.clip((var - left) / np.maximum(var, 1e-12), 0.0, 1.0)
    before = params[read.row, MEAN] + x @ h
    moved = (x_after - x) @ h
    low, high = (gain * (edge[1:] - before) for edge in (read.lowest, read.highest))
    tolerance = 0.1 * np.sqrt(np.maximum(left, 0.0)) + 1e-6
    return np.asarray((moved < low - tolerance) | (moved > high + tolerance))


def _excess(more: Numbers) -> Numbers:
    """The positive part (n, d, d) of symmetric matrices: what no measurement can have added."""
    values, vectors = np.linalg.eigh(more)
    kept = np.maximum(values, 0.0)
    return np.asarray((vectors * kept[:, None, :]) @ vectors.swapaxes(1, 2), np.float64)


def _values(x: Numbers, P: Numbers, level: float) -> tuple[Numbers, Numbers]:
    """Mean and std (n,) of m + d."""
    var = P[:, 0, 0] + 2.0 * P[:, 0, 1] + P[:, 1, 1]
    return level + x[:, 0] + x[:, 1], np.sqrt(np.maximum(var, 0.0))
