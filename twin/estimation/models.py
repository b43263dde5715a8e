"""Transition and observation models: what a signal does between two stamps, declared in a file.

A signal is a slow level m, an Ornstein–Uhlenbeck process around the population mean, plus a
deviation d with a damped velocity v, CAR(2) (docs/models.md):

    m' = −(m − mean)/tm + white noise        d' = −d/tg + v + white noise ql
    v' = −v/tv + white noise q               z  = m + d + measurement noise

tv = 0 makes d an Ornstein–Uhlenbeck process. All constants come from a versioned TOML file.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from twin.estimate import Z50, Z90, Z95

#: Columns of the parameter table that the kernel reads, one row a signal.
(
    MEAN,
    SPREAD2,
    LEVEL_TIME,
    DEVIATION_TIME,
    VELOCITY_TIME,
    DEVIATION_NOISE,
    VELOCITY_NOISE,
    NOISE2,
    QUANTISATION2,
    ROBUST2,
    GATE,
    STEP_SAMPLES,
    STEP_SAMPLES_SEVERAL,
    TREND_TIME,
    HORIZON,
    VAR_D,
    COV_DV,
    VAR_V,
    PER_MINUTE,
    WANDER,
    EXPECTED,
    JUMP,
    JUMP_RATE,
    STEP_DISTANCE,
    MOTION,
    LAG_TIME,
    HALF_WIDTH,
) = range(27)
#: Horizons (s) at which a person's bands are tracked; from HALF_WIDTH on the three bands of each.
TRACKED = (60.0, 1800.0)
PARAMETERS = HALF_WIDTH + 3 * len(TRACKED)


class ModelError(ValueError):
    """A model file that cannot be used: where, what is there, what was expected."""

    def __init__(self, where: str, got: object, expected: str) -> None:
        super().__init__(f"{where}: got {got!r}, expected {expected}")
        self.where, self.got, self.expected = where, got, expected


@dataclass(frozen=True, slots=True)
class SignalModel:
    """Constants of one signal, in its canonical unit and seconds.

    mean, spread: population mean and standard deviation of the slow level; level_time: its time
    constant; deviation_time tg, velocity_time tv (0, ≤ tg/1.2 or ≥ 1.2 tg), deviation_noise ql
    (unit²/s), velocity_noise q (unit²/s³): the CAR(2) block; noise: of a measurement, as a standard
    deviation;
    ring: how many newest measurements stay re-orderable; robust: scale c of the IMQ weight;
    gate: nis from which a measurement may be the start of a true step; step_samples,
    step_samples_several: so many mutually consistent ones make it one, with one and with several
    devices (with several a sample and half a second for each step_distance, 0: 2 noise); jump: from
    one value of a device to its next what a person does not do at once (0: 6 (noise + wander));
    motion: how much of an outlier that came smoothly becomes variance of the velocity; lag_time:
    of the delays by which a device is found to follow another (0: not looked for); trend_time: the
    time over which the trend is taken; expected_interval: between measurements of a usual device;
    calibration: rows of a horizon (s) and factors on the 50, 90
    and 95 % bands of a forecast so far ahead (`scales`); source: where the numbers come from.
    """

    mean: float
    spread: float
    level_time: float
    deviation_time: float
    deviation_noise: float
    noise: float
    source: str
    velocity_time: float = 0.0
    velocity_noise: float = 0.0
    ring: int = 16
    robust: float = 1.5
    gate: float = 9.0
    step_samples: int = 3
    step_samples_several: int = 8
    jump: float = 0.0
    step_distance: float = 0.0
    motion: float = 0.0
    lag_time: float = 0.0
    trend_time: float = 900.0
    expected_interval: float = 0.0
    calibration: tuple[tuple[float, float, float, float], ...] = ()

    def scales(self, horizon: float) -> tuple[float, float, float]:
        """Factors on the half-widths of the 50, 90 and 95 % bands of a forecast, horizon in s.

        Linear in the horizon from 1 at 0 to the first declared, linear in its logarithm between
        declared ones, the last one's beyond.
        """
        before = (0.0, 1.0, 1.0, 1.0)
        for after in self.calibration:
            if horizon <= after[0]:
                part = _part(horizon, before[0], after[0])
                a, b, c = (x + part * (y - x) for x, y in zip(before[1:], after[1:], strict=True))
                return a, b, c
            before = after
        return before[1:]

    def wander(self) -> float:
        """Variance of mean − smoothed mean of a person at rest (docs/models.md, trend)."""
        return self.stationary()[0] * self.trend_time / (self.deviation_time + self.trend_time)

    def jumps(self) -> float:
        """A change from one value to the next that no person makes at once."""
        return self.jump or 6.0 * (self.noise + math.sqrt(self.stationary()[0]))

    def stationary(self) -> tuple[float, float, float]:
        """(var d, cov d v, var v) of the CAR(2) block at rest."""
        tg, tv, q = self.deviation_time, self.velocity_time, self.velocity_noise
        var_d = 0.5 * self.deviation_noise * tg
        if tv == 0:
            return var_d, 0.0, 0.0
        k = 1.0 / (1.0 / tg - 1.0 / tv)
        mixed = 1.0 / (1.0 / tg + 1.0 / tv)
        var_d += q * k * k * (0.5 * tv - 2.0 * mixed + 0.5 * tg)
        return var_d, q * k * (0.5 * tv - mixed), 0.5 * q * tv


def _part(horizon: float, before: float, after: float) -> float:
    if before == 0:
        return horizon / after
    return math.log(horizon / before) / math.log(after / before)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A validated model file. version is name-version+hash of the content, the tag of estimates."""

    version: str
    content: str
    signals: Mapping[str, SignalModel]

    @property
    def codes(self) -> tuple[str, ...]:
        """Signal codes in the order of the parameter table's rows."""
        return tuple(self.signals)

    def table(self) -> NDArray[np.float64]:
        """(signals, PARAMETERS) for the kernel; variances where the name says 2; HORIZON in ns.

        VAR_D, COV_DV, VAR_V: stationary covariance of (d, v). WANDER: variance of mean − lag of a
        person at rest (docs/models.md, trend). PER_MINUTE: of a difference over the trend time.
        """
        table = np.zeros((len(self.signals), PARAMETERS))
        for row, (code, model) in enumerate(self.signals.items()):
            interval = model.expected_interval or SIGNALS[code].expected_interval_s
            table[row] = (
                model.mean,
                model.spread**2,
                model.level_time,
                model.deviation_time,
                model.velocity_time,
                model.deviation_noise,
                model.velocity_noise,
                model.noise**2,
                SIGNALS[code].resolution ** 2 / 12,
                model.robust**2,
                model.gate,
                model.step_samples,
                model.step_samples_several,
                model.trend_time,
                2 * model.ring * interval * SECOND,
                *model.stationary(),
                60.0 / model.trend_time,
                model.wander(),
                interval,
                model.jumps(),
                model.jumps() / 10.0,
                model.step_distance or 2.0 * model.noise,
                model.motion,
                model.lag_time,
                *(
                    z * scale
                    for horizon in TRACKED
                    for z, scale in zip((Z50, Z90, Z95), model.scales(horizon), strict=True)
                ),
            )
        return table


