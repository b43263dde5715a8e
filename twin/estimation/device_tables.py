"""What a model file says of devices: tables `[device.NAME]`, by the id that stands in a recording.

[device."watch-*"]           # an id, or with * and ? a pattern; the first that fits counts
source = "chest strap beside it, 2026"
delay = 30.0                 # s: how old a value is at its stamp (a delayed average)

[device."watch-*".heart_rate]
noise = 2.0                  # standard deviation of one value, where the row says none
bias = 2.9                   # how far such devices are off, standard deviation
bias_time = 172800.0         # s: how long a device stays off in the same way
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from twin.estimation.signal_model import Places
from twin.toml_lines import Key

_RANGES: Mapping[str, tuple[float, float]] = {
    "delay": (0.0, 86_400.0),
    "noise": (1e-6, 1e6),
    "bias": (0.0, 1e6),
    "bias_time": (1.0, 1e9),
}


@dataclass(frozen=True, slots=True)
class DeviceNoise:
    """Of one signal, in its unit and seconds; noise 0: what the row or the signal's model says.

    The bias is an Ornstein–Uhlenbeck process of standard deviation `bias` over bias_time.
    """

    noise: float = 0.0
    bias: float = 0.0
    bias_time: float = 172_800.0


NOTHING = DeviceNoise()


@dataclass(frozen=True, slots=True)
class DeviceTable:
    """pattern: which ids; delay in seconds; signals: by code."""

    pattern: str
    source: str
    delay: float = 0.0
    signals: Mapping[str, DeviceNoise] = field(default_factory=dict)


def table_of(tables: Sequence[DeviceTable], device: str) -> DeviceTable | None:
    """The first table whose pattern fits the device's id."""
    return next((table for table in tables if fnmatchcase(device, table.pattern)), None)


def device_tables(
    places: Places, given: object, modelled: Mapping[str, object]
) -> tuple[DeviceTable, ...]:
    """A model file's tables, validated; modelled: the signals that it has. Raises ModelError."""
    if not isinstance(given, dict):
        raise places.wrong(("device",), given, "a table for each device")
    return tuple(_table(places, name, table, modelled) for name, table in given.items())


def _table(places: Places, name: str, given: Any, modelled: Mapping[str, object]) -> DeviceTable:
    key: Key = ("device", name)
    if not isinstance(given, dict):
        raise places.wrong(key, given, "a table of constants")
    if not isinstance(given.get("source"), str) or not given["source"]:
        raise places.wrong((*key, "source"), given.get("source"), "where the constants come from")
    signals = {}
    for code, table in given.items():
        if code in ("source", "delay"):
            continue
        if code not in modelled:
            expected = f"delay, source, or one of {', '.join(modelled)}"
            raise places.wrong((*key, code), code, expected)
        signals[code] = _noise(places, (*key, code), table)
    delay = _number(places, (*key, "delay"), given.get("delay", 0.0))
    return DeviceTable(name, given["source"], delay, signals)


def _noise(places: Places, key: Key, given: object) -> DeviceNoise:
    if not isinstance(given, dict):
        raise places.wrong(key, given, "a table of constants")
    known = {each.name for each in fields(DeviceNoise)}
    for name in given:
        if name not in known:
            raise places.wrong((*key, name), name, f"one of {', '.join(sorted(known))}")
    return DeviceNoise(**{name: _number(places, (*key, name), n) for name, n in given.items()})


def _number(places: Places, key: Key, given: object) -> float:
    lower, upper = _RANGES[str(key[-1])]
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise places.wrong(key, given, "a number")
    if not lower <= given <= upper:
        raise places.wrong(key, given, f"{lower:g} to {upper:g}")
    return float(given)
