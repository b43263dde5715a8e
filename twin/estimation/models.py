"""Transition and observation models: what a signal does between two stamps, declared in a file.

A signal is a slow level m, an Ornstein–Uhlenbeck process around the population mean, plus a
deviation d with a damped velocity v, CAR(2) (docs/models.md):

    m' = −(m − mean)/tm + white noise        d' = −d/tg + v + white noise ql
    v' = −v/tv + white noise q               z  = m + d + measurement noise

tv = 0 makes d an Ornstein–Uhlenbeck process. All constants come from a versioned TOML file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS, Signal
from ingest.declared import DeclarationWrong, declared_signals
from ingest.instant import SECOND
from ingest.toml_text import toml_of
from twin.bands import Z50, Z90, Z95
from twin.estimation.device_tables import DeviceTable, device_tables
from twin.estimation.signal_model import ModelError as ModelError
from twin.estimation.signal_model import Places, SignalModel, signal_model

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
    OVER_ROBUST2,
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
    CEILING,
    UPPER,
    USUAL_TIME,
    DAILY_SWING2,
    SHARED,
    HALF_WIDTH,
) = range(32)
#: Horizons (s) at which a person's bands are tracked; from HALF_WIDTH on the three bands of each.
TRACKED = (60.0, 1800.0)
PARAMETERS = HALF_WIDTH + 3 * len(TRACKED)


#: A ceiling that nothing comes near.
_NOWHERE = 1e12


def ceiling_of(signal: Signal) -> float:
    """Where the distribution is cut off: a share in per cent reads as its upper limit up to half a
    digit above it. Other signals have no end that people come near."""
    return signal.upper + signal.resolution / 2 if signal.unit == "%" else _NOWHERE


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A validated model file. version is name-version+hash of the content, the tag of estimates.

    declared: signals that the file itself puts into the catalogue (`ingest.catalogue.declare`).
    devices: what it says of the devices of recordings (`device_errors.py`).
    """

    version: str
    content: str
    signals: Mapping[str, SignalModel]
    declared: tuple[Signal, ...] = ()
    devices: tuple[DeviceTable, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Signal codes in the order of the parameter table's rows."""
        return tuple(self.signals)

    def table(self) -> NDArray[np.float64]:
        """(signals, PARAMETERS) for the kernel; variances where the name says 2; HORIZON in ns.

        VAR_D, COV_DV, VAR_V: stationary covariance of (d, v). WANDER: variance of mean − lag of a
        person at rest (docs/models.md, trend). PER_MINUTE: of a difference over the trend time.
        OVER_ROBUST2: 1/c².
        """
        table = np.zeros((len(self.signals), PARAMETERS))
        catalogue = {**SIGNALS, **{signal.code: signal for signal in self.declared}}
        for row, (code, model) in enumerate(self.signals.items()):
            interval = model.expected_interval or catalogue[code].expected_interval_s
            table[row] = (
                model.mean,
                model.spread**2,
                model.level_time,
                model.deviation_time,
                model.velocity_time,
                model.deviation_noise,
                model.velocity_noise,
                model.noise**2,
                catalogue[code].resolution ** 2 / 12,
                1.0 / model.robust**2,
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
                ceiling_of(catalogue[code]),
                catalogue[code].upper,
                model.usual_time,
                model.swing() ** 2,
                model.shared_error,
                *(
                    z * scale
                    for horizon in TRACKED
                    for z, scale in zip((Z50, Z90, Z95), model.scales(horizon), strict=True)
                ),
            )
        return table


def base_model() -> ModelFile:
    """The model that ships with the code."""
    return parse_model(_base_text())


def _base_text() -> str:
    return files("twin.estimation").joinpath("base.toml").read_text("utf-8")


def parse_model(content: str, where: str = "base.toml") -> ModelFile:
    """A model file's text, validated. Raises ModelError naming file, line, table and key.

    With `extends = "base"` it says only what is different from the file that ships, and what is
    new. It declares nothing: who uses the model does (`Bank`, or a process when it starts).
    """
    try:
        read = toml_of(content)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(where, str(error), "TOML") from error
    places = Places(where, content)
    for key in ("name", "version"):
        if not isinstance(read.get(key), str):
            raise places.wrong((key,), read.get(key), "a string")
    for key in read:
        if key not in ("name", "version", "extends", "signal", "device"):
            raise places.wrong((key,), key, "one of device, extends, name, signal, version")
    tables = read.get("signal")
    if not isinstance(tables, dict) or not tables:
        raise places.wrong(("signal",), tables, "a table for each signal")
    declared = _declared(places, read)
    signed = content
    if "extends" in read:
        if read["extends"] != "base":
            raise places.wrong(("extends",), read["extends"], '"base", the file that ships')
        signed = _base_text() + content
        tables = _extended(places, tables)
    signals = {code: _signal(places, code, table, declared) for code, table in tables.items()}
    digest = blake2b(signed.encode(), digest_size=4).hexdigest()
    version = f"{read['name']}-{read['version']}+{digest}"
    devices = device_tables(places, read.get("device", {}), signals)
    return ModelFile(version, content, signals, tuple(declared.values()), devices)


def _declared(places: Places, read: Mapping[str, Any]) -> dict[str, Signal]:
    try:
        return {signal.code: signal for signal in declared_signals(read)}
    except DeclarationWrong as wrong:
        raise places.wrong(wrong.key, wrong.got, wrong.expected) from wrong


def _extended(places: Places, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The base file's tables with what these change; each change names its own source."""
    base: dict[str, Any] = toml_of(_base_text())["signal"]
    for code, table in tables.items():
        if code in base and isinstance(table, dict):
            if "source" not in table:
                expected = "where the changed constants come from"
                raise places.wrong(("signal", code, "source"), None, expected)
            base[code] = base[code] | table
        else:
            base[code] = table
    return base


def _signal(places: Places, code: str, table: Any, declared: Mapping[str, Signal]) -> SignalModel:
    if code not in SIGNALS and code not in declared:
        expected = (
            f"one of {', '.join(SIGNALS)}, or a table signal.{code}.catalogue that declares it"
        )
        raise places.wrong(("signal", code), code, expected)
    if isinstance(table, dict):
        table = {name: value for name, value in table.items() if name != "catalogue"}
    return signal_model(places, code, table)
