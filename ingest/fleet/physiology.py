"""Bodies: what would be measured by perfect devices, in steps of one second.

Pure and seeded: each patient draws from a generator of its own, so patient 3 of seed 7 is the same
person in a fleet of 4 and of 400. All patients advance together, arrays are (patients,).

Time constants of the heart's answer to effort are those of the project's activity model (rise
45 s, fall 90 s). The rest is chosen to look like a ward, not fitted to one: it is simulated data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.fleet.settings import Episode, FleetSettings

Floats = NDArray[np.float64]

_BLOCK = 64  # steps for which random numbers are drawn at once
_NOISES = 8  # normal numbers a step: one for each wandering quantity
_CHANCES = 8  # uniform numbers a step: begin, length and strength of what happens by itself


@dataclass(frozen=True, slots=True)
class Vitals:
    """The true values of one second, each (patients,), in the signals' canonical units."""

    heart_rate: Floats
    respiratory_rate: Floats
    spo2: Floats
    body_temperature: Floats
    skin_temperature: Floats
    systolic_bp: Floats
    diastolic_bp: Floats
    glucose: Floats
    activity: Floats
    step_rate: Floats  # steps in this second
    hrv_rmssd: Floats


class People:
    """Who they are: constants of each patient, arrays (patients,)."""

    def __init__(self, generators: list[np.random.Generator]) -> None:
        draws = np.array([g.standard_normal(10) for g in generators]).reshape(-1, 10)
        ages = np.array([g.uniform(22, 88) for g in generators])
        women = np.array([g.random() < 0.5 for g in generators], bool)
        old = (ages - 55) / 33
        self.age = ages
        self.resting_heart_rate = np.clip(68 + 4 * women + 8 * draws[:, 0], 50, 92)
        self.heart_rate_gain = np.clip(48 - 14 * old + 6 * draws[:, 1], 22, 70)
        self.respiratory_rate = np.clip(15 + 1.5 * old + 1.6 * draws[:, 2], 11, 20)
        self.spo2 = np.clip(97.3 - 0.8 * old + 0.7 * draws[:, 3], 93.5, 99)
        self.temperature = 36.7 + 0.1 * women + 0.15 * draws[:, 4]
        self.skin_temperature = 33.4 + 0.5 * draws[:, 5]
        self.systolic = np.clip(124 - 4 * women + 10 * old + 9 * draws[:, 6], 98, 165)
        self.diastolic = np.clip(76 - 2 * women - 2 * old + 5 * draws[:, 7], 55, 95)
        self.hrv = np.clip(34 * np.exp(-0.5 * old + 0.25 * draws[:, 8]), 9, 110)
        self.diabetic = np.arange(len(generators)) % 3 == 2
        self.glucose = np.where(self.diabetic, 138 + 14 * draws[:, 9], 94 + 5 * draws[:, 9])
        self.meal_rise = np.where(self.diabetic, 110.0, 45.0)