_RANGES: Mapping[str, tuple[float, float]] = {
    "spread": (1e-6, 1e6),
    "level_time": (1.0, 1e9),
    "deviation_time": (0.1, 1e8),
    "velocity_time": (0.0, 1e8),
    "deviation_noise": (0.0, 1e9),
    "velocity_noise": (0.0, 1e9),
    "noise": (1e-6, 1e6),
    "ring": (2, 64),
    "robust": (0.1, 1e9),
    "gate": (0.1, 1e12),
    "step_samples": (1, 1000),
    "step_samples_several": (1, 1000),
    "jump": (0.0, 1e9),
    "step_distance": (0.0, 1e9),
    "motion": (0.0, 1.0),
    "lag_time": (0.0, 1e6),
    "trend_time": (1.0, 1e7),
    "expected_interval": (0.0, 1e7),
}


def base_model() -> ModelFile:
    """The model that ships with the code."""
    return parse_model(files("twin.estimation").joinpath("base.toml").read_text("utf-8"))


def parse_model(content: str, where: str = "base.toml") -> ModelFile:
    """A model file's text, validated. Raises ModelError naming table and key."""
    try:
        read = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(where, str(error), "TOML") from error
    for key in ("name", "version"):
        if not isinstance(read.get(key), str):
            raise ModelError(f"{where}: {key}", read.get(key), "a string")
    tables = read.get("signal")
    if not isinstance(tables, dict) or not tables:
        raise ModelError(f"{where}: signal", tables, "a table for each signal")
    signals = {code: _signal(f"{where}: signal.{code}", code, tables[code]) for code in tables}
    digest = blake2b(content.encode(), digest_size=4).hexdigest()
    return ModelFile(f"{read['name']}-{read['version']}+{digest}", content, signals)


