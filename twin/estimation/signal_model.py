"""The constants of one signal's model, and what a model file may say of them.

A signal is a slow level m, an Ornstein–Uhlenbeck process around the population mean, plus a
deviation d with a damped velocity v, CAR(2) (docs/models.md). Whatever is refused here says where
in the file, what is there and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from twin.bands import Z50, Z90, Z95
from twin.toml_lines import Key, key_lines


class ModelError(ValueError):
    """A model file that cannot be used: where, what is there, what was expected."""

    def __init__(self, where: str, got: object, expected: str) -> None:
        super().__init__(f"{where}: got {got!r}, expected {expected}")
        self.where, self.got, self.expected = where, got, expected


class Places:
    """Where the keys of a model file stand; `wrong` makes the refusal of one."""

    def __init__(self, file: str, content: str = "") -> None:
        self._file, self._lines = file, key_lines(content)

    def wrong(self, key: Key, got: object, expected: str) -> ModelError:
        """A refusal of this key; of one that is not there, in the table where it should be."""
        known = (key[:n] for n in range(len(key), 0, -1) if key[:n] in self._lines)
        line = self._lines.get(next(known, ()), 0)
        place = f"{self._file}:{line}" if line else self._file
        return ModelError(f"{place}: {'.'.join(map(str, key))}", got, expected)


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
    of the delays by which a device is found to follow another (0: not looked for); shared_error:
    correlation of the errors of two devices of one person; trend_time: the time over which the
    trend is taken; expected_interval: between measurements of a usual device;
    usual_time: how fast a forecast returns to what is usual for the person at that hour (0: it does
    not); daily_swing: standard deviation among people of each half-swing of a daily rhythm (0: a
    fifth of the spread); heart_gain, heart_gain_std: of a signal that says how active a person is,
    what one unit of it does to the heart rate, mean and standard deviation among people (std 0:
    nothing is learnt of it);
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
    shared_error: float = 0.0
    trend_time: float = 900.0
    expected_interval: float = 0.0
    usual_time: float = 0.0
    daily_swing: float = 0.0
    heart_gain: float = 0.0
    heart_gain_std: float = 0.0
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

    def swing(self) -> float:
        """Standard deviation among people of the coefficients of a daily rhythm."""
        return min(self.daily_swing or 0.2 * self.spread, self.spread)

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
    "shared_error": (0.0, 1.0),
    "trend_time": (1.0, 1e7),
    "expected_interval": (0.0, 1e7),
    "usual_time": (0.0, 1e7),
    "daily_swing": (0.0, 1e6),
    "heart_gain": (-1e6, 1e6),
    "heart_gain_std": (0.0, 1e6),
}


def signal_model(places: Places, code: str, table: Any) -> SignalModel:
    """The model of a signal's table, validated. Raises ModelError."""
    key: Key = ("signal", code)
    if not isinstance(table, dict):
        raise places.wrong(key, table, "a table of constants")
    known = {field.name for field in fields(SignalModel)}
    for name in table:
        if name not in known:
            raise places.wrong((*key, name), name, f"one of {', '.join(sorted(known))}")
    for name in ("mean", "spread", "level_time", "deviation_time", "deviation_noise", "noise"):
        if name not in table:
            raise places.wrong((*key, name), None, "a number")
    if not isinstance(table.get("source"), str) or not table["source"]:
        raise places.wrong((*key, "source"), table.get("source"), "where the constants come from")
    for name, value in table.items():
        if name not in ("source", "calibration"):
            _check_number(places, (*key, name), value)
    calibration = _calibration(places, (*key, "calibration"), table.get("calibration", []))
    model = SignalModel(**{**table, "calibration": calibration})
    _check_stable(places, key, model)
    return model


def _check_number(places: Places, key: Key, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise places.wrong(key, value, "a number")
    lower, upper = ranges_of(str(key[-1]))
    if not lower <= value <= upper:
        raise places.wrong(key, value, f"{lower:g} to {upper:g}")
    if key[-1] in ("ring", "step_samples", "step_samples_several") and value != int(value):
        raise places.wrong(key, value, "a whole number")


def _calibration(
    places: Places, key: Key, rows: object
) -> tuple[tuple[float, float, float, float], ...]:
    """Rows of horizon (s) and three factors, horizons growing, bands in order."""
    expected = "rows [horizon in s, factor of the 50, 90, 95 % band], horizons growing"
    if not isinstance(rows, list):
        raise places.wrong(key, rows, expected)
    read: list[tuple[float, float, float, float]] = []
    for row in rows:
        if not (isinstance(row, list) and len(row) == 4 and all(map(_is_number, row))):
            raise places.wrong(key, row, expected)
        horizon, *factors = map(float, row)
        if horizon <= (read[-1][0] if read else 0.0):
            raise places.wrong(key, row, expected)
        widths = [z * factor for z, factor in zip((Z50, Z90, Z95), factors, strict=True)]
        if not 0.01 <= widths[0] < widths[1] < widths[2] <= 100:
            raise places.wrong(key, row, "factors that keep the 50, 90 and 95 % bands in order")
        read.append((horizon, factors[0], factors[1], factors[2]))
    return tuple(read)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_stable(places: Places, key: Key, model: SignalModel) -> None:
    """A deviation that some noise moves, whose time constants are apart, and that stays finite."""
    ratio = model.velocity_time / model.deviation_time
    if model.velocity_time and 1 / 1.2 < ratio < 1.2:
        expected = "0, or a fifth away from deviation_time at least"
        raise places.wrong((*key, "velocity_time"), model.velocity_time, expected)
    if model.deviation_noise == 0 and (model.velocity_noise == 0 or model.velocity_time == 0):
        raise places.wrong((*key, "deviation_noise"), 0, "some noise, of deviation or velocity")
    if not 0 < model.stationary()[0] < 1e18:
        name = "velocity_noise" if model.velocity_noise else "deviation_noise"
        expected = "a noise whose deviation at rest has a standard deviation of at most 1e9"
        raise places.wrong((*key, name), getattr(model, name), expected)


def ranges_of(name: str) -> tuple[float, float]:
    """Least and largest value that a model file may give a constant."""
    return _RANGES.get(name, (-1e9, 1e9))
