"""Wearables: what a device makes of a body, and how it speaks of it.

Each device has its own rates, resolution, noise, bias, clock and faults, and a seeded generator of
its own. It is asked once a simulated second and answers with the messages that fall due.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.catalogue import GLUCOSE_MG_PER_DL
from ingest.fleet.message import Message
from ingest.fleet.physiology import Vitals
from ingest.fleet.settings import DEVICE_KINDS, DeviceKind, Episode, FleetSettings, Rates
from ingest.instant import MILLISECOND, SECOND

#: Samples in one message of a late burst.
_BURST = 60


@dataclass(frozen=True, slots=True)
class Channel:
    """One signal of a device: every how many samples, and how well. In canonical units.

    noise and bias are standard deviations: of each sample, and of the device for its life.
    """

    signal: str
    every: int
    resolution: float
    noise: float
    bias: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one time: values and quality by signal; time in ns since the start."""

    time: int
    values: dict[str, float]
    quality: dict[str, float]


_CHANNELS: dict[DeviceKind, tuple[Channel, ...]] = {
    "watch": (
        Channel("heart_rate", 1, 1.0, 1.6, 1.5),
        Channel("step_count", 60, 1.0, 0.0, 0.0),
        Channel("activity", 60, 0.01, 0.005, 0.0),
        Channel("hrv_rmssd", 300, 1.0, 3.0, 2.0),
    ),
    "patch": (
        Channel("respiratory_rate", 1, 1.0, 0.8, 0.4),
        Channel("spo2", 1, 1.0, 0.6, 0.5),
        Channel("skin_temperature", 5, 0.1, 0.05, 0.2),
    ),
    "cgm": (Channel("glucose", 1, 1.0, 4.0, 5.0),),
    "cuff": (
        Channel("systolic_bp", 1, 1.0, 4.0, 3.0),
        Channel("diastolic_bp", 1, 1.0, 3.0, 2.0),
        Channel("mean_bp", 1, 1.0, 3.0, 2.0),
    ),
    "thermometer": (Channel("body_temperature", 1, 0.1, 0.06, 0.05),),
}
_ECG = Channel("heart_rate", 1, 1.0, 0.7, 0.2)
#: Worn all the time and so taken off, out of radio range, moved: the others only measure.
_WORN: frozenset[DeviceKind] = frozenset({"watch", "patch", "cgm"})
_QUALITY: frozenset[DeviceKind] = frozenset({"watch", "patch"})
#: Battery used in an hour, as a share.
_DRAIN: dict[DeviceKind, float] = {
    "watch": 0.025,
    "patch": 0.008,
    "cgm": 0.004,
    "cuff": 0.002,
    "thermometer": 0.001,
}


def kinds_of(patient: int) -> tuple[DeviceKind, ...]:
    """The devices of patient number `patient` (from 0): every third wears a glucose monitor."""
    return tuple(kind for kind in DEVICE_KINDS if kind != "cgm" or patient % 3 == 2)


def device_name(settings: FleetSettings, kind: DeviceKind, patient: int) -> str:
    """As in topics: `watch-01` is worn by patient number 0."""
    return f"{settings.prefix}{kind}-{patient + 1:02d}"