def _signal(where: str, code: str, table: Any) -> SignalModel:
    if code not in SIGNALS:
        raise ModelError(where, code, f"one of {', '.join(SIGNALS)}")
    if not isinstance(table, dict):
        raise ModelError(where, table, "a table of constants")
    known = {field.name for field in fields(SignalModel)}
    for key in table:
        if key not in known:
            raise ModelError(f"{where}.{key}", key, f"one of {', '.join(sorted(known))}")
    for key in ("mean", "spread", "level_time", "deviation_time", "deviation_noise", "noise"):
        if key not in table:
            raise ModelError(f"{where}.{key}", None, "a number")
    if not isinstance(table.get("source"), str) or not table["source"]:
        raise ModelError(f"{where}.source", table.get("source"), "where the constants come from")
    for key, value in table.items():
        if key not in ("source", "calibration"):
            _check_number(f"{where}.{key}", key, value)
    calibration = _calibration(f"{where}.calibration", table.get("calibration", []))
    model = SignalModel(**{**table, "calibration": calibration})
    _check_stable(where, model)
    return model


def _check_number(where: str, key: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise ModelError(where, value, "a number")
    lower, upper = _RANGES.get(key, (-1e9, 1e9))
    if not lower <= value <= upper:
        raise ModelError(where, value, f"{lower:g} to {upper:g}")
    if key in ("ring", "step_samples", "step_samples_several") and value != int(value):
        raise ModelError(where, value, "a whole number")


def _calibration(where: str, rows: object) -> tuple[tuple[float, float, float, float], ...]:
    """Rows of horizon (s) and three factors, horizons growing, bands in order."""
    expected = "rows [horizon in s, factor of the 50, 90, 95 % band], horizons growing"
    if not isinstance(rows, list):
        raise ModelError(where, rows, expected)
    read: list[tuple[float, float, float, float]] = []
    for row in rows:
        if not (isinstance(row, list) and len(row) == 4 and all(map(_is_number, row))):
            raise ModelError(where, row, expected)
        horizon, *factors = map(float, row)
        if horizon <= (read[-1][0] if read else 0.0):
            raise ModelError(where, row, expected)
        widths = [z * factor for z, factor in zip((Z50, Z90, Z95), factors, strict=True)]
        if not 0.01 <= widths[0] < widths[1] < widths[2] <= 100:
            raise ModelError(where, row, "factors that keep the 50, 90 and 95 % bands in order")
        read.append((horizon, factors[0], factors[1], factors[2]))
    return tuple(read)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_stable(where: str, model: SignalModel) -> None:
    ratio = model.velocity_time / model.deviation_time
    if model.velocity_time and 1 / 1.2 < ratio < 1.2:
        raise ModelError(
            f"{where}.velocity_time",
            model.velocity_time,
            "0, or a fifth away from deviation_time at least",
        )
    if model.deviation_noise == 0 and (model.velocity_noise == 0 or model.velocity_time == 0):
        raise ModelError(f"{where}.deviation_noise", 0, "some noise, of deviation or velocity")