class Physiology:
    """The bodies of a fleet. `step` advances one second; nothing else changes anything."""

    def __init__(self, settings: FleetSettings) -> None:
        n = settings.patients
        self._generators = [np.random.default_rng([settings.seed, i, 0]) for i in range(n)]
        self.people = People(self._generators)
        self._episodes = [e for e in settings.script() if e.kind in _SCRIPTED]
        self._start_hour = settings.start_hour
        self._second = 0
        self._wander = np.zeros((n, _NOISES))
        self._effort, self._drive, self._effort_left = np.zeros(n), np.zeros(n), np.zeros(n)
        self._drop, self._drop_left, self._dip = np.zeros(n), np.zeros(n), np.zeros(n)
        self._gut, self._plasma, self._tissue = np.zeros(n), np.zeros(n), np.zeros(n)
        self._heat = np.zeros(n)

    def step(self) -> Vitals:
        """The next second."""
        place = self._second % _BLOCK
        if place == 0:
            self._draw()
        self._second += 1
        noise, chance = self._noise[:, place], self._chance[:, place]
        self._wander += (-self._wander + np.sqrt(2 * _TAUS) * noise) / _TAUS
        self._move(chance)
        self._desaturate(chance)
        self._eat(chance)
        return self._vitals()

    def _draw(self) -> None:
        n = len(self._generators)
        noise = [g.standard_normal((_BLOCK, _NOISES)) for g in self._generators]
        chance = [g.random((_BLOCK, _CHANCES)) for g in self._generators]
        self._noise = np.array(noise).reshape(n, _BLOCK, _NOISES)
        self._chance = np.array(chance).reshape(n, _BLOCK, _CHANCES)

    def _hour(self) -> float:
        return (self._start_hour + self._second / 3600) % 24

    def _move(self, chance: Floats) -> None:
        """Spells of activity, fewer at night; effort follows them (0–1)."""
        awake = 1.0 if 7 <= self._hour() < 22 else 0.08
        begins = (self._effort_left <= 0) & (chance[:, 0] < awake / 1500)
        self._effort_left = np.where(begins, 60 + 540 * chance[:, 1], self._effort_left - 1)
        self._drive = np.where(begins, 0.25 + 0.75 * chance[:, 2] ** 2, self._drive)
        self._drive = np.where(self._effort_left > 0, self._drive, 0.0)
        exercise = self._scripted("exercise")
        target = np.maximum(self._drive, np.minimum(exercise, 1.0))
        tau = np.where(target > self._effort, 45.0, 90.0)
        self._effort = self._effort + (target - self._effort) / tau
        self._moving = target

    def _desaturate(self, chance: Floats) -> None:
        """Dips of SpO2 by 3–8 %, 20–60 s long, every two hours or so."""
        begins = (self._drop_left <= 0) & (chance[:, 3] < 1 / 7200)
        self._drop_left = np.where(begins, 20 + 40 * chance[:, 4], self._drop_left - 1)
        self._drop = np.where(begins, 3 + 5 * chance[:, 5], self._drop)
        target = np.where(self._drop_left > 0, self._drop, 0.0)
        target = np.maximum(target, 9 * self._scripted("desaturation"))
        tau = np.where(target > self._dip, 12.0, 25.0)
        self._dip = self._dip + (target - self._dip) / tau

    def _eat(self, chance: Floats) -> None:
        """Three meals: gut → blood → tissue, with time constants of 25, 70 and 9 min."""
        hours = np.array([7.5, 12.5, 18.5])
        near = float(np.exp(-0.5 * ((hours - self._hour()) / 0.4) ** 2).max())
        eats = (self._gut < 0.05) & (chance[:, 6] < near / 1200)
        self._gut = np.where(eats, 0.6 + 0.8 * chance[:, 7], self._gut * (1 - 1 / 1500))
        self._plasma = self._plasma + self._gut / 1500 - self._plasma / 4200
        self._tissue = self._tissue + (self._plasma - self._tissue) / 540

    def _scripted(self, kind: str) -> Floats:
        """(patients,) strength of a scripted episode now: during it, or rising and then staying."""
        strength = np.zeros(len(self._generators))
        for episode in self._episodes:
            if episode.kind == kind:
                strength[episode.patient - 1] += _strength(episode, self._second)
        return strength

    def _vitals(self) -> Vitals:
        p, w = self.people, self._wander.T
        sick, fever = self._scripted("deterioration"), self._scripted("fever")
        day = np.cos(2 * np.pi * (self._hour() - 16.5) / 24)
        self._heat = self._heat + (1.9 * fever + 1.8 * sick - self._heat) / 1200
        body = p.temperature + 0.3 * day + 0.3 * self._effort + self._heat + 0.04 * w[4]
        heart = p.resting_heart_rate + 3.5 * day + p.heart_rate_gain * self._effort
        heart += 8 * self._heat + 22 * sick + 0.6 * self._dip + 1.6 * w[0] + 2.8 * w[1]
        breath = p.respiratory_rate + 0.5 * day + 13 * self._effort + 1.8 * self._heat
        breath += 9 * sick + 0.35 * self._dip + 0.9 * w[2] + 0.25 * w[0]
        systolic = p.systolic + 4 * day + 32 * self._effort - 34 * sick + 4 * w[6]
        diastolic = p.diastolic + 3 * day + 6 * self._effort - 20 * sick + 2.5 * w[6]
        chill = 1.2 * self._effort + 1.5 * sick
        calm = -1.6 * self._effort - 0.6 * sick + 0.1 * w[1]
        meal = p.meal_rise * self._tissue * 1.9
        return Vitals(
            heart_rate=np.clip(heart, 30, 220 - 0.3 * p.age),
            respiratory_rate=np.clip(breath, 5, 55),
            spo2=np.clip(p.spo2 - self._dip - 7 * sick - 0.8 * fever + 0.45 * w[3], 55, 100),
            body_temperature=np.clip(body, 34, 42),
            skin_temperature=np.clip(
                p.skin_temperature + 0.6 * self._heat - chill + 0.25 * w[5], 20, 40
            ),
            systolic_bp=np.clip(systolic, 55, 230),
            diastolic_bp=np.clip(np.minimum(diastolic, systolic - 15), 30, 140),
            glucose=np.clip(p.glucose + meal - 12 * self._effort + 6 * w[7], 40, 400),
            activity=0.02 + 0.42 * self._moving * np.abs(1 + 0.2 * w[0]),
            step_rate=np.where(self._moving > 0.1, 0.9 + 1.3 * self._moving, 0.0),
            hrv_rmssd=np.clip(p.hrv * np.exp(calm), 3, 200),
        )


_SCRIPTED = frozenset({"deterioration", "fever", "exercise", "desaturation"})
#: Seconds over which each wandering quantity forgets: fast and slow heart rate, breathing, SpO2,
#: body and skin temperature, blood pressure, glucose. The bedside ones are measured (29, 35, 64 s).
_TAUS = np.array([29.0, 1200.0, 35.0, 64.0, 900.0, 600.0, 1800.0, 2400.0])


def _strength(episode: Episode, second: int) -> float:
    """0 before the episode; a deterioration or fever rises smoothly and stays, others end."""
    passed = (second - episode.at_s) / episode.duration_s
    if passed <= 0:
        return 0.0
    if episode.kind in ("deterioration", "fever"):
        rise = min(passed, 1.0)
        return episode.severity * rise * rise * (3 - 2 * rise)
    return episode.severity if passed <= 1 else 0.0