class Device:
    """One device of one patient. `second` is to be called for 0, 1, 2, … without gaps."""

    def __init__(self, settings: FleetSettings, kind: DeviceKind, patient: int) -> None:
        self.name = device_name(settings, kind, patient)
        self._kind, self._patient, self._faults = kind, patient, settings.faults
        self._rng = np.random.default_rng([settings.seed, patient, 1 + DEVICE_KINDS.index(kind)])
        self._script = [e for e in settings.script() if _concerns(e, kind, patient)]
        self._channels = _CHANNELS[kind] + ((_ECG,) if kind == "patch" and patient % 3 == 1 else ())
        self._bias = {c.signal: c.bias * self._rng.standard_normal() for c in self._channels}
        self._period = round(_period(settings.rates, kind, self._rng) * SECOND)
        self._due = round(_first(kind, self._period / SECOND, self._rng) * SECOND)
        self._set_clock()
        self._battery = self._rng.uniform(0.55, 1.0)
        self._latency = self._rng.uniform(0.03, 0.25)
        self._taken = self._sequence = self._boot = self._told = 0
        self._steps, self._drift = 0.0, 0.0
        self._until = dict.fromkeys(("artefact", "body_off", "offline"), 0.0)
        self._wrong = 1.0
        self._worn = True
        self._waiting: list[Sample] = []

    def second(self, second: int, vitals: Vitals) -> Iterator[Message]:
        """The messages of the second that begins at `second`, not sent before it."""
        self._steps += float(vitals.step_rate[self._patient])
        self._suffer(second)
        worn, reached = not self._is("body_off", second), not self._is("offline", second)
        if worn is not self._worn and reached:
            self._worn = worn
            yield self._message([Sample(second * SECOND, {}, {})], second * SECOND)
        self._battery -= _DRAIN[self._kind] / 3600
        if self._battery < 0.04:
            self._battery = 1.0
        end = (second + 1) * SECOND
        while self._due < end:
            if worn:
                self._waiting.append(self._sample(self._due, vitals, second))
            self._due += self._period
        if reached:
            yield from self._sent(end)

    def _sent(self, end: int) -> Iterator[Message]:
        """What waits, the newest alone if nothing was held back, else in bursts."""
        waiting, self._waiting = self._waiting, []
        at = end if len(waiting) > 1 and waiting[0].time < end - 2 * SECOND else 0
        size = _BURST if at else 1
        for first in range(0, len(waiting), size):
            samples = waiting[first : first + size]
            delay = round(self._latency * (1 + 0.5 * self._rng.random()) * SECOND)
            sent = max(at, samples[-1].time) + delay
            at = sent if at else 0
            if self._rng.random() < self._faults.lost:
                self._sequence += 1
                continue
            message = self._message(samples, sent)
            yield message
            if self._rng.random() < self._faults.duplicated:
                yield message

    def _sample(self, time: int, vitals: Vitals, second: int) -> Sample:
        wrong = self._is("artefact", second)
        values, quality = {}, {}
        for channel in self._channels:
            if self._taken % channel.every:
                continue
            value = self._measured(channel, vitals)
            if wrong and channel.noise:
                value *= self._wrong * (1 + 0.08 * self._rng.standard_normal())
            values[channel.signal] = _rounded(channel, value)
            if self._kind in _QUALITY and channel.noise:
                good = 0.96 - 0.3 * min(float(vitals.activity[self._patient]), 1.0)
                level = self._rng.uniform(0.05, 0.35) if wrong else good
                quality[channel.signal] = round(level - 0.04 * self._rng.random(), 2)
        self._taken += 1
        return Sample(time, values, quality)

    def _measured(self, channel: Channel, vitals: Vitals) -> float:
        """The value with bias and noise; glucose errors forget themselves in about 20 min."""
        noise = channel.noise * self._rng.standard_normal()
        if channel.signal == "step_count":
            steps, self._steps = float(np.floor(self._steps)), self._steps % 1
            return steps
        if channel.signal == "mean_bp":
            systolic, diastolic = (
                self._true(vitals, "systolic_bp"),
                self._true(vitals, "diastolic_bp"),
            )
            return (systolic + 2 * diastolic) / 3 + self._bias["mean_bp"] + noise
        if channel.signal == "glucose":
            keep = float(np.exp(-self._period / SECOND / 1200))
            self._drift = keep * self._drift + float(np.sqrt(1 - keep * keep)) * noise
            noise = self._drift
        return self._true(vitals, channel.signal) + self._bias[channel.signal] + noise

    def _true(self, vitals: Vitals, signal: str) -> float:
        return float(getattr(vitals, signal)[self._patient])

    def _message(self, samples: Sequence[Sample], at: int) -> Message:
        signals = list(dict.fromkeys(s for sample in samples for s in sample.values))
        values = {s: tuple(sample.values.get(s) for sample in samples) for s in signals}
        graded = [s for s in signals if any(s in sample.quality for sample in samples)]
        quality = {s: tuple(sample.quality.get(s) for sample in samples) for s in graded}
        units: dict[str, str] = {}
        if "glucose" in values and self._patient % 2:
            values["glucose"] = tuple(map(_millimoles, values["glucose"]))
            units["glucose"] = "mmol/L"
        self._sequence += 1
        tells = not values or self._told % 60 == 0
        self._told += 1
        return Message(
            self.name,
            at,
            tuple(self._stamp(sample.time) for sample in samples),
            values,
            units,
            quality,
            sequence=self._sequence,
            boot=self._boot,
            battery=round(self._battery, 2) if tells else None,
            contact=self._worn if tells and self._kind in _WORN else None,
            exact=self._kind != "watch",
        )

    def _stamp(self, time: int) -> int:
        """The device's own clock, which shows whole milliseconds."""
        shown = time + self._offset + round(time * self._rate)
        return shown // MILLISECOND * MILLISECOND

    def _set_clock(self) -> None:
        ahead = 1 if self._rng.random() < self._faults.clock_ahead else -1
        self._offset = round(ahead * self._rng.random() * self._faults.clock_behind_s * SECOND)
        self._rate = ahead * self._rng.random() * self._faults.clock_drift_ppm * 1e-6

    def _suffer(self, second: int) -> None:
        """Let faults begin: four chances a second, whether used or not."""
        chance = self._rng.random(4)
        faults = self._faults
        if chance[0] < faults.artefacts_per_hour / 3600:
            self._until["artefact"] = second + self._rng.uniform(5, 30)
            self._wrong = float(self._rng.choice([0.6, 0.75, 1.3, 1.5]))
        if self._kind not in _WORN:
            return
        if chance[1] < faults.body_off_per_day / 86_400:
            self._until["body_off"] = second + self._rng.uniform(60, 480)
        if chance[2] < faults.offline_per_day / 86_400:
            self._until["offline"] = second + self._rng.uniform(20, 240)
        if chance[3] < faults.reboots_per_day / 86_400:
            self._boot, self._sequence, self._told = self._boot + 1, 0, 0

    def _is(self, fault: str, second: int) -> bool:
        if second < self._until[fault]:
            return True
        return any(
            e.kind == fault and e.at_s <= second < e.at_s + e.duration_s for e in self._script
        )


def _concerns(episode: Episode, kind: DeviceKind, patient: int) -> bool:
    return episode.patient == patient + 1 and episode.device in (None, kind)


def _period(rates: Rates, kind: DeviceKind, rng: np.random.Generator) -> float:
    period: float = getattr(rates, f"{kind}_s")
    return period * float(rng.choice([1, 1, 2, 4])) if kind == "cuff" else period


def _first(kind: DeviceKind, period: float, rng: np.random.Generator) -> float:
    """Spot devices measure soon after the start, so that a page is not empty for hours."""
    if kind in _WORN and kind != "cgm":
        return rng.uniform(0, min(period, 60))
    return rng.uniform(0, min(period, 45))


def _rounded(channel: Channel, value: float) -> float:
    """In the device's resolution, without the dust of binary fractions; SpO2 stops at 100."""
    if channel.signal == "spo2":
        value = min(value, 100.0)
    return round(max(round(value / channel.resolution), 0) * channel.resolution, 3)


def _millimoles(value: float | None) -> float | None:
    return None if value is None else round(value / GLUCOSE_MG_PER_DL, 1)
