"""What the twin is compared with, on the same readings in the same run.

Persistence: the last value that the twin was given stays. Raw device: the last value of one device
stays. Plain Kalman: the same model without robust weight and re-acquisition. Random walk: a local
level filtered by filterpy, the textbook's first choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from ingest.recording import Recording
from twin.estimation.models import ModelFile
from twin.estimation.pairing import Key, Readings, Track, rows_of

_NEVER_ROBUST, _NEVER_GATED = 1e9, 1e12
_MOST_DEVICES = 6


def plain(model: ModelFile) -> ModelFile:
    """The model with the robust weight and the gate switched off."""
    signals = {
        code: replace(signal, robust=_NEVER_ROBUST, gate=_NEVER_GATED)
        for code, signal in model.signals.items()
    }
    return replace(model, version=f"{model.version}-plain", signals=signals)


def device_label(device: str, patient: str) -> str:
    """The device without the person's name, as which a file that names no device calls it."""
    if device == patient:
        return "device"
    return device.removeprefix(f"{patient}-") or "device"


def raw_devices(
    recording: Recording, taken: NDArray[np.int64], signal: str
) -> Mapping[str, Mapping[Key, Readings]]:
    """Label → key → readings of each device of the signal; no more than six labels are told apart.

    Empty where every person has one device only: that is persistence.
    """
    by_label: dict[str, dict[Key, list[int]]] = {}
    for key, places in rows_of(recording, taken).items():
        for row in taken[places].tolist() if key[1] == signal else ():
            label = device_label(recording.device[row], key[0])
            by_label.setdefault(label, {}).setdefault(key, []).append(row)
    if not 2 <= len(by_label) <= _MOST_DEVICES:
        return {}
    return {
        label: {key: _by_stamp(recording, np.array(rows)) for key, rows in keys.items()}
        for label, keys in sorted(by_label.items())
    }


def _by_stamp(recording: Recording, rows: NDArray[np.int64]) -> Readings:
    rows = rows[np.argsort(recording.measured_at[rows], kind="stable")]
    return Readings(recording.measured_at[rows], recording.value[rows])


def moments(given: Readings, least: float) -> tuple[float, float]:
    """(variance of a measurement, variance per second of the walk) of a local level's readings.

    Method of moments on the differences of neighbours: their lag-1 covariance is −R, their variance
    2R + q·Δ (Harvey 1989, Forecasting, Structural Time Series Models, 2.4). least: R is not lower.
    """
    if len(given.at) < 4:
        return least, least
    step = np.diff(given.value)
    seconds = max(float(np.mean(np.diff(given.at))) / SECOND, 1e-9)
    variance, neighbours = float(np.mean(step**2)), float(np.mean(step[1:] * step[:-1]))
    noise = min(max(-neighbours, least), max(variance / 2, least))
    return noise, max(variance - 2 * noise, 1e-3 * least) / seconds


def random_walk(given: Readings, signal: str, horizons: list[float]) -> Track:
    """A filterpy Kalman filter of one state over the readings of a key, forecasts at each stamp.

    Both its variances are fitted on this very recording, which favours it. Bands are left out.
    """
    from filterpy.kalman import KalmanFilter

    stamp, first = np.unique(given.at, return_index=True)
    given = Readings(stamp, given.value[first])
    noise, walk = moments(given, SIGNALS[signal].resolution ** 2 / 12 or 1e-6)
    kalman = KalmanFilter(dim_x=1, dim_z=1)
    kalman.F = kalman.H = np.eye(1)
    kalman.R = np.array([[noise]])
    kalman.x, kalman.P = given.value[:1].reshape(1, 1).copy(), np.array([[noise]])
    mean, variance = np.empty(len(stamp)), np.empty(len(stamp))
    seconds = np.diff(stamp, prepend=stamp[:1]) / SECOND
    for n, value in enumerate(given.value):
        if n:
            kalman.predict(Q=np.array([[walk * seconds[n]]]))
            kalman.update(np.array([[value]]))
        mean[n], variance[n] = kalman.x[0, 0], kalman.P[0, 0]
    ahead = np.array([0.0, *horizons])
    std = np.sqrt(variance[:, None] + walk * ahead)
    none = np.empty((len(stamp), len(ahead), 0))
    return Track(stamp, np.repeat(mean[:, None], len(ahead), axis=1), std, none, none)
